"""SQL of a selection of rows, put together a part at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from textwrap import indent
from typing import TYPE_CHECKING, Any

from unitdb.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["KEY", "Relation", "marks", "quoted", "written_out"]

KEY = TABLES["unit_summary"].primary_key
"""Columns that name a row of ``unit_summary``."""


@dataclass(frozen=True, kw_only=True)
class Relation:
    """Rows of ``unit_summary``, or of another relation: which, and in which order.

    Parameters
    ----------
    table : str
        A table, or a SELECT in brackets.
    columns : str
        What is selected of it.
    tests : tuple of str
        Tests that rows must meet, with ``?`` for values.
    parameters : tuple
        Values for each ``?``, of the table first.
    order : str
        What rows are sorted by.
    limit : int, optional
        How many rows, from the first.
    """

    table: str = "unit_summary"
    columns: str = "*"
    tests: tuple[str, ...] = ()
    parameters: tuple[Any, ...] = ()
    order: str = ", ".join(KEY)
    limit: int | None = None

    def where(self, test: str, *values: Any) -> Relation:
        """Keep rows that meet a test; after a limit, those among the rows left."""
        inner = self if self.limit is None else self.nested()
        return replace(inner, tests=(*inner.tests, test), parameters=(*inner.parameters, *values))

    def first(self, n: int, order: str) -> Relation:
        """Keep the first ``n`` rows in an order."""
        inner = self if self.limit is None else self.nested()
        return replace(inner, order=order, limit=n)

    def sorted(self, order: str) -> Relation:
        """The same rows in another order."""
        inner = self if self.limit is None else self.nested()
        return replace(inner, order=order)

    def nested(self) -> Relation:
        """The same rows as a table to select from.

        The first rows are kept aside: DuckDB 2.0 pushes what a join asks for into the scan below
        ORDER BY and LIMIT, and then loses rows of some files of several, now and then.
        """
        text = self._text(self.order if self.limit is not None else "")
        if self.limit is not None:
            text = f"WITH first AS MATERIALIZED (\n{indent(text, '  ')}\n)\nFROM first"
        text = f"(\n{indent(text, '  ')}\n)"
        return Relation(table=text, parameters=self.parameters, order=self.order)

    def joined(self, template: str, *values: Any) -> Relation:
        """A SELECT of its own over these rows; ``{}`` in the template stands for them.

        The values are those of ``?`` behind ``{}``.
        """
        inner = self.nested()
        text = f"(\n{indent(template.format(inner.table), '  ')}\n)"
        return Relation(table=text, parameters=(*self.parameters, *values), order=self.order)

    def over(self, template: str) -> str:
        """A SELECT over these rows, which stand for ``{}`` in it; with ``?`` for values."""
        return template.format(self.nested().table)

    def sql(self) -> str:
        """The SELECT, sorted, with ``?`` for values."""
        return self._text(self.order)

    def _text(self, order: str) -> str:
        lines = [f"SELECT {self.columns}", f"FROM {self.table}"]
        lines += ["WHERE " + "\n  AND ".join(self.tests)] if self.tests else []
        lines += [f"ORDER BY {order}"] if order else []
        lines += [f"LIMIT {self.limit}"] if self.limit is not None else []
        return "\n".join(lines)


def written_out(sql: str, parameters: tuple[Any, ...]) -> str:
    """SQL with its values in place of ``?``."""
    first, *rest = sql.split("?")
    pairs = zip(parameters, rest, strict=True)
    return first + "".join(quoted(value) + part for value, part in pairs)


def quoted(value: str | float) -> str:
    """A text or a number in SQL."""
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


def marks(values: Sequence[Any]) -> str:
    """A ``?`` for each value."""
    return ", ".join("?" * len(values))
