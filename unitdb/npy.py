"""Arrays in files, read by threads.

numpy evaluates the header of an array with :mod:`ast`. CPython has one state of that for all
threads: where two evaluate at a time, which takes a garbage collection in the middle, one of them
fails with a SystemError, "AST constructor recursion depth mismatch". So one thread evaluates at a
time. Values of ``.npy`` files are read side by side; of ``.npz`` files, in which every array has a
header, by one thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unitdb.files import replacing

__all__ = ["HEADERS", "map_npy", "read_npy", "read_npz", "shape_of", "write_npy"]

HEADERS = threading.Lock()
"""Held while the header of an array is evaluated."""


def map_npy(path: Path) -> NDArray[Any]:
    """Map a ``.npy`` file, whose values are read as they are used.

    Raises
    ------
    OSError, EOFError, ValueError
        It is missing, cut or no array; Python objects are refused.
    """
    with HEADERS:
        mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped


def read_npy(path: Path) -> NDArray[Any]:
    """Read a ``.npy`` file into memory; raises as :func:`map_npy` does."""
    return np.array(map_npy(path))


def shape_of(path: Path) -> tuple[int, ...] | None:
    """Shape of the array in a ``.npy`` file; None where the file is missing, cut or no array.

    A full disk cuts files: whoever finds a result looks at its shape before taking it for done.
    """
    try:
        return map_npy(path).shape
    except (OSError, ValueError, EOFError):
        return None


def write_npy(path: Path, array: NDArray[Any]) -> None:
    """Write a ``.npy`` file, whole or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def read_npz(path: Path, wanted: Callable[[str], bool]) -> dict[str, NDArray[Any]]:
    """Read those arrays of a ``.npz`` file whose names are wanted.

    Raises
    ------
    OSError, EOFError, ValueError, zipfile.BadZipFile
        It is missing or damaged; Python objects are refused.
    """
    with HEADERS, np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files if wanted(name)}
