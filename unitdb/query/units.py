"""Units chosen in a release, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from unitdb.errors import QueryError
from unitdb.query import _clauses as clauses
from unitdb.query._channels import best_channels, top_channels
from unitdb.query.conditions import check_numeric
from unitdb.query.filtered import FilteredSelection
from unitdb.query.relation import KEY, Relation
from unitdb.query.selection import as_pandas, positive
from unitdb.query.source import Source, check_names

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["UnitSet"]

_Names = str | Sequence[str] | None


@dataclass(frozen=True, eq=False, repr=False)
class UnitSet(FilteredSelection):
    """Rows of ``unit_summary``: units with their accuracies over subjects, chosen but not yet read.

    A row is a unit decoded from an ROI; so the same unit occurs once for each dataset, condition
    and ROI. Each other method gives a new selection; data are read by ``to_pandas``,
    ``to_arrow``, ``to_batches``, ``to_csv``, ``page``, ``count``, ``facets``, ``by_layer``,
    ``by_channel``, ``best_channels``, ``histogram`` and ``len``. Rows have the
    columns of ``unit_summary`` and ``unit_id`` (``model/layer/unit``), are sorted by the primary
    key, or after :meth:`top` and :meth:`sort` by their column.

    Parameters
    ----------
    source : Source
        The release.
    filters : mapping of str to str or list of str, optional
        Names to keep: keys ``dataset``, ``condition``, ``model``, ``layer``, ``roi``; None keeps
        all.
    layers : sequence of (str, str), optional
        Models and layers to keep.
    subjects : sequence of str, optional
        Summarise over these subjects alone: ``n_subjects``, ``mean_r``, ``sd_r``, ``min_r`` and
        ``max_r`` are theirs, and all other columns are NULL.

    Raises
    ------
    UnknownDatasetError, UnknownConditionError, UnknownModelError, UnknownLayerError, \
