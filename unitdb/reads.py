"""Which files a step reads: readers note them here, and who wants to know listens.

A build says of its numbers which files they are from. Only readers know: a pattern in dataset.yaml
may fit more than is read, and a reader may open files that nothing names.
"""

from __future__ import annotations

import glob
import shlex
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from unitdb.errors import NotDownloadedError
from unitdb.files import is_absent, refuse_pipe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["in_one_line", "note_read", "noting_reads", "why_missing"]

_LONGEST = 300

_listening: ContextVar[tuple[set[Path], ...]] = ContextVar("_listening", default=())


def note_read(path: Path) -> None:
    """Say that the file at ``path`` is read; called by whatever opens files of users, before it.

    Raises
    ------
    NotDownloadedError
        It is a link to nothing, or a pointer that git-annex leaves in place of content (on
        adjusted branches); with the command that downloads it.
    OSError
        It is a pipe by name (:func:`unitdb.files.refuse_pipe`).
    """
    refuse_pipe(path)
    if is_absent(path):
        raise NotDownloadedError(f"{path}: {_not_downloaded(path)}")
    for noted in _listening.get():
        noted.add(path)


def why_missing(path: Path) -> str:
    """Why a file cannot be opened: there is none, or its DataLad dataset has its name alone."""
    return _not_downloaded(path) if path.is_symlink() else "no such file or folder"


def _not_downloaded(path: Path) -> str:
    # By hand: to resolve it would follow the link.
    for folder in path.absolute().parents:
        if (folder / ".datalad").is_dir():
            name = glob.escape(path.absolute().relative_to(folder).as_posix())
            words = ["unitdb", "datasets", "get", folder.name, "--data", str(folder.parent)]
            command = shlex.join([*words, "--file", name])
            return f"not downloaded: {command} (or: {_get('datalad', folder, path)})"
    return f"not downloaded: {_get('git', path.absolute().parent, path)}"


def _get(program: str, folder: Path, path: Path) -> str:
    # Neither program finds the dataset of a path from outside of it.
    name = path.absolute().relative_to(folder).as_posix()
    verb = ["annex", "get"] if program == "git" else ["get"]
    return shlex.join([program, "-C", str(folder), *verb, name])


def in_one_line(text: object) -> str:
    """Words of a file, or of a library on it, fit for a message: one line, no control characters.

    Parameters
    ----------
    text : object
        An exception, or text; an exception without words gives its name.
    """
    words = " ".join(str(text).split()) or type(text).__name__
    shown = "".join(character if character.isprintable() else "\ufffd" for character in words)
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


@contextmanager
def noting_reads() -> Iterator[set[Path]]:
    """Collect the files that are read in the block, in this thread.

    Blocks may stand in each other: the outer ones collect what the inner ones do.
    """
    noted: set[Path] = set()
    token = _listening.set((*_listening.get(), noted))
    try:
        yield noted
    finally:
        _listening.reset(token)
