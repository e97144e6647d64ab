"""HDF5 files of others, MATLAB's v7.3 among them, read so that nothing outside the file is opened.

HDF5 lets a name in one file stand for another file (external links, external and virtual storage);
such names are refused, and so are arrays that are out of all proportion to their file.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import MissingExtraError, UnitdbError, closest
from unitdb.reads import note_read

__all__ = ["check_expansion", "find_dataset", "names_in", "open_hdf5", "read_matlab"]

_LARGE = 256 * 2**20
_RATIO = 100
_LISTED = 12

_DAMAGE = (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError)
"""What h5py raises for files that are damaged or of another kind."""


@contextmanager
def open_hdf5(path: Path, *, error: type[UnitdbError]) -> Iterator[Any]:
    """Open an HDF5 file for reading; gives an ``h5py.File``.

    Parameters
    ----------
    path : Path
        The file.
    error : type
        What to raise where it cannot be opened, or read in the block.

    Raises
    ------
    error
        Names the file.
    MissingExtraError
        h5py is not installed.
    """
    try:
        h5py = importlib.import_module("h5py")
    except ModuleNotFoundError:
        raise MissingExtraError(
            f"{path}: HDF5 files are read with h5py: pip install 'unitdb[build]'"
        ) from None
    note_read(path)
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except UnitdbError:
        raise
    except _DAMAGE as cause:
        raise error(f"{path}: cannot be read: {' '.join(str(cause).split())}") from cause


def find_dataset(file: Any, name: str, *, error: type[UnitdbError]) -> Any:
    """Find an array of an HDF5 file by its path in it; gives an ``h5py.Dataset``, nothing read yet.

    Parameters
    ----------
    file : h5py.File
        Open.
    name : str
        Path of the array, ``group/array``.
    error : type
        What to raise.

    Raises
    ------
    error
        There is none of that name (says which are near), it lies outside the file, or it is out of
        proportion to the file.
    """
    h5py = importlib.import_module("h5py")
    path = Path(file.filename)
    found = _find(file, name, error=error)
    if not isinstance(found, h5py.Dataset):
        raise error(f"{path}: {name!r} is a group, expected an array")
    if found.external or found.is_virtual:
        raise error(f"{path}: {name!r} is stored in another file; it is not read")
    check_expansion(found.nbytes, path, error=error)
    return found


def names_in(file: Any, group: str, *, error: type[UnitdbError]) -> list[str]:
    """Names of what a group of an HDF5 file holds.

    Raises
    ------
    error
        There is no such group inside the file.
    """
    return list(_find(file, group, error=error))


def _find(file: Any, name: str, *, error: type[UnitdbError]) -> Any:
    """Follow a path step by step, by names that stand for nothing outside the file."""
    h5py = importlib.import_module("h5py")
    found = file
    for part in name.split("/"):
        link = found.get(part, getlink=True) if isinstance(found, h5py.Group) else None
        if link is None:
            known = list(found) if isinstance(found, h5py.Group) else []
            near = ", ".join(closest(part, known) or known[:_LISTED]) or "none"
            raise error(f"{file.filename}: has no array {name!r}; there are: {near}")
        if not isinstance(link, h5py.HardLink):
            raise error(
                f"{file.filename}: {name!r} is a link that may lead out of the file; it is not read"
            )
        found = found[part]
    return found


def read_matlab(dataset: Any) -> NDArray[Any]:
    """Read an array of an HDF5 file, undoing what MATLAB does to arrays in its v7.3 files.

    MATLAB writes the axes in reverse order, logical values as bytes, text as numbers of characters,
    and cell arrays as references. Arrays of other programs come out as they are.

    Parameters
    ----------
    dataset : h5py.Dataset
        The array.

    Returns
    -------
    array
        As MATLAB shows it; text, and cell arrays of text, as an array of str, one a row. Other cell
        arrays come out as objects.
    """
    kind = _text(dataset.attrs.get("MATLAB_class", ""))
    if not kind:
        values = np.asarray(dataset[()])
        return np.array([_text(v) for v in values.ravel()]) if values.dtype.kind in "SO" else values
    if dataset.attrs.get("MATLAB_empty", 0):
        return np.zeros(tuple(int(n) for n in dataset[()]))
    if kind == "cell":
        return _cells(dataset)
    values = np.asarray(dataset[()]).T
    if kind == "logical":
        return np.asarray(values.astype(bool))
    if kind == "char":
        # hdf5storage writes numpy's arrays of text as one row, and keeps their shape beside it.
        n_texts = math.prod(int(n) for n in dataset.attrs.get("Python.Shape", [])) or len(values)
        in_rows = values if len(values) > 1 else values.reshape(n_texts, -1)
        return np.array([_characters(row) for row in in_rows])
    return values


def check_expansion(n_bytes: int, path: Path, *, error: type[UnitdbError]) -> None:
    """Refuse an array that is both large and far larger than the file, or folder, that holds it.

    Raises
    ------
    error
        Names the file and the sizes.
    """
    files = path.rglob("*") if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files if file.is_file())
    if n_bytes > max(_LARGE, _RATIO * size):
        raise error(
            f"{path}: a file of {size:,} bytes would become {n_bytes:,} bytes of numbers; "
            "it is not read"
        )


def _cells(dataset: Any) -> NDArray[Any]:
    """Text of a cell array of character arrays; anything else as objects."""
    file = dataset.file
    found = [file[reference] for reference in np.asarray(dataset[()]).T.ravel()]
    if any(_text(cell.attrs.get("MATLAB_class", "")) != "char" for cell in found):
        return np.empty(len(found), dtype=object)
    texts = [read_matlab(cell) for cell in found]
    return np.array(
        [str(text[0]) if text.dtype.kind == "U" and text.size else "" for text in texts]
    )


def _characters(codes: NDArray[Any]) -> str:
    """Text whose characters are given as UTF-8, -16 or -32 units; NULs at its end are padding."""
    size = codes.dtype.itemsize
    encoding = {1: "utf-8", 2: "utf-16-le", 4: "utf-32-le"}[size]
    return codes.astype(f"<u{size}").tobytes().decode(encoding, errors="replace").rstrip("\0")


def _text(value: Any) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
