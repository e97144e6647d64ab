"""Selection of units: conditions on columns become SQL, and the result says where it is from.

>>> units = release.units(roi="V4").where(col.min_r > 0.2, min_subjects=5)  # doctest: +SKIP
>>> units.top(100, by="mean_r").to_pandas()  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from numbers import Integral
from textwrap import indent
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from unitdb.errors import QueryError
from unitdb.query import export, tensors
from unitdb.query.conditions import Condition, check_numeric
from unitdb.query.sandbox import run_sql
from unitdb.query.source import Source, check_names
from unitdb.schema import TABLES

if TYPE_CHECKING:
    import pandas as pd
    import torch

__all__ = ["UnitSet"]

_SUMMARY = TABLES["unit_summary"]


@dataclass(frozen=True)
class _Top:
    n: int
    by: str
    ascending: bool

    def __str__(self) -> str:
        return f"{'bottom' if self.ascending else 'top'} {self.n} by {self.by}"


@dataclass(frozen=True, eq=False, repr=False)
class UnitSet:
    """Rows of ``unit_summary``: units with their accuracies over subjects, chosen but not yet read.

    A row is a unit decoded from an ROI; so the same unit occurs once for each dataset, condition
    and ROI. Each method gives a new selection; data are read by ``to_pandas``, ``to_arrow``,
    ``to_csv`` and ``len``. Rows have the columns of ``unit_summary`` and ``unit_id``
    (``model/layer/unit``), are sorted by the primary key, or after :meth:`top` by its column.

    Parameters
    ----------
    source : Source
        The release.
    filters : mapping of str to str or list of str, optional
        Names to keep: keys ``dataset``, ``condition``, ``model``, ``layer``, ``roi``; None keeps
        all.

    Raises
    ------
    UnknownDatasetError, UnknownConditionError, UnknownModelError, UnknownLayerError, \
