"""Permutation of images: the p of an accuracy without an assumption about distributions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unitdb.errors import AnalysisError
from unitdb.resolution import DOUBLE, is_constant, resolution_of, scaled

__all__ = ["permutation_p", "permuted_orders"]

Array = NDArray[np.float64]

_TILE = 256
"""Units that are permuted together: predictions and truth of 50 images stay in the cache."""

_ROUNDING = 1e-12  # sums of products that differ by less, of 1, are ties


def permuted_orders(
    n_images: int, n_permutations: int, *, seed: int, groups: ArrayLike | None = None
) -> NDArray[np.int32]:
    """Random orders of the images: one set for all units, regions and subjects.

    Parameters
    ----------
    n_images : int
        Test images.
    n_permutations : int
        How many; the smallest p is 1 / (1 + n_permutations).
    seed : int
        Of numpy's PCG64.
    groups : array of shape (n_images,), optional
        Images of a group are exchanged among themselves only.

    Returns
    -------
    array of shape (n_permutations, n_images)

    Raises
    ------
    AnalysisError
        No permutations, or groups of another length.

    Examples
    --------
    >>> from unitdb.analysis import permuted_orders
    >>> orders = permuted_orders(4, 2, seed=0, groups=[0, 0, 1, 1])
    >>> np.sort(orders[:, :2])
    array([[0, 1],
           [0, 1]], dtype=int32)
    """
    if n_permutations < 1 or n_images < 1:
        raise AnalysisError(f"{n_permutations} permutations of {n_images} images; 1 at least")
    rng = np.random.Generator(np.random.PCG64(seed))
    label = np.zeros(n_images, dtype=np.intp) if groups is None else np.asarray(groups)
    if label.shape != (n_images,):
        raise AnalysisError(f"groups have shape {label.shape}; it should be ({n_images},)")
    orders = np.empty((n_permutations, n_images), dtype=np.int32)
    for value in np.unique(label):
        rows = np.flatnonzero(label == value).astype(np.int32)
        orders[:, rows] = rng.permuted(np.tile(rows, (n_permutations, 1)), axis=1)
    return orders


def permutation_p(
    predicted: NDArray[np.floating],
    true: NDArray[np.floating],
    orders: NDArray[np.int32],
    *,
    n_jobs: int = 1,
) -> Array:
    """One-sided p of each unit's profile correlation, from permuted images.

    p = (1 + #{π : r_π ≥ r}) / (1 + n_permutations),  r_π the correlation of predictions with the
    truth in the order π. Ties count against the unit. Norms do not depend on the order, so that
    only Σᵢ pᵢ t_π(i) is computed: n_images products a permutation and unit. (A matrix product over
    all pairs of images would take n_images².)

    Exact where the test images are exchangeable given the predictions: a train/test design. In a
    cross-validation each prediction has seen the truth of other test images; permute before
    decoding there (:func:`.empirical_p`).

    Parameters
    ----------
    predicted, true : arrays of shape (n_images, n_units)
        Decoded and true activations; a block of units, as all are independent.
    orders : array of shape (n_permutations, n_images)
        From :func:`permuted_orders`; the same for all blocks.
    n_jobs : int
        Threads.

    Returns
    -------
    array of shape (n_units,)
        NaN where either side is constant or not finite.

    Raises
    ------
    AnalysisError
        Shapes that do not agree.

    References
    ----------
    Phipson & Smyth 2010, doi:10.2202/1544-6115.1585.

    Examples
    --------
    >>> from unitdb.analysis import permutation_p, permuted_orders
    >>> true = np.arange(20.0)[:, None]
    >>> permutation_p(true + 1, true, permuted_orders(20, 99, seed=0))
    array([0.01])
    """
    if predicted.ndim != 2 or predicted.shape != true.shape or orders.shape[1:] != true.shape[:1]:
        raise AnalysisError(
            f"shapes {predicted.shape}, {true.shape} and {orders.shape} are not (images, units), "
            "the same, and (permutations, images)"
        )
    n_units = true.shape[1]
    p = np.empty(n_units)
    count = _compiled()

    def of_tile(start: int) -> None:
        stop = min(start + _TILE, n_units)
        left = _normalised(predicted[:, start:stop], DOUBLE)
        right = _normalised(true[:, start:stop], resolution_of(true.dtype))
        found = np.zeros(stop - start, dtype=np.int64)
        count(left, right, orders, _ROUNDING, found)
        tile = (1.0 + found) / (1.0 + len(orders))
        tile[np.isnan(left[0]) | np.isnan(right[0])] = np.nan
        p[start:stop] = tile

    with ThreadPoolExecutor(n_jobs) as pool:
        list(pool.map(of_tile, range(0, n_units, _TILE)))
    return p


def _normalised(values: NDArray[np.floating], resolution: float) -> Array:
    """Columns with mean 0 and norm 1; NaN where one does not vary."""
    x = scaled(values.astype(np.float64))[0]
    constant = is_constant(x, resolution=resolution)
    x -= x.mean(axis=0)
    norm = np.sqrt(np.einsum("iu,iu->u", x, x))
    norm[constant | (norm == 0)] = np.nan
    return np.asarray(x / norm)


def _count_permutations(
    predicted: Array, true: Array, orders: NDArray[np.int32], slack: float, found: NDArray[np.int64]
) -> None:
    n_images, n_units = predicted.shape
    observed = np.zeros(n_units)
    for i in range(n_images):
        for u in range(n_units):
            observed[u] += predicted[i, u] * true[i, u]
    permuted = np.empty(n_units)
    for k in range(len(orders)):
        permuted[:] = 0.0
        for i in range(n_images):
            row = orders[k, i]
            for u in range(n_units):
                permuted[u] += predicted[i, u] * true[row, u]
        for u in range(n_units):
            if permuted[u] >= observed[u] - slack:
                found[u] += 1


@cache
def _compiled() -> Callable[..., None]:
    import numba  # takes a second to import, and nothing else here needs it

    compiled: Callable[..., None] = numba.njit(nogil=True, cache=False)(_count_permutations)
    return compiled
