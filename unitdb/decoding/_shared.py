"""Ridge regression on all voxels: one factorisation for all units."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from unitdb.errors import IllConditionedError

Array = NDArray[np.float64]

__all__ = ["ridge_hats", "ridge_weights"]


def ridge_hats(x_train: Array, x_others: Sequence[Array], alpha: float) -> list[Array]:
    """Matrices H with  predictions = H y,  for ridge on centred x:  H = X_t (XᵀX + αI)⁻¹ Xᵀ.

    The smaller of the two equal forms is factorised, once: over voxels, or X_t Xᵀ (X Xᵀ + αI)⁻¹
    over samples. Each of ``x_others`` has products of its own: what rounds in one is the same
    whichever stand beside it.

    Parameters
    ----------
    x_train : array of shape (n_train, n_voxels)
    x_others : sequence of array of shape (n_other, n_voxels)
    alpha : float

    Returns
    -------
    list of array of shape (n_other, n_train)

    Raises
    ------
    IllConditionedError
        The system is singular in double precision.
    """
    if _over_samples(x_train, alpha):
        solve = _solver(x_train @ x_train.T, alpha)
        return [solve(x_train @ x_other.T).T for x_other in x_others]
    weights = _solver(x_train.T @ x_train, alpha)(x_train.T)
    return [np.asarray(x_other @ weights) for x_other in x_others]


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
        return np.asarray(_solver(x_train @ x_train.T, alpha)(z).T @ x_train)
    return _solver(x_train.T @ x_train, alpha)(x_train.T @ z).T


def _over_samples(x_train: Array, alpha: float) -> bool:
    # Centred samples always have one dependency: without a penalty only the voxels' form can do.
    n_train, n_voxels = x_train.shape
    return alpha > 0 and n_train <= n_voxels


def _solver(gram: Array, alpha: float) -> Callable[[Array], Array]:
    """Solve  (gram + αI) w = right  for any right side; overwrites ``gram``."""
    gram[np.diag_indices(len(gram))] += alpha
    norm = np.linalg.norm(gram, 1)
    try:
        factor, is_lower = scipy.linalg.cho_factor(gram, check_finite=False)
    except np.linalg.LinAlgError:
        raise IllConditionedError(alpha, unit=None) from None
    inverse_of_condition, _ = scipy.linalg.lapack.dpocon(factor, norm)
    if not inverse_of_condition >= np.finfo(np.float64).eps:
        raise IllConditionedError(alpha, unit=None)
    return lambda right: np.asarray(scipy.linalg.cho_solve((factor, is_lower), right))
