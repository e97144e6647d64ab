"""What predicts the held-out rows of a split from the activations of a tile of units."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from unitdb.decoding._scaling import penalty, standardise
from unitdb.decoding._selected import SelectedRidge
from unitdb.decoding._shared import ridge_hat
from unitdb.decoding.settings import DecoderSettings

__all__ = ["Part", "SelectedPart", "Smoother", "smoother_matrix"]

Array = NDArray[np.float64]
Floats = NDArray[np.floating]
Rows = NDArray[np.intp]


class Part(Protocol):
    """Predicts some held-out rows."""

    def predict(self, y: Floats, *, repeats: bool, resolution: float) -> Array:
        """Predictions (n_test, n_units) from raw activations (n_rows, n_units).

        Below those from averages are those from single presentations, with ``repeats``. Units that
        ``resolution`` finds constant in training are predicted by their mean.
        """


class Smoother:
    """Predictions  M y,  with one matrix for all units.

    Parameters
    ----------
    matrix : array of shape (n_test, n_rows)
        Rows sum to 1, so that a unit's mean passes through.
    dtype : dtype
        Of the product.
    n_averages : int
        Rows before those of single presentations.
    """

    def __init__(self, matrix: Array, dtype: DTypeLike, n_averages: int) -> None:
        self._matrix = matrix.astype(dtype)
        self._n_averages = n_averages

    def predict(
        self,
        y: Floats,
        *,
        repeats: bool,
        resolution: float,  # noqa: ARG002 - one matrix does for all units
    ) -> Array:
        """Predictions (n_test, n_units) from raw activations (n_rows, n_units)."""
        matrix = self._matrix if repeats else self._matrix[: self._n_averages]
        some = y[0]  # any value near the unit's will do: a large mean would cost digits
        exact = np.result_type(y, matrix)
        centred = np.subtract(y, some, dtype=exact).astype(matrix.dtype, copy=False)
        return np.asarray(matrix @ centred + some.astype(np.float64))


class SelectedPart:
    """Predictions of a split in which each unit has voxels of its own.

    Parameters
    ----------
    ridge : SelectedRidge
        Made from the training responses.
    x_test : array of shape (n_test, n_voxels)
        Normalised with the training statistics.
    train : array of int
        Training rows.
    dtype : dtype
        Of the product.
    n_averages : int
        Rows of ``x_test`` before those of single presentations.
    """

    def __init__(
        self,
        ridge: SelectedRidge,
        x_test: Array,
        train: Rows,
        dtype: DTypeLike,
        n_averages: int,
    ) -> None:
        self._ridge = ridge
        self._n_averages = n_averages
        self._x_test = x_test.astype(dtype)
        self._train = train

    def predict(self, y: Floats, *, repeats: bool, resolution: float) -> Array:
        """Predictions (n_test, n_units) from raw activations (n_rows, n_units)."""
        x_test = self._x_test if repeats else self._x_test[: self._n_averages]
        train: Array = y[self._train].astype(np.float64, copy=False)
        z, mean, sd = standardise(train, resolution=resolution)
        decoded = x_test @ self._ridge.weights(z).T
        return np.asarray(mean + sd * decoded)


def smoother_matrix(
    fold: tuple[Array, Array], train: Rows, n_rows: int, settings: DecoderSettings
) -> Array:
    """Matrix M of shape (n_test, n_rows) with  predictions = M y  for every unit.

    Without voxel selection ridge is linear in y, with the same matrix for all units:
    p = ȳ + H (y − ȳ), where ȳ averages the training rows. Scaling y by its SD and back cancels.
    """
    x_train, x_test = fold
    alpha = penalty(x_train, alpha=settings.alpha, relative=settings.alpha_relative)
    hat = ridge_hat(x_train, x_test, alpha)
    matrix = np.zeros((len(x_test), n_rows))
    matrix[:, train] = hat + (1.0 - hat.sum(axis=1, keepdims=True)) / len(train)
    return matrix
