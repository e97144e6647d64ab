"""Arrays in the files that laboratories keep them in; nothing is unpickled.

===================  ============================================================================
``.npz``             numpy's archives
``.mat``             MATLAB, 5 to 7.3
``.h5``, ``.hdf5``   HDF5; an array's name is its path, ``group/array``
``.parquet``         an array is a column: numbers, text, or lists of equal length. ``v*`` stands
                     for all columns whose names begin with v, side by side
a folder             its ``.npy`` files by name; and ``table/column`` for a column of
                     ``table.parquet``
===================  ============================================================================
"""

from __future__ import annotations

import math
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import scipy.io
import scipy.sparse
from numpy.typing import NDArray
from scipy.io.matlab import MatReadError

from unitdb import npy
from unitdb.activations.hdf5 import check_expansion, open_hdf5
from unitdb.activations.mat5 import COMPRESSED, Variable, check_mat5
from unitdb.activations.matlab73 import read_matlab
from unitdb.activations.parquet import read_parquet
from unitdb.activations.sparse import dense
from unitdb.errors import UnitdbError, closest
from unitdb.files import visible
from unitdb.reads import in_one_line, note_read, why_missing

__all__ = ["read_arrays", "read_npy"]

Arrays = dict[str, NDArray[Any]]
_Error = type[UnitdbError]


def read_arrays(path: Path, keys: Iterable[str], *, error: _Error) -> Arrays:
    """Read some arrays of a file, or of a folder of files.

    Parameters
    ----------
    path : Path
        The file or folder.
    keys : iterable of str
        Names of the arrays.
    error : type
        What to raise.

    Raises
    ------
    error
        The file is missing or damaged, of another kind, or has no such array; names it.
    MissingExtraError
        It is HDF5, and h5py is not installed.
    """
    read = _read_folder if path.is_dir() else _READERS.get(path.suffix)
    if read is None and not path.suffix and not path.exists():
        raise error(f"{path}: {why_missing(path)}")
    if read is None:
        *most, last = _READERS
        raise error(
            f"{path}: arrays are read from {', '.join(most)} and {last} files, and from folders of "
            ".npy and .parquet files"
        )
    if not path.exists():
        raise error(f"{path}: {why_missing(path)}")
    if not path.is_dir():  # of a folder, those of its files that are read
        note_read(path)
    keys = list(dict.fromkeys(keys))
    arrays, known = _guarded(read, path, keys, error)
    for key in keys:
        if key not in arrays:
            near = closest(key, known) or known[:_LISTED]
            there = in_one_line(", ".join(near) or "none")
            raise error(f"{path}: has no array {key!r}; there are: {there}")
        if arrays[key].dtype.hasobject:
            raise error(f"{path}: {key!r} is a cell or object array, expected numbers or text")
    return arrays


def read_npy(path: Path, *, error: _Error, in_memory: bool = True) -> NDArray[Any]:
    """Read a ``.npy`` file, or map it where ``in_memory`` is False.

    Raises
    ------
    error
        It is missing, damaged, or holds Python objects.
    """
    note_read(path)
    try:
        with path.open("rb") as file:
            _check_header(file, path.stat().st_size, str(path), error)
        return npy.read_npy(path) if in_memory else npy.map_npy(path)
    except _DAMAGE as cause:
        raise error(f"{path}: cannot be read: {in_one_line(cause)}") from cause


_LISTED = 12


def _guarded(read: _Reader, path: Path, keys: list[str], error: _Error) -> tuple[Arrays, list[str]]:
    try:
        return read(path, keys, error)
    except UnitdbError:
        raise
    except _DAMAGE as cause:
        raise error(f"{path}: cannot be read: {in_one_line(cause)}") from cause


def _read_npz(path: Path, keys: list[str], error: _Error) -> tuple[Arrays, list[str]]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = [member.filename.removesuffix(".npy") for member in members]
        for key in keys:
            if names.count(key) > 1:
                raise error(f"{path}: {names.count(key)} arrays are named {key!r}")
        check_expansion(sum(member.file_size for member in members), path, error=error)
        for member in members:
            if member.filename.removesuffix(".npy") in keys:
                with archive.open(member) as file:
                    where = f"{path}: {member.filename}"
                    _check_header(file, member.file_size, where, error)
    # Opened here: numpy leaves a damaged file open.
    with (
        path.open("rb") as opened,
        npy.evaluating_headers(),
        np.load(opened, allow_pickle=False) as arrays,
    ):
        return {key: arrays[key] for key in keys if key in arrays.files}, list(arrays.files)


def _check_header(file: IO[bytes], size: int, where: str, error: _Error) -> None:
    """Refuse an array whose header states more than follows it: memory is taken for all of it."""
    shape, dtype = npy.read_header(file)
    stated = math.prod(shape) * dtype.itemsize
    if stated > size and not dtype.hasobject:  # which are refused as such
        raise error(f"{where} states {stated:,} bytes and holds {size:,}")


