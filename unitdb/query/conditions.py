"""Conditions on the numeric columns of ``unit_summary``, written as Python comparisons."""

from __future__ import annotations

import re
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from unitdb.errors import QueryError, UnknownColumnError
from unitdb.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ColumnExpression", "Condition", "check_numeric", "col"]

_SUMMARY = TABLES["unit_summary"]
_NUMERIC = tuple(
    column.name
    for column in _SUMMARY.columns
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
)
_SQL_OPERATORS = {">": ">", ">=": ">=", "<": "<", "<=": "<=", "==": "=", "!=": "<>"}
_CONDITION = re.compile(r"\s*(\w+)\s*(>=|<=|==|!=|=|>|<)\s*(\S+)\s*")
_LARGEST = 1e38  # still a FLOAT and a HUGEINT


@dataclass(frozen=True)
class Condition:
    """A comparison of a numeric column of ``unit_summary`` with a number.

    Made by writing ``col.min_r > 0.2``. The comparison is done in the column's own precision
    (``col.mean_r == 0.3`` finds a stored float32 of 0.3); NULL meets no condition.

    Parameters
    ----------
    column : str
        A numeric column of ``unit_summary``.
    operator : str
        One of ``>  >=  <  <=  ==  !=``.
    value : float
        A finite number.

    Raises
    ------
    UnknownColumnError
        Names the nearest numeric columns.
    QueryError
        The operator is another one, or the value is not a finite number.
    """

    column: str
    operator: str
    value: float

    def __post_init__(self) -> None:
        check_numeric(self.column)
        if self.operator not in _SQL_OPERATORS:
            known = ", ".join(_SQL_OPERATORS)
            raise QueryError(f"unknown operator {self.operator!r}; there are: {known}")
        value: Any = self.value
        if isinstance(value, bool) or not isinstance(value, Real):
            raise QueryError(
                f"column {self.column!r} is compared with {value!r}; it takes a finite number"
            )
        size: Any = abs(value)  # as it is: an integer may be too large for a float
        if not size <= _LARGEST:
            raise QueryError(
                f"column {self.column!r} is compared with a number that is not finite, or beyond "
                f"{_LARGEST:g}; it takes a finite number"
            )
        plain = int(value) if isinstance(value, Integral) else float(value)
        object.__setattr__(self, "value", plain)

    def __bool__(self) -> bool:
        raise QueryError(
            f"the condition {self} is neither true nor false before it meets the rows, so 'and', "
            "'or', 'not' and a < b < c would lose a part: "
            "write where(col.mean_r > 0.1, col.mean_r < 0.2)"
        )

    def __str__(self) -> str:
        return f"{self.column} {self.operator} {self.value!r}"

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition as typed on the command line: ``"min_r>0.2"``.

        Raises
        ------
        QueryError
            The text is not ``COLUMN OPERATOR NUMBER``.
        UnknownColumnError
            Names the nearest numeric columns.
        """
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise QueryError(f"{text!r} is not COLUMN OPERATOR NUMBER, for example 'min_r>0.2'")
        column, operator, number = match.groups()
        try:
            value = int(number) if re.fullmatch(r"[+-]?\d+", number) else float(number)
        except ValueError:
            raise QueryError(f"{text!r}: {number!r} is not a number") from None
        return cls(column, "==" if operator == "=" else operator, value)

    def to_sql(self) -> str:
        """SQL of the comparison, with ``?`` in place of the value."""
        is_float = pa.types.is_floating(_SUMMARY[self.column].type)
        return f"{self.column} {_SQL_OPERATORS[self.operator]} " + (
            "CAST(? AS FLOAT)" if is_float else "?"
        )


@dataclass(frozen=True, eq=False)
class ColumnExpression:
    """A numeric column of ``unit_summary``; comparing it with a number gives a Condition."""

    name: str
    # Otherwise numpy.float64(0.2) < col.mean_r would be numpy's affair.
    __array_ufunc__: ClassVar[None] = None

    def __gt__(self, value: float) -> Condition:
        return Condition(self.name, ">", value)

    def __ge__(self, value: float) -> Condition:
        return Condition(self.name, ">=", value)

    def __lt__(self, value: float) -> Condition:
        return Condition(self.name, "<", value)

    def __le__(self, value: float) -> Condition:
        return Condition(self.name, "<=", value)

    def __eq__(self, value: float) -> Condition:  # type: ignore[override]
        return Condition(self.name, "==", value)

    def __ne__(self, value: float) -> Condition:  # type: ignore[override]
        return Condition(self.name, "!=", value)

    __hash__ = None  # type: ignore[assignment]


class _Columns:
    """The numeric columns of ``unit_summary`` by name: ``col.mean_r``, ``col.n_subjects``, …."""

    def __getattr__(self, name: str) -> ColumnExpression:
        if name.startswith("_"):  # Python and notebooks ask for such names to learn what this is
            raise AttributeError(name)
        check_numeric(name)
        return ColumnExpression(name)

    def __dir__(self) -> Iterable[str]:
        return _NUMERIC


col = _Columns()


def check_numeric(column: str) -> None:
    """Raise UnknownColumnError unless it is a numeric column of ``unit_summary``."""
    if column not in _NUMERIC:
        raise UnknownColumnError(
            column,
            _NUMERIC,
            where="the numeric columns of unit_summary",
            hint="unitdb schema unit_summary",
        )
