"""Arrays in files, read by threads.

numpy evaluates the header of an array with :mod:`ast`. CPython has one state of that for all
threads: where two evaluate at a time, which takes a garbage collection in the middle, one of them
fails with a SystemError, "AST constructor recursion depth mismatch". So one thread evaluates at a
time. Values of ``.npy`` files are read side by side; of ``.npz`` files, in which every array has a
header, by one thread.
"""

from __future__ import annotations

import struct
import threading
import tokenize
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "evaluating_headers",
    "map_npy",
    "read_header",
    "read_npy",
    "read_npz",
    "shape_of",
]

_HEADERS = threading.Lock()

_NO_HEADER = (
    tokenize.TokenError,
    SyntaxError,
    RecursionError,
    OverflowError,
    TypeError,
    AttributeError,
    LookupError,
    struct.error,
)
"""What Python's parser and numpy raise for a header that is none, besides ValueError."""


@contextmanager
def evaluating_headers() -> Iterator[None]:
    """Keep other threads from evaluating a header; whatever is wrong with one is a ValueError."""
    with _HEADERS:
        try:
            yield
        except _NO_HEADER as cause:
            raise ValueError(f"no header of an array: {cause}") from cause


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read shape and type of an array from the beginning of its file.

    Raises
    ------
    OSError, EOFError, ValueError
        They are not stated.
    """
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"format {version} of arrays is not read")
    with evaluating_headers():
        shape, _, dtype = read(file)
    return shape, dtype


def map_npy(path: Path) -> NDArray[Any]:
    """Map a ``.npy`` file, whose values are read as they are used.

    Raises
    ------
    OSError, EOFError, ValueError
        It is missing, cut or no array; Python objects are refused.
    """
    with evaluating_headers():
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


def read_npz(path: Path, wanted: Callable[[str], bool]) -> dict[str, NDArray[Any]]:
    """Read those arrays of a ``.npz`` file whose names are wanted.

    Raises
    ------
    OSError, EOFError, ValueError, zipfile.BadZipFile
        It is missing or damaged; Python objects are refused.
    """
    with evaluating_headers(), np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files if wanted(name)}
