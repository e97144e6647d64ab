"""The voxels that each unit keeps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["Correlations", "most_correlated"]

Floats = NDArray[np.floating]
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
        |Pearson r|, up to a factor of each unit; what is NaN comes last.
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
    if np.isnan(score.sum()):  # compares with nothing: places would stay unfilled
        score = np.where(np.isnan(score), score.dtype.type(-1), score)
    last = score.shape[1] - n_voxels
    threshold = np.partition(score, last, axis=1)[:, last]
    kept = np.zeros((len(score), n_voxels), dtype=np.int32)
    near = _voxels_from(score, threshold, tolerance, kept)
    for unit in np.flatnonzero(near > 1):
        distance = score[unit] - threshold[unit]
        sure = np.flatnonzero(distance > tolerance)
        close = np.flatnonzero(np.abs(distance) <= tolerance)
        order = np.argsort(-exact(int(unit), close), kind="stable")
        chosen = close[order[: n_voxels - len(sure)]]
        kept[unit] = np.sort(np.concatenate([sure, chosen]))
    return kept


class Correlations:
    """Correlations of voxels with units, to choose voxels by.

    Parameters
    ----------
    x_train : array of shape (n_train, n_voxels)
        Centred responses; no constant voxels.

    Attributes
    ----------
    rows : array of shape (n_voxels, n_train)
        The responses, one voxel a row.
    """

    def __init__(self, x_train: NDArray[np.float64]) -> None:
        self.rows = np.ascontiguousarray(x_train.T)
        self._norm = np.sqrt(np.einsum("vi,vi->v", self.rows, self.rows))

    def select(self, products: Floats, z: NDArray[np.float64], n_voxels: int) -> NDArray[np.int32]:
        """Voxels that each unit keeps.

        Parameters
        ----------
        products : array of shape (n_units, n_voxels)
            z Xᵀ of units and voxels, in single or double precision.
        z : array of shape (n_units, n_train)
            Activations, z-scored.
        n_voxels : int
            Voxels kept, fewer than there are.

        Returns
        -------
        array of shape (n_units, n_voxels)
            Indices, ascending.
        """
        precision = float(np.finfo(products.dtype).eps)
        return most_correlated(
            np.abs(products) / self._norm.astype(products.dtype),
            n_voxels,
            tolerance=16 * precision * np.sqrt(z.shape[1] - 1),
            exact=lambda unit, voxels: (
                np.abs((self.rows[voxels] * z[unit]).sum(axis=1)) / self._norm[voxels]
            ),
        )


@njit(nogil=True, cache=True)
def _voxels_from(
    score: Floats, threshold: Floats, tolerance: float, kept: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Fill ``kept`` (n_units, k) with the first k voxels of each unit that reach its threshold.

    Returns how many voxels of each unit lie within ``tolerance`` of its threshold.
    """
    n_units, n_voxels = score.shape
    near = np.zeros(n_units, dtype=np.int64)
    for unit in range(n_units):
        found = 0
        limit = threshold[unit]
        for voxel in range(n_voxels):
            value = score[unit, voxel]
            if value >= limit and found < kept.shape[1]:
                kept[unit, found] = voxel
                found += 1
            if abs(value - limit) <= tolerance:
                near[unit] += 1
    return near
