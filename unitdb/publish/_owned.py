"""Git repositories that unitdb alone writes: their lock, and what killed programs left there."""

from __future__ import annotations

import shutil
import stat
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from unitdb.errors import StoreError
from unitdb.files import locked
from unitdb.programs import inheriting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["clear_stale", "holding", "remove_tree"]

_UNCHANGED = 1.0  # seconds that a lock of git is left alone where nobody seems to hold it
_SECONDS = 60.0
_LOCKS = ("*.lock", "refs/**/*.lock", "annex/*.lock", "objects/*.lock", "objects/info/*.lock")


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Hold a lock together with the programs that are run in the block.

    Where we are killed and a program is not, it holds the lock to its end: whoever holds it knows
    that no program of another is at work.
    """
    with locked(path) as descriptor, inheriting(descriptor):
        yield


def clear_stale(git: Path) -> None:
    """Remove the locks that killed programs have left in a git folder; the caller holds ours.

    git takes a lock by making a file, which a kill leaves behind.

    Parameters
    ----------
    git : Path
        ``.git`` of a repository, or a bare one.

    Raises
    ------
    StoreError
        A program that works there, not started by unitdb, does not come to an end.
    """
    found = {path for pattern in _LOCKS for path in git.glob(pattern)}
    folder = git.parent if git.name == ".git" else git
    for path in sorted(found):
        known, since, started = _identity(path), time.monotonic(), time.monotonic()
        while known is not None:
            others = _git_processes(folder)
            if not others and time.monotonic() - since > _UNCHANGED:
                path.unlink(missing_ok=True)
            elif time.monotonic() - started > _SECONDS:
                raise StoreError(
                    f"{path}: process {', '.join(map(str, others)) or 'unknown'} works there; run "
                    "it again when that has ended"
                )
            else:
                time.sleep(0.05)
            now = _identity(path)
            if now != known:
                known, since = now, time.monotonic()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _git_processes(folder: Path) -> list[int]:
    """Processes of git and git-annex that work in a folder; of Linux, other systems do not say."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            named = (process / "comm").read_text(encoding="utf-8").startswith("git")
            if named and (process / "cwd").readlink().is_relative_to(folder.resolve()):
                found.append(int(process.name))
        except OSError:
            continue  # it has ended, or is somebody else's
    return found


def remove_tree(folder: Path) -> None:
    """Remove a repository, where there is one; git-annex protects its objects from that."""
    if not folder.exists():
        return
    aside = folder.with_name(f"{folder.name}.removed.tmp")
    for tree in (aside, folder):  # a killed removal leaves no half of a repository
        if tree.exists():
            tree = tree if tree == aside else tree.rename(aside)
            shutil.rmtree(tree, onerror=_writable)


def _writable(function: Callable[[str], object], path: str, _: object) -> None:
    for place in (Path(path).parent, Path(path)):
        if place.exists():
            place.chmod(place.stat().st_mode | stat.S_IRWXU)
    function(path)
