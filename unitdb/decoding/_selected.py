"""Ridge regression of each unit on voxels of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg
from numpy.typing import DTypeLike, NDArray

from unitdb.decoding._cholesky import solve_gathered, solve_over_samples
from unitdb.decoding._selection import Correlations
from unitdb.errors import IllConditionedError

Array = NDArray[np.float64]
Floats = NDArray[np.floating]
Kept = NDArray[np.int32]

__all__ = ["SelectedRidge"]

_SINGLE_CONDITION = 2e4
"""Condition number above which float32 would cost more than 1e-5 of an accuracy."""

_DOUBLE_CONDITION = 1e10
"""Condition number above which only the voxels kept may stand in one system."""

_INVERTED_CONDITION = {np.dtype(np.float32): 5e3, np.dtype(np.float64): _DOUBLE_CONDITION}
"""Condition number above which the matrix of all voxels is not inverted."""


class SelectedRidge:
    """Ridge regression of each unit on the ``n_voxels`` voxels most correlated with it.

    w = (XᵀX + αI)⁻¹Xᵀy, X the unit's voxels only. Whatever units share, above all XᵀX of all
    voxels, is computed once; each unit then needs one Cholesky factorisation, and of three equal
    ways the one with the least work is taken:

    over the voxels kept
        A_SS w = b, with A_SS gathered from A = XᵀX + αI (n_voxels equations);
    over the voxels left out
        w = B_SS b − B_SC B_CC⁻¹ B_CS b, with B = A⁻¹ (as many equations as voxels left out);
    over the samples
        w = Xᵀ(X Xᵀ + αI)⁻¹y (n_train equations).

    Parameters
    ----------
    x_train : array of shape (n_train, n_roi_voxels)
        Centred, z-scored or not; no constant voxels.
    n_voxels : int
        Voxels kept, fewer than the ROI has.
    alpha : float
        Penalty.
    scaled : bool
        Whether voxels have equal variance. Only then may X Xᵀ be had by subtracting the voxels
        that are left out: one of much larger variance would cancel all digits.
    dtype : dtype
        float32 or float64, of the systems solved. float32 gives way to float64 where the penalty
        is too small for it. Voxels are chosen as in float64 with both.
    """

    def __init__(
        self, x_train: Array, *, n_voxels: int, alpha: float, scaled: bool, dtype: DTypeLike
    ) -> None:
        self._correlations = Correlations(x_train)
        self._n_voxels = n_voxels
        self._alpha = alpha
        self._scaled = scaled
        self._condition = _condition(x_train, alpha)
        well = self._condition < _SINGLE_CONDITION
        self._dtype = np.dtype(dtype if well else np.float64)
        self._train = np.ascontiguousarray(x_train, dtype=self._dtype)
        self._solve = self._prepare(_cheapest(self._systems()))

    def weights(self, z: Array) -> Floats:
        """Weights of shape (n_units, n_roi_voxels), zero where a voxel is not kept.

        Parameters
        ----------
        z : array of shape (n_train, n_units)
            Activations, z-scored over the training samples.

        Raises
        ------
        IllConditionedError
            A unit's system is singular; names its column.
        """
        z = np.ascontiguousarray(z.T)
        live = z.any(axis=1) & np.isfinite(z.sum(axis=1))
        if live.all():
            return self._weights(z)
        # A unit that is constant, or not finite, has no weights: all voxels would tie for it.
        weights = np.zeros((len(z), self._train.shape[1]), dtype=self._dtype)
        try:
            if live.any():
                weights[live] = self._weights(z[live])
        except IllConditionedError as cause:
            unit = None if cause.unit is None else int(np.flatnonzero(live)[cause.unit])
            raise IllConditionedError(cause.alpha, unit=unit) from None
        return weights

    def _weights(self, z: Array) -> Floats:
        right = z.astype(self._dtype, copy=False) @ self._train
        kept = self._correlations.select(right, z, self._n_voxels)
        return self._solve(right, kept, z)

    def _systems(self) -> dict[str, float]:
        """Work a unit, in floating-point operations, of each way that is safe here."""
        n_samples, n_roi = self._train.shape
        kept, left_out = self._n_voxels, n_roi - self._n_voxels
        work = {"kept": _cholesky_work(kept)}
        # These need a penalty that keeps all of A, not just each unit's part, well-conditioned.
        if self._condition < _INVERTED_CONDITION[self._dtype]:
            work["left out"] = _cholesky_work(left_out) + 2 * n_roi**2
        if self._condition < _DOUBLE_CONDITION:
            summed = min(kept, left_out) if self._scaled else kept
            work["samples"] = _cholesky_work(n_samples) + summed * n_samples**2
        return work

    def _prepare(self, way: str) -> Callable[[Floats, Kept, Array], Floats]:
        voxels = self._correlations.rows
        if way == "samples":
            self._gram = (voxels.T @ voxels).astype(self._dtype)
            self._gram[np.diag_indices(len(self._gram))] += self._alpha
            self._voxel_rows = np.ascontiguousarray(self._train.T)
            return self._over_samples
        gram = voxels @ voxels.T
        gram[np.diag_indices(len(gram))] += self._alpha
        if way == "left out":
            inverse = scipy.linalg.cho_solve(
                scipy.linalg.cho_factor(gram, overwrite_a=True), np.eye(len(gram))
            )
            self._inverse = inverse.astype(self._dtype)
            return self._over_left_out
        self._gram = gram.astype(self._dtype, copy=False)
        return self._over_kept

    def _over_kept(self, right: Floats, kept: Kept, z: Array) -> Floats:  # noqa: ARG002
        self._solve_gathered(self._gram, kept, right)
        weights = np.zeros_like(right)
        np.put_along_axis(weights, kept, np.take_along_axis(right, kept, axis=1), axis=1)
        return weights

    def _over_left_out(self, right: Floats, kept: Kept, z: Array) -> Floats:  # noqa: ARG002
        left_out = _complement(kept, right.shape[1])
        _set_zero(right, left_out)
        rest = right @ self._inverse
        self._solve_gathered(self._inverse, left_out, rest)
        np.put_along_axis(right, left_out, -np.take_along_axis(rest, left_out, axis=1), axis=1)
        weights: Floats = right @ self._inverse
        _set_zero(weights, left_out)  # they are, but for rounding
        return weights

    def _over_samples(self, right: Floats, kept: Kept, z: Array) -> Floats:
        left_out = _complement(kept, right.shape[1])
        solutions = z.astype(self._dtype)
        gram, index, factor = self._gram, left_out, -1.0
        if not (self._scaled and left_out.shape[1] < kept.shape[1]):
            gram = np.diag(np.full(len(gram), self._alpha, dtype=self._dtype))
            index, factor = kept, 1.0
        self._refuse_singular(
            solve_over_samples(
                gram, self._voxel_rows, index, factor, solutions, self._least_pivots()
            )
        )
        weights: Floats = solutions @ self._train
        _set_zero(weights, left_out)
        return weights

    def _solve_gathered(self, matrix: Floats, index: Kept, right: Floats) -> None:
        unsigned = index.astype(np.uint32)
        self._refuse_singular(solve_gathered(matrix, unsigned, right, self._least_pivots()))

    def _refuse_singular(self, unit: int) -> None:
        if unit >= 0:
            raise IllConditionedError(self._alpha, unit=unit)

    def _least_pivots(self) -> float:
        """Ratio of pivots below which hardly a digit of the solution is certain."""
        return 10 * self._n_voxels * float(np.finfo(self._dtype).eps)


def _condition(x_train: Array, alpha: float) -> float:
    """Upper bound of the condition number of XᵀX + αI for any choice of voxels."""
    if alpha == 0:
        return np.inf
    gram = x_train @ x_train.T if len(x_train) < x_train.shape[1] else x_train.T @ x_train
    largest = float(np.abs(gram).sum(axis=1).max())  # no eigenvalue exceeds this norm
    return (largest + alpha) / alpha


def _cheapest(work: dict[str, float]) -> str:
    return min(work, key=lambda way: work[way])


def _cholesky_work(n: int) -> float:
    """Operations of a factorisation, and of the n² elements that are moved (measured)."""
    return n**3 / 3 + 120 * n**2


def _set_zero(values: Floats, columns: Kept) -> None:
    np.put_along_axis(values, columns, 0, axis=1)


def _complement(kept: Kept, n_roi: int) -> Kept:
    """The voxels of each unit that are not kept, ascending."""
    out = np.ones((len(kept), n_roi), dtype=bool)
    np.put_along_axis(out, kept, values=False, axis=1)
    return np.nonzero(out)[1].reshape(len(kept), -1).astype(np.int32)
