"""The voxels that each unit keeps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from unitdb.decoding._kernels import voxels_from

__all__ = ["most_correlated"]

Exact = Callable[[int, NDArray[np.intp]], NDArray[np.float64]]


def most_correlated(
    score: NDArray[np.floating], n_voxels: int, *, tolerance: float, exact: Exact
) -> NDArray[np.int32]:
    """Find the ``n_voxels`` voxels with the largest score of each unit; ties to the lower index.

    Scores as accurate as a matrix product gives them decide, except where voxels come so near to
    the last place that rounding would: those few are scored again, exactly.

    Parameters
    ----------
    score : array of shape (n_units, n_roi_voxels)
        |Pearson r|, up to a factor of each unit.
    n_voxels : int
        Voxels kept, fewer than the ROI has.
    tolerance : float
        How much scores may be wrong by.
    exact : callable
        Gives the scores of some voxels for a unit: the same for voxels with the same responses.

    Returns
    -------
    array of shape (n_units, n_voxels)
        Indices, ascending.
    """
    last = score.shape[1] - n_voxels
    threshold = np.partition(score, last, axis=1)[:, last]
    kept = np.empty((len(score), n_voxels), dtype=np.int32)
    near = voxels_from(score, threshold, tolerance, kept)
    for unit in np.flatnonzero(near > 1):
        distance = score[unit] - threshold[unit]
        sure = np.flatnonzero(distance > tolerance)
        close = np.flatnonzero(np.abs(distance) <= tolerance)
        order = np.argsort(-exact(int(unit), close), kind="stable")
        chosen = close[order[: n_voxels - len(sure)]]
        kept[unit] = np.sort(np.concatenate([sure, chosen]))
    return kept
