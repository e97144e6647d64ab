"""Arrays of MATLAB's v7.3 files, which are HDF5, as their writer meant them.

MATLAB writes the axes in reverse order, logical values as bytes, text as numbers of characters,
cell arrays as references, sparse arrays as groups, and of an empty array its shape alone. Strings,
tables, dates and all other objects are numbers that only MATLAB knows to read: they are refused.
"""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unitdb.activations.hdf5 import (
    check_expansion,
    check_stored,
    find_object,
    read_values,
    text_of,
)
from unitdb.activations.sparse import dense
from unitdb.errors import UnitdbError
from unitdb.reads import in_one_line

__all__ = ["read_matlab"]

_Error = type[UnitdbError]

_NUMBERS = {"double", "single"} | {f"{sign}int{n}" for sign in ("", "u") for n in (8, 16, 32, 64)}
_OBJECT = 0xDD000000  # what the numbers of an object begin with
_MOST_CELLS = 1_000_000


def read_matlab(file: Any, name: str, *, error: _Error) -> NDArray[Any]:
    """Read an array of an HDF5 file; those of other programs than MATLAB come out as they are.

    Parameters
    ----------
    file : h5py.File
        Open.
    name : str
        Path of the array in it.
    error : type
        What to raise.

    Returns
    -------
    array
        As MATLAB shows it; text, and cell arrays of text, as an array of str, one a row.

    Raises
    ------
    error
        It is no array of numbers or text, or is not read (:mod:`unitdb.activations.hdf5`).
    """
    h5py = importlib.import_module("h5py")
    where = f"{file.filename}: {name!r}"
    for depth in range(1, name.count("/") + 1):  # a field of an object is no field of a struct
        _class_of(find_object(file, "/".join(name.split("/")[:depth]), error=error), where, error)
    found = find_object(file, name, error=error)
    kind = _class_of(found, where, error)
    if "MATLAB_sparse" in found.attrs:
        return _sparse(found, kind, where, error)
    if not isinstance(found, h5py.Dataset):
        what = f"a {kind}" if kind else "a group"
        raise error(f"{where} is {what}, expected an array")
    return _array(found, kind, where, error)


def _class_of(found: Any, where: str, error: _Error) -> str:
    """MATLAB's class of what is no object; empty for arrays of other programs."""
    kind = found.attrs.get("MATLAB_class", "")
    kind = text_of(kind, f"{where}: its class", error=error)
    if kind not in {"", "logical", "char", "cell", "struct", "canonical empty"} | _NUMBERS or (
        "MATLAB_object_decode" in found.attrs
    ):
        raise _no_object(kind or "object", where, error)
    return kind


def _no_object(kind: str, where: str, error: _Error) -> UnitdbError:
    return error(
        f"{where} is an object of MATLAB's class {in_one_line(kind)!r}, which MATLAB alone can "
        "read: save numbers as double, text as a cell array of characters (cellstr)"
    )


def _array(
    dataset: Any, kind: str, where: str, error: _Error, *, in_cell: bool = False
) -> NDArray[Any]:
    check_stored(dataset, where, error=error)
    values = read_values(dataset, where, error=error)
    if values.dtype == np.uint32 and values.size > 4 and values.flat[0] == _OBJECT:
        raise _no_object(kind, where, error)
    if dataset.attrs.get("MATLAB_empty", 0):
        return _empty(values, kind, where, error)
    if kind == "cell":
        return _cells(dataset, values.T.ravel(), where, error)
    if not kind:
        return _plain(values, where, error)
    if values.dtype.names == ("real", "imag"):
        values = values["real"] + 1j * values["imag"]
    if values.dtype.kind not in "iufbc":
        raise error(f"{where}: its class is {kind}, and it holds {values.dtype}")
    values = values.T
    if kind == "logical":
        return _logical(values, where, error)
    if kind != "char":
        return values
    if in_cell and values.ndim == 2 and values.shape[1] == 1:  # a column of characters
        values = values.T
    return _characters(dataset, values, where, error)


def _plain(values: NDArray[Any], where: str, error: _Error) -> NDArray[Any]:
    if values.dtype.kind not in "SO":
        return values
    texts = [text_of(value, where, error=error) for value in values.ravel()]
    return np.array(texts, dtype=np.str_).reshape(values.shape)


def _logical(values: NDArray[Any], where: str, error: _Error) -> NDArray[Any]:
    if not np.isin(values, (0, 1)).all():
        raise error(f"{where}: its class is logical, and it holds other values than 0 and 1")
    return np.asarray(values == 1)


