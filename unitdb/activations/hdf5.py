"""HDF5 files of others, read so that nothing outside of them is opened.

HDF5 lets a name in one file stand for another file (external links, external and virtual storage),
lets an array name a program that decodes it (filters from ``HDF5_PLUGIN_PATH``), and gives a fill
value where no storage was ever taken. All of these are refused, however an array is come by, and so
are arrays that are out of all proportion to their file. Storage that was written in part cannot be
told from zeros.
"""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unitdb.activations.expansion import decoded_size
from unitdb.errors import MissingExtraError, UnitdbError, closest
from unitdb.extras import install_hint
from unitdb.reads import in_one_line, note_read

__all__ = [
    "check_expansion",
    "check_stored",
    "find_dataset",
    "find_object",
    "holds",
    "names_in",
    "open_hdf5",
    "read_values",
    "text_of",
]

_LARGE = 256 * 2**20
_RATIO = 100
_LISTED = 12

_FILTERS = {1, 2, 3, 4, 5, 6, 32000}
"""Those that h5py has in itself: gzip, shuffle, fletcher32, szip, nbit, scale-offset, lzf."""
_GZIP, _ENLARGING = 1, {1, 4, 5, 6, 32000}
_COUNTED = {5: 2, 6: 2}
"""Of nbit and scale-offset: which of their parameters is the number of values of a chunk."""
_DEFLATED = 1032

PACKED = ("scale_factor", "add_offset")
MISSING = ("_FillValue", "missing_value")
"""Attributes by which CF and netCDF say that numbers stand for others, or for missing ones."""

