# ruff: noqa: N803 - scikit-learn calls the samples X
"""What the linear decoders share as scikit-learn estimators."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    MultiOutputMixin,
    RegressorMixin,
)
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from unitdb.decoding._training import Training

__all__ = ["VoxelDecoder"]

Array = NDArray[np.float64]
Kept = NDArray[np.int32]
Rows = NDArray[np.intp]


class VoxelDecoder(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """What linear decoders share: the checks of their input, and predictions in raw units."""

    coef_: Array
    intercept_: Array | float
    voxels_: Rows
    n_features_in_: int

    def predict(self, X: ArrayLike) -> Array:
        """Predict targets:  X cᵀ + intercept.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Responses, raw.

        Returns
        -------
        array of shape (n_samples, n_targets), or (n_samples,) if y had one dimension
            Targets, in raw units.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            ``fit`` was not called.
        ValueError
            X has NaN, or other features than in training.
        """
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(x @ self.coef_.T + self.intercept_)

    def _validated(self, X: ArrayLike, y: ArrayLike | None) -> tuple[Array, Array]:
        """Samples (n_samples, n_features) and targets, of one or two dimensions, in float64."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        # Separately: for y of two dimensions the joint check would let sparse matrices pass.
        x, targets = validate_data(
            self,
            X,
            y,
            validate_separately=(
                {"dtype": np.float64, "ensure_min_samples": 2},
                {"dtype": np.float64, "ensure_2d": False},
            ),
        )
        check_consistent_length(x, targets)
        return x, targets

    def _set_fitted(self, training: Training, weights: Array, kept: Kept, *, single: bool) -> None:
        coefficients, intercepts = training.raw(weights)
        voxels = np.flatnonzero(training.varying)[kept]
        self.coef_ = coefficients[0] if single else coefficients
        self.intercept_ = float(intercepts[0]) if single else intercepts
        self.voxels_ = voxels[0] if single else voxels
