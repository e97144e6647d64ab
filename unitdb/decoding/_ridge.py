"""Ridge regression on the voxels of one ROI, for many units at once."""

from __future__ import annotations

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Array = NDArray[np.float64]

__all__ = ["SelectedRidge", "normalise", "penalty", "ridge_hat", "top_voxels"]


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
    mean = train.mean(axis=0)
    constant = train.max(axis=0) == train.min(axis=0)
    mean[constant] = train[0, constant]
    if not zscore:
        return train - mean, other - mean
    sd = train.std(axis=0, ddof=1)
    sd[constant] = 1.0
    return (train - mean) / sd, (other - mean) / sd


def penalty(x: Array, *, alpha: float, relative: bool) -> float:
    """Ridge penalty: ``alpha``, or ``alpha`` · trace(X Xᵀ) / n of the centred training X."""
    return alpha * float(np.einsum("ij,ij->", x, x)) / len(x) if relative else alpha


def ridge_hat(x_train: Array, x_test: Array, alpha: float) -> Array:
    """Matrix H with  predictions = H y,  for ridge on centred x:  H = X_t (XᵀX + αI)⁻¹ Xᵀ.

    The smaller of the two equal forms is solved: over voxels, or X_t Xᵀ (X Xᵀ + αI)⁻¹ over
    samples.

    Parameters
    ----------
    x_train : array of shape (n_train, n_voxels)
    x_test : array of shape (n_test, n_voxels)
    alpha : float

    Returns
    -------
    array of shape (n_test, n_train)
    """
    n_train, n_voxels = x_train.shape
    if n_train <= n_voxels:
        gram = x_train @ x_train.T
        gram[np.diag_indices(n_train)] += alpha
        return np.asarray(scipy.linalg.solve(gram, x_train @ x_test.T, assume_a="pos").T)
    gram = x_train.T @ x_train
    gram[np.diag_indices(n_voxels)] += alpha
    return np.asarray(x_test @ scipy.linalg.solve(gram, x_train.T, assume_a="pos"))


def top_voxels(correlation: Array, n_voxels: int) -> NDArray[np.intp]:
    """Indices, ascending, of the ``n_voxels`` largest |correlation|; ties to the lower index.

    Parameters
    ----------
    correlation : array of shape (n_voxels_of_roi,)
    n_voxels : int
    """
    order = np.argsort(-np.abs(correlation), kind="stable")
    return np.sort(order[:n_voxels])


class SelectedRidge:
    """Ridge regression of each unit on its own most correlated voxels.

    Solved over samples, w = Xᵀ(X Xᵀ + αI)⁻¹y, or over voxels, w = (XᵀX + αI)⁻¹Xᵀy, with X the kept
    voxels only: whichever system is the smaller. What units share is computed once.

    Parameters
    ----------
    x_train : array of shape (n_train, n_roi_voxels)
        Centred, z-scored or not.
    x_test : array of shape (n_test, n_roi_voxels)
        Normalised with the training statistics.
    n_voxels : int
        Voxels kept, fewer than the ROI has.
    alpha : float
    scaled : bool
        Whether voxels have equal variance. Only then may a Gram matrix be had by subtracting the
        voxels that are left out: a voxel of much larger variance would cancel all digits.
    """

    def __init__(
        self, x_train: Array, x_test: Array, *, n_voxels: int, alpha: float, scaled: bool
    ) -> None:
        # One voxel a row: selecting voxels then copies whole rows.
        self._train = np.ascontiguousarray(x_train.T)
        self._test = x_test
        self._norm = np.sqrt(np.einsum("vi,vi->v", self._train, self._train))
        self._norm[self._norm == 0] = 1.0
        self._n_voxels = n_voxels
        self._alpha = alpha
        self._scaled = scaled
        self._over_samples = len(x_train) <= n_voxels
        self._gram = x_train @ x_train.T if self._over_samples else self._train @ x_train

    def predict(self, y: Array) -> Array:
        """Predictions of shape (n_test, n_units) from centred ``y`` of shape (n_train, n_units)."""
        covariance = self._train @ y
        # Pearson r up to each unit's positive scale, which does not change its order of voxels.
        kept = [top_voxels(c, self._n_voxels) for c in covariance.T / self._norm]
        weights = np.zeros_like(covariance)
        if self._over_samples:
            for unit, voxels in enumerate(kept):
                solution = _solve(self._samples_gram(voxels), self._alpha, y[:, unit])
                weights[voxels, unit] = (self._train @ solution)[voxels]
        else:
            for unit, voxels in enumerate(kept):
                gram = self._gram[np.ix_(voxels, voxels)]
                weights[voxels, unit] = _solve(gram, self._alpha, covariance[voxels, unit])
        return self._test @ weights

    def _samples_gram(self, voxels: NDArray[np.intp]) -> Array:
        """X Xᵀ of the kept voxels, from them or, if scaled, from the fewer that are left out."""
        n_roi = len(self._train)
        if not self._scaled or n_roi - len(voxels) >= len(voxels):
            x = self._train[voxels]
            return np.asarray(x.T @ x)
        left_out = np.delete(np.arange(n_roi), voxels)
        x = self._train[left_out]
        return np.asarray(self._gram - x.T @ x)


def _solve(gram: Array, alpha: float, right: Array) -> Array:
    gram[np.diag_indices(len(gram))] += alpha
    factor = scipy.linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    return np.asarray(scipy.linalg.cho_solve(factor, right, check_finite=False))