UnknownRoiError
        A name does not occur in the release; names the nearest.
    UnknownColumnError
        A filter of another column.
    QueryError
        A filter that is an empty list, or is not of names.
    """

    source: Source
    filters: Mapping[str, str | Sequence[str] | None] = field(default_factory=dict)
    _conditions: tuple[Condition, ...] = ()
    _limit: _Top | None = None
    _within: UnitSet | None = None

    def __post_init__(self) -> None:
        chosen = {
            column: check_names(self.source, column, names)
            for column, names in self.filters.items()
            if names is not None
        }
        object.__setattr__(self, "filters", MappingProxyType(chosen))

    def where(self, *conditions: Condition, min_subjects: int | None = None) -> UnitSet:
        """Keep the rows that meet all conditions; after :meth:`top`, those among the top rows.

        Parameters
        ----------
        *conditions : Condition
            For example ``col.min_r > 0.2``.
        min_subjects : int, optional
            Same as ``col.n_subjects >= min_subjects``.

        Raises
        ------
        QueryError
            An argument is not a Condition.
        """
        for condition in conditions:
            if not isinstance(condition, Condition):
                raise QueryError(f"where() takes conditions such as col.min_r > 0.2: {condition!r}")
        if min_subjects is not None:
            conditions += (Condition("n_subjects", ">=", min_subjects),)
        if self._limit is None:
            return replace(self, _conditions=self._conditions + conditions)
        return UnitSet(self.source, _conditions=conditions, _within=self)

    def top(self, n: int, by: str = "mean_r", *, ascending: bool = False) -> UnitSet:
        """Keep the ``n`` rows with the largest value of a column, or smallest if ``ascending``.

        Ties go to the row first in dataset, condition, model, layer, ROI, unit. Rows where the
        column is NULL are left out.

        Parameters
        ----------
        n : int
            How many rows at the most.
        by : str
            A numeric column of ``unit_summary``.
        ascending : bool
            Take the smallest instead.

        Raises
        ------
        QueryError
            ``n`` is not a positive integer.
        UnknownColumnError
            Names the nearest numeric columns.
        """
        check_numeric(by)
        if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
            raise QueryError(f"top() takes a positive number of rows, not {n!r}")
        limit = _Top(int(n), by, ascending)
        if self._limit is None:
            return replace(self, _limit=limit)
        return UnitSet(self.source, _limit=limit, _within=self)

    @property
    def sql(self) -> str:
        """The query with its values written out: ``release.sql`` gives the same rows."""
        text, parameters = self._compiled()
        first, *rest = text.split("?")
        pairs = zip(parameters, rest, strict=True)
        return first + "".join(_literal(value) + part for value, part in pairs)

    def to_arrow(self) -> pa.Table:
        """Read the rows into Arrow; the schema's metadata hold the origin (``unitdb:release`` …).

        Raises
        ------
        CorruptReleaseError
            Names the file that is not readable.
        """
        return self._labelled(self._run("{}"))

    def to_pandas(self) -> pd.DataFrame:
        """Read the rows into pandas; ``attrs`` hold release, query, citation and simulated."""
        return self._as_pandas(self.to_arrow())

    def to_csv(self, destination: export.Destination) -> None:
        """Write CSV whose first lines, beginning with ``#``, hold the origin.

        ``pandas.read_csv(path, comment="#")`` reads it back.

        Parameters
        ----------
        destination : path or binary file
            A path is written atomically: all rows or no file.
        """
        export.write_csv(self.to_arrow(), destination)

    def masks(self) -> dict[str, torch.Tensor]:
        """Chosen units of each layer as a mask; a unit in several rows is chosen once.

        Returns
        -------
        dict of str to bool tensor of shape (C, H, W) or (N,)
            Layers that hold a chosen unit, in the order of depth; indexed in C order.

        Raises
        ------
        QueryError
            The units are of several models.
        MissingExtraError
            torch is not installed.
        """
        return tensors.masks(self)

    def channels(self, *, min_units: int = 1, min_share: float = 0.0) -> dict[str, torch.Tensor]:
        """Channels of each layer that hold chosen units; in a layer (N,) each unit is a channel.

        Parameters
        ----------
        min_units : int
            Least number of chosen units of the channel.
        min_share : float
            Least share, 0 to 1, of the channel's units, counted over all of its H × W positions,
            also those of which the release has no accuracy.

        Returns
        -------
        dict of str to int64 tensor of shape (n_channels,)
            Ascending; layers that hold a chosen unit, in the order of depth.

        Raises
        ------
        QueryError
            The units are of several models, a layer has neither shape, or a minimum is no such.
        MissingExtraError
            torch is not installed.
        """
        return tensors.channels(self, min_units=min_units, min_share=min_share)

    def weights(
        self,
        by: str = "mean_r",
        *,
        over: Literal["max", "mean"] | None = None,
        missing: float | None = None,
    ) -> dict[str, torch.Tensor]:
        """Accuracies as soft weights: a column's value at each chosen unit, 0 at all others.

        Values are as they stand, also where negative.

        Parameters
        ----------
        by : str
            A numeric column of ``unit_summary``.
        over : {"max", "mean"}, optional
            How the rows (ROIs, datasets, conditions) of a unit that has several are combined, NULL
            left out. By default such units are refused: which one is meant is for you to say.
        missing : float, optional
            Weight of chosen units whose column is NULL; by default they are refused.

        Returns
        -------
        dict of str to float32 tensor of shape (C, H, W) or (N,)
            Layers that hold a chosen unit, in the order of depth; indexed in C order.

        Raises
        ------
        QueryError
            The units are of several models, a unit has several rows or no value, or ``over`` is
            something else.
        UnknownColumnError
            Names the nearest numeric columns.
        MissingExtraError
            torch is not installed.
        """
        return tensors.weights(self, by, over=over, missing=missing)

    def __len__(self) -> int:
        return int(self._run("SELECT count(*) FROM ({})").column(0)[0].as_py())

    def __repr__(self) -> str:
        return f"UnitSet({', '.join([self._title(), *self._described()])})"

    def _repr_html_(self) -> str:
        head = self._labelled(self._run("SELECT * FROM ({}) LIMIT 10"))
        caption = f"{len(self):,} rows of {', '.join([self._title(), *self._described()])}"
        table = str(self._as_pandas(head).to_html(index=False, border=0))
        return f"<div><p>{escape(caption)}</p>{table}<p>{escape(self.source.citation)}</p></div>"

    def _run(self, template: str) -> pa.Table:
        text, parameters = self._compiled()
        return run_sql(self.source.connect(), template.format(text), parameters)

    def _labelled(self, table: pa.Table) -> pa.Table:
        source = self.source
        return export.with_provenance(
            table,
            release=source.label,
            query=self.sql,
            citation=source.citation,
            simulated=source.simulated,
        )

    def _as_pandas(self, table: pa.Table) -> pd.DataFrame:
        frame: pd.DataFrame = table.to_pandas()
        frame.attrs.update(export.provenance(table))
        return frame

    def _title(self) -> str:
        return self.source.label + (" SIMULATED" if self.source.simulated else "")

    def _described(self) -> list[str]:
        within = self._within._described() if self._within is not None else []
        names = [f"{column} = {' | '.join(kept or ())}" for column, kept in self.filters.items()]
        limit = [str(self._limit)] if self._limit is not None else []
        return [*within, *names, *map(str, self._conditions), *limit]

    def _compiled(self) -> tuple[str, list[Any]]:
        """SQL with a ``?`` for each value, and the values."""
        parameters: list[Any] = []
        if self._within is None:
            columns, table, parameters = (
                "*, model || '/' || layer || '/' || unit AS unit_id",
                "",
                [],
            )
            table = _SUMMARY.name
        else:
            inner, parameters = self._within._compiled()
            columns, table = "*", f"(\n{indent(inner, '  ')}\n)"
        tests = []
        for column, names in self.filters.items():
            tests.append(f"{column} IN ({', '.join('?' * len(names or ()))})")
            parameters += names or ()
        for condition in self._conditions:
            tests.append(condition.to_sql())
            parameters.append(condition.value)
        if self._limit is not None:
            tests.append(f"{self._limit.by} IS NOT NULL")
        lines = [f"SELECT {columns}", f"FROM {table}"]
        lines += ["WHERE " + "\n  AND ".join(tests)] if tests else []
        lines += [f"ORDER BY {self._order()}"]
        lines += [f"LIMIT {self._limit.n}"] if self._limit is not None else []
        return "\n".join(lines), parameters

    def _order(self) -> str:
        key = ", ".join(_SUMMARY.primary_key)
        if self._limit is not None:
            return f"{self._limit.by} {'ASC' if self._limit.ascending else 'DESC'}, {key}"
        return self._within._order() if self._within is not None else key


def _literal(value: str | float) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)
