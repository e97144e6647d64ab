"""What a query gives, made fit for every place that it goes to: names and ranges of columns."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from unitdb.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_values", "distinct_names"]

_DAYS = (-719_162, 2_932_896)  # of the years 1 and 9999, which Python's dates have
_A_DAY = 86_400
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


def check_values(table: pa.Table | pa.RecordBatch) -> None:
    """See that every value has a form in pandas, CSV and JSON alike.

    Raises
    ------
    QueryError
        A column has a type of DuckDB's own, or a date or time that Python's do not reach.
    """
    for name, column in zip(table.schema.names, table.columns, strict=True):
        for leaf in _leaves(column):
            why = _unfit(leaf)
            if why:
                raise QueryError(f"column {name!r} holds {why}: CAST it AS VARCHAR")


def _leaves(values: pa.ChunkedArray | pa.Array) -> Iterator[pa.ChunkedArray | pa.Array]:
    """Values, or those inside lists, structs and maps."""
    kind = values.type
    if pa.types.is_map(kind):
        chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
        for chunk in chunks:
            yield from _leaves(chunk.keys)
            yield from _leaves(chunk.items)
    elif pa.types.is_struct(kind):
        for place in range(kind.num_fields):
            yield from _leaves(pc.struct_field(values, place))
    elif (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    ):
        yield from _leaves(pc.list_flatten(values))
    else:
        yield values


def _unfit(values: pa.ChunkedArray | pa.Array) -> str:
    """Say why values cannot be shown; nothing where they can."""
    kind = values.type
    if pa.types.is_union(kind) or getattr(kind, "extension_name", "") == "arrow.opaque":
        return f"values of type {getattr(kind, 'type_name', 'UNION')}"
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
