"""Networks of different depth on one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["relative_depth", "spaced"]

_SHOWN = 4
"""ROIs drawn where none is chosen: lines of more cannot be told apart."""


def relative_depth(summary: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """Mean accuracy of each network, layer and ROI by relative depth.

    depth = place of the layer among the decoded layers of its network / (their number − 1)

    Returns
    -------
    DataFrame
        ``model``, ``layer``, ``roi``, ``depth`` (0 to 1), ``r`` (mean over subjects).
    """
    means = summary.groupby(["model", "layer", "roi"])["mean_r"].mean().reset_index()
    means = means.merge(layers[["model", "layer", "depth"]], on=["model", "layer"])
    place = means.groupby("model")["depth"].rank(method="dense") - 1
    last = place.groupby(means["model"]).transform("max")
    return means.assign(depth=(place / last.where(last > 0)).fillna(0.0), r=means["mean_r"])


def spaced(rois: list[str]) -> list[str]:
    """Choose a few ROIs from early to late."""
    if len(rois) <= _SHOWN:
        return rois
    return [rois[round(i * (len(rois) - 1) / (_SHOWN - 1))] for i in range(_SHOWN)]
