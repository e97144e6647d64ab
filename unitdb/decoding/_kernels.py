# ruff: noqa: ANN001, ANN202 - numba compiles a version for each type
"""The loops over matrix elements that NumPy has no fast way for, compiled and free of the lock."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["gather_upper", "pivot_ratio", "voxels_from"]


@njit(nogil=True, cache=True)
def gather_upper(matrix, index, out):  # type: ignore[no-untyped-def]
    """Copy the upper triangle of ``matrix[index[u]][:, index[u]]`` to ``out[u]``, for each u.

    Each row of the matrix is used for all that need it before the next is fetched: a matrix of
    many voxels is larger than the caches.

    Parameters
    ----------
    matrix : array of shape (n_voxels, n_voxels)
    index : array of shape (n_units, n), ascending along rows
        Unsigned integers are twice as fast: they cannot count from the end.
    out : array of shape (n_units, n, n)
    """
    n_units, n = index.shape
    place = np.zeros(n_units, dtype=np.int64)
    for voxel in range(len(matrix)):
        row = matrix[voxel]
        for unit in range(n_units):
            i = place[unit]
            if i < n and index[unit, i] == voxel:
                place[unit] = i + 1
                columns, to = index[unit, i:], out[unit, i, i:]
                for j in range(len(to)):
                    to[j] = row[columns[j]]


@njit(nogil=True, cache=True)
def pivot_ratio(factor):  # type: ignore[no-untyped-def]
    """Smallest over largest squared diagonal element: an upper bound of 1 / condition number."""
    low = high = factor[0, 0]
    for i in range(len(factor)):
        low = min(low, factor[i, i])
        high = max(high, factor[i, i])
    return (low / high) ** 2


@njit(nogil=True, cache=True)
def voxels_from(score, threshold, tolerance, kept):  # type: ignore[no-untyped-def]
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
