"""Channels of maps compared by means of few decoded units each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["shrunken"]

Array = NDArray[np.float64]
_KNOWN = 0.05  # of the largest error: without, few whole channels would outweigh all others


def shrunken(rows: pd.DataFrame, whole: Mapping[str, int]) -> pd.DataFrame:
    """Draw the mean of each channel towards that of all, the more the fewer of its units it is of.

    ``shrunk_r = m + (mean_r − m) τ² / (τ² + e)`` in each layer and ROI, with the error
    ``e = s²/n (1 − n/N)`` of the mean of n of N units, s² the variance of units within channels
    (pooled), τ² the variance between channels and m their mean, both weighted by what is known of
    each channel (DerSimonian & Laird 1986, doi:10.1016/0197-2456(86)90046-2). The best of a
    thousand single units is an extreme of units, not a channel that is brain-like; a channel that
    is decoded whole keeps its mean.

    Parameters
    ----------
    rows : DataFrame
        ``layer``, ``roi``, ``n_units``, ``mean_r``, ``sd_over_units`` of each channel.
    whole : mapping of str to int
        Units of a channel by layer, of layers that have maps or tokens. Others are left out: their
        channels are units.

    Returns
    -------
    DataFrame
        Rows of these layers with ``shrunk_r``; without layers of which no two units of a channel
        are decoded, unless a channel is one unit.
    """
    rows = rows[rows["layer"].astype(str).isin(whole)].dropna(subset="mean_r").copy()
    rows["shrunk_r"] = np.nan
    for (layer, _), of in rows.groupby([rows["layer"].astype(str), rows["roi"].astype(str)]):
        n, means = of["n_units"].to_numpy(float), of["mean_r"].to_numpy(float)
        error = np.clip(1 - n / whole[str(layer)], 0, 1) / n
        if error.any():
            free = (n - 1).sum()
            if not free:
                continue
            squares = (n - 1) * np.nan_to_num(of["sd_over_units"].to_numpy(float)) ** 2
            error *= squares.sum() / free
        rows.loc[of.index, "shrunk_r"] = _drawn(means, error)
    return rows.dropna(subset="shrunk_r")


def _drawn(means: Array, error: Array) -> Array:
    """Means, each drawn to that of all by its own error; without errors as they are."""
    if not error.any() or len(means) < 2:
        return means
    weight = 1 / np.maximum(error, _KNOWN * error.max())
    centre = np.average(means, weights=weight)
    spread = (weight * (means - centre) ** 2).sum() - (len(means) - 1)
    between = max(0.0, spread / (weight.sum() - (weight**2).sum() / weight.sum()))
    centre = np.average(means, weights=1 / (between + 1 / weight))
    return np.where(error > 0, centre + (means - centre) * between / (between + 1 / weight), means)
