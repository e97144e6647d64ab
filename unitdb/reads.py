"""Which files a step reads: readers note them here, and who wants to know listens.

A build says of its numbers which files they are from. Only readers know: a pattern in dataset.yaml
may fit more than is read, and a reader may open files that nothing names.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["in_one_line", "note_read", "noting_reads", "why_missing"]

_LONGEST = 300

_listening: ContextVar[tuple[set[Path], ...]] = ContextVar("_listening", default=())


def note_read(path: Path) -> None:
    """Say that the file at ``path`` is read; called by whatever opens files of users."""
    for noted in _listening.get():
        noted.add(path)


def why_missing(path: Path) -> str:
    """Why a file cannot be opened: there is none, or its DataLad dataset has its name alone."""
    if path.is_symlink():
        return "is known, but not downloaded: unitdb datasets get NAME, or datalad get"
    return "no such file or folder"


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
