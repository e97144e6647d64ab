"""Files of an unfinished build, with the checksums that they are held to before they are used.

Builds go on from such files for days, on disks that may fail. Beside each lies a seal: the SHA-256
of it, and of others that are complete when it is. A file whose seal is not right is computed anew
when a build is started, and is an error where a step reads it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unitdb import npy
from unitdb.errors import DamagedFileError
from unitdb.files import replacing, sha256_file

__all__ = [
    "check_seal",
    "is_sealed",
    "map_npy",
    "read_npy",
    "read_npz",
    "read_text",
    "sealed_shape",
    "sealing",
    "write_npy",
    "write_text",
]


@contextmanager
def sealing(path: Path, *, others: Iterable[Path] = ()) -> Iterator[Path]:
    """Give a temporary file, which becomes ``path`` with its seal when the block succeeds.

    Parameters
    ----------
    path : Path
        The file.
    others : iterable of Path
        Files that its seal is of too; they are there when the block ends.
    """
    with replacing(path) as temporary:
        yield temporary
        files = {path.name: temporary}
        files |= {os.path.relpath(other, path.parent): other for other in others}
        lines = [f"{sha256_file(file)}  {name}" for name, file in files.items()]
        # First: whatever a kill leaves, a seal that is right is of whole files.
        _seal_of(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def is_sealed(path: Path) -> bool:
    """Whether a file and those that its seal is of are there, as they were written."""
    try:
        lines = _seal_of(path).read_text(encoding="utf-8").splitlines()
        sums = [line.split("  ", 1) for line in lines]
        return (
            path.exists()
            and [name for _, name in sums[:1]] == [path.name]
            and all(_sha256(path.parent / name) == digest for digest, name in sums)
        )
    except (OSError, ValueError):
        return False


def check_seal(path: Path) -> None:
    """Raise DamagedFileError where a file, or another that its seal is of, is not as written."""
    if not is_sealed(path):
        raise DamagedFileError(
            f"{path}: missing or damaged since it was written; start the build again, which "
            "computes it anew"
        )


def sealed_shape(path: Path) -> tuple[int, ...] | None:
    """Shape of the array in a ``.npy`` file; None where it is missing or not as it was written."""
    return npy.shape_of(path) if is_sealed(path) else None


def map_npy(path: Path) -> NDArray[Any]:
    """Map a sealed ``.npy`` file; raises DamagedFileError as :func:`check_seal` does."""
    check_seal(path)
    return npy.map_npy(path)


def read_npy(path: Path) -> NDArray[Any]:
    """Read a sealed ``.npy`` file into memory; raises as :func:`map_npy` does."""
    return np.array(map_npy(path))


def write_npy(path: Path, array: NDArray[Any]) -> None:
    """Write a ``.npy`` file with its seal."""
    with sealing(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def read_npz(path: Path, wanted: Callable[[str], bool]) -> dict[str, NDArray[Any]]:
    """Read those arrays of a sealed ``.npz`` file whose names are wanted."""
    check_seal(path)
    return npy.read_npz(path, wanted)


def read_text(path: Path) -> str:
    """Read a sealed text file; raises DamagedFileError as :func:`check_seal` does."""
    check_seal(path)
    return path.read_text(encoding="utf-8")


def write_text(path: Path, text: str, *, others: Iterable[Path] = ()) -> None:
    """Write a text file with its seal, which is of the others too (:func:`sealing`)."""
    with sealing(path, others=others) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _seal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _sha256(path: Path) -> str:
    found = path.stat()
    return _known_sha256(path, (found.st_ino, found.st_size, found.st_mtime_ns))


@lru_cache(maxsize=1 << 16)
def _known_sha256(path: Path, _: tuple[int, int, int]) -> str:
    """Hash of a file as it is now: a layer's files are read many times."""
    return sha256_file(path)
