"""Files written whole or not at all, and their checksums."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shlex
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from unitdb.errors import BusyError, CorruptReleaseError, NotDownloadedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = [
    "POINTER",
    "SECONDS",
    "SUMS",
    "check_downloaded",
    "files_below",
    "is_absent",
    "is_pointer",
    "locked",
    "matching",
    "reached",
    "read_sums",
    "refuse_pipe",
    "replacing",
    "sha256_file",
    "sync",
    "visible",
    "write_text",
]

SUMS = "SHA256SUMS"
"""Name of the file that lists the checksums of all others."""
SECONDS = 600.0
"""How long another process is waited for."""

POINTER = b"/annex/objects/"
"""How the text begins that git-annex leaves in place of content."""
_LONGEST_POINTER = 1 << 15  # of what git-annex takes for one


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary sibling to write to, which becomes ``path`` when the block succeeds.

    It is brought down to the disk first, so that not even a power cut leaves half a file.

    Parameters
    ----------
    path : Path
        The file to write; its folder is made where it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, *, seconds: float = SECONDS) -> Iterator[int | None]:
    """Hold a lock on ``path`` that ends with the block, or with the process however it ends.

    Parameters
    ----------
    path : Path
        File of the lock; it stays, empty.
    seconds : float
        How long another holder is waited for; 0 for not at all.

    Yields
    ------
    int or None
        Descriptor of the file: processes that inherit it hold the lock with us, so that it outlives
        us where they do. None on systems whose locks are not inherited.

    Raises
    ------
    BusyError
        Another holds it still.
    """
    import filelock  # here: `import unitdb` needs no lock

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=seconds)
    except filelock.Timeout:
        waited = f" (waited {seconds:,.0f} s)" if seconds else ""
        raise BusyError(
            f"{path}: another unitdb is at work there{waited}; run it again when that has ended"
        ) from None
    try:
        context = getattr(lock, "_context", None)  # filelock shows no other way to it
        yield getattr(context, "lock_file_fd", None) if os.name == "posix" else None
    finally:
        lock.release()


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 with Unix line ends, atomically and down to the disk."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, down to the disk."""
    if os.name == "nt":  # opens no folders, and syncs no file that was opened for reading
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_absent(path: Path) -> bool:
    """Whether git-annex has the name of a file alone: a link to nothing, or a pointer."""
    return (path.is_symlink() and not path.exists()) or is_pointer(path)


def is_pointer(path: Path) -> bool:
    """Whether a file is the text that git-annex leaves in place of content (adjusted branches)."""
    with suppress(OSError):
        if path.is_file() and len(POINTER) < path.stat().st_size <= _LONGEST_POINTER:
            with path.open("rb") as file:
                return file.read(len(POINTER)) == POINTER
    return False


def refuse_pipe(path: Path) -> None:
    """See that no path is a pipe by name: to open it waits until somebody writes, mostly for ever.

    Those that a shell has opened (``/dev/fd/63``, ``/dev/stdin``) have their writer, and no name.

    Raises
    ------
    OSError
        It is one.
    """
    if path.is_fifo():
        place = path.resolve()
        if place.is_fifo() and not place.is_relative_to("/dev/fd"):
            raise OSError(errno.EINVAL, "a pipe, which may have no end; give a file", str(path))


def sha256_file(path: Path) -> str:
    """SHA-256 (hex) of the bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_below(folder: Path) -> list[str]:
    """Paths of all that is below ``folder``, relative to it, with ``/``, sorted.

    These are its files, and what no release has: links to folders, and folders of nothing.
    """
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if _is_leaf(p))


def visible(paths: Iterable[Path], *, below: Path) -> list[Path]:
    """Paths without those that are hidden: a part of them below ``below`` begins with a dot.

    Such are the ``._*`` that macOS leaves beside files, and what ``.git`` holds.
    """
    return [p for p in paths if not any(part[0] == "." for part in p.relative_to(below).parts)]


def reached(folder: Path) -> list[Path]:
    """Files below ``folder`` that are not hidden, sorted; of folders that are linked too.

    Links to nothing are among them, so that whoever reads one says that it is not downloaded.
    """
    return sorted(_reached(folder, frozenset({os.path.realpath(folder)})))


def _reached(folder: Path, above: frozenset[str]) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if not entry.is_dir():
                yield folder / entry.name
            elif (real := os.path.realpath(entry.path)) not in above:  # a link may lead in a circle
                yield from _reached(folder / entry.name, above | {real})


def matching(folder: Path, pattern: str) -> list[Path]:
    """Paths below ``folder`` that fit a pattern and are not hidden, sorted; links to nothing too.

    Raises
    ------
    ValueError, NotImplementedError, OSError
        The pattern is none.
    """
    above, slash, last = pattern.rpartition("/")
    if not re.search(r"[*?[]", last):  # of a plain name glob leaves out links to nothing
        last = re.sub(r"\w", r"[\g<0>]", last, count=1)
    return sorted(visible(folder.glob(above + slash + last), below=folder))


def _is_leaf(path: Path) -> bool:
    return path.is_symlink() or not path.is_dir() or not any(path.iterdir())


def check_downloaded(folder: Path, names: Iterable[str]) -> None:
    """See that a clone has some files of a release, and not their names alone.

    Parameters
    ----------
    folder : Path
        The release.
    names : iterable of str
        Its files.

    Raises
    ------
    NotDownloadedError
        Names the first that it has not, and the commands that get them.
    """
    absent = [name for name in names if is_absent(folder / name)]
    if absent:
        others = f" (nor are {len(absent) - 1} others)" if len(absent) > 1 else ""
        *_, name, version = ("", "", *folder.resolve().parts)
        elsewhere = f"; or, into another folder: unitdb fetch {name}@{version} --from ADDRESS"
        raise NotDownloadedError(
            f"{folder / absent[0]}: not downloaded{others}: "
            f"{shlex.join(['datalad', '-C', str(folder), 'get', '.'])}"
            + (elsewhere if re.fullmatch(r"\d+\.\d+\.\d+", version) else "")
        )


def read_sums(folder: Path) -> dict[str, str]:
    """Read ``SHA256SUMS``: the SHA-256 (hex) of each file by its relative path.

    Raises
    ------
    CorruptReleaseError
        The file is missing or not in the format of ``sha256sum``.
    NotDownloadedError
        A clone has its name alone.
    """
    path = folder / SUMS
    check_downloaded(folder, [SUMS])
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as cause:
        raise CorruptReleaseError(f"{path}: cannot be read: {cause}") from cause
    sums = {}
    for line in lines:
        digest, separator, name = line.partition("  ")
        if len(digest) != 64 or not separator or not name:
            raise CorruptReleaseError(f"{path}: not a line of checksum and file: {line[:80]!r}")
        sums[name] = digest
    return sums
