"""Which images are held out together in a cross-validation: for who builds, and who verifies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["held_out_together"]


def held_out_together(n_images: int, n_folds: int, *, seed: int) -> list[NDArray[np.intp]]:
    """Images of each fold, drawn at random, of equal size (±1).

    Parameters
    ----------
    n_images : int
        In the order of their ids.
    n_folds : int
    seed : int
        Of numpy's PCG64.

    Returns
    -------
    list of array of int
        Ascending.
    """
    shuffled = np.random.Generator(np.random.PCG64(seed)).permutation(n_images)
    return [np.sort(part) for part in np.array_split(shuffled, n_folds)]
