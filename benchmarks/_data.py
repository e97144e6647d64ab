"""Simulated responses and activations of one size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALPHA", "KEPT", "N_TEST", "N_TRAIN", "Problem", "simulate"]

N_TRAIN = 1200
N_TEST = 50
KEPT = 500
ALPHA = 100.0

_N_SOURCES = 60
_NOISE = 2.0  # of a voxel; its signal has an SD of 1


@dataclass(frozen=True)
class Problem:
    """Responses to training and test images, in this order, and what units answer to them.

    Attributes
    ----------
    x : array of shape (N_TRAIN + N_TEST, n_voxels), float64
    y : array of shape (N_TRAIN + N_TEST, n_units), float32
    """

    x: NDArray[np.float64]
    y: NDArray[np.float32]

    @property
    def n_voxels(self) -> int:
        """Voxels of the ROI."""
        return int(self.x.shape[1])

    @property
    def splits(self) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """The one pair of training and test rows."""
        rows = np.arange(N_TRAIN + N_TEST, dtype=np.intp)
        return [(rows[:N_TRAIN], rows[N_TRAIN:])]


def simulate(n_voxels: int, n_units: int) -> Problem:
    """Voxels and units that mix the same sources, each with noise of its own.

    Parameters
    ----------
    n_voxels : int
        Also the seed: the same voxels give the same responses. Fewer units are other units.
    n_units : int

    Returns
    -------
    Problem
    """
    rng = np.random.default_rng(n_voxels)
    n_rows = N_TRAIN + N_TEST
    sources = rng.standard_normal((n_rows, _N_SOURCES)) / np.sqrt(_N_SOURCES)
    x = sources @ rng.standard_normal((_N_SOURCES, n_voxels))
    x += _NOISE * rng.standard_normal(x.shape)
    mixing = rng.standard_normal((_N_SOURCES, n_units), dtype=np.float32)
    y = sources.astype(np.float32) @ mixing
    y += rng.standard_normal(y.shape, dtype=np.float32)
    return Problem(x, y)
