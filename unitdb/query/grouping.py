"""How many rows of a selection there are of each kind, and their summaries over units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.errors import UnknownColumnError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

__all__ = ["binned", "facets", "summarise"]

_NAMES = ("dataset", "condition", "model", "layer", "roi")
_MEASURES = ("mean_r", "min_r", "max_r", "lead_r")
_OVER_UNITS = """
count(*) AS n_units,
  CAST(avg(CAST(mean_r AS DOUBLE)) AS FLOAT) AS mean_r,
  CAST(stddev_samp(CAST(mean_r AS DOUBLE)) AS FLOAT) AS sd_over_units,
  min(mean_r) AS lowest_mean_r, max(mean_r) AS highest_mean_r
""".strip()


def facets(read: Callable[[str], pd.DataFrame], columns: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Count rows by name, in one pass (see ``UnitSet.facets``).

    Parameters
    ----------
    read : callable
        Runs a SELECT over the rows, which stand for ``{}`` in it.
    columns : sequence of str
        Columns of names; all where there is none.

    Raises
    ------
    UnknownColumnError
        A column that is not one of names.
    """
    for column in columns:
        if column not in _NAMES:
            raise UnknownColumnError(column, _NAMES, where="the facets of units")
    names = ", ".join(_NAMES)
    # Names are few: all combinations are counted once, and added up here.
    counts = read(f"SELECT {names}, count(*) AS n_rows\nFROM {{}}\nGROUP BY {names}")
    found = {}
    for column in columns or _NAMES:
        keys = ["model", "layer"] if column == "layer" else [column]
        found[column] = counts.groupby(keys, observed=True)["n_rows"].sum().reset_index()
        found[column].attrs.update(counts.attrs)
    return found


def binned(read: Callable[[str], pd.DataFrame], by: str) -> pd.DataFrame:
    """Count rows of each name by hundredths of a measure (see ``UnitSet.histogram``).

    Parameters
    ----------
    read : callable
        As of :func:`facets`.
    by : str
        The measure.

    Raises
    ------
    UnknownColumnError
        A column whose values are not accuracies, or differences of them.
    """
    if by not in _MEASURES:
        raise UnknownColumnError(by, _MEASURES, where="the measures that have a histogram")
    names = ", ".join(_NAMES)
    most = 200 if by == "lead_r" else 100
    hundredths = f"least(greatest(floor(100 * CAST({by} AS DOUBLE)), -{most}), {most - 1})"
    return read(
        f"SELECT {names}, CAST({hundredths} AS INTEGER) AS bin, count(*) AS n_units\n"
        f"FROM {{}}\nWHERE {by} IS NOT NULL\nGROUP BY {names}, bin\nORDER BY {names}, bin"
    )


def summarise(read: Callable[[str], pd.DataFrame], *, channel: str | None = None) -> pd.DataFrame:
    """Summarise over units (see ``UnitSet.by_layer`` and ``UnitSet.by_channel``).

    Parameters
    ----------
    read : callable
        As of :func:`facets`.
    channel : str, optional
        SQL of a unit's channel, to summarise for each.
    """
    keys = ", ".join([*_NAMES, *(["channel"] if channel else [])])
    rows = f"(SELECT *, {channel} AS channel FROM {{}})" if channel else "{}"
    return read(f"SELECT {keys},\n  {_OVER_UNITS}\nFROM {rows}\nGROUP BY {keys}\nORDER BY {keys}")
