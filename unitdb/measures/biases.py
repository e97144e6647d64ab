"""The bias of gains: what simulated brains have that decode as well as real ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from unitdb.tables import Rows

__all__ = ["COLUMNS", "CONTROLS", "Bias", "Key", "bias_at", "biases", "mean_of_known"]

Array = NDArray[np.float64]
Key: TypeAlias = tuple[str, ...]

Bias: TypeAlias = Mapping[Key, tuple[float, float]]
"""By dataset, condition, model, layer, method, ROI and control: bias and its standard error."""

CONTROLS = ("noise", "encode-decode")
COLUMNS = {"noise": "noise", "encode-decode": "null"}
"""How names of their columns begin."""
_DECODED = ("dataset", "model", "layer", "method", "roi")
_PLACE = ("dataset", "condition", "model", "layer", "method", "roi")


def bias_at(reached: Array, gains: Array, r: float) -> tuple[float, float]:
    """Gain of simulated brains that decode as well as real ones.

    A parabola in r_original is fitted to all of them by least squares, a line where they have two
    noises and a mean where they have one, and read off at r.

    Parameters
    ----------
    reached, gains : arrays of shape (n_noises, n_brains)
        Mean r_original of pictures shown as they are, and gain, of each brain.
    r : float
        What real brains reach.

    Returns
    -------
    bias, standard error : float
        NaN where r is outside of what the brains reach: no curve is continued.
    """
    known = ~np.isnan(reached + gains)
    x, y = reached[known], gains[known]
    if math.isnan(r) or not len(x) or not x.min() <= r <= x.max():
        return math.nan, math.nan
    terms = np.vander(x - r, min(3, int(known.any(axis=1).sum())), increasing=True)
    coefficients, *_ = np.linalg.lstsq(terms, y, rcond=None)
    left = len(y) - terms.shape[1]
    variance = np.square(y - terms @ coefficients).sum() / left if left > 0 else np.nan
    se = np.sqrt(variance * np.linalg.pinv(terms.T @ terms)[0, 0])
    return float(coefficients[0]), float(se)


def biases(rows: Rows, simulated: Rows, degraded: Set[tuple[str, str]]) -> Bias:
    """Bias of each gain.

    Parameters
    ----------
    rows : list of dict
        Of ``modulation``.
    simulated : list of dict
        Of ``modulation_simulated``.
    degraded : set of (str, str)
        Dataset and stimulus of those that were not shown as they are.
    """
    sharp: dict[Key, dict[str, list[float]]] = {}
    for row in rows:
        if (row["dataset"], row["stimulus"]) not in degraded:
            of = sharp.setdefault(tuple(row[name] for name in _DECODED), {})
            of.setdefault(row["subject"], []).append(_number(row["r_original"]))
    real = {
        key: float(mean_of_known(np.array([mean_of_known(np.array(r)) for r in of.values()])))
        for key, of in sharp.items()
    }
    groups: dict[Key, Rows] = {}
    for row in simulated:
        groups.setdefault(tuple(row[name] for name in _PLACE), []).append(row)
    found = {}
    for key, own in groups.items():
        r = real.get((key[0], *key[2:]), math.nan)
        for control in CONTROLS:
            reached, gains = (
                _by_noise(own, column) for column in ("r_original", f"{COLUMNS[control]}_gain")
            )
            found[*key, control] = bias_at(reached, gains, r)
    return found


def mean_of_known(values: Array) -> Array:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    n = known.sum(axis=-1)
    sums = np.where(known, values, 0.0).sum(axis=-1)
    return np.asarray(np.where(n > 0, sums / np.maximum(n, 1), np.nan))


def _by_noise(rows: Rows, column: str) -> Array:
    """Values (n_noises, n_brains), both ascending; NaN where there is none."""
    noises, brains = (
        {each: place for place, each in enumerate(sorted({row[of] for row in rows}))}
        for of in ("noise", "brain")
    )
    values = np.full((len(noises), len(brains)), np.nan)
    for row in rows:
        values[noises[row["noise"]], brains[row["brain"]]] = _number(row[column])
    return values


def _number(value: float | None) -> float:
    return math.nan if value is None else value
