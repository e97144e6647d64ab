"""Numbers by layer, as figures of matplotlib and of the browser both show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

__all__ = ["degraded", "in_order", "layer_matrix", "relative_depth", "spaced"]

_SHOWN = 4
"""ROIs drawn where none is chosen: lines of more cannot be told apart."""


def in_order(layers: pd.DataFrame, model: str, held: Iterable[str]) -> list[str]:
    """Layers by depth, those of all together last.

    Parameters
    ----------
    layers : DataFrame
        The table ``layers``.
    model : str
        Whose layers.
    held : iterable of str
        Names that occur.

    Returns
    -------
    list of str
        Each once.
    """
    here = set(held)
    known = layers[layers["model"] == model].sort_values("depth")["layer"].astype(str)
    return [layer for layer in known if layer in here] + sorted(
        layer for layer in here if layer.startswith("*")
    )


def layer_matrix(
    rows: pd.DataFrame, measure: str, layers: list[str], rois: list[str]
) -> pd.DataFrame:
    """A number by layer and ROI, such as of ``identification_summary``; mean over other columns.

    Returns
    -------
    DataFrame of shape (n_layers, n_rois)
        NaN where there is none.
    """
    wide = rows.pivot_table(
        index="layer", columns="roi", values=measure, dropna=False, observed=False
    )
    return wide.reindex(index=layers, columns=rois)


def degraded(summary: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``modulation_summary`` of sets that show degraded pictures.

    Returns
    -------
    DataFrame
        Also those without a bias, and so without p.
    """
    return summary[(summary["r_original"] - summary["r_stimulus"]).abs() > 0]


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
    """Choose a few ROIs from early to late.

    Returns
    -------
    list of str
        All where they are few.
    """
    if len(rois) <= _SHOWN:
        return rois
    return [rois[round(i * (len(rois) - 1) / (_SHOWN - 1))] for i in range(_SHOWN)]
