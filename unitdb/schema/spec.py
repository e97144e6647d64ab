"""What a table and a column are: names, types, units, keys, the meaning of NULL; and the check."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from unitdb.errors import SchemaError, UnknownColumnError

SCHEMA_VERSION = "2.6"
"""MAJOR.MINOR. MINOR adds tables or nullable columns; MAJOR changes what is there."""

# Nothing is clamped: a correlation of equal vectors may be 1 + 2e-16, and is stored so.
_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a published table.

    Parameters
    ----------
    name : str
        Name in Parquet, SQL and pandas.
    type : pyarrow.DataType
        Arrow type as written to Parquet.
    description : str
        What a value means, in one sentence.
    unit : str, optional
        Unit or scale, for example ``"Pearson r"``.
    null : str, optional
        What NULL means; where it is not given, NULL is not allowed. NaN is never allowed.
    minimum, maximum : float, optional
        Closed range of valid values.
    pattern : str, optional
        Regular expression that the whole of each string matches.
    since : str
        Schema version that has it first; releases of older ones are without it.
    """

    name: str
    type: pa.DataType
    description: str
    unit: str | None = None
    null: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    since: str = "2.0"

    @property
    def logical_type(self) -> str:
        """Name of the type without its encoding: ``string``, ``int32``, ``list<int32>``, …."""
        if pa.types.is_dictionary(self.type):
            return str(self.type.value_type)
        if pa.types.is_list(self.type):
            return f"list<{self.type.value_type}>"
        return str(self.type)

    def validate(self, values: pa.ChunkedArray, *, where: str) -> None:
        """Raise SchemaError where values are NULL, NaN, out of range or off the pattern.

        Parameters
        ----------
        values : pyarrow.ChunkedArray of shape (n_rows,)
            The column's values, in this column's type.
        where : str
            The table or file, for the message.

        Raises
        ------
        SchemaError
            Names the column, the first offending value and the rule.
        """
        place = f"{where}: column {self.name!r}"
        if self.null is None and values.null_count:
            raise SchemaError(f"{place}: {values.null_count} NULL where none is allowed")
        if pa.types.is_dictionary(self.type):
            values = pa.chunked_array([chunk.dictionary for chunk in values.chunks], pa.string())
        if pa.types.is_floating(self.type):
            nan = pc.sum(pc.is_nan(values)).as_py() or 0
            if nan:
                raise SchemaError(f"{place}: {nan} NaN (a value that does not exist is NULL)")
        self._check_lists(values, place)
        if self.minimum is not None or self.maximum is not None:
            extremes = pc.min_max(values).as_py()
            low, high = extremes["min"], extremes["max"]
            slack = _ROUNDING if pa.types.is_floating(self.type) else 0
            if low is not None and self.minimum is not None and low < self.minimum - slack:
                raise SchemaError(f"{place}: {low!r} is below the minimum {self.minimum!r}")
            if high is not None and self.maximum is not None and high > self.maximum + slack:
                raise SchemaError(f"{place}: {high!r} is above the maximum {self.maximum!r}")
        if self.pattern is not None:
            for value in values.unique().to_pylist():
                if value is not None and not re.fullmatch(self.pattern, value):
                    raise SchemaError(f"{place}: {value!r} does not match {self.pattern!r}")

    def _check_lists(self, values: pa.ChunkedArray, place: str) -> None:
        if pa.types.is_list(self.type) and pa.types.is_floating(self.type.value_type):
            inner = pc.list_flatten(values)
            if inner.null_count or pc.all(pc.is_finite(inner)).as_py() is False:
                raise SchemaError(f"{place}: a list holds what is no finite number")


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """Columns whose values must be a row of another table.

    Parameters
    ----------
    columns : tuple of str
        Columns of this table; they have the same names in the other one.
    table : str
        The other table.
    """

    columns: tuple[str, ...]
    table: str


