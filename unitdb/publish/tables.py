"""Tables into Parquet: checked, sorted, compressed, and the same bytes for the same rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unitdb.errors import SchemaError
from unitdb.files import replacing
from unitdb.release.rows import check_order, coded
from unitdb.schema import Table, get_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["PAGE_SIZE", "ROW_GROUP_SIZE", "write_partition", "write_table"]

ROW_GROUP_SIZE = 2**17
"""Rows of a row group where a table does not say: the most that a table in pieces has in memory
besides its last piece.

All accuracies of a unit are found by reading one group for each ROI; benchmarks/layout.py compares
sizes."""

PAGE_SIZE = 2**17
"""Rows of a page, at the most. Of so many float32, split by their bytes, each of the four streams
is as long as a block of zstd, which then codes bytes of one kind."""

_ZSTD_LEVEL = 5

_BATCH_SIZE = 2**14
"""Rows of partitions that are encoded at once, before the length of a page is looked at: many, as
statistics are computed for each. Elsewhere Arrow's own, since pictures make a row long."""


def write_table(folder: Path, table: str, data: pa.Table | Iterable[pa.Table]) -> Path:
    """Write a table that is not partitioned to ``folder/<table>.parquet``.

    Parameters
    ----------
    folder : Path
        The release being made.
    table : str
        Name of the table in the schema.
    data : pyarrow.Table or iterable of pyarrow.Table
        All rows with the schema's columns and types: at once, in any order; or in pieces of any
        size, in the table's order. The bytes of the file are the same.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UnknownTableError
        No table of that name.
    SchemaError
        Names the column and value that are not as the schema says, or the repeated key.
    """
    spec = get_table(table)
    if spec.partition_by:
        raise SchemaError(f"table {table!r} is partitioned: write it with write_partition")
    if not isinstance(data, pa.Table):
        pieces = _checked(data, spec, {}, where=f"table {table!r}")
        return _write(folder / f"{table}.parquet", spec, pieces)
    spec.validate(data)
    order = np.lexsort([coded(data[name])[0] for name in reversed(spec.order)])
    data = data.take(order)
    check_order(data, spec, where=f"table {table!r}")
    return _write(folder / f"{table}.parquet", spec, [data])


def write_partition(
    folder: Path, table: str, keys: Mapping[str, str], data: pa.Table | Iterable[pa.Table]
) -> Path:
    """Write one partition, for example ``accuracy/dataset=D/…/layer=L/part-0.parquet``.

    Parameters
    ----------
    folder : Path
        The release being made.
    table : str
        Name of the table in the schema.
    keys : mapping of str to str
        The value of each partition column, which all rows have.
    data : pyarrow.Table or iterable of pyarrow.Table
        All rows of the partition, in the table's order, with the schema's columns and types;
        at once, or in pieces of any size. The bytes of the file are the same.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UnknownTableError
        No table of that name.
    SchemaError
        Names what is not as the schema says: a column, a value, the order, or a row of another
        partition. No file is written then.
    """
    spec = get_table(table)
    if not spec.partition_by or tuple(keys) != spec.partition_by:
        raise SchemaError(
            f"table {table!r} is partitioned by {', '.join(spec.partition_by) or 'nothing'}; "
            f"the keys are {', '.join(keys)}"
        )
    folders = [f"{name}={value}" for name, value in keys.items()]
    where = "/".join([table, *folders])
    _check_case(folder / table, folders, where=where)
    pieces = _checked([data] if isinstance(data, pa.Table) else data, spec, keys, where=where)
    return _write(folder.joinpath(table, *folders, "part-0.parquet"), spec, pieces)


def _check_case(folder: Path, names: Sequence[str], *, where: str) -> None:
    """See that no folder beside these differs in case alone: elsewhere both would be one."""
    for name in names:
        for other in folder.iterdir() if folder.is_dir() else ():
            if other.name != name and other.name.casefold() == name.casefold():
                raise SchemaError(
                    f"{where}: the names {other.name.partition('=')[2]!r} and "
                    f"{name.partition('=')[2]!r} differ in case alone, and are one folder on "
                    "macOS and Windows; rename one"
                )
        folder = folder / name


