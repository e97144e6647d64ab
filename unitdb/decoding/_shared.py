"""Ridge regression on all voxels: one factorisation for all units."""

from __future__ import annotations

import warnings

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from unitdb.errors import IllConditionedError

Array = NDArray[np.float64]

__all__ = ["ridge_hat", "ridge_weights"]


def ridge_hat(x_train: Array, x_other: Array, alpha: float) -> Array:
    """Matrix H with  predictions = H y,  for ridge on centred x:  H = X_t (XᵀX + αI)⁻¹ Xᵀ.

    The smaller of the two equal forms is solved: over voxels, or X_t Xᵀ (X Xᵀ + αI)⁻¹ over
    samples.

    Parameters
    ----------
    x_train : array of shape (n_train, n_voxels)
    x_other : array of shape (n_other, n_voxels)
    alpha : float

    Returns
    -------
    array of shape (n_other, n_train)

    Raises
    ------
    IllConditionedError
        The system is singular in double precision.
    """
    if _over_samples(x_train, alpha):
        return np.asarray(_solve(x_train @ x_train.T, x_train @ x_other.T, alpha).T)
    return np.asarray(x_other @ _solve(x_train.T @ x_train, x_train.T, alpha))


def ridge_weights(x_train: Array, z: Array, alpha: float) -> Array:
    """Weights of ridge on centred x, of all units at once:  W = Zᵀ X (XᵀX + αI)⁻¹.

    Over samples, Zᵀ (X Xᵀ + αI)⁻¹ X, where those are fewer.

    Parameters
    ----------
    x_train : array of shape (n_train, n_voxels)
    z : array of shape (n_train, n_units)
        Centred activations.
    alpha : float

    Returns
    -------
    array of shape (n_units, n_voxels)

    Raises
    ------
    IllConditionedError
        The system is singular in double precision.
    """
    if _over_samples(x_train, alpha):
        return np.asarray(_solve(x_train @ x_train.T, z, alpha).T @ x_train)
    return np.asarray(_solve(x_train.T @ x_train, x_train.T @ z, alpha).T)


def _over_samples(x_train: Array, alpha: float) -> bool:
    # Centred samples always have one dependency: without a penalty only the voxels' form can do.
    n_train, n_voxels = x_train.shape
    return alpha > 0 and n_train <= n_voxels


def _solve(gram: Array, right: Array, alpha: float) -> Array:
    """Solve  (gram + αI) w = right;  overwrites the diagonal of ``gram``."""
    gram[np.diag_indices(len(gram))] += alpha
    with warnings.catch_warnings():
        warnings.simplefilter("error", scipy.linalg.LinAlgWarning)
        try:
            return np.asarray(scipy.linalg.solve(gram, right, assume_a="pos"))
        except (np.linalg.LinAlgError, scipy.linalg.LinAlgWarning):
            raise IllConditionedError(alpha, unit=None) from None