_DAMAGE = (
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    SystemError,
)
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
            f"{path}: HDF5 files are read with h5py: {install_hint('build')}"
        ) from None
    note_read(path)
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except UnitdbError:
        raise
    except _DAMAGE as cause:
        raise error(f"{path}: cannot be read: {in_one_line(cause)}") from cause


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
        There is none of that name (says which are near), or it is not read, as of
        :func:`check_stored`.
    """
    h5py = importlib.import_module("h5py")
    found = find_object(file, name, error=error)
    if not isinstance(found, h5py.Dataset):
        raise error(f"{file.filename}: {name!r} is a group, expected an array")
    check_stored(found, f"{file.filename}: {name!r}", error=error)
    return found


def names_in(file: Any, group: str, *, error: type[UnitdbError]) -> list[str]:
    """Names of what a group of an HDF5 file holds.

    Raises
    ------
    error
        There is no such group inside the file.
    """
    h5py = importlib.import_module("h5py")
    found = find_object(file, group, error=error)
    if not isinstance(found, h5py.Group):
        raise error(f"{file.filename}: {group!r} is an array, expected a group")
    return list(found)


def holds(file: Any, name: str) -> bool:
    """Whether a file has this name at its top; where it leads is not looked at."""
    return file.get(name, getlink=True) is not None


def find_object(file: Any, name: str, *, error: type[UnitdbError]) -> Any:
    """Follow a path step by step, by names that stand for nothing outside the file.

    Raises
    ------
    error
        There is no such name, it is a link, or belongs to the inside of a MATLAB file.
    """
    h5py = importlib.import_module("h5py")
    found = file
    for part in name.split("/"):
        is_group = isinstance(found, h5py.Group)
        link = found.get(part, getlink=True) if is_group and part not in ("", ".") else None
        if link is None:
            known = [one for one in found if not one.startswith("#")] if is_group else []
            near = ", ".join(closest(part, known) or known[:_LISTED]) or "none"
            raise error(f"{file.filename}: has no array {name!r}; there are: {in_one_line(near)}")
        if not isinstance(link, h5py.HardLink):
            raise error(
                f"{file.filename}: {name!r} is a link that may lead out of the file; it is not read"
            )
        if part.startswith("#"):
            raise error(
                f"{file.filename}: {name!r} lies where MATLAB keeps the inside of cells and "
                "objects; it is not read"
            )
        found = found[part]
    return found


def check_stored(dataset: Any, where: str, *, error: type[UnitdbError]) -> None:
    """Refuse an array that is not wholly within its file, or larger than that can be.

    Parameters
    ----------
    dataset : h5py.Dataset
        The array; none of its values is read.
    where : str
        The file and the array, for messages.
    error : type
        What to raise.

    Raises
    ------
    error
        It is stored in another file, decoded by a program that is not part of h5py, packed, out of
        proportion to the file, or parts of it were never written.
    """
    if dataset.external or dataset.is_virtual:
        raise error(f"{where} is stored in another file; it is not read")
    if dataset.shape is None:
        raise error(f"{where} holds no values")
    created = dataset.id.get_create_plist()
    filters = [created.get_filter(place)[0] for place in range(created.get_nfilters())]
    for code in filters:
        if code not in _FILTERS:
            raise error(
                f"{where} is stored through filter {code}, which needs a program beside h5py; "
                "it is not read: store it with gzip or lzf, or uncompressed"
            )
    for name in PACKED:
        if name in dataset.attrs:
            raise error(
                f"{where} is packed (it has the attribute {name!r}); store the numbers that are "
                "meant"
            )
    check_expansion(dataset.nbytes, Path(dataset.file.filename), error=error)
    if dataset.size:
        _check_written(dataset, where, error)
        if dataset.chunks is not None:
            _check_chunks(dataset, where, error)


def _check_chunks(dataset: Any, where: str, error: type[UnitdbError]) -> None:
    """Refuse chunks that are larger than all that is stored, or become more than they state."""
    path = Path(dataset.file.filename)
    n_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
    check_expansion(n_bytes, path, error=error)
    created = dataset.id.get_create_plist()
    filters = [created.get_filter(place) for place in range(created.get_nfilters())]
    codes = [code for code, *_ in filters]
    if sum(code in _ENLARGING for code in codes) > 1:
        raise error(f"{where} is compressed more than once; it is not read")
    for code, _, parameters, _ in filters:
        if code in _COUNTED and parameters[_COUNTED[code]] != math.prod(dataset.chunks):
            raise error(f"{where}: filter {code} states another size than that of its chunks")
    if _GZIP not in codes:
        return
    for offset, size in _stored_chunks(dataset):
        if size * _DEFLATED <= _LARGE:
            continue
        check_expansion(size, path, error=error)
        _, stored = dataset.id.read_direct_chunk(offset)
        most = max(n_bytes, _LARGE)
        if decoded_size("zlib", stored, most=most) > most:
            raise error(
                f"{where}: the chunk at {list(offset)} becomes more than {most:,} bytes, and "
                f"states {n_bytes:,}; it is not read"
            )


def _stored_chunks(dataset: Any) -> list[tuple[tuple[int, ...], int]]:
    """First index of each chunk, and the bytes that it takes in the file."""
    found: list[tuple[tuple[int, ...], int]] = []
    dataset.id.chunk_iter(lambda chunk: found.append((chunk.chunk_offset, chunk.size)))
    return found


def _check_written(dataset: Any, where: str, error: type[UnitdbError]) -> None:
    """Refuse storage that was never taken: HDF5 would give the fill value for it."""
    if dataset.chunks is None:
        if not dataset.id.get_storage_size():
            raise error(f"{where} was never written: the file has its shape alone")
        return
    counts = [math.ceil(n / size) for n, size in zip(dataset.shape, dataset.chunks, strict=True)]
    stored = dataset.id.get_num_chunks()
    if stored < math.prod(counts):
        there = {dataset.id.get_chunk_info(place).chunk_offset for place in range(stored)}
        starts = itertools.product(
            *(range(0, n, size) for n, size in zip(dataset.shape, dataset.chunks, strict=True))
        )
        first = next(start for start in starts if start not in there)
        raise error(
            f"{where}: {math.prod(counts) - stored} of {math.prod(counts)} chunks were never "
            f"written, the first at {list(first)}"
        )


def read_values(dataset: Any, where: str, *, error: type[UnitdbError]) -> NDArray[Any]:
    """Read a whole array that :func:`check_stored` has let pass.

    Parameters
    ----------
    dataset : h5py.Dataset
        Numbers, text or references.
    where : str
        The file and the array, for messages.
    error : type
        What to raise.

    Returns
    -------
    array
        As the file has it; text as bytes or objects.

    Raises
    ------
    error
        Lists within lists, or a value that stands for one that was never written.
    """
    h5py = importlib.import_module("h5py")
    text = h5py.check_string_dtype(dataset.dtype)
    if text is not None and text.length is None:
        return _read_texts(dataset, where, error)
    if dataset.dtype.hasobject and h5py.check_ref_dtype(dataset.dtype) is None:
        raise error(f"{where} holds {dataset.dtype.name}s of their own, expected numbers or text")
    values = np.asarray(dataset[()])
    check_filled(values, dataset, where, error=error)
    return values


def check_filled(
    values: NDArray[Any], dataset: Any, where: str, *, error: type[UnitdbError]
) -> None:
    """Refuse values that stand for ones that were never written, where the file says which do.

    NaN stays: whoever needs a number finds it missing.

    Raises
    ------
    error
        Says how many there are.
    """
    if values.dtype.kind not in "iuf":
        return
    h5py = importlib.import_module("h5py")
    marks = [dataset.attrs[name] for name in MISSING if name in dataset.attrs]
    created = dataset.id.get_create_plist()
    if created.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED and dataset.fillvalue != 0:
        marks.append(dataset.fillvalue)
    for mark in marks:
        found = np.isin(values, np.asarray(mark).ravel())
        if found.any():
            raise error(
                f"{where}: {int(found.sum())} values are {np.asarray(mark).ravel()[0]}, which the "
                f"file has for missing ones, the first at {np.argwhere(found)[0].tolist()}"
            )


def _read_texts(dataset: Any, where: str, error: type[UnitdbError]) -> NDArray[Any]:
    """Text of any length, in steps: many values may stand for one long text of the file."""
    path = Path(dataset.file.filename)
    step = max(1, _LARGE // max(1, path.stat().st_size))
    if dataset.ndim == 0:
        return np.asarray(dataset[()], dtype=object)
    if dataset.ndim > 1 and 1 not in dataset.shape:
        raise error(f"{where}: text has shape {dataset.shape}, expected one a row")
    flat, n_bytes = np.empty(dataset.size, dtype=object), 0
    axis = int(np.argmax(dataset.shape))
    for start in range(0, dataset.size, step):
        chosen = tuple(slice(start, start + step) if i == axis else 0 for i in range(dataset.ndim))
        piece = np.atleast_1d(dataset[chosen])
        n_bytes += sum(len(value) for value in piece)
        check_expansion(n_bytes, path, error=error)
        flat[start : start + len(piece)] = piece
    return flat


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


def text_of(value: Any, where: str, *, error: type[UnitdbError]) -> str:
    """Text of a value that is text, in UTF-8.

    Raises
    ------
    error
        It is no text (a reference, say), or in no UTF-8.
    """
    if isinstance(value, str):
        return value
    if not isinstance(value, bytes):
        raise error(f"{where} holds a {type(value).__name__}, expected text")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise error(f"{where} holds {value[:40]!r}, which is no UTF-8") from None
