"""Centring, scaling and the penalty: what comes before ridge regression."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from unitdb.errors import ResponsesError
from unitdb.resolution import is_constant, scaled

Array = NDArray[np.float64]

__all__ = ["check_held", "normalise", "penalty", "standardise", "statistics"]


def standardise(train: Array, *, resolution: float | None = None) -> tuple[Array, Array, Array]:
    """Columns with mean 0 and SD 1 (ddof=1), and both as they were.

    A column that is constant becomes exactly zero, its mean is its first value and its SD 1: what
    it varies by is rounding, and would be scaled up. The z-scores of other columns do not depend on
    their size: scaled by a power of two they have the same bits.

    Parameters
    ----------
    train : array of shape (n_train, n_columns)
    resolution : float, optional
        Of :func:`unitdb.resolution.is_constant`.

    Returns
    -------
    z : array of shape (n_train, n_columns)
    mean, sd : arrays of shape (n_columns,)
    """
    small, exponent = _scaled(train)
    mean, sd, constant = _moments(small, resolution)
    z = (small - mean) / sd
    z[:, constant] = 0.0
    return z, *_raw(mean, sd, constant, exponent)


def statistics(train: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Mean and SD (ddof=1) of columns, and which are constant: as :func:`standardise` has them."""
    small, exponent = _scaled(train)
    mean, sd, constant = _moments(small)
    return *_raw(mean, sd, constant, exponent), constant


def normalise(train: Array, other: Array, *, zscore: bool) -> tuple[Array, Array]:
    """Centre columns with the training mean; with ``zscore`` divide by the training SD (ddof=1).

    A column that is constant in training becomes exactly zero there, and is left unscaled.

    Parameters
    ----------
    train : array of shape (n_train, n_columns)
    other : array of shape (n_other, n_columns)
        Infinite in the result where it exceeds what float64 holds beside the training values:
        :func:`check_held`.
    zscore : bool

    Returns
    -------
    train, other : arrays of the given shapes
    """
    small, exponent = _scaled(train)
    mean, sd, constant = _moments(small)
    raw_mean, _ = _raw(mean, sd, constant, exponent)
    with np.errstate(over="ignore"):
        if zscore:
            z, others = (small - mean) / sd, (np.ldexp(other, -exponent) - mean) / sd
            others[:, constant] = other[:, constant] - raw_mean[constant]
        else:
            z, others = train - raw_mean, other - raw_mean
    z[:, constant] = 0.0
    return z, others


def check_held(train: Array, other: Array, *, columns: NDArray[np.intp], dtype: DTypeLike) -> None:
    """Refuse normalised voxels whose squares, or products with them, floats cannot hold.

    Parameters
    ----------
    train : array of shape (n_train, n_columns)
        Normalised: z-scored voxels always can be held.
    other : array of shape (n_other, n_columns)
        Normalised with them; NaN passes.
    columns : array of int of shape (n_columns,)
        Numbers of the voxels.
    dtype : dtype
        What is computed in.

    Raises
    ------
    ResponsesError
        Names the first such voxel, and what to do.
    """
    dtype = np.dtype(dtype)
    info = np.finfo(dtype)
    small, exponent = _scaled(train)
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 is refused; infinity and NaN likewise
        power = np.log2(np.einsum("ij,ij->j", small, small)) + 2.0 * exponent
    # A float's digits away from the ends: products keep theirs.
    lost = ~((power >= info.minexp + info.nmant) & (power <= info.maxexp - info.nmant))
    if lost.any():
        first = int(lost.argmax())
        size = np.abs(train[:, first]).max()
        raise ResponsesError(
            f"voxel {columns[first]} varies by {size:.3g}, whose square {dtype.name} cannot hold: "
            "z-score voxels (zscore: true), or give them in other units"
        )
    far = (np.abs(other) > 2.0 ** (info.maxexp - info.nmant)).any(axis=0)
    if far.any():
        raise ResponsesError(
            f"voxel {columns[int(far.argmax())]}: held-out rows are further from its training "
            f"mean, beside its training SD, than {dtype.name} can hold; leave it out"
        )


def _scaled(train: Array) -> tuple[Array, NDArray[np.int32]]:
    small, exponent = scaled(np.asarray(train, dtype=np.float64))
    return np.asarray(small, dtype=np.float64), exponent


def _moments(
    train: Array, resolution: float | None = None
) -> tuple[Array, Array, NDArray[np.bool_]]:
    mean, sd = train.mean(axis=0), train.std(axis=0, ddof=1)
    constant = is_constant(train, resolution=resolution)
    mean[constant] = train[0, constant]
    sd[constant] = 1.0
    return mean, sd, constant


def _raw(
    mean: Array,
    sd: Array,
    constant: NDArray[np.bool_],
    exponent: NDArray[np.int32],
) -> tuple[Array, Array]:
    """Mean and SD of columns that were scaled, as the given columns have them."""
    return np.ldexp(mean, exponent), np.where(constant, 1.0, np.ldexp(sd, exponent))


def penalty(x: Array, *, alpha: float, relative: bool) -> float:
    """Ridge penalty: ``alpha``, or ``alpha`` · trace(X Xᵀ) / n of the centred training X."""
    return alpha * float(np.einsum("ij,ij->", x, x)) / len(x) if relative else alpha
