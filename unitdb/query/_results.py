"""What a query gives, made fit for every place that it goes to: names and ranges of columns."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from unitdb.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duckdb.sqltypes import DuckDBPyType

__all__ = ["check_values", "distinct_names"]

_DAYS = (-719_162, 2_932_896)  # of the years 1 and 9999, which Python's dates have
_A_DAY = 86_400
_NESTED = {"list", "array", "struct", "map"}
_LARGEST = 10**38 - 1  # that a decimal of 128 bits holds
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def distinct_names(names: list[str]) -> list[str]:
    """Number the columns of the same name, as a join gives them: ``unit``, ``unit_1``."""
    found: list[str] = []
    taken: set[str] = set()
    tried: Counter[str] = Counter()
    for name in names:
        numbered = name
        while numbered in taken:
            tried[name] += 1
            numbered = f"{name}_{tried[name]}"
        taken.add(numbered)
        found.append(numbered)
    return found


def check_values(table: pa.Table | pa.RecordBatch, types: Sequence[DuckDBPyType]) -> None:
    """See that every value has a form in pandas, CSV and JSON alike.

    Parameters
    ----------
    table : pyarrow.Table or RecordBatch
    types : sequence of DuckDBPyType
        What DuckDB says that the columns are: of integers of 128 bits Arrow has the bits alone.

    Raises
    ------
    QueryError
        A column has a type of DuckDB's own, a date or time that Python's do not reach, or an
        integer of more than 38 digits.
    """
    for name, column, of_column in zip(table.schema.names, table.columns, types, strict=True):
        for leaf, of_leaf in _leaves(column, of_column):
            why = _unfit(leaf, of_leaf)
            if why:
                raise QueryError(f"column {name!r} holds {why}: CAST it AS VARCHAR")


def _leaves(
    values: pa.ChunkedArray | pa.Array, of: DuckDBPyType
) -> Iterator[tuple[pa.ChunkedArray | pa.Array, DuckDBPyType]]:
    """Values, or those inside lists, structs and maps; each with DuckDB's type."""
    kind = values.type
    inside: list[Any] = (
        [found for _, found in of.children] if of.id in _NESTED else [of] * kind.num_fields
    )
    if pa.types.is_map(kind):
        chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
        for chunk in chunks:
            yield from _leaves(chunk.keys, inside[0])
            yield from _leaves(chunk.items, inside[1])
    elif pa.types.is_struct(kind):
        for place in range(kind.num_fields):
            yield from _leaves(pc.struct_field(values, place), inside[place])
    elif (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    ):
        yield from _leaves(pc.list_flatten(values), inside[0])
    else:
        yield values, of


def _unfit(values: pa.ChunkedArray | pa.Array, of: DuckDBPyType) -> str:
    """Say why values cannot be shown; nothing where they can."""
    kind = values.type
    if pa.types.is_union(kind) or getattr(kind, "extension_name", "") == "arrow.opaque":
        return f"values of type {getattr(kind, 'type_name', 'UNION')}"
    if of.id in ("hugeint", "uhugeint") and len(values):
        # Of bits that Arrow takes for a signed number of 38 digits.
        least = 0 if of.id == "uhugeint" else -_LARGEST
        inside = _within(values, least, _LARGEST)
        return "" if inside else "integers of more than 38 digits"
    if pa.types.is_date(kind):
        days = values.cast(pa.date32()).cast(pa.int32())
        return "" if _within(days, *_DAYS) else "dates beyond the years 1 to 9999"
    if pa.types.is_timestamp(kind):
        second = _PER_SECOND[kind.unit]
        first, last = (day * _A_DAY * second for day in (_DAYS[0], _DAYS[1] + 1))
        inside = _within(values.cast(pa.int64()), first, last - 1)
        return "" if inside else "times beyond the years 1 to 9999"
    if pa.types.is_time(kind):
        n = values.cast(pa.int32() if pa.types.is_time32(kind) else pa.int64())
        inside = _within(n, 0, _A_DAY * _PER_SECOND[kind.unit] - 1)
        return "" if inside else "a time of 24:00"
    return ""


def _within(values: pa.ChunkedArray | pa.Array, low: int, high: int) -> bool:
    found = pc.min_max(values).as_py()
    return found["min"] is None or (found["min"] >= low and found["max"] <= high)