def _read_mat(path: Path, keys: list[str], error: _Error) -> tuple[Arrays, list[str]]:
    version = _of_scipy(scipy.io.matlab.matfile_version, path)[0]
    if version not in (_MATLAB_4, _MATLAB_5):  # v7.3, which is HDF5
        return _read_hdf5(path, keys, error)
    if version == _MATLAB_5:
        check_expansion(_uncompressed_bytes(path), path, error=error)  # of cells nothing states it
        described = check_mat5(path, keys)
    else:
        described = [Variable(*one) for one in _of_scipy(scipy.io.whosmat, path)]
    known = [name for name, _, _ in described]
    for name, _, kind in described:
        if name in keys and known.count(name) > 1:
            raise error(f"{path}: several variables are named {name!r}")
        if name in keys and kind not in {*_MATLAB_BYTES, "cell", "sparse"}:
            article = "an" if kind[0] in "aeiou" else "a"
            raise error(
                f"{path}: {name!r} is {article} {in_one_line(kind)}, expected numbers or text"
            )
    stated = sum(
        math.prod(shape) * _MATLAB_BYTES.get(kind, 1)
        for name, shape, kind in described
        if name in keys
    )
    check_expansion(stated, path, error=error)
    arrays = _of_scipy(scipy.io.loadmat, path, variable_names=keys)
    found = {key: _matlab5(arrays[key], path, key, error) for key in keys if key in arrays}
    for name, _, kind in described:
        if name in found and kind == "logical":  # which scipy gives as numbers
            if not np.isin(found[name], (0, 1)).all():
                raise error(f"{path}: {name!r} is logical, and holds other values than 0 and 1")
            found[name] = found[name] == 1
    return found, [name for name in known if name]


def _of_scipy(read: Callable[..., Any], path: Path, **options: Any) -> Any:
    """Call a reader of scipy's, which raises errors of any kind for damaged files."""
    try:
        return read(path, **options)
    except _DAMAGE:
        raise
    except Exception as cause:
        raise ValueError(f"{type(cause).__name__}: {cause}") from cause


def _uncompressed_bytes(path: Path) -> int:
    """Bytes of the compressed variables of a MATLAB 5 file, counted without keeping them."""
    n_bytes = 0
    with path.open("rb") as file:
        header = file.read(128)
        order: Literal["little", "big"] = "little" if header[126:128] == b"IM" else "big"
        while tag := file.read(8):
            kind, size = (int.from_bytes(part, order) for part in (tag[:4], tag[4:]))
            if kind != COMPRESSED:
                file.seek(size, os.SEEK_CUR)
                continue
            unpacker, left = zlib.decompressobj(), size
            while left > 0 and (packed := file.read(min(left, _PIECE))):
                left -= len(packed)
                while packed:
                    n_bytes += len(unpacker.decompress(packed, 64 * _PIECE))
                    packed = unpacker.unconsumed_tail
    return n_bytes


def _matlab5(found: Any, path: Path, key: str, error: _Error) -> NDArray[Any]:
    """Array of what scipy gives: sparse ones in full, cell arrays of characters as text."""
    if scipy.sparse.issparse(found):
        columns = found.tocsc()
        check_expansion(math.prod(columns.shape) * columns.dtype.itemsize, path, error=error)
        return dense(columns.data, columns.indices, columns.indptr, columns.shape[0])
    array: NDArray[Any] = np.asarray(found)
    if array.dtype != object:
        return array
    texts = []
    for number, cell in enumerate(map(np.asarray, array.ravel()), 1):
        if cell.dtype.kind != "U" and cell.size:  # [] among texts is no text
            return array
        if cell.size > 1 and max(map(len, cell.ravel())) > 1:
            raise error(f"{path}: {key!r}: cell {number} holds {cell.size} rows of text")
        texts.append("".join(cell.ravel()) if cell.size else "")
    check_expansion(4 * len(texts) * max(map(len, texts), default=0), path, error=error)
    return np.array(texts, dtype=np.str_)


def _read_hdf5(path: Path, keys: list[str], error: _Error) -> tuple[Arrays, list[str]]:
    with open_hdf5(path, error=error) as file:
        # MATLAB keeps the contents of cell arrays under names that begin with #.
        known = [name for name in file if not name.startswith("#")]
        inside = {key for key in keys if key in known or "/" in key}
        return {key: read_matlab(file, key, error=error) for key in keys if key in inside}, known


def _read_folder(path: Path, keys: list[str], error: _Error) -> tuple[Arrays, list[str]]:
    files = {file.stem: file for file in sorted(visible(path.glob("*.npy"), below=path))}
    parquet = visible(path.glob("*.parquet"), below=path)
    tables = {file.stem: file for file in sorted(parquet)}
    arrays = {key: read_npy(files[key], error=error) for key in keys if key in files}
    for name, table in tables.items():
        columns = [key.partition("/")[2] for key in keys if key.partition("/")[0] == name]
        if any(columns):
            found = read_arrays(table, filter(None, columns), error=error)
            arrays |= {f"{name}/{column}": array for column, array in found.items()}
    return arrays, [*files, *(f"{name}/…" for name in tables)]


_PIECE = 1 << 16
_MATLAB_4, _MATLAB_5 = 0, 1
_MATLAB_BYTES = {
    "double": 8, "single": 4, "logical": 1, "char": 4,
    "int8": 1, "uint8": 1, "int16": 2, "uint16": 2,
    "int32": 4, "uint32": 4, "int64": 8, "uint64": 8,
}  # fmt: skip
"""Bytes of an element of MATLAB's classes of numbers and text, as numpy holds them."""

_DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,  # of archives with a password, and of what is not implemented
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    MatReadError,
)
"""What numpy, scipy and pyarrow raise for files that are damaged or of another kind."""

_Reader = Callable[[Path, list[str], _Error], tuple[Arrays, list[str]]]
_READERS: dict[str, _Reader] = {
    ".npz": _read_npz,
    ".mat": _read_mat,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
    ".parquet": read_parquet,
}
