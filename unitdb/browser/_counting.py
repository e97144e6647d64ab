"""How many units a search finds, and where its pages end, by histograms of the release.

Nothing here reads units: a full-size release has 140 million rows of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unitdb.browser._search import NAMES, at_least
from unitdb.query.paging import cursor_value

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

    from unitdb.browser._search import Search
    from unitdb.query import UnitSet
    from unitdb.release import Release

__all__ = [
    "MOST",
    "Counted",
    "bins_of",
    "counted_by",
    "edge_of_page",
    "from_minimum",
    "is_edge",
    "narrowed",
    "refusal",
]

_SWITCHED = {
    (False, False): "n_units",
    (True, False): "n_complete",
    (False, True): "n_preferred",
    (True, True): "n_complete_preferred",
}
"""Column of ``summary_histogram`` by two switches: in every subject, and preferred ROI only."""
MOST = {"several subjects": 8_000_000, "a subject's places": 7_000_000, "units": 30_000_000}
"""Rows that may be looked through, of ``accuracy`` for several subjects and of ``unit_summary``
otherwise: as many as take two cores most of a second."""


@dataclass(frozen=True)
class Counted:
    """Where the units of a search are counted.

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


def counted_by(search: Search, tables: Collection[str]) -> Counted | None:
    """Which table counts the units of a search, whatever its minimum; None where none does.

    Parameters
    ----------
    search : Search
        The search.
    tables : collection of str
        Names of the release's tables; those of older schemas have fewer.
    """
    if search.channel or search.rows or search.columns or len(search.subject) > 1:
        return None
    if search.subject:
        # Over one subject mean, lowest and highest are its accuracy, and no ROI is preferred.
        if search.by == "lead_r" or search.preferred:
            return None
        return Counted("accuracy_histogram", "subject", search.subject[0])
    if "summary_histogram" in tables:
        n = _SWITCHED[search.everybody, search.preferred]
        return Counted("summary_histogram", "measure", search.by, n)
    plain = search.by == "mean_r" and not search.everybody and not search.preferred
    return Counted("unit_histogram") if plain else None


def is_edge(minimum: float | None) -> bool:
    """Whether bins say how many lie from a minimum on.

    The outermost bins also hold what lies beyond ±1, or at 1, by rounding: these are no edges.
    """
    return minimum is None or (minimum == round(minimum, 2) and -1 < minimum < 1)


def bins_of(search: Search, rows: pd.DataFrame, release: Release) -> pd.DataFrame:
    """Rows of a histogram that a search is of, whatever its minimum.

    Parameters
    ----------
    search : Search
        The search.
    rows : DataFrame
        Of ``NAMES``, ``bin`` and ``n_units``.
    release : Release
        Knows the kinds of layers.
    """
    for column in NAMES:
        names = getattr(search, column)
        if names:
            rows = rows[rows[column].isin(names)]
    if search.kind:
        kinds = {layer.name: layer.kind for layer in release.layers}
        found = (rows["model"].astype(str) + "/" + rows["layer"].astype(str)).map(kinds)
        rows = rows[found.isin(search.kind)]
    return rows[rows["n_units"] > 0]


def from_minimum(bins: pd.DataFrame, minimum: float | None) -> pd.DataFrame:
    """Bins from a minimum on, which is an edge."""
    return bins if minimum is None else bins[bins["bin"] >= round(minimum * 100)]


def edge_of_page(bins: pd.DataFrame, n: int, below: float | None) -> float | None:
    """Highest edge of a bin above which the next ``n`` rows lie; None where fewer are left.

    Parameters
    ----------
    bins : DataFrame
        Of the search.
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
    units: UnitSet, search: Search, bins: pd.DataFrame, size: int, after: str | None
) -> UnitSet:
    """The rows of a search that a page is of, and no more than are in bins that it reaches.

    A query for these alone reads few row groups.

    Parameters
    ----------
    units : UnitSet
        What the search finds, the best first.
    search : Search
        The search.
    bins : DataFrame
        Of the search, whatever its minimum.
    size : int
        Rows of the page.
    after : str or None
        Where it begins.

    Raises
    ------
    QueryError
        ``after`` is no cursor.
    """
    below = None if after is None else cursor_value(after, search.by)
    least = edge_of_page(bins, size + 1, below)
    if least is None or (search.minimum is not None and search.minimum >= least):
        return units
    return units.where(at_least(search.by, least))


def refusal(search: Search, n_rows: int, *, counted: bool) -> str | None:
    """Say why a search is not carried out on so many rows; None where it is.

    Parameters
    ----------
    search : Search
        The search.
    n_rows : int
        Rows of the names that it asks for.
    counted : bool
        Whether a table of the release counts what it finds.
    """
    if counted:
        return None
    what, n, most = "This search reads unit by unit", n_rows, MOST["units"]
    if len(search.subject) > 1:
        what = "Several subjects are summarised unit by unit"
        n, most = n_rows * len(search.subject), MOST["several subjects"]
    elif search.subject:
        most = MOST["a subject's places"]
    if n <= most:
        return None
    return (
        f"{what}: {n:,} rows are more than the {most:,} that this page looks through. Choose "
        "a layer, an ROI, or both."
    )
