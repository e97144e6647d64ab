"""Rows of Parquet files: reading them, and holding them to their order."""

from __future__ import annotations

import math
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unitdb.errors import CorruptReleaseError, FetchError, NotDownloadedError, SchemaError
from unitdb.files import POINTER, is_pointer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import RawIOBase
    from typing import IO

    from unitdb.schema import Table

__all__ = ["check_order", "coded", "distinct", "read_matching", "read_rows", "readable", "split"]

_COUNTED = 2**20  # combinations that are counted rather than sorted
_AT_ONCE = 2**20
"""Rows whose codes are in memory at once."""


def read_rows(
    source: Path | IO[bytes] | RawIOBase,
    columns: Sequence[str] | None = None,
    *,
    where: str | None = None,
) -> pa.Table:
    """Read one Parquet file as it was written.

    Parameters
    ----------
    source : Path or binary file
        The file.
    columns : sequence of str, optional
        Columns to read; all where they are not given.
    where : str, optional
        What to call it in messages; its path by default.

    Raises
    ------
    CorruptReleaseError
        The file is missing, truncated or damaged.
    """
    with readable(source, where=where) as file:
        return file.read(columns=None if columns is None else list(columns))


@contextmanager
def readable(
    source: Path | IO[bytes] | RawIOBase, *, where: str | None = None
) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file to read parts of it.

    Parameters
    ----------
    source : Path or binary file
        The file.
    where : str, optional
        What to call it in messages; its path by default.

    Raises
    ------
    CorruptReleaseError
        The file is missing, truncated or damaged, as it is opened or as it is read.
    """
    try:
        with pq.ParquetFile(source) as file:
            yield file
    except FetchError:
        raise  # the server's fault, not the file's
    except (pa.ArrowException, OSError) as cause:
        first_line = str(cause).partition("\n")[0]
        place = where or str(source)
        if _is_pointer(source):
            raise NotDownloadedError(
                f"{place}: not downloaded: a pointer of git-annex stands in place of the file"
            ) from None
        raise CorruptReleaseError(f"{place}: not a readable Parquet file: {first_line}") from cause


def _is_pointer(source: Path | IO[bytes] | RawIOBase) -> bool:
    if isinstance(source, Path):
        return is_pointer(source)
    with suppress(OSError, ValueError, FetchError):
        source.seek(0)
        return source.read(len(POINTER)) == POINTER
    return False


def read_matching(
    source: Path | IO[bytes] | RawIOBase,
    columns: Sequence[str],
    *,
    column: str,
    value: str,
    where: str | None = None,
) -> pa.Table:
    """Read the rows where a column has a value, and no row group that is without it.

    Parameters
    ----------
    source : Path or binary file
        A Parquet file, sorted so that equal values of the column lie together.
    columns : sequence of str
        Columns to read.
    column : str
        A column of names.
    value : str
        The name.
    where : str, optional
        What to call the file in messages; its path by default.

    Raises
    ------
    CorruptReleaseError
        The file is missing, truncated or damaged.
    """
    with readable(source, where=where) as file:
        groups = [_extremes(file, group, column) for group in range(file.num_row_groups)]
        parts = []
        for extremes, run in groupby(range(len(groups)), key=lambda group: groups[group]):
            if extremes == (value, value):
                parts.append(file.read_row_groups(list(run), columns))
            elif extremes[0] <= value <= extremes[1]:
                mixed = file.read_row_groups(list(run), [*columns, column])
                parts.append(mixed.filter(pc.equal(mixed[column], value)).select(columns))
        return pa.concat_tables(parts) if parts else file.schema_arrow.empty_table().select(columns)


def _extremes(file: pq.ParquetFile, group: int, column: str) -> tuple[str, str]:
    """Lowest and highest name in a row group, as its statistics say."""
    index = file.schema_arrow.get_field_index(column)  # no column before it is nested
    statistics = file.metadata.row_group(group).column(index).statistics
    return str(statistics.min), str(statistics.max)


def coded(column: pa.ChunkedArray) -> tuple[np.ndarray, list[Any]]:
    """Integers that order and compare as the column's values do.

    Parameters
    ----------
    column : pyarrow.ChunkedArray of shape (n_rows,)
        Strings, plain or dictionary-encoded, or integers; no NULL.

    Returns
    -------
    codes : array of shape (n_rows,)
        Index into ``names``; the values themselves where the column holds integers.
    names : list
        The values in code-point order; empty where the column holds integers.
    """
    if pa.types.is_integer(column.type):
        return column.to_numpy(), []
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    dictionaries = [chunk.dictionary.to_pylist() for chunk in column.chunks]
    names = sorted({name for dictionary in dictionaries for name in dictionary})
    if len(names) == 1:
        return np.broadcast_to(np.int32(0), len(column)), names  # as many zeros, in four bytes
    place = {name: index for index, name in enumerate(names)}
    codes = []
    for dictionary, chunk in zip(dictionaries, column.chunks, strict=True):
        indices = chunk.indices.to_numpy()
        if dictionary != names:
            indices = np.array([place[name] for name in dictionary], dtype=np.int32)[indices]
        codes.append(indices)
    return codes[0] if len(codes) == 1 else np.concatenate([np.empty(0, np.int32), *codes]), names


def check_order(table: pa.Table, spec: Table, *, where: str, first_row: int = 0) -> None:
    """Raise SchemaError unless the rows are strictly increasing by the table's order.

    Parameters
    ----------
    table : pyarrow.Table
        Rows, all of a file or some that follow each other.
    spec : Table
        Their table.
    where : str
        The place, for the message.
    first_row : int
        Number of the first of these rows in the file, for the message.

    Raises
    ------
    SchemaError
        Names the first row that repeats or precedes the one above it.
    """
    for start in range(0, table.num_rows - 1, _AT_ONCE):
        # With the first row of the next ones.
        _check_order(table.slice(start, _AT_ONCE + 1), spec, where, first_row + start)


def _check_order(table: pa.Table, spec: Table, where: str, first_row: int) -> None:
    rising = np.zeros(table.num_rows - 1, dtype=bool)
    for name in reversed(spec.order):
        codes, names = coded(table[name])
        if len(names) == 1:
            continue  # the same in all rows
        rising = (codes[1:] > codes[:-1]) | ((codes[1:] == codes[:-1]) & rising)
    if not rising.all():
        row = int(np.argmin(rising))
        above = _row_text(table, row, spec.order)
        below = _row_text(table, row + 1, spec.order)
        what = "stands twice" if above == below else f"stands before {below}"
        raise SchemaError(
            f"{where}: rows must be strictly increasing by {', '.join(spec.order)}; "
            f"{above} {what} (row {first_row + row})"
        )


def _row_text(table: pa.Table, row: int, columns: Sequence[str]) -> str:
    """Values of some columns of a row, for a message: ``V1/S1/17``."""
    return "/".join(str(table[name][row].as_py()) for name in columns)


def split(table: pa.Table, columns: Sequence[str]) -> dict[tuple[str, ...], pa.Table]:
    """Rows by the values of columns of names; nothing is copied.

    Parameters
    ----------
    table : pyarrow.Table of n_rows rows
        Sorted, so that rows with the same values of these columns follow each other.
    columns : sequence of str
        Columns of names, without NULL.

    Returns
    -------
    dict of tuple of str to pyarrow.Table
        The rows of each combination of values, in their order.
    """
    if not table.num_rows:
        return {}
    coded_columns = [coded(table[name]) for name in columns]
    begins = np.zeros(table.num_rows, dtype=bool)
    begins[0] = True
    for codes, names in coded_columns:
        if len(names) > 1:
            begins[1:] |= codes[1:] != codes[:-1]
    starts = np.flatnonzero(begins).tolist()
    return {
        tuple(names[codes[start]] for codes, names in coded_columns): table.slice(
            start, stop - start
        )
        for start, stop in zip(starts, [*starts[1:], table.num_rows], strict=True)
    }


def distinct(table: pa.Table, columns: Sequence[str]) -> set[tuple[Any, ...]]:
    """Distinct combinations of the values of some columns.

    Parameters
    ----------
    table : pyarrow.Table of n_rows rows
        Any number of rows: combinations are found on integer codes.
    columns : sequence of str
        Columns of names, without NULL.
    """
    return {
        row
        for start in range(0, table.num_rows, _AT_ONCE)
        for row in _distinct(table.slice(start, _AT_ONCE), columns)
    }


def _distinct(table: pa.Table, columns: Sequence[str]) -> set[tuple[Any, ...]]:
    coded_columns = [coded(table[name]) for name in columns]
    key = np.zeros(1, dtype=np.int64)
    for codes, names in coded_columns:
        if len(names) > 1:
            key = key * len(names) + codes
    shape = [len(names) for _, names in coded_columns]
    n = math.prod(shape)
    found = np.flatnonzero(np.bincount(key, minlength=n)) if n <= _COUNTED else np.unique(key)
    places = zip(*(place.tolist() for place in np.unravel_index(found, shape)), strict=True)
    every = [names for _, names in coded_columns]
    return {tuple(names[at] for names, at in zip(every, place, strict=True)) for place in places}
