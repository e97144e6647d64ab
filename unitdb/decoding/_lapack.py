"""Positive definite systems by SciPy's BLAS and LAPACK, without the interpreter lock.

SciPy's wrappers hold the lock while they compute, so threads would wait for each other. The same
routines called by address, through ctypes, let go of it. Matrices are C-ordered and only their
upper triangle is read and written: in Fortran's eyes that is the lower one, the faster of the two.
"""

from __future__ import annotations

import ctypes
from ctypes import addressof, c_char, c_int
from typing import Any

import numpy as np
from numba.extending import get_cython_function_address
from numpy.typing import NDArray

__all__ = ["add_outer", "solve_positive"]

_LETTER: dict[np.dtype[Any], str] = {np.dtype(np.float32): "s", np.dtype(np.float64): "d"}
_REAL: dict[np.dtype[Any], type[ctypes.c_float | ctypes.c_double]] = {
    np.dtype(np.float32): ctypes.c_float,
    np.dtype(np.float64): ctypes.c_double,
}


def _routine(module: str, name: str, n_arguments: int) -> dict[np.dtype[Any], Any]:
    prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * n_arguments)
    return {
        dtype: prototype(get_cython_function_address(f"scipy.linalg.{module}", letter + name))
        for dtype, letter in _LETTER.items()
    }


_POSV = _routine("cython_lapack", "posv", 8)
_SYRK = _routine("cython_blas", "syrk", 10)

_LETTERS = (c_char * 2)(b"L", b"N")  # lower triangle, not transposed
_L, _N = addressof(_LETTERS), addressof(_LETTERS) + 1


def solve_positive(matrix: NDArray[np.floating], right: NDArray[np.floating]) -> bool:
    """Solve  A w = b  in place by Cholesky factorisation  A = Uᵀ U.

    Parameters
    ----------
    matrix : array of shape (n, n)
        Symmetric, C order; its upper triangle holds A, and U afterwards.
    right : array of shape (n,)
        b, and w afterwards. Of the matrix's type, contiguous.

    Returns
    -------
    bool
        False where A is not positive definite; ``right`` is then b still.
    """
    n, one, info = c_int(len(matrix)), c_int(1), c_int()
    _POSV[matrix.dtype](
        _L,
        addressof(n),
        addressof(one),
        matrix.ctypes.data,
        addressof(n),
        right.ctypes.data,
        addressof(n),
        addressof(info),
    )
    return info.value == 0


def add_outer(rows: NDArray[np.floating], matrix: NDArray[np.floating], *, factor: float) -> None:
    """Add  factor · Xᵀ X  to the upper triangle of a matrix, in place.

    Parameters
    ----------
    rows : array of shape (n_rows, n)
        X, C order.
    matrix : array of shape (n, n)
        C order, of the same type.
    factor : float
    """
    real = _REAL[matrix.dtype]
    n, n_rows = c_int(len(matrix)), c_int(len(rows))
    alpha, beta = real(factor), real(1.0)
    _SYRK[matrix.dtype](
        _L,
        _N,
        addressof(n),
        addressof(n_rows),
        addressof(alpha),
        rows.ctypes.data,
        addressof(n),
        addressof(beta),
        matrix.ctypes.data,
        addressof(n),
    )
