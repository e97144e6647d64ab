"""How many units are found, and where pages of them end, by histograms of the release.

Nothing here reads units: a full-size release has 140 million rows of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from unitdb.query.conditions import Condition
from unitdb.query.paging import cursor_value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import pandas as pd

    from unitdb.query.layers import Layer
    from unitdb.query.units import UnitSet

__all__ = [
    "PLACE",
    "Counted",
    "at_least",
    "chosen_bins",
    "counted_by",
    "edge_of_page",
    "from_minimum",
    "is_edge",
    "narrowed",
]

PLACE = ("dataset", "condition", "model", "layer", "roi")
"""Names that every bin has."""
_SWITCHED = {
    (False, False): "n_units",
    (True, False): "n_complete",
    (False, True): "n_preferred",
    (True, True): "n_complete_preferred",
}
"""Column of ``summary_histogram`` by two switches: in every subject, and preferred ROI only."""


@dataclass(frozen=True)
class Counted:
    """Where units are counted.

    Parameters
    ----------
    table : str
        A histogram of the release.
    column, value : str
        The column of names, and the name in it, whose rows are meant; all where they are empty.
    n : str
        The column of numbers.
    """

    table: str
    column: str = ""
    value: str = ""
    n: str = "n_units"

    @property
    def columns(self) -> list[str]:
        """Columns of the table that :meth:`bins` takes."""
        return list(dict.fromkeys([*PLACE, "bin", self.n, self.column or "bin"]))

    def bins(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Bins of the rows that are meant: ``PLACE``, ``bin`` and ``n_units``."""
        if self.column:
            rows = rows[rows[self.column] == self.value]
        return rows[[*PLACE, "bin"]].assign(n_units=rows[self.n])


def counted_by(
    by: str,
    tables: Collection[str],
    *,
    subject: str = "",
    everybody: bool = False,
    preferred: bool = False,
) -> Counted | None:
    """Which table counts units by a column of ``unit_summary``; None where none does.

    Parameters
    ----------
    by : str
        The column: ``mean_r``, ``min_r``, ``max_r`` or ``lead_r``.
    tables : collection of str
        Names of the release's tables; those of older schemas have fewer.
    subject : str
        Summarised over this subject alone; over all where it is empty.
    everybody : bool
        Units with an accuracy in every subject.
    preferred : bool
        Rows of the unit's preferred ROI.
    """
    if subject:
        # Over one subject mean, lowest and highest are its accuracy, and no ROI is preferred.
        if by == "lead_r" or preferred:
            return None
        return Counted("accuracy_histogram", "subject", subject)
    if "summary_histogram" in tables:
        return Counted("summary_histogram", "measure", by, _SWITCHED[everybody, preferred])
    plain = by == "mean_r" and not everybody and not preferred
    return Counted("unit_histogram") if plain else None


def at_least(column: str, value: float) -> Condition:
    """Values from a hundredth on, as the bins of histograms count them.

    Columns are float32. Where the float32 next to 0.29 lies below 0.29, it is in the bin below, and
    ``> 0.29`` leaves it out; elsewhere ``>=`` takes in what equals the edge.

    Raises
    ------
    QueryError
        No finite float32 is as large.
    """
    from_edge = Condition(column, ">=", value)
    below = float(np.float32(value)) < value
    return replace(from_edge, operator=">") if below else from_edge


def is_edge(minimum: float | None) -> bool:
    """Whether bins say how many lie from a minimum on.

    The outermost bins also hold what lies beyond ±1, or at 1, by rounding: these are no edges.
    """
    return minimum is None or (minimum == round(minimum, 2) and -1 < minimum < 1)


def chosen_bins(
    bins: pd.DataFrame,
    names: Mapping[str, Collection[str]],
    *,
    kinds: Collection[str] = (),
    layers: Iterable[Layer] = (),
) -> pd.DataFrame:
    """Bins of the names that are asked for, without empty ones.

    Parameters
    ----------
    bins : DataFrame
        Of ``PLACE``, ``bin`` and ``n_units``.
    names : mapping of str to collection of str
        Names to keep of each column; all where there is none.
    kinds : collection of str
        Kinds of layers to keep; all where there is none.
    layers : iterable of Layer
        All layers, whose kinds these are.
    """
    for column, kept in names.items():
        if kept:
            bins = bins[bins[column].isin(kept)]
    if kinds:
        known = {layer.name: layer.kind for layer in layers}
        found = (bins["model"].astype(str) + "/" + bins["layer"].astype(str)).map(known)
        bins = bins[found.isin(kinds)]
    return bins[bins["n_units"] > 0]


def from_minimum(bins: pd.DataFrame, minimum: float | None) -> pd.DataFrame:
    """Bins from a minimum on, which is an edge."""
    return bins if minimum is None else bins[bins["bin"] >= round(minimum * 100)]


def edge_of_page(bins: pd.DataFrame, n: int, below: float | None) -> float | None:
    """Highest edge of a bin above which the next ``n`` rows lie; None where fewer are left.

    Parameters
    ----------
    bins : DataFrame
        Of what is asked for.
    n : int
        Rows of the page, and the one after it.
    below : float or None
        Value of the last row before the page, from which on values fall.
    """
    counts = bins.groupby("bin")["n_units"].sum().sort_index(ascending=False)
    if below is not None:
        # Rows of this bin may stand before the page: they are not counted upon. The last bin also
        # holds what lies beyond it.
        counts = counts[counts.index < min(np.floor(100 * below), 99)]
    reached = counts[counts.cumsum() >= n]
    if reached.empty or reached.index[0] <= -100:
        return None
    return float(reached.index[0]) / 100


def narrowed(
    units: UnitSet,
    bins: pd.DataFrame,
    size: int,
    *,
    by: str,
    minimum: float | None = None,
    after: str | None = None,
) -> UnitSet:
    """The rows of a selection that a page is of, and no more than are in bins that it reaches.

    A query for these alone reads few row groups.

    Parameters
    ----------
    units : UnitSet
        The selection, the best first.
    bins : DataFrame
        Of the selection, whatever its minimum.
    size : int
        Rows of the page.
    by : str
        The column that it is sorted by.
    minimum : float, optional
        The least value of it that the selection has.
    after : str, optional
        Where the page begins.

    Raises
    ------
    QueryError
        ``after`` is no cursor.
    """
    below = None if after is None else cursor_value(after, by)
    least = edge_of_page(bins, size + 1, below)
    if least is None or (minimum is not None and minimum >= least):
        return units
    return units.where(at_least(by, least))
