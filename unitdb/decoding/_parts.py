"""What predicts the held-out rows of a split from the activations of a tile of units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from unitdb.decoding._scaling import penalty, standardise
from unitdb.decoding._selected import SelectedRidge
from unitdb.decoding._shared import ridge_hats
from unitdb.decoding.settings import TILE, DecoderSettings

__all__ = ["Part", "SelectedPart", "Smoother", "smoother_matrices"]

Array = NDArray[np.float64]
Floats = NDArray[np.floating]
Rows = NDArray[np.intp]


class Part(Protocol):
    """Predicts held-out rows of a split, in groups whose products are apart.

    Rounding of a row depends on the rows beside it: with products of its own, what is predicted of
    a test set does not depend on which others are decoded.
    """

    def predict(self, y: Floats, *, repeats: bool, resolution: float) -> list[Array]:
        """Predictions of each group, (n_rows, n_units), from raw activations (n_rows, n_units).

        Below those from averages are those from single presentations, with ``repeats``. Units that
        ``resolution`` finds constant in training are predicted by their mean.
        """


class Smoother:
    """Predictions  M y,  with one matrix for all units.

    Parameters
    ----------
    matrices : sequence of arrays of shape (n_group, n_rows)
        Of each group. Rows sum to 1, so that a unit's mean passes through.
    dtype : dtype
        Of the product.
    n_averages : sequence of int
        Rows of each group before those of single presentations.
    """

    def __init__(
        self, matrices: Sequence[Array], dtype: DTypeLike, n_averages: Sequence[int]
    ) -> None:
        self._groups = [
            (matrix.astype(dtype), n) for matrix, n in zip(matrices, n_averages, strict=True)
        ]

    def predict(
        self,
        y: Floats,
        *,
        repeats: bool,
        resolution: float,  # noqa: ARG002 - one matrix does for all units
    ) -> list[Array]:
        """Predictions of each group, (n_rows, n_units), from raw activations (n_rows, n_units)."""
        some = y[0]  # any value near the unit's will do: a large mean would cost digits
        found, centred = [], None
        for whole, n in self._groups:
            matrix = whole if repeats else whole[:n]
            if centred is None:
                exact = np.result_type(y, matrix)
                centred = np.subtract(y, some, dtype=exact).astype(matrix.dtype, copy=False)
            found.append(_by_tiles(matrix, centred) + some.astype(np.float64))
        return found


def _by_tiles(matrix: Floats, values: Floats) -> Floats:
    """The product, a tile of units at a time: its rounding may follow how many there are."""
    found = np.empty((len(matrix), values.shape[1]), dtype=values.dtype)
    for start in range(0, values.shape[1], TILE):
        tile = slice(start, start + TILE)
        np.matmul(matrix, values[:, tile], out=found[:, tile])
    return found


class SelectedPart:
    """Predictions of a split in which each unit has voxels of its own.

    Parameters
    ----------
    ridge : SelectedRidge
        Made from the training responses.
    x_tests : sequence of arrays of shape (n_group, n_voxels)
        Of each group, normalised with the training statistics.
    train : array of int
        Training rows.
    dtype : dtype
        Of the product.
    n_averages : sequence of int
        Rows of each group before those of single presentations.
    """

    def __init__(
        self,
        ridge: SelectedRidge,
        x_tests: Sequence[Array],
        train: Rows,
        dtype: DTypeLike,
        n_averages: Sequence[int],
    ) -> None:
        self._ridge = ridge
        self._groups = [
            (x_test.astype(dtype), n) for x_test, n in zip(x_tests, n_averages, strict=True)
        ]
        self._train = train

    def predict(self, y: Floats, *, repeats: bool, resolution: float) -> list[Array]:
        """Predictions of each group, (n_rows, n_units), from raw activations (n_rows, n_units)."""
        train: Array = y[self._train].astype(np.float64, copy=False)
        z, mean, sd = standardise(train, resolution=resolution)
        weights = self._ridge.weights(z).T
        return [
            np.asarray(mean + sd * ((x_test if repeats else x_test[:n]) @ weights))
            for x_test, n in self._groups
        ]


def smoother_matrices(
    x_train: Array, x_tests: Sequence[Array], train: Rows, n_rows: int, settings: DecoderSettings
) -> list[Array]:
    """Matrices M of shape (n_group, n_rows) with  predictions = M y  for every unit, of each group.

    Without voxel selection ridge is linear in y, with the same matrix for all units:
    p = ȳ + H (y − ȳ), where ȳ averages the training rows. Scaling y by its SD and back cancels.
    """
    alpha = penalty(x_train, alpha=settings.alpha, relative=settings.alpha_relative)
    found = []
    for hat in ridge_hats(x_train, x_tests, alpha):
        matrix = np.zeros((len(hat), n_rows))
        matrix[:, train] = hat + (1.0 - hat.sum(axis=1, keepdims=True)) / len(train)
        found.append(matrix)
    return found
