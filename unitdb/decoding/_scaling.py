"""Centring, scaling and the penalty: what comes before ridge regression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unitdb.resolution import is_constant

Array = NDArray[np.float64]

__all__ = ["normalise", "penalty", "standardise"]


def standardise(train: Array) -> tuple[Array, Array, Array]:
    """Columns with mean 0 and SD 1 (ddof=1), and both as they were.

    A column that is constant becomes exactly zero, its mean is its first value and its SD 1: what
    it varies by is rounding, and would be scaled up.

    Parameters
    ----------
    train : array of shape (n_train, n_columns)

    Returns
    -------
    z : array of shape (n_train, n_columns)
    mean, sd : arrays of shape (n_columns,)
    """
    mean, sd, constant = _statistics(train)
    z = (train - mean) / sd
    z[:, constant] = 0.0
    return z, mean, sd


def normalise(train: Array, other: Array, *, zscore: bool) -> tuple[Array, Array]:
    """Centre columns with the training mean; with ``zscore`` divide by the training SD (ddof=1).

    A column that is constant in training becomes exactly zero there, and is left unscaled.

    Parameters
    ----------
    train : array of shape (n_train, n_columns)
    other : array of shape (n_other, n_columns)
    zscore : bool

    Returns
    -------
    train, other : arrays of the given shapes
    """
    mean, sd, constant = _statistics(train)
    z, others = train - mean, other - mean
    z[:, constant] = 0.0
    return (z / sd, others / sd) if zscore else (z, others)


def _statistics(train: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    mean, sd, constant = train.mean(axis=0), train.std(axis=0, ddof=1), is_constant(train)
    mean[constant] = train[0, constant]
    sd[constant] = 1.0
    return mean, sd, constant


def penalty(x: Array, *, alpha: float, relative: bool) -> float:
    """Ridge penalty: ``alpha``, or ``alpha`` · trace(X Xᵀ) / n of the centred training X."""
    return alpha * float(np.einsum("ij,ij->", x, x)) / len(x) if relative else alpha
