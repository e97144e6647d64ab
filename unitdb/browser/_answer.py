"""What a release found, in the numbers of its first page: matrices with chance, score, counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from unitdb import reference

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PUBLISHED_ROIS", "best_score", "cells", "significant"]

PUBLISHED_ROIS = ["V1", "V2", "V3", "V4", "HVC"]
"""Regions of the published scores: others are not comparable."""
_MEASURES = {
    "accuracy": ("mean_r", "mean_low", "mean_high"),
    "agreement": ("pearson_r", "pearson_low", "pearson_high"),
}
_KINDS = ("average", "decoding", "encoding")


def cells(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Means over people (or their pairs) of each layer and ROI, beside chance.

    Parameters
    ----------
    rows : DataFrame
        ``layer_summary`` (accuracy) or ``intersubject`` (agreement) of one dataset, condition and
        network.
    measure : {"accuracy", "agreement"}

    Returns
    -------
    DataFrame
        ``layer``, ``roi``, ``r``, ``low`` and ``high`` (means of the ends of the 95 % intervals of
        each person or pair; wider than that of the mean), ``chance`` (of the controls; 0 without),
        ``n``, and ``n_above``: people or pairs whose interval lies above chance, NaN where there is
        no interval.
    """
    r, low, high = _MEASURES[measure]
    known = rows.dropna(subset=[r])
    chance = known["chance_r"] if "chance_r" in known else pd.Series(pd.NA, known.index)
    chance = pd.to_numeric(chance).fillna(0.0)
    ends = {name: known[name] if name in known else float("nan") for name in (low, high)}
    known = known.assign(r=known[r], low=ends[low], high=ends[high], chance=chance)
    known["above"] = (known["low"] > known["chance"]).where(known["low"].notna())
    found = known.groupby(["layer", "roi"], observed=True).agg(
        r=("r", "mean"),
        low=("low", "mean"),
        high=("high", "mean"),
        chance=("chance", "mean"),
        n=("r", "size"),
        n_above=("above", lambda column: column.sum() if column.notna().all() else float("nan")),
    )
    return found.reset_index().astype({"n_above": float})


def best_score(rows: pd.DataFrame) -> tuple[str, str, str] | None:
    """The BH score to show first: its number, its interval and chance, and what it may be beside.

    Parameters
    ----------
    rows : DataFrame
        ``hierarchy`` of one dataset, condition and network.

    Returns
    -------
    (str, str, str) or None
        None where there is no score.
    """
    known = rows.dropna(subset="score") if len(rows) else rows
    if len(known) and "nonaka2021" in set(known["method"]):
        known = known[known["method"] == "nonaka2021"]
    kinds = [kind for kind in _KINDS if kind in set(known["kind"])] if len(known) else []
    if not kinds:
        return None
    row: Mapping[Any, Any] = known[known["kind"] == kinds[0]].iloc[0].to_dict()
    regions = [str(roi) for roi in row["rois"]]
    interval = (
        f"{kinds[0]}, chance {0.0 if pd.isna(row['chance_score']) else row['chance_score']:.2f}"
    )
    if pd.notna(row["score_low"]):
        interval = f"95 %: {row['score_low']:.2f} to {row['score_high']:.2f}; {interval}"
    beside = f"{row['method']}, of {', '.join(regions)}: not comparable with published scores"
    if regions == PUBLISHED_ROIS and row["method"] == "nonaka2021":
        placed = reference.place(float(row["score"]), by=f"bh_{kinds[0]}")  # type: ignore[arg-type]
        beside = placed.place
    return f"{row['score']:.2f}", interval, beside


def significant(rows: pd.DataFrame) -> tuple[str, int, int] | None:
    """Where most units are significant: the ROI, how many on average over people, and of how many.

    Parameters
    ----------
    rows : DataFrame
        ``layer_summary`` of one dataset, condition and network.
    """
    known = rows.dropna(subset="n_significant")
    if known.empty:
        return None
    of_each = known.groupby(["roi", "subject"], observed=True)[["n_significant", "n_units"]].sum()
    means = of_each.groupby("roi", observed=True).mean()
    most = means.sort_values("n_significant", ascending=False).reset_index().iloc[0]
    return str(most["roi"]), round(most["n_significant"]), round(most["n_units"])
