"""Rank correlation of two ordered categories, from how often each pair of them occurs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["spearman_of_counts"]


def spearman_of_counts(counts: NDArray[np.number]) -> NDArray[np.float64]:
    """Spearman correlation of row and column over the cases of a table, ties included.

    All cases of row i share the mid-rank  Σ_{k<i} n_k + (n_i + 1) / 2,  so that twice its distance
    to the mean rank is the whole number  uᵢ = 2 Σ_{k<i} n_k + n_i − N;  likewise vⱼ for columns.
    ρ = Σᵢⱼ n_ij uᵢ vⱼ / √(Σᵢ n_i uᵢ² · Σⱼ n_j vⱼ²),  which no list of cases is needed for.

    Parameters
    ----------
    counts : array of shape (..., n_rows, n_columns)
        Cases, or weights of cases, of each pair; rows and columns in their order.

    Returns
    -------
    array of shape (...)
        NaN where all cases are of one row or of one column, or there are none.

    Examples
    --------
    >>> from unitdb.analysis import spearman_of_counts
    >>> float(spearman_of_counts(np.array([[5, 0], [0, 5]])))
    1.0
    """
    n = np.asarray(counts, dtype=np.float64)
    rows, columns = n.sum(axis=-1), n.sum(axis=-2)
    u, v = _centred_ranks(rows), _centred_ranks(columns)
    scatter = np.sqrt((rows * u**2).sum(axis=-1)) * np.sqrt((columns * v**2).sum(axis=-1))
    products = np.einsum("...ij,...i,...j->...", n, u, v)
    single = ((rows > 0).sum(axis=-1) < 2) | ((columns > 0).sum(axis=-1) < 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(single, np.nan, np.clip(products / scatter, -1, 1)))


def _centred_ranks(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Twice the distance of each category's mid-rank to the mean rank."""
    return np.asarray(2 * np.cumsum(sizes, axis=-1) - sizes - sizes.sum(axis=-1, keepdims=True))
