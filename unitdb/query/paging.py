"""A selection read a page at a time, each page beginning where the last one ended."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unitdb.errors import QueryError
from unitdb.query.relation import KEY
from unitdb.schema import TABLES

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from unitdb.query.relation import Relation

__all__ = ["Page", "cursor", "cursor_value", "following"]

_LONGEST = 10_000
"""Characters of a cursor: names of folders, six of them, are shorter by far."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Page:
    """Some rows of a selection.

    Parameters
    ----------
    rows : pandas.DataFrame
        The rows; ``attrs`` hold their origin.
    next : str or None
        What :meth:`UnitSet.page` takes as ``after`` for the rows that follow; None after the last.
    """

    rows: pd.DataFrame
    next: str | None


def following(relation: Relation, sort: tuple[str, bool] | None, after: str) -> Relation:
    """Rows of a selection behind the one that a cursor names.

    Parameters
    ----------
    relation : Relation
        The selection.
    sort : (str, bool) or None
        The column that it is sorted by before the key, and whether the smallest come first.
    after : str
        What :func:`cursor` gave.

    Raises
    ------
    QueryError
        The cursor is not of a selection that is sorted like this one.
    """
    values = _parsed(after, sort)
    key = f"({', '.join(KEY)}) > ({', '.join('?' * len(KEY))})"
    rows = relation.nested()
    if sort is None:
        return rows.where(key, *values)
    value = "CAST(? AS FLOAT)" if _kind(sort[0]) is float else "?"
    beyond = ">" if sort[1] else "<"
    # Once more without the key: this is what leaves out row groups.
    rows = rows.where(f"{sort[0]} {beyond}= {value}", values[0])
    return rows.where(f"({sort[0]} {beyond} {value} OR {key})", *values)


def cursor(table: pa.Table, row: int, sort: tuple[str, bool] | None) -> str:
    """Text that names a row of a selection: its order, the value it is sorted by, and its key."""
    columns = [*([sort[0]] if sort else []), *KEY]
    values = [_order(sort), *(table[column][row].as_py() for column in columns)]
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def cursor_value(after: str, by: str) -> float:
    """The value of the row that a cursor names, where the largest value of a column comes first.

    Raises
    ------
    QueryError
        The cursor is not of a selection that is sorted like this.
    """
    return float(_parsed(after, (by, False))[0])


def _order(sort: tuple[str, bool] | None) -> str:
    return "key" if sort is None else f"{sort[0]} {'rising' if sort[1] else 'falling'}"


def _parsed(after: str, sort: tuple[str, bool] | None) -> list[Any]:
    """The value that the selection is sorted by, if it is, and the key."""
    kinds = [str, *([_kind(sort[0])] if sort else []), *map(_kind, KEY)]
    values: Any = None
    if isinstance(after, str):
        padded = after[:_LONGEST] + "=" * (-len(after) % 4)
        with suppress(ValueError, RecursionError):
            values = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
    if (
        not isinstance(values, list)
        or len(values) != len(kinds)
        or not all(_fits(value, kind) for value, kind in zip(values, kinds, strict=True))
        or values[0] != _order(sort)
    ):
        raise QueryError(
            f"after={str(after)[:200]!r} is not Page.next of this selection, or it was sorted "
            "otherwise"
        )
    return values[1:]


def _fits(value: Any, kind: type) -> bool:
    """Whether a value could stand in a column: int32 and float32 have limits."""
    if kind is str:
        return type(value) is str
    whole = type(value) is int and abs(value) < 2**31
    return whole or (kind is float and type(value) is float and abs(value) < 2.0**127)


def _kind(column: str) -> type:
    types = {"string": str, "int32": int, "float": float}
    return types[TABLES["unit_summary"][column].logical_type]
