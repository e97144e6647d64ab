"""All accuracies of a layer in one ROI, reduced to what a page can show."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from unitdb.release.channels import shrunken

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from unitdb.query.layers import Layer
    from unitdb.release import Release

__all__ = ["BINS", "LayerView", "channel_map", "layer_of", "layer_view", "no_place"]

BINS = 60
"""Bins of a side of the density."""
_LOW, _HIGH = 0.001, 0.999
"""Axes span the quantiles between which nearly all units lie, not a lone extreme."""


@dataclass(frozen=True, kw_only=True)
class LayerView:
    """A layer in one ROI.

    Parameters
    ----------
    n_units : int
        Units decoded.
    subjects : list of str
        Subjects, columns of the accuracies.
    edges : array of shape (BINS + 1,)
        Edges of the density's bins, Pearson r, the same for all pairs; the outermost bins hold what
        lies beyond.
    density : dict of (str, str) to array of shape (BINS, BINS)
        For each pair of subjects, the number of units in each bin: the first subject down, the
        second across.
    channels : DataFrame
        ``channel``, ``n_units``, ``mean_r``: mean over subjects, then units; ``shrunk_r``: that
        mean drawn to that of all channels (:func:`unitdb.release.channels.shrunken`), NaN where
        lone units tell nothing of channels; the best first. Empty where it is not known which axis
        counts channels.
    places : DataFrame
        ``row``, ``column``, ``n_units``, ``mean_r``, over channels; empty for layers without a map.
    """

    n_units: int
    subjects: list[str]
    edges: NDArray[np.float64]
    density: dict[tuple[str, str], NDArray[np.int64]]
    channels: pd.DataFrame
    places: pd.DataFrame


def layer_view(release: Release, model: str, layer: str, roi: str, **where: str) -> LayerView:
    """Read a layer once and bin it; errors as of ``Release.accuracies``."""
    frame = release.accuracies(model, layer, roi, **where)
    this = layer_of(release, model, layer)
    subjects = [str(subject) for subject in frame.columns]
    columns = [frame[subject].to_numpy() for subject in frame.columns]
    edges = _edges(columns)
    bins = [_bins(column, edges) for column in columns]
    density = {
        (subjects[a], subjects[b]): _density(bins[a], bins[b])
        for a, b in combinations(range(len(subjects)), 2)
    }
    units = frame.index.to_numpy()
    means = _means(columns)
    channels = _channels(units, means, this)
    places = _grouped(units[:0], means[:0], 0)
    if this.map_size is not None:
        height, width = this.map_size
        row, column = _row_and_column(units, this)
        places = _grouped(row * width + column, means, height * width)
        places.insert(0, "row", places["group"] // width)
        places.insert(1, "column", places.pop("group") % width)
    return LayerView(
        n_units=len(frame),
        subjects=subjects,
        edges=edges,
        density=density,
        channels=channels,
        places=places,
    )


def layer_of(release: Release, model: str, layer: str) -> Layer:
    """What the release says of a layer."""
    (found,) = (one for one in release.layers if (one.model, one.layer) == (model, layer))
    return found


def no_place(layer: Layer) -> str:
    """Why there is no map of a layer."""
    if layer.axes is None:
        return "The release does not say which axes of this layer are channels, and which places."
    return "Units of this layer have no place: they answer to the whole picture."


def channel_map(units: pd.DataFrame, layer: Layer) -> pd.DataFrame:
    """Row and column in the map of units of one channel: ``row``, ``column``, ``mean_r``."""
    row, column = _row_and_column(units["unit"].to_numpy(), layer)
    return units[["unit", "mean_r"]].assign(row=row, column=column)


def _row_and_column(
    units: NDArray[np.int64], layer: Layer
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    row, column = layer.row, layer.column
    return units // row.step % row.size, units // column.step % column.size


def _edges(columns: list[NDArray[np.float32]]) -> NDArray[np.float64]:
    low, high = np.inf, -np.inf
    for column in columns:
        known = column[np.isfinite(column)]
        if len(known):
            ends = np.quantile(known[:: max(1, len(known) // 100_000)], [_LOW, _HIGH])
            low, high = min(low, float(ends[0])), max(high, float(ends[1]))
    if not low < high:
        low, high = (0.0, 1.0) if low > high else (low - 0.01, high + 0.01)
    return np.linspace(low, high, BINS + 1)


def _bins(r: NDArray[np.float32], edges: NDArray[np.float64]) -> NDArray[np.int16]:
    """Bin of each unit, 0 to BINS − 1; BINS where it has no accuracy."""
    scale = BINS / (edges[-1] - edges[0])
    places = np.clip((r - edges[0]) * scale, 0, BINS - 1)
    return np.where(np.isnan(places), BINS, places).astype(np.int16)


def _density(a: NDArray[np.int16], b: NDArray[np.int16]) -> NDArray[np.int64]:
    """Units with an accuracy in both, by their bins."""
    side = BINS + 1
    counts = np.bincount(a * np.int16(side) + b, minlength=side**2)
    return counts.reshape(side, side)[:BINS, :BINS]


def _means(columns: list[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Mean over subjects of each unit, in double precision; NaN where none has an accuracy."""
    total, n = np.zeros(len(columns[0])), np.zeros(len(columns[0]), np.int16)
    for column in columns:
        known = np.isfinite(column)
        total[known] += column[known]
        n += known
    means = np.full(len(total), np.nan)
    np.divide(total, n, out=means, where=n > 0)
    return means


def _channels(units: NDArray[np.int64], means: NDArray[np.float64], layer: Layer) -> pd.DataFrame:
    """Channels by their means, drawn to that of all where few of their units are decoded."""
    known = np.isfinite(means) & (layer.axes is not None)
    units, means = units[known], means[known]
    size = layer.channel.size if len(units) else 0
    group = units // layer.channel.step % size if size else units
    found = _grouped(group, means, size).rename(columns={"group": "channel"})
    centres = np.zeros(size)
    centres[found["channel"]] = found["mean_r"]
    squares = np.bincount(group, weights=(means - centres[group]) ** 2, minlength=size)
    free = np.maximum(found["n_units"] - 1, 1)
    found["sd_over_units"] = np.sqrt(squares[found["channel"]] / free)
    whole = {layer.layer: layer.n_units // size} if size else {}
    found["shrunk_r"] = shrunken(found.assign(layer=layer.layer, roi=""), whole)["shrunk_r"]
    order = ["shrunk_r", "mean_r", "channel"]
    return found.drop(columns="sd_over_units").sort_values(order, ascending=[False, False, True])


def _grouped(groups: NDArray[np.int64], means: NDArray[np.float64], n: int) -> pd.DataFrame:
    """Mean of units with an accuracy, of each group that has one."""
    import pandas as pd

    known = np.isfinite(means)
    counts = np.bincount(groups[known], minlength=n)
    totals = np.bincount(groups[known], weights=means[known], minlength=n)
    there = np.flatnonzero(counts)
    return pd.DataFrame(
        {"group": there, "n_units": counts[there], "mean_r": totals[there] / counts[there]}
    )
