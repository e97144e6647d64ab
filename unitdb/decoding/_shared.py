"""Ridge regression on all voxels: one factorisation for all units."""

from __future__ import annotations

import warnings

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from unitdb.errors import IllConditionedError

Array = NDArray[np.float64]

__all__ = ["ridge_hat"]


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
    n_train, n_voxels = x_train.shape
    # Centred samples always have one dependency: without a penalty only the voxels' form can do.
    if alpha > 0 and n_train <= n_voxels:
        gram = x_train @ x_train.T
        gram[np.diag_indices(n_train)] += alpha
        return np.asarray(_solve(gram, x_train @ x_other.T, alpha).T)
    gram = x_train.T @ x_train
    gram[np.diag_indices(n_voxels)] += alpha
    return np.asarray(x_other @ _solve(gram, x_train.T, alpha))


def _solve(gram: Array, right: Array, alpha: float) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("error", scipy.linalg.LinAlgWarning)
        try:
            return np.asarray(scipy.linalg.solve(gram, right, assume_a="pos"))
        except (np.linalg.LinAlgError, scipy.linalg.LinAlgWarning):
            raise IllConditionedError(alpha, unit=None) from None
