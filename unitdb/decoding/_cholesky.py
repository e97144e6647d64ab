"""Many small positive definite systems, solved one after another without the interpreter lock.

OpenBLAS spends most of a 500 × 500 factorisation in triangular solves, which run at a quarter of
the speed of its products. Here each system is factorised a few rows at a time, by loops that the
compiler vectorises; all else is products.

Sums keep the order in which they are written: were the compiler free to choose one, results would
depend on what else it had compiled before.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from unitdb.decoding._blas import add_gram, add_product, substitute

Floats = NDArray[np.floating]

__all__ = ["solve_gathered", "solve_over_samples", "solve_positive"]

# Rows factorised by loops, and rows that then become one product: the fastest of those tried.
_FEW_ROWS, _MORE_ROWS = 8, 64
_GATHERED_BYTES = 16 * 2**20  # more would not stay in the caches, less would use them less


def solve_gathered(
    matrix: Floats, index: NDArray[np.uint32], right: Floats, least_pivot_ratio: float
) -> int:
    """Solve  A_SS w_S = b_S  for each unit u, with S = index[u] and b = right[u].

    Parameters
    ----------
    matrix : array of shape (n_voxels, n_voxels)
        A, symmetric and positive definite.
    index : array of unsigned integers of shape (n_units, n)
        Ascending along rows. (Signed ones take twice as long: they can count from the end.)
    right : array of shape (n_units, n_voxels)
        b; w replaces b_S.
    least_pivot_ratio : float
        See ``solve_positive``.

    Returns
    -------
    int
        The first unit whose system is singular, or -1. Later units are not solved.
    """
    n_units, n = index.shape
    batch = max(1, min(n_units, _GATHERED_BYTES // max(1, n * n * matrix.itemsize)))
    # NumPy asks for large pages, numba does not.
    systems = np.empty((batch, n, n), dtype=matrix.dtype)
    return int(_solve_batches(matrix, index, right, least_pivot_ratio, systems))


@njit(nogil=True, cache=True)
def solve_over_samples(
    gram: Floats,
    voxels: Floats,
    index: NDArray[np.integer],
    factor: float,
    right: Floats,
    least_pivot_ratio: float,
) -> int:
    """Solve  (G ± X_Sᵀ X_S) v = b  for each unit u, with S = index[u] and b = right[u].

    Parameters
    ----------
    gram : array of shape (n_samples, n_samples)
        G, symmetric; its upper triangle is read.
    voxels : array of shape (n_voxels, n_samples)
        X.
    index : array of integers of shape (n_units, n)
    factor : float
        1 or -1: whether the voxels are added or taken away.
    right : array of shape (n_units, n_samples)
        b; v replaces it.
    least_pivot_ratio : float
        See ``solve_positive``.

    Returns
    -------
    int
        The first unit whose system is singular, or -1. Later units are not solved.
    """
    system = np.empty_like(gram)
    for unit in range(len(index)):
        system[:] = gram
        add_gram(voxels[index[unit]], factor, system)
        if not solve_positive(system, right[unit], least_pivot_ratio):
            return unit
    return -1


@njit(nogil=True, cache=True)
def _solve_batches(
    matrix: Floats,
    index: NDArray[np.uint32],
    right: Floats,
    least_pivot_ratio: float,
    systems: Floats,
) -> int:
    """As ``solve_gathered``, with the memory for a batch of systems."""
    n_units, n = index.shape
    solution = np.empty(n, dtype=matrix.dtype)
    for start in range(0, n_units, len(systems)):
        stop = min(n_units, start + len(systems))
        _gather_upper(matrix, index[start:stop], systems)
        for unit in range(start, stop):
            for i in range(n):
                solution[i] = right[unit, index[unit, i]]
            if not solve_positive(systems[unit - start], solution, least_pivot_ratio):
                return unit
            for i in range(n):
                right[unit, index[unit, i]] = solution[i]
    return -1


@njit(nogil=True, cache=True)
def solve_positive(matrix: Floats, right: Floats, least_pivot_ratio: float) -> bool:
    """Solve  A w = b  in place by Cholesky factorisation  A = Uᵀ U.

    Parameters
    ----------
    matrix : array of shape (n, n)
        C order; its upper triangle holds A, and U afterwards.
    right : array of shape (n,)
        b, and w afterwards. Of the matrix's type.
    least_pivot_ratio : float
        What the smallest squared pivot must be of the largest. The ratio is an upper bound of
        1 / condition number.

    Returns
    -------
    bool
        False where A is singular or not positive definite; ``right`` is then as it was.
    """
    if not _factorise(matrix) or _pivot_ratio(matrix) < least_pivot_ratio:
        return False
    substitute(matrix, right)
    return True


@njit(nogil=True, cache=True)
def _factorise(a: Floats) -> bool:
    """Turn the upper triangle of A into U; False where it is not positive definite."""
    n = len(a)
    for block in range(0, n, _MORE_ROWS):
        end = min(block + _MORE_ROWS, n)
        for start in range(block, end, _FEW_ROWS):
            stop = min(start + _FEW_ROWS, end)
            if not _factorise_few(a, start, stop):
                return False
            _subtract_done(a, start, stop, end)
        _subtract_done(a, block, end, n)
    return True


@njit(nogil=True, cache=True)
def _subtract_done(a: Floats, start: int, stop: int, end: int) -> None:
    """Subtract what rows ``start`` to ``stop`` of U contribute to rows ``stop`` to ``end``."""
    done = a[start:stop]
    if stop < end:
        add_gram(done[:, stop:end], -1.0, a[stop:end, stop:end])
        if end < len(a):
            add_product(done[:, stop:end], done[:, end:], -1.0, a[stop:end, end:])


@njit(nogil=True, cache=True)
def _factorise_few(a: Floats, start: int, stop: int) -> bool:
    fours = start + (stop - start) // 4 * 4
    for j in range(start, fours, 4):
        for i in range(start, j, 4):
            for row in range(j, j + 4):
                _subtract_four(
                    a[row, j:],
                    a[i, j:],
                    a[i + 1, j:],
                    a[i + 2, j:],
                    a[i + 3, j:],
                    a[i : i + 4, row],
                )
        if not _factorise_block(a, j, j + 4):
            return False
        _solve_four(
            a[j, j + 4 :],
            a[j + 1, j + 4 :],
            a[j + 2, j + 4 :],
            a[j + 3, j + 4 :],
            a[j : j + 4, j : j + 4],
        )
    # At the end of the matrix there may be up to three rows more, and nothing right of them.
    for row in range(fours, stop):
        for i in range(start, fours):
            _subtract(a[row, row:], a[i, row:], a[i, row])
    return _factorise_block(a, fours, stop)


@njit(nogil=True, cache=True)
def _factorise_block(a: Floats, start: int, stop: int) -> bool:
    """The few rows and columns from ``start`` to ``stop``, an element at a time."""
    for j in range(start, stop):
        for i in range(start, j):
            for t in range(j, stop):
                a[j, t] -= a[i, j] * a[i, t]
        if not a[j, j] > 0:  # NaN is not
            return False
        a[j, j] = np.sqrt(a[j, j])
        for t in range(j + 1, stop):
            a[j, t] /= a[j, j]
    return True


@njit(nogil=True, cache=True)
def _subtract(out: Floats, row: Floats, factor: float) -> None:
    for t in range(len(out)):
        out[t] -= factor * row[t]


@njit(nogil=True, cache=True)
def _subtract_four(
    out: Floats, row0: Floats, row1: Floats, row2: Floats, row3: Floats, factor: Floats
) -> None:
    f0, f1, f2, f3 = factor[0], factor[1], factor[2], factor[3]
    for t in range(len(out)):
        out[t] -= (f0 * row0[t] + f1 * row1[t]) + (f2 * row2[t] + f3 * row3[t])


@njit(nogil=True, cache=True)
def _solve_four(row0: Floats, row1: Floats, row2: Floats, row3: Floats, u: Floats) -> None:
    """Solve  Uᵀ x = b  for each column b of four rows."""
    u01, u02, u03, u12, u13, u23 = u[0, 1], u[0, 2], u[0, 3], u[1, 2], u[1, 3], u[2, 3]
    one = u.dtype.type(1)  # not an integer, by which single precision would become double
    f0, f1, f2, f3 = one / u[0, 0], one / u[1, 1], one / u[2, 2], one / u[3, 3]
    for t in range(len(row0)):
        x0 = row0[t] * f0
        x1 = (row1[t] - u01 * x0) * f1
        x2 = (row2[t] - u02 * x0 - u12 * x1) * f2
        x3 = (row3[t] - u03 * x0 - u13 * x1 - u23 * x2) * f3
        row0[t], row1[t], row2[t], row3[t] = x0, x1, x2, x3


@njit(nogil=True, cache=True)
def _pivot_ratio(factor: Floats) -> float:
    low = high = factor[0, 0]
    for i in range(len(factor)):
        low = min(low, factor[i, i])
        high = max(high, factor[i, i])
    return float((low / high) ** 2)


@njit(nogil=True, cache=True)
def _gather_upper(matrix: Floats, index: NDArray[np.uint32], out: Floats) -> None:
    """Copy the upper triangle of ``matrix[index[u]][:, index[u]]`` to ``out[u]``, for each u.

    Each row of the matrix is used for all that need it before the next is fetched: a matrix of
    many voxels is larger than the caches.
    """
    n_units, n = index.shape
    place = np.zeros(n_units, dtype=np.int64)
    for voxel in range(len(matrix)):
        row = matrix[voxel]
        for unit in range(n_units):
            i = place[unit]
            if i < n and index[unit, i] == voxel:
                place[unit] = i + 1
                columns, to = index[unit, i:], out[unit, i, i:]
                for j in range(len(to)):
                    to[j] = row[columns[j]]