def _empty(sizes: NDArray[Any], kind: str, where: str, error: _Error) -> NDArray[Any]:
    """Array without values; the file has its shape in their place."""
    shape = tuple(int(n) for n in sizes.ravel())
    if sizes.dtype.kind not in "iu" or not 0 < len(shape) <= 32 or 0 not in shape:
        raise error(f"{where} is marked as empty, and has the shape {list(shape[:32])}")
    if kind in ("char", "cell"):
        return np.array([], dtype=np.str_)
    return np.zeros((0,) if max(shape) > 2**31 else shape, bool if kind == "logical" else float)


def _characters(dataset: Any, codes: NDArray[Any], where: str, error: _Error) -> NDArray[np.str_]:
    """Texts of a matrix of characters, one a row."""
    if codes.dtype.kind != "u" or codes.dtype.itemsize > 4 or codes.ndim > 2:
        raise error(f"{where} is text of {codes.dtype} in shape {codes.shape}, expected a matrix")
    rows = np.atleast_2d(codes)
    if len(rows) == 1 and "Python.Shape" in dataset.attrs:
        # hdf5storage writes numpy's arrays of text as one row, and keeps their shape beside it.
        rows = rows.reshape(math.prod(int(n) for n in dataset.attrs["Python.Shape"]), -1)
    check_expansion(4 * rows.size, Path(dataset.file.filename), error=error)
    return np.array([_text(row, where, error) for row in rows], dtype=np.str_)


def _text(codes: NDArray[Any], where: str, error: _Error) -> str:
    """Text whose characters are given as UTF-8, -16 or -32 units; NULs at its end are padding."""
    size = codes.dtype.itemsize
    encoding = {1: "utf-8", 2: "utf-16-le", 4: "utf-32-le"}[size]
    try:
        return codes.astype(f"<u{size}").tobytes().decode(encoding).rstrip("\0")
    except UnicodeDecodeError as cause:
        raise error(f"{where} holds characters that are none: {in_one_line(cause)}") from None


def _cells(dataset: Any, references: NDArray[Any], where: str, error: _Error) -> NDArray[np.str_]:
    """Texts of a cell array of character arrays."""
    if len(references) > _MOST_CELLS:
        raise error(f"{where} has {len(references):,} cells, more than {_MOST_CELLS:,}")
    h5py, path = importlib.import_module("h5py"), Path(dataset.file.filename)
    read: dict[int, str] = {}  # many cells may stand for one array
    texts: list[str] = []
    for number, reference in enumerate(references, 1):
        place = f"{where}: cell {number}"
        if not isinstance(reference, h5py.Reference) or not reference:
            raise error(f"{place} was never written")
        cell = dataset.file[reference]
        address = h5py.h5o.get_info(cell.id).addr
        if address not in read:
            read[address] = _cell(cell, place, where, error)
        texts.append(read[address])
    check_expansion(4 * len(texts) * max(map(len, texts), default=0), path, error=error)
    return np.array(texts, dtype=np.str_)


def _cell(cell: Any, place: str, where: str, error: _Error) -> str:
    kind = _class_of(cell, place, error)
    if kind != "char" and not cell.attrs.get("MATLAB_empty", 0):
        raise error(
            f"{where} is a cell or object array, of which {place.rpartition(': ')[2]} holds a "
            f"{kind or 'group'}, expected numbers or text"
        )
    rows = _array(cell, kind, place, error, in_cell=True)
    if len(rows) > 1:
        raise error(f"{place} holds {len(rows)} rows of text, expected one")
    return str(rows[0]) if rows.dtype.kind == "U" and len(rows) else ""  # [] among texts is none


def _sparse(group: Any, kind: str, where: str, error: _Error) -> NDArray[Any]:
    h5py = importlib.import_module("h5py")
    n_rows = int(group.attrs["MATLAB_sparse"])
    parts: dict[str, NDArray[Any]] = {}
    for part in ("data", "ir", "jc"):
        link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
        if link is None and part != "jc":  # of an array of zeros there is nothing else
            parts[part] = np.zeros(0, dtype=np.float64 if part == "data" else np.int64)
            continue
        if not isinstance(link, h5py.HardLink) or not isinstance(group[part], h5py.Dataset):
            raise error(f"{where} is a sparse array without {part!r}")
        check_stored(group[part], where, error=error)
        parts[part] = read_values(group[part], where, error=error).ravel()
    values: NDArray[Any] = parts["data"]
    if values.dtype.names == ("real", "imag"):
        values = values["real"] + 1j * values["imag"]
    n_bytes = n_rows * max(0, len(parts["jc"]) - 1) * values.dtype.itemsize
    check_expansion(n_bytes, Path(group.file.filename), error=error)
    try:
        full = dense(values, parts["ir"], parts["jc"], n_rows)
    except ValueError as cause:
        raise error(f"{where}: {cause}") from None
    return _logical(full, where, error) if kind == "logical" else full
