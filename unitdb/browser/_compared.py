"""Two things side by side: the same places and people in both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from unitdb.browser import _reads
from unitdb.unitids import UnitId

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unitdb.release import Release

__all__ = ["of_layers", "of_network", "of_unit", "paired", "summarised"]


def of_unit(release: Release, unit: str, where: Mapping[str, str]) -> pd.DataFrame:
    """Accuracies of a unit: ``place`` (its ROI), ``roi``, ``subject``, ``r``.

    Raises
    ------
    UnitdbError
        No such unit.
    """
    UnitId.parse(unit)
    wide: pd.DataFrame = _reads.read(release, "unit", unit)
    rows = wide.reset_index().melt(
        id_vars=["dataset", "condition", "roi"], var_name="subject", value_name="r"
    )
    rows = _plain(rows, ("dataset", "condition", "roi", "subject"))
    return _kept(rows.assign(place=rows["roi"]), where)


def of_layers(release: Release, where: Mapping[str, str]) -> pd.DataFrame:
    """Mean accuracies of layers: ``layer``, ``place`` (and ROI), ``roi``, ``subject``, ``r``."""
    rows = _reads.table(release, "layer_summary").rename(columns={"mean_r": "r"})
    return _kept(rows.assign(place=rows["layer"] + " · " + rows["roi"]), where)


def of_network(release: Release, where: Mapping[str, str]) -> pd.DataFrame:
    """Mean accuracies of each ROI's best layer of a network, the best on average over people."""
    rows = of_layers(release, where)
    means = rows.groupby(["roi", "layer"])["r"].mean()
    if means.empty:
        return rows.assign(place=rows["roi"])
    best = pd.DataFrame(means.groupby("roi").idxmax().tolist(), columns=["roi", "layer"])
    return rows.merge(best, on=["roi", "layer"]).assign(place=lambda found: found["roi"])


def paired(a: pd.DataFrame, b: pd.DataFrame, rois: Sequence[str]) -> pd.DataFrame:
    """People and places that both have: ``place``, ``roi``, ``subject``, ``a``, ``b``.

    Parameters
    ----------
    a, b : DataFrame
        From the other functions here.
    rois : sequence of str
        ROIs that are kept, in their order.
    """
    keys = ["place", "roi", "subject"]
    both = a[[*keys, "r"]].merge(b[[*keys, "r"]], on=keys, suffixes=("_a", "_b"))
    both = both.rename(columns={"r_a": "a", "r_b": "b"}).dropna(subset=["a", "b"])
    both = both[both["roi"].isin(rois)]
    order = {roi: place for place, roi in enumerate(rois)}
    return both.sort_values("roi", key=lambda names: names.map(order), kind="stable")


def summarised(pairs: pd.DataFrame) -> pd.DataFrame:
    """Means over people of each place, and in how many of them the second is higher.

    Returns
    -------
    DataFrame
        ``place``, ``roi``, ``a``, ``b``, ``difference`` (b − a), ``n_higher``, ``n``.
    """
    pairs = pairs.assign(higher=pairs["b"] > pairs["a"])
    found = pairs.groupby(["place", "roi"], sort=False).agg(
        a=("a", "mean"), b=("b", "mean"), n_higher=("higher", "sum"), n=("higher", "size")
    )
    found.insert(2, "difference", found["b"] - found["a"])
    return found.reset_index()


def _kept(rows: pd.DataFrame, where: Mapping[str, str]) -> pd.DataFrame:
    for column, name in where.items():
        rows = rows[rows[column] == name]
    return rows.dropna(subset="r")


def _plain(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    return rows.astype(dict.fromkeys(columns, str))
