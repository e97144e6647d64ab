"""Rows of a selection by their values, names and places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING

from unitdb.errors import QueryError, UnknownLayerError
from unitdb.query import _clauses as clauses
from unitdb.query._places import in_channels, in_channels_of, in_columns, in_rows
from unitdb.query.conditions import Condition
from unitdb.query.layers import checked_range
from unitdb.query.masked import MaskedSelection
from unitdb.query.selection import positive
from unitdb.query.source import check_names

if TYPE_CHECKING:
    from typing import Self

    from unitdb.query.relation import Relation
    from unitdb.query.source import Source

__all__ = ["FilteredSelection"]


class FilteredSelection(MaskedSelection):
    """Chosen rows of a release, and fewer of them by what they are; see ``UnitSet``.

    Attributes
    ----------
    filters : mapping of str to str or list of str
        Names to keep.
    layers : sequence of (str, str) or None
        Models and layers to keep.
    """

    filters: Mapping[str, str | Sequence[str] | None]
    layers: Sequence[tuple[str, str]] | None
    _code: str

    def where(
        self,
        *conditions: Condition,
        min_subjects: int | None = None,
        every_subject: bool = False,
    ) -> Self:
        """Keep the rows that meet all conditions; after :meth:`top`, those among the top rows.

        Parameters
        ----------
        *conditions : Condition
            For example ``col.min_r > 0.2``, or ``col.lead_r > 0`` for the unit's preferred ROI.
        min_subjects : int, optional
            Same as ``col.n_subjects >= min_subjects``.
        every_subject : bool
            Keep units with an accuracy in every subject of the dataset: with ``col.min_r > 0.2``,
            units above 0.2 in everybody.

        Returns
        -------
        UnitSet
            The narrower selection; nothing is read yet.

        Raises
        ------
        QueryError
            An argument is not a Condition, or its column is not known over some subjects.

        Examples
        --------
        >>> from unitdb import col
        >>> units = release.units(roi="V4").where(col.mean_r > 0.2, min_subjects=3)
        >>> bool((units.to_pandas()["mean_r"] > 0.2).all())
        True
        """
        for condition in conditions:
            if not isinstance(condition, Condition):
                raise QueryError(f"where() takes conditions such as col.min_r > 0.2: {condition!r}")
            self._check_known(condition.column)
        arguments = [f"col.{condition}" for condition in conditions]
        if min_subjects is not None:
            conditions += (Condition("n_subjects", ">=", min_subjects),)
            arguments.append(f"min_subjects={min_subjects!r}")
        relation = self._relation
        for condition in [*conditions, *_implied(conditions)]:
            relation = relation.where(condition.to_sql(), condition.value)
        steps = [str(condition) for condition in conditions]
        if every_subject:
            relation = clauses.every_subject(relation, self.source, self.subjects)
            arguments.append("every_subject=True")
            steps.append("in every subject")
        code = f".where({', '.join(arguments)})" if arguments else ""
        return self._with(relation, *steps, code=code)

    def reaching(self, r: float, *, subjects: int) -> Self:
        """Keep units with an accuracy of ``r`` or more in at least so many subjects.

        Of the subjects that the units are summarised over, where some are chosen.

        Parameters
        ----------
        r : float
            Pearson r, compared in float32, as accuracies are.
        subjects : int
            How many subjects at the least.

        Returns
        -------
        UnitSet
            The narrower selection; nothing is read yet.

        Raises
        ------
        QueryError
            ``r`` is not a finite number, or ``subjects`` not a positive integer.

        Examples
        --------
        >>> everybody = release.units(roi="V4", dataset="sim-a").reaching(0.2, subjects=3)
        >>> bool((everybody.to_pandas()["min_r"] >= 0.2).all())
        True
        """
        value = Condition("max_r", ">=", r).value
        n = positive(subjects, "reaching() takes a positive number of subjects")
        names = self._names()
        partitions = clauses.partitions_of(self.source, names, self.layers)
        relation = clauses.reaching(
            self._relation, partitions, names.get("roi", ()), self.subjects or (), value, n
        )
        step = f"r >= {value!r} in {n} subjects or more"
        return self._with(relation, step, code=f".reaching({value!r}, subjects={n})")

    def at(
        self,
        *,
        channel: int | Sequence[int] | Mapping[str, int | Sequence[int]] | None = None,
        rows: int | tuple[int, int] | None = None,
        columns: int | tuple[int, int] | None = None,
    ) -> Self:
        """Keep units at a place in their layer's activation, as its ``axes`` say.

        In (C, H, W) ``unit`` = (channel · H + row) · W + column, in (H, W, C) it is
        (row · W + column) · C + channel. In a layer of tokens and features (``TD``) a feature is a
        channel, and a token a column of row 0. A unit of a layer of shape (N,) is a channel of its
        own, at row 0 and column 0.

        Parameters
        ----------
        channel : int, sequence of int, or mapping of str to these, optional
            Channels, from 0: of each layer, or of the layers (``model/layer``) that are named.
        rows, columns : int or (int, int), optional
            A row or column of the map from 0, or the first and the last of a range.

        Returns
        -------
        UnitSet
            The narrower selection; nothing is read yet.

        Raises
        ------
        QueryError
            A value is not a number from 0 or a range, no channel is named, or what the axes of a
            layer are is not known.
        UnknownLayerError
            No such layer; gives the nearest.

        Examples
        --------
        >>> len(release.units(roi="V1", layer="conv1", dataset="sim-a").at(channel=1))
        9
        >>> len(release.units(roi="V1", dataset="sim-a").at(channel={"net/fc": [0, 3]}))
        2
        """
        relation = self._relation
        self._check_axes()
        if channel is not None:
            if isinstance(channel, Mapping):
                named = {name: _channels(asked) for name, asked in channel.items()}
                relation = in_channels_of(relation, self.source, _by_layer(self.source, named))
                channel = named
            else:
                relation = in_channels(relation, self.source, _channels(channel))
        if rows is not None:
            relation = in_rows(relation, self.source, *checked_range("rows", rows))
        if columns is not None:
            relation = in_columns(relation, self.source, *checked_range("columns", columns))
        arguments = {"channel": channel, "rows": rows, "columns": columns}
        given = {name: value for name, value in arguments.items() if value is not None}
        code = ", ".join(f"{name}={value!r}" for name, value in given.items())
        steps = [f"{name} {value}" for name, value in given.items()]
        return self._with(relation, *steps, code=f".at({code})")

    def among(self, units: Sequence[str]) -> Self:
        """Keep units by name, ``model/layer/unit``; such as a collection made by hand.

        Returns
        -------
        UnitSet
            The narrower selection; nothing is read yet.

        Raises
        ------
        QueryError
            A text is not MODEL/LAYER/UNIT, or there is none.
        UnknownLayerError
            No such layer; gives the nearest.

        Examples
        --------
        >>> len(release.units(roi="V1").among(["net/fc/3"]))
        2
        """
        names = list(dict.fromkeys([units] if isinstance(units, str) else units))
        parsed = [clauses.parsed_unit(self.source, name) for name in names]
        if not parsed:
            raise QueryError("among() takes at least one MODEL/LAYER/UNIT")
        relation = clauses.among(self._relation, parsed)
        return self._with(relation, f"among {len(parsed)} units", code=f".among({names!r})")

    def better_in(
        self, roi: str, than: str | Sequence[str] | None = None, *, by: float = 0.0
    ) -> Self:
        """Keep rows of an ROI where the unit's mean accuracy is higher than in others.

        mean_r(roi) − max over others of mean_r(other) > by

        Parameters
        ----------
        roi : str
            The ROI whose rows are kept.
        than : str or sequence of str, optional
            The others; by default all others of the dataset, so that ``roi`` is the unit's
            preferred one.
        by : float
            By how much, in Pearson r.

        Returns
        -------
        UnitSet
            The narrower selection; nothing is read yet.

        Raises
        ------
        UnknownRoiError
            No such ROI; gives the nearest.
        QueryError
            ``roi`` is among the others, or units are summarised over some subjects.

        Examples
        --------
        >>> v4 = release.units(dataset="sim-a").better_in("V4", than="V1")
        >>> set(v4.to_pandas()["roi"])
        {'V4'}
        """
        check_names(self.source, "roi", roi)
        value = Condition("lead_r", ">", by).value
        if self.subjects is not None:
            raise QueryError("better_in() compares means over all subjects; leave out subjects=")
        code = f".better_in({roi!r}" + (f", {than!r}" if than is not None else "")
        code += f", by={by!r})" if by else ")"
        relation = self._relation.where("roi = ?", roi)
        if than is None:
            relation = relation.where("lead_r > CAST(? AS FLOAT)", value)
            step = f"better in {roi} than elsewhere"
        else:
            others = check_names(self.source, "roi", than)
            if roi in others:
                raise QueryError(f"better_in({roi!r}, than={than!r}): an ROI is never better there")
            names = self._names()
            partitions = clauses.partitions_of(self.source, names, self.layers)
            relation = clauses.better_than(relation, partitions, others, value)
            step = f"better in {roi} than in {' | '.join(others)}"
        return self._with(relation, step + (f" by {by}" if by else ""), code=code)

    def _names(self) -> dict[str, tuple[str, ...]]:
        """Names that the filters keep, by column."""
        return {column: tuple(kept or ()) for column, kept in self.filters.items()}

    def _with(
        self,
        relation: Relation,
        *steps: str,
        code: str,
        sort: tuple[str, bool] | None = None,
    ) -> Self:
        found = copy(self)
        kept = sort or (self._sort if relation.order == self._relation.order else None)
        for name, value in (
            ("_relation", relation),
            ("_steps", (*self._steps, *steps)),
            ("_code", self._code + code),
            ("_sort", kept),
            ("_of_whole_layers", False),
        ):
            object.__setattr__(found, name, value)
        return found


def _implied(conditions: Sequence[Condition]) -> list[Condition]:
    """What a least accuracy says of the mean: rows are sorted by it, so most need not be read."""
    return [
        Condition("mean_r", condition.operator, condition.value)
        for condition in conditions
        if condition.column == "min_r" and condition.operator in (">", ">=")
    ]


def _channels(asked: int | Sequence[int]) -> list[int]:
    channels = list(asked) if isinstance(asked, Sequence) else [asked]
    if not channels:
        raise QueryError("at(channel=[]) takes at least one channel")
    for one in channels:
        if type(one) is not int or one < 0:
            raise QueryError(f"channel={one!r} is not a number from 0")
    return channels


def _by_layer(source: Source, asked: Mapping[str, Sequence[int]]) -> list[tuple[str, str, int]]:
    """Model, layer and channel of each channel of named layers."""
    known = {layer.name: layer for layer in source.layers()}
    for name in asked:
        if name not in known:
            raise UnknownLayerError(name, list(known), where=f"release {source.label}")
    found = [
        (known[name].model, known[name].layer, channel)
        for name, channels in asked.items()
        for channel in channels
    ]
    if not found:
        raise QueryError("at(channel={}) takes at least one channel of a layer")
    return found
