"""Folders that appear complete or not at all (on POSIX systems)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unitdb.errors import BusyError
from unitdb.files import locked

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
            with locked(lock, seconds=0):
                shutil.rmtree(_folder_of(lock), ignore_errors=True)
                lock.unlink(missing_ok=True)
        except BusyError:
            continue  # being written


@contextmanager
def _lock(parent: Path) -> Iterator[Path]:
    while True:
        path = parent / f"{_PREFIX}{os.urandom(4).hex()}{_LOCK}"
        with locked(path):
            if not path.exists():
                continue  # cleared between its making and its locking
            try:
                yield path
            finally:
                path.unlink(missing_ok=True)
            return


def _folder_of(lock: Path) -> Path:
    return lock.with_suffix("")
