"""Accuracies of one .mat file, MATLAB 5 or 7.3, as a vector of units in C order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import scipy.io
from numpy.typing import NDArray

from unitdb.errors import PublishedFileError

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
        Pearson r; NaN where the publisher has none.
    shape : tuple of int
        (C, H, W) or (n_units,).

    Raises
    ------
    PublishedFileError
        The file is missing, truncated or no .mat file, or ``accuracy`` is no such array.
    """
    try:
        found = _hdf5(path) if h5py.is_hdf5(path) else _matlab5(path)
    except KeyError:
        raise PublishedFileError(f"{path}: holds no variable {_KEY!r}") from None
    except Exception as cause:  # SciPy raises errors of many kinds for damaged files
        raise PublishedFileError(f"{path}: cannot be read, damaged or truncated: {cause}") from None
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
        raise PublishedFileError(f"{path}: {_KEY!r} is not an array of real numbers")
    if found.ndim not in (2, 4) or found.shape[0] != 1 or not found.size:
        raise PublishedFileError(
            f"{path}: {_KEY!r} has shape {found.shape}; expected (1, units) or (1, C, H, W)"
        )
    r = np.ascontiguousarray(found[0], dtype=np.float32)
    if (np.abs(r) > 1 + 1e-6).any():
        raise PublishedFileError(f"{path}: {_KEY!r} holds values outside -1 … 1")
    return r.ravel(), r.shape


def _hdf5(path: Path) -> Any:
    with h5py.File(path, "r") as file:
        return file[_KEY][()].T


def _matlab5(path: Path) -> Any:
    return scipy.io.loadmat(path, variable_names=[_KEY])[_KEY]
