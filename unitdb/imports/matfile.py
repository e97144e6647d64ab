"""Accuracies of one .mat file, MATLAB 5 or 7.3, as a vector of units in C order."""

from __future__ import annotations

from pathlib import Path

import h5py  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from unitdb.activations.arrayfiles import read_arrays
from unitdb.activations.hdf5 import open_hdf5
from unitdb.activations.matlab73 import read_matlab
from unitdb.errors import PublishedFileError
from unitdb.imports.accuracies import without_rounding

__all__ = ["read_accuracy"]

_KEY = "accuracy"


def read_accuracy(path: Path) -> tuple[NDArray[np.float32], tuple[int, ...]]:
    """Read ``accuracy`` of a .mat file.

    MATLAB stores arrays in Fortran order. In a file of version 7.3 (HDF5) h5py therefore shows the
    axes reversed, (W, H, C, 1): they are turned back, so that units count in C order of (C, H, W).

    Parameters
    ----------
    path : Path
        The file; ``accuracy`` is 1 × C × H × W or 1 × units.

    Returns
    -------
    r : array of shape (n_units,)
        Pearson r; NaN where the publisher has none. 1 where rounding is above by 1e-6 at most.
    shape : tuple of int
        (C, H, W) or (n_units,).

    Raises
    ------
    PublishedFileError
        The file is missing, truncated or no .mat file, or ``accuracy`` is no such array.
    """
    if h5py.is_hdf5(path):
        with open_hdf5(path, error=PublishedFileError) as file:
            found = read_matlab(file, _KEY, error=PublishedFileError)
            if "MATLAB_class" not in file[_KEY].attrs:
                found = found.T
    else:
        found = read_arrays(path, [_KEY], error=PublishedFileError)[_KEY]
    if found.dtype.kind not in "fiu":
        raise PublishedFileError(f"{path}: {_KEY!r} is not an array of real numbers")
    if found.ndim not in (2, 4) or found.shape[0] != 1 or not found.size:
        raise PublishedFileError(
            f"{path}: {_KEY!r} has shape {found.shape}; expected (1, units) or (1, C, H, W)"
        )
    r = np.ascontiguousarray(found[0], dtype=np.float32)
    r = without_rounding(r)
    wrong = np.abs(r) > 1
    if wrong.any():
        raise PublishedFileError(f"{path}: {_KEY!r} holds values outside -1 … 1: {r[wrong][0]}")
    return r.ravel(), r.shape
