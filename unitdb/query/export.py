"""Results as files that say where they come from: CSV, JSON, Parquet, Arrow.

The release, query and citation of a result travel in the metadata of its Arrow schema, under
``unitdb:release``, ``unitdb:query``, ``unitdb:citation`` and ``unitdb:simulated``.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from unitdb.errors import QueryError
from unitdb.files import replacing
from unitdb.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = [
    "FORMATS",
    "Destination",
    "Format",
    "Rows",
    "check_folder",
    "provenance",
    "with_provenance",
    "write_arrow",
    "write_csv",
    "write_json",
    "write_parquet",
    "writer",
]

Destination = str | os.PathLike[str] | BinaryIO
"""A path, written atomically, or an open binary file."""

Format = Literal["csv", "json", "parquet", "arrow"]

Rows: TypeAlias = pa.Table | pa.RecordBatchReader
"""A result, or one that is read a batch at a time."""

_PREFIX = "unitdb:"


def with_provenance(
    table: pa.Table,
    *,
    release: str,
    query: str,
    citation: str,
    simulated: bool,
    parameters: Sequence[Any] | Mapping[str, Any] | None = None,
) -> pa.Table:
    """Return ``table`` with its origin in the schema's metadata.

    Parameters
    ----------
    table : pyarrow.Table
        A result.
    release : str
        Name and version.
    query : str
        SQL that gives the result again.
    citation : str
        How to cite the release.
    simulated : bool
        Whether the release rests on simulated responses.
    parameters : sequence or mapping, optional
        Values of the query's parameters; they are noted behind it as a comment, in JSON.
    """
    if parameters:
        query += f"\n-- parameters: {json.dumps(parameters, ensure_ascii=False, default=str)}"
    origin = {
        "release": release,
        "simulated": "true" if simulated else "false",
        "query": query,
        "citation": citation,
    }
    return table.replace_schema_metadata({_PREFIX + key: value for key, value in origin.items()})


def provenance(table: pa.Table) -> dict[str, Any]:
    """Origin of a result: ``release``, ``simulated`` (a bool), ``query``, ``citation``."""
    return _origin(table.schema)


def _origin(schema: pa.Schema) -> dict[str, Any]:
    origin: dict[str, Any] = _texts(schema)
    return origin | {"simulated": origin["simulated"] == "true"}


def write_csv(rows: Rows, destination: Destination) -> None:
    """Write CSV whose first lines, beginning with ``#``, hold the origin.

    ``pandas.read_csv(path, comment="#")`` reads it back. NULL is an empty field; float32 is
    written with the fewest digits that give the same float32 again; a list or another nested
    value is written as JSON, bytes (of a picture) as base64.
    """
    from pyarrow import csv

    lines = [
        f"# {key}: {printable(' '.join(text.split()))}" for key, text in _texts(rows.schema).items()
    ]
    lines.append(",".join(_quoted(name) for name in rows.schema.names))
    options = csv.WriteOptions(include_header=False, quoting_style="needed")
    with _opened(destination) as file:
        file.write(("\n".join(lines) + "\n").encode())
        for part in _parts(rows):
            columns = [_flat(_readable(column)) for column in part.columns]
            flat = pa.table(columns, names=part.column_names)
            csv.write_csv(flat, file, options)


def write_json(rows: Rows, destination: Destination) -> None:
    """Write a JSON object: the origin, and ``rows``, a list of objects; NaN becomes null."""
    with _opened(destination) as file:
        head = json.dumps(_origin(rows.schema), ensure_ascii=False)
        file.write((head.removesuffix("}") + ', "rows": [').encode())
        separator = ""
        for part in _parts(rows):
            columns = [_finite(_fewest_digits(_readable(column))) for column in part.columns]
            for row in pa.table(columns, names=part.column_names).to_pylist():
                text = json.dumps(row, ensure_ascii=False, default=str)
                file.write((separator + text).encode())
                separator = ", "
        file.write(b"]}\n")


def write_parquet(rows: Rows, destination: Destination) -> None:
    """Write Parquet (zstd) with the origin in the schema's metadata."""
    from pyarrow import parquet

    with (
        _opened(destination) as file,
        parquet.ParquetWriter(file, rows.schema, compression="zstd") as writer,
    ):
        for part in _parts(rows):
            writer.write_table(part)


