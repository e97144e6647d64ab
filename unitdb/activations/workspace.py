"""Folders that appear complete or not at all (on POSIX systems)."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["clear_abandoned", "new_folder"]

_PREFIX = ".unfinished-"
_LOCK = ".lock"


@contextmanager
def new_folder(final: Path) -> Iterator[Path]:
    """Give a temporary folder that becomes ``final`` by one rename, unless an error is raised.

    Where ``final`` exists by then (another process was faster), it is left as it is. A locked file
    beside the folder tells :func:`clear_abandoned` that its process is alive.

    Parameters
    ----------
    final : Path
        Where the folder shall stand.

    Yields
    ------
    Path
        An empty folder beside it, unique to this call.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    with _lock(final.parent) as lock:
        temporary = _folder_of(lock)
        temporary.mkdir()
        try:
            yield temporary
            try:
                temporary.rename(final)
            except OSError:
                if not final.is_dir():
                    raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def clear_abandoned(parent: Path) -> None:
    """Remove the temporary folders in ``parent`` that killed processes have left behind."""
    for lock in parent.glob(f"{_PREFIX}*{_LOCK}"):
        try:
            with lock.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(_folder_of(lock), ignore_errors=True)
                lock.unlink()
        except (BlockingIOError, FileNotFoundError):
            continue  # being written, or just finished


@contextmanager
def _lock(parent: Path) -> Iterator[Path]:
    while True:
        descriptor, name = tempfile.mkstemp(prefix=_PREFIX, suffix=_LOCK, dir=parent)
        with os.fdopen(descriptor) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not os.fstat(descriptor).st_nlink:
                continue  # cleared between its making and its locking
            try:
                yield Path(name)
            finally:
                Path(name).unlink()
            return


def _folder_of(lock: Path) -> Path:
    return lock.with_suffix("")
