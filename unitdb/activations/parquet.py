"""Columns of Parquet files as arrays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from unitdb.activations.hdf5 import check_expansion
from unitdb.errors import UnitdbError
from unitdb.reads import in_one_line
from unitdb.texts import fits

__all__ = ["read_parquet"]

_Error = type[UnitdbError]


def read_parquet(
    path: Path, keys: list[str], error: _Error
) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Read some columns; ``v*`` stands for all whose names begin with v, side by side.

    Parameters
    ----------
    path : Path
        The file.
    keys : list of str
        Names of columns, or patterns of them.
    error : type
        Of the exception to raise.

    Returns
    -------
    arrays : dict of str to array
        (n_rows,), or (n_rows, length) where a column holds lists, or several stand side by side.
    known : list of str
        All columns that there are.

    Raises
    ------
    error
        A value is null, a name stands twice, or columns do not fit together.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        known, metadata = file.schema_arrow.names, file.metadata
    chosen = {key: [n for n in known if fits(n, key)] for key in keys}
    names = list(dict.fromkeys(name for found in chosen.values() for name in found))
    for name in names:
        if known.count(name) > 1:
            raise error(f"{path}: {known.count(name)} columns are named {name!r}")
    check_expansion(_n_values(path, names) * 8, path, error=error)
    leaves = [metadata.schema.column(place) for place in range(metadata.num_columns)]
    texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
    # Text stays in dictionaries until its size is known: a few bytes may stand for gigabytes.
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        table = file.read(columns=names)
    columns = {name: _column(table.column(name), name, path, error) for name in names}
    return {
        key: _side_by_side([columns[n] for n in found], key, path, error)
        for key, found in chosen.items()
        if found
    }, known


def _n_values(path: Path, names: list[str]) -> int:
    """Values in some columns of a Parquet file, those within lists counted one by one.

    By DuckDB: of damaged statistics pyarrow ends the process.
    """
    exact = re.sub(r"([*?\[])", r"[\1]", str(path))
    query = "SELECT path_in_schema, num_values FROM parquet_metadata(?)"
    with duckdb.connect() as connection:
        try:
            chunks = connection.execute(query, [exact]).fetchall()
        except duckdb.Error as cause:
            raise ValueError(in_one_line(cause)) from cause
    return sum(
        int(count)
        for place, count in chunks
        if any(place == name or place.startswith(f"{name}, ") for name in names)
    )


def _column(column: Any, name: str, path: Path, error: _Error) -> NDArray[Any]:
    import pyarrow as pa

    values = column.combine_chunks()
    _check_no_nulls(values, name, path, error)
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        lengths = set(values.value_lengths().to_pylist())
        if len(lengths) > 1:
            raise error(f"{path}: the lists of {name!r} have different lengths")
        flat = _flat(values.flatten(), name, path, error)
        return flat.reshape(len(values), lengths.pop() if lengths else 0)
    if pa.types.is_fixed_size_list(values.type):
        flat = _flat(values.flatten(), name, path, error)
        return flat.reshape(len(values), values.type.list_size)
    return _flat(values, name, path, error)


def _flat(values: Any, name: str, path: Path, error: _Error) -> NDArray[Any]:
    """Single values: numbers, or text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    _check_no_nulls(values, name, path, error)
    if pa.types.is_dictionary(values.type):
        terms = values.dictionary
        if _is_text(terms.type) and len(terms):
            check_expansion(
                4 * len(values) * (pc.max(pc.binary_length(terms)).as_py() or 0), path, error=error
            )
        values = values.dictionary_decode()
        _check_no_nulls(values, name, path, error)  # of terms of a dictionary
    if _is_text(values.type):
        if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
            values = values.cast(pa.large_string())  # bytes that are UTF-8; others are refused
        longest = pc.max(pc.binary_length(values)).as_py() or 0
        check_expansion(4 * len(values) * longest, path, error=error)
        return np.array(values.to_pylist(), dtype=np.str_)
    return np.asarray(values)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return any(
        is_kind(kind)
        for is_kind in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_binary,
            pa.types.is_large_binary,
        )
    )


def _check_no_nulls(values: Any, name: str, path: Path, error: _Error) -> None:
    if values.null_count:
        row = values.is_null().to_pylist().index(True)
        raise error(
            f"{path}: {name!r} has {values.null_count} empty (null) values, the first in row {row}"
        )


def _side_by_side(columns: list[NDArray[Any]], key: str, path: Path, error: _Error) -> NDArray[Any]:
    if len(columns) == 1 and "*" not in key:
        return columns[0]
    if any(column.ndim != 1 or column.dtype.kind not in "fiub" for column in columns):
        raise error(f"{path}: the columns {key!r} hold more than single numbers")
    return np.stack(columns, axis=1)