UnknownRoiError, UnknownSubjectError
        A name does not occur in the release; names the nearest.
    UnknownColumnError
        A filter of another column.
    QueryError
        A filter that is an empty list, or is not of names.
    """

    source: Source
    filters: Mapping[str, _Names] = field(default_factory=dict)
    layers: Sequence[tuple[str, str]] | None = None
    subjects: Sequence[str] | None = None
    _relation: Relation = field(init=False)
    _steps: tuple[str, ...] = field(init=False, default=())
    _code: str = field(init=False)
    _sort: tuple[str, bool] | None = field(init=False, default=None)
    _of_whole_layers: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        chosen = {
            column: check_names(self.source, column, names)
            for column, names in self.filters.items()
            if names is not None
        }
        arguments: dict[str, Any] = {
            name: kept[0] if len(kept) == 1 else list(kept) for name, kept in chosen.items()
        }
        steps = [f"{column} = {' | '.join(kept)}" for column, kept in chosen.items()]
        if self.subjects is not None:
            subjects = check_names(self.source, "subject", self.subjects)
            object.__setattr__(self, "subjects", subjects)
            arguments["subjects"] = list(subjects)
            steps.append(f"over {', '.join(subjects)}")
        relation = clauses.base(self.source, chosen, self.layers, self.subjects)
        if self.layers is not None:
            arguments["layer"] = [layer for _, layer in self.layers]
            steps.append(f"{len(self.layers)} layers")
        text = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        for name, value in (
            ("filters", MappingProxyType(chosen)),
            ("_relation", relation),
            ("_steps", tuple(steps)),
            ("_code", f"unitdb.open({self.source.label!r}).units({text})"),
            ("_of_whole_layers", self.subjects is None),
        ):
            object.__setattr__(self, name, value)

    def top(
        self,
        n: int,
        by: str = "mean_r",
        *,
        ascending: bool = False,
        per: str | Sequence[str] | None = None,
    ) -> UnitSet:
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
        per : str or sequence of str, optional
            ``n`` rows for each ``dataset``, ``condition``, ``model``, ``layer`` (of a model),
            ``channel`` (of a layer), ``unit`` (of a layer) or ``roi``, or for each combination of
            them.

        Returns
        -------
        UnitSet
            The narrower selection; nothing is read yet.

        Raises
        ------
        QueryError
            ``n`` is not a positive integer, ``per`` is something else, or the column is not known
            over some subjects.
        UnknownColumnError
            Names the nearest numeric columns.

        Examples
        --------
        >>> best = release.units(roi="V4").top(2, per="layer")
        >>> sorted(best.to_pandas()["layer"])
        ['conv1', 'conv1', 'fc', 'fc']
        """
        check_numeric(by)
        self._check_known(by)
        n = positive(n, "top() takes a positive number of rows")
        order = _order(by, ascending=ascending)
        step = f"{'bottom' if ascending else 'top'} {n} by {by}"
        code = f".top({n}, by={by!r}" + (", ascending=True" if ascending else "")
        rows = self._relation.where(f"{by} IS NOT NULL")
        if per is None:
            if self._of_whole_layers and by == "mean_r" and not ascending:
                # The best of all are among the best of each layer and ROI: fewer rows to read.
                rows = rows.where(f"rank <= {n}")
            relation = rows.first(n, order)
        else:
            groups = self._groups_of(per)
            relation = clauses.top_per(rows, self.source, n, by, ascending, order, groups)
            step += f" per {', '.join(groups)}"
            code += f", per={per!r}"
        return self._with(relation, step, code=code + ")", sort=(by, ascending))

    def top_channels(self, n: int, by: str = "mean_r") -> UnitSet:
        """Keep the rows of the ``n`` channels with the highest mean of a column over the rows.

        Channels of all layers are ranked together, as their axes say. The mean of a channel of
        which few units are there is drawn to that of all channels of its layer
        (:func:`unitdb.release.channels.shrunken`), and channels known by lone units alone come
        last; ties go to the first in model, layer, channel. Rows where the column is NULL are left
        out.

        Parameters
        ----------
        n : int
            How many channels at the most.
        by : str
            A numeric column of ``unit_summary``.

        Returns
        -------
        UnitSet
            The narrower selection; nothing is read yet.

        Raises
        ------
        QueryError
            ``n`` is not a positive integer, the column is not known over some subjects, or what the
            axes of a layer are is not known.
        UnknownColumnError
            Names the nearest numeric columns.

        Examples
        --------
        >>> units = release.units(roi="V1", layer="conv1", dataset="sim-a").top_channels(1)
        >>> len(set(units.to_pandas()["unit"] // 9))
        1
        """
        n = self._number_of_channels(n, by, "top_channels()")
        order = _order(by, ascending=False)
        rows = self._relation.where(f"{by} IS NOT NULL")
        relation = top_channels(rows, self.source, n, by, order)
        code = f".top_channels({n}, by={by!r})"
        return self._with(relation, f"top {n} channels by {by}", code=code, sort=(by, False))

    def best_channels(self, n: int, by: str = "mean_r") -> pd.DataFrame:
        """Read which channels :meth:`top_channels` keeps, the best first.

        Parameters
        ----------
        n, by
            As of :meth:`top_channels`.

        Returns
        -------
        pandas.DataFrame
            ``model``, ``layer``, ``channel``, ``n_rows``, ``mean`` of the column over these rows,
            and ``drawn``, the value that ranks them; NULL where no two units of a channel are
            known.

        Raises
        ------
        QueryError, UnknownColumnError
            As of :meth:`top_channels`.

        Examples
        --------
        >>> units = release.units(roi="V1", layer="conv1", dataset="sim-a")
        >>> units.best_channels(2)["channel"].tolist()
        [0, 1]
        """
        n = self._number_of_channels(n, by, "best_channels()")
        rows = self._relation.where(f"{by} IS NOT NULL")
        table = self._read(rows.over(best_channels(self.source, n, by)), rows.parameters)
        return as_pandas(table)

    def sample(self, n: int, *, seed: int, per: str | Sequence[str] | None = None) -> UnitSet:
        """Keep ``n`` rows at random, or all where there are fewer; the same for the same seed.

        Each row has a pseudo-random priority that depends on the seed and its key alone, so a
        smaller sample is part of a larger one, and narrowing a selection keeps the order.

        Parameters
        ----------
        n : int
            How many rows at the most.
        seed : int
            Any integer from 0.
        per : str or sequence of str, optional
            As of :meth:`top`.

        Returns
        -------
        UnitSet
            The narrower selection; nothing is read yet.

        Raises
        ------
        QueryError
            ``n`` is not a positive integer, ``seed`` is not one from 0, or ``per`` is something
            else.

        Examples
        --------
        >>> len(release.units(roi="V1").sample(5, seed=0))
        5
        """
        n = positive(n, "sample() takes a positive number of rows")
        if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
            raise QueryError(f"sample() takes a seed from 0, not {seed!r}")
        groups = self._groups_of(per) if per is not None else ()
        relation = clauses.sampled(self._relation, self.source, n, int(seed), groups)
        step = f"sample of {n}, seed {seed}" + (f", per {', '.join(groups)}" if groups else "")
        code = f".sample({n}, seed={seed!r}" + (f", per={per!r})" if per is not None else ")")
        return self._with(relation, step, code=code)

    def sort(self, by: str, *, ascending: bool = False) -> UnitSet:
        """The same rows, the largest value of a column first, or the smallest if ``ascending``.

        Rows where the column is NULL are left out; ties are sorted by key.

        Returns
        -------
        UnitSet
            The same rows in that order; nothing is read yet.

        Raises
        ------
        QueryError
            The column is not known over some subjects.
        UnknownColumnError
            Names the nearest numeric columns.

        Examples
        --------
        >>> release.units(roi="V4").sort("sd_r").to_pandas()["sd_r"].is_monotonic_decreasing
        True
        """
        check_numeric(by)
        self._check_known(by)
        rows = self._relation.where(f"{by} IS NOT NULL")
        relation = rows.sorted(_order(by, ascending=ascending))
        code = f".sort({by!r}{', ascending=True' if ascending else ''})"
        return self._with(relation, f"sorted by {by}", code=code, sort=(by, ascending))

    def __and__(self, other: UnitSet) -> UnitSet:
        """Keep the rows whose unit, in whatever ROI, is in ``other`` too."""
        return self._members(other, "IN", "&")

    def __sub__(self, other: UnitSet) -> UnitSet:
        """Keep the rows whose unit is in no row of ``other``."""
        return self._members(other, "NOT IN", "-")

    def __or__(self, other: UnitSet) -> UnitSet:
        """Rows that are in either, each once, sorted by key."""
        self._check_same_release(other, "|")
        if (self.subjects is None) != (other.subjects is None) or (
            set(self.subjects or ()) != set(other.subjects or ())
        ):
            raise QueryError("units summarised over different subjects cannot be joined with |")
        relation = clauses.union(self._relation, other._relation)
        return self._combined(other, relation, "|")

    def code(self) -> str:
        """Python that makes the same selection of the same version of the release.

        Returns
        -------
        str
            Lines of Python.

        Examples
        --------
        >>> print(release.units(roi="V4").top(3).code().splitlines()[-1])
        units = unitdb.open('tiny@1.0.0').units(roi='V4').top(3, by='mean_r')
        """
        imports = "import unitdb\n" + ("from unitdb import col\n" if "col." in self._code else "")
        return f"{imports}\nunits = {self._code}\n"

    def _number_of_channels(self, n: int, by: str, name: str) -> int:
        """How many channels are asked for, where they can be ranked by the column."""
        check_numeric(by)
        self._check_known(by)
        self._check_axes()
        return positive(n, f"{name} takes a positive number of channels")

    def _groups_of(self, per: str | Sequence[str]) -> tuple[str, ...]:
        groups = clauses.groups_of(per)
        if "channel" in groups:
            self._check_axes()
        return groups

    def _check_axes(self) -> None:
        """See that it is known of all chosen layers which axis counts channels."""
        clauses.check_axes(self.source, self._names(), self.layers)

    def _members(self, other: UnitSet, test: str, sign: str) -> UnitSet:
        self._check_same_release(other, sign)
        relation = clauses.members(self._relation, other._relation, test)
        return self._combined(other, relation, sign)

    def _combined(self, other: UnitSet, relation: Relation, sign: str) -> UnitSet:
        step = f"{sign} ({', '.join(other._steps) or 'all'})"
        found = self._with(relation, step, code="")
        object.__setattr__(found, "_code", f"(({self._code}) {sign} ({other._code}))")
        return found

    def _check_same_release(self, other: UnitSet, sign: str) -> None:
        if not isinstance(other, UnitSet):
            raise QueryError(f"{sign} takes units, not {other!r}")
        if other.source.label != self.source.label:
            raise QueryError(
                f"units of {self.source.label} {sign} units of {other.source.label}: they must be "
                "of one release; unitdb.compare() compares two"
            )


def _order(by: str, *, ascending: bool) -> str:
    return ", ".join([f"{by} {'ASC' if ascending else 'DESC'}", *KEY])