def write_arrow(rows: Rows, destination: Destination) -> None:
    """Write an Arrow IPC file (Feather 2) with the origin in the schema's metadata."""
    with _opened(destination) as file, pa.ipc.new_file(file, rows.schema) as writer:
        for part in _parts(rows):
            writer.write_table(part)


_WRITERS: dict[str, Callable[[Rows, Destination], None]] = {
    "csv": write_csv,
    "json": write_json,
    "parquet": write_parquet,
    "arrow": write_arrow,
}
FORMATS = tuple(_WRITERS)
"""Formats of files of results, which are also what their names end in."""


def writer(
    destination: Destination, format_: str | None = None
) -> Callable[[Rows, Destination], None]:
    """Return the function that writes a format.

    Parameters
    ----------
    destination : path or binary file
        A path whose ending is the format, where it is not given.
    format_ : str, optional
        One of ``FORMATS``.

    Raises
    ------
    QueryError
        Another format, or a path that ends in none of them.
    """
    ending = ""
    if isinstance(destination, str | os.PathLike):
        ending = Path(destination).suffix.removeprefix(".").lower()
    found = _WRITERS.get(format_ or ending)
    if found is None:
        raise QueryError(
            f"{format_ or str(destination)!r} is in no format that is known: {', '.join(FORMATS)}; "
            "Release.to_duckdb writes a whole release"
        )
    return found


def _parts(rows: Rows) -> Iterator[pa.Table]:
    """All rows at once, or a batch at a time."""
    if isinstance(rows, pa.Table):
        yield rows
        return
    for batch in rows:
        yield pa.Table.from_batches([batch], rows.schema)


def _texts(schema: pa.Schema) -> dict[str, str]:
    return {
        key.decode().removeprefix(_PREFIX): value.decode()
        for key, value in (schema.metadata or {}).items()
        if key.decode().startswith(_PREFIX)
    }


@contextmanager
def _opened(destination: Destination) -> Iterator[BinaryIO]:
    if not isinstance(destination, str | os.PathLike):
        yield destination
        return
    path = Path(destination)
    check_folder(path)
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            yield file
    except pa.ArrowException as cause:
        first_line = str(cause).partition("\n")[0]
        raise QueryError(f"{path.name}: its format has no form for this: {first_line}") from cause


def check_folder(path: Path) -> None:
    """Raise QueryError where a file cannot be written, as its folder is not there."""
    if not path.absolute().parent.is_dir():
        raise QueryError(f"{path.parent}: no such folder")


def _readable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column with bytes as base64."""
    if not pa.types.is_binary(column.type):
        return column
    texts = [None if v is None else b64encode(v).decode() for v in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _fewest_digits(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_float32(column.type):
        return column
    return pc.cast(pc.cast(column, pa.string()), pa.float64())


def _finite(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column with NULL for NaN and infinity, which JSON does not have."""
    if not pa.types.is_floating(column.type):
        return column
    return pc.if_else(pc.is_finite(column), column, None)


def _flat(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column as it is if CSV has a form for it, otherwise as text."""
    if pa.types.is_nested(column.type):
        texts = [None if v is None else json.dumps(v, default=str) for v in column.to_pylist()]
    elif pa.types.is_interval(column.type):
        texts = [None if v is None else str(v) for v in column.to_pylist()]
    else:
        return column
    return pa.chunked_array([pa.array(texts, pa.string())])


def _quoted(name: str) -> str:
    if any(character in name for character in ',"\n\r'):
        return '"' + name.replace('"', '""') + '"'
    return name
