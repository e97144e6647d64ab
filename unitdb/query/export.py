"""Results as files that say where they come from: CSV, JSON, Parquet.

The release, query and citation of a result travel in the metadata of its Arrow schema, under
``unitdb:release``, ``unitdb:query``, ``unitdb:citation`` and ``unitdb:simulated``.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from unitdb.errors import QueryError
from unitdb.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "Destination",
    "provenance",
    "with_provenance",
    "write_csv",
    "write_json",
    "write_parquet",
]

Destination = str | os.PathLike[str] | BinaryIO
"""A path, written atomically, or an open binary file."""

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
    origin: dict[str, Any] = _texts(table)
    return origin | {"simulated": origin["simulated"] == "true"}


def write_csv(table: pa.Table, destination: Destination) -> None:
    """Write CSV whose first lines, beginning with ``#``, hold the origin.

    ``pandas.read_csv(path, comment="#")`` reads it back. NULL is an empty field; float32 is
    written with the fewest digits that give the same float32 again; a list or another nested
    value is written as JSON.
    """
    from pyarrow import csv

    lines = [f"# {key}: {' '.join(text.split())}" for key, text in _texts(table).items()]
    lines.append(",".join(_quoted(name) for name in table.column_names))
    with _opened(destination) as file:
        file.write(("\n".join(lines) + "\n").encode())
        flat = pa.table([_flat(c) for c in table.columns], names=table.column_names)
        csv.write_csv(flat, file, csv.WriteOptions(include_header=False, quoting_style="needed"))


def write_json(table: pa.Table, destination: Destination) -> None:
    """Write a JSON object: the origin, and ``rows``, a list of objects; NaN becomes null."""
    columns = [_finite(_fewest_digits(column)) for column in table.columns]
    rows = pa.table(columns, names=table.column_names).to_pylist()
    text = json.dumps(provenance(table) | {"rows": rows}, ensure_ascii=False, default=str)
    with _opened(destination) as file:
        file.write((text + "\n").encode())


def write_parquet(table: pa.Table, destination: Destination) -> None:
    """Write Parquet (zstd) with the origin in the schema's metadata."""
    from pyarrow import parquet

    with _opened(destination) as file:
        parquet.write_table(table, file, compression="zstd")


def _texts(table: pa.Table) -> dict[str, str]:
    return {
        key.decode().removeprefix(_PREFIX): value.decode()
        for key, value in (table.schema.metadata or {}).items()
        if key.decode().startswith(_PREFIX)
    }


@contextmanager
def _opened(destination: Destination) -> Iterator[BinaryIO]:
    if not isinstance(destination, str | os.PathLike):
        yield destination
        return
    path = Path(destination)
    if not path.parent.is_dir():
        raise QueryError(f"{path.parent}: no such folder")
    with replacing(path) as temporary, temporary.open("wb") as file:
        yield file


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