@dataclass(frozen=True, kw_only=True)
class Follows:
    """A SELECT over tables of a release that gives columns of one of them.

    Parameters
    ----------
    template : str
        In the SQL of DuckDB: the primary key, and the columns that follow. ``{place}`` stands for
        dataset, condition, model and layer.
    since : str
        Schema version whose tables have what it reads.
    """

    template: str
    since: str = "2.0"

    @property
    def sql(self) -> str:
        """The SELECT, of a whole release."""
        return self.template.replace("{place}", "dataset, condition, model, layer")

    @property
    def within(self) -> str:
        """The same where all rows are of one layer: without what names it, which takes longer."""
        return self.template.replace("{place}, ", "")


@dataclass(frozen=True, kw_only=True)
class Table:
    """One published table.

    Parameters
    ----------
    name : str
        Name in SQL, and of its file or folder in a release.
    row : str
        What a row is.
    columns : tuple of Column
        In the order of the file.
    primary_key : tuple of str
        Columns that name a row.
    order : tuple of str
        Columns that rows are sorted by, strictly increasing; the primary key where not given.
    foreign_keys : tuple of ForeignKey
        References to other tables.
    partition_by : tuple of str
        Leading columns of the order that become folders; empty for a single file.
    follows : tuple of Follows
        How columns follow from other tables, or from other columns of this one.
    row_group : int, optional
        Rows of a row group, where a few rows are read at a time; by default the writer's.
    optional : bool
        Whether a release may be without it.
    measured : bool
        Whether the measure that makes its rows checks them too (``unitdb.measures``).
    since : str
        Schema version that has it first; releases of older ones are without it.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    order: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    partition_by: tuple[str, ...] = ()
    follows: tuple[Follows, ...] = ()
    row_group: int | None = None
    optional: bool = False
    measured: bool = False
    since: str = "2.0"
    _by_name: dict[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {column.name: column for column in self.columns})
        object.__setattr__(self, "order", self.order or self.primary_key)

    def __getitem__(self, name: str) -> Column:
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownColumnError(
                name, self.column_names, where=f"table {self.name!r}", hint="unitdb schema"
            ) from None

    @property
    def keys(self) -> set[str]:
        """Columns of the primary key and of foreign keys."""
        return {*self.primary_key, *(name for key in self.foreign_keys for name in key.columns)}

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, in the order of the file."""
        return tuple(self._by_name)

    def at(self, version: str) -> Table:
        """Return the table as a schema version has it: without the columns that came later.

        Parameters
        ----------
        version : str
            MAJOR.MINOR.
        """
        known = tuple(c for c in self.columns if numbers(c.since) <= numbers(version))
        follows = tuple(f for f in self.follows if numbers(f.since) <= numbers(version))
        if known == self.columns and follows == self.follows:
            return self
        names = {column.name for column in known}
        key, order = (
            tuple(name for name in given if name in names)
            for given in (self.primary_key, self.order)
        )
        return replace(self, columns=known, primary_key=key, order=order, follows=follows)

    def arrow_schema(self) -> pa.Schema:
        """Arrow schema of the Parquet file, descriptions in the fields' metadata."""
        return pa.schema(
            [
                pa.field(
                    c.name,
                    c.type,
                    nullable=c.null is not None,
                    metadata={"description": c.description, "unit": c.unit or ""},
                )
                for c in self.columns
            ],
            metadata={"unitdb:table": self.name, "unitdb:schema": SCHEMA_VERSION},
        )

    def validate(self, table: pa.Table, *, where: str | None = None) -> None:
        """Raise SchemaError unless ``table`` has exactly these columns, types and valid values.

        Parameters
        ----------
        table : pyarrow.Table
            Rows of this table, all or some of them.
        where : str, optional
            The file, for the message; the table's name where it is not given.

        Raises
        ------
        SchemaError
            Names the place, the column and the first offending value.
        """
        where = where or f"table {self.name!r}"
        if tuple(table.column_names) != self.column_names:
            raise SchemaError(
                f"{where}: columns are {', '.join(table.column_names)}; "
                f"expected {', '.join(self.column_names)}"
            )
        for column in self.columns:
            found = table.schema.field(column.name).type
            if found != column.type:
                raise SchemaError(
                    f"{where}: column {column.name!r} has type {found}, expected {column.type}"
                )
            column.validate(table[column.name], where=where)


def numbers(version: str) -> tuple[int, ...]:
    """A schema version as numbers, which compare."""
    return tuple(int(part) for part in version.split("."))
