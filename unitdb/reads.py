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

__all__ = ["note_read", "noting_reads", "why_missing"]

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