def _checked(
    pieces: Iterable[pa.Table], spec: Table, keys: Mapping[str, str], *, where: str
) -> Iterator[pa.Table]:
    """Pieces of a file, each held to the schema, the partition if any, and the row before it."""
    n_rows, last = 0, None
    for piece in pieces:
        spec.validate(piece, where=where)
        if not piece.num_rows:
            continue
        for name, value in keys.items():
            if coded(piece[name])[1] != [value]:  # names that may be in rows, or in none
                found = piece[name].unique().to_pylist()
                if found != [value]:
                    raise SchemaError(f"{where}: column {name!r} also holds {found}")
        if last is None:
            check_order(piece, spec, where=where)
        else:
            joined = pa.concat_tables([last, piece])
            check_order(joined, spec, where=where, first_row=n_rows - 1)
        n_rows, last = n_rows + piece.num_rows, piece.slice(piece.num_rows - 1)
        yield piece
    if keys and not n_rows:
        raise SchemaError(f"{where}: a partition needs at least one row")


def _write(path: Path, spec: Table, pieces: Iterable[pa.Table]) -> Path:
    schema = spec.arrow_schema()
    size = spec.row_group or ROW_GROUP_SIZE
    groups = _row_groups(pieces, size)
    first = next(groups, schema.empty_table())  # before a folder is made: it may be refused
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(
            temporary,
            schema,
            compression="zstd",
            compression_level=_ZSTD_LEVEL,
            use_dictionary=[c.name for c in spec.columns if pa.types.is_dictionary(c.type)],
            column_encoding=_encodings(spec),
            write_statistics=True,
            max_rows_per_page=PAGE_SIZE,
            write_batch_size=_BATCH_SIZE if spec.partition_by else None,
        ) as writer,
        ThreadPoolExecutor(1) as pool,
    ):
        writing = None  # the next rows are made and checked meanwhile
        for group in chain([first], groups):
            columns = [_canonical(group[name]) for name in schema.names]
            rows = pa.table(columns, schema=schema)
            if writing is not None:
                writing.result()
            writing = pool.submit(writer.write_table, rows, row_group_size=size)
        if writing is not None:
            writing.result()
    return path


def _row_groups(pieces: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    """The same rows cut anew: ``size`` at a time, the last ones fewer."""
    held: list[pa.Table] = []
    n_held = 0
    for piece in pieces:
        start = 0
        while (stop := start + size - n_held) <= piece.num_rows:
            yield pa.concat_tables([*held, piece.slice(start, stop - start)])
            start, held, n_held = stop, [], 0
        held.append(piece.slice(start))
        n_held += piece.num_rows - start
    if n_held:
        yield pa.concat_tables(held)


def _encodings(spec: Table) -> dict[str, str]:
    """Encodings that suit what is stored: rising indices, and floats whose low bytes are noise."""
    encodings = {}
    for column in spec.columns:
        if pa.types.is_integer(column.type):
            encodings[column.name] = "DELTA_BINARY_PACKED"  # of shuffled ones, no worse than plain
        elif pa.types.is_floating(column.type):
            encodings[column.name] = "BYTE_STREAM_SPLIT"
    return encodings


def _canonical(column: pa.ChunkedArray) -> pa.Array:
    """One chunk; a dictionary of just the names that occur, sorted: bytes depend on rows alone."""
    if not pa.types.is_dictionary(column.type):
        return column.combine_chunks()
    codes, names = coded(column)
    if len(names) > 1:
        occurs = np.bincount(codes, minlength=len(names)) > 0
        if not occurs.all():
            codes = (np.cumsum(occurs) - 1)[codes]
            names = [name for name, found in zip(names, occurs, strict=True) if found]
    return pa.DictionaryArray.from_arrays(
        codes.astype(np.int32, copy=False),
        pa.array(names, pa.string()),
        safe=False,  # codes are below the number of names
    )
