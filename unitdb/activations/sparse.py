"""Sparse arrays of MATLAB: columns of row numbers and values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["dense"]


def dense(
    values: NDArray[Any], rows: NDArray[Any], starts: NDArray[Any], n_rows: int
) -> NDArray[Any]:
    """Array whose column j holds ``values[k]`` in row ``rows[k]``, starts[j] ≤ k < starts[j + 1].

    What is not stated is 0, which is what MATLAB means by it.

    Parameters
    ----------
    values : array of shape (n_stored,)
    rows : array of shape (n_stored,), int
        Counted from 0.
    starts : array of shape (n_columns + 1,), int
        Where each column begins; the last is ``n_stored``.
    n_rows : int
        Rows; the size of the result must have been held against a limit.

    Returns
    -------
    array of shape (n_rows, n_columns)

    Raises
    ------
    ValueError
        The three do not fit together.
    """
    rows, starts = rows.astype(np.int64), starts.astype(np.int64)
    n_stored = int(starts[-1]) if starts.ndim == 1 and len(starts) else -1
    if n_stored < 0 or starts[0] != 0 or (np.diff(starts) < 0).any():
        raise ValueError("the columns of a sparse array do not follow each other")
    if min(len(rows), len(values)) < n_stored:
        raise ValueError("a sparse array states more values than it holds")
    rows, values = rows[:n_stored], values[:n_stored]
    columns = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    if n_stored and (rows.min() < 0 or rows.max() >= n_rows):
        raise ValueError(f"a sparse array of {n_rows} rows has a value outside of them")
    if len(np.unique(columns * n_rows + rows)) < n_stored:
        raise ValueError("a sparse array has two values at one place")
    full = np.zeros((n_rows, len(starts) - 1), dtype=values.dtype)
    full[rows, columns] = values
    return full
