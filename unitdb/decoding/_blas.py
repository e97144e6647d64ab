# ruff: noqa: ARG001 - the functions that are overloaded
"""Routines of SciPy's BLAS, for code that numba compiles: called without the lock.

BLAS counts in columns and numba's arrays in rows, so what BLAS sees is each array's transpose.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding
from numba import types
from numba.extending import get_cython_function_address, overload
from numpy.typing import NDArray

Floats = NDArray[np.floating]

__all__ = ["add_gram", "add_product", "substitute"]

_LETTERS = {types.float32: "s", types.float64: "d"}
_CHARACTERS = np.frombuffer(b"LNT", dtype=np.uint8)  # lower triangle, not transposed, transposed


def _routine(name: str, n_arguments: int) -> dict[Any, Any]:
    """A BLAS routine of each type, under a name that compiled code finds again in any process."""
    found = {}
    for real, letter in _LETTERS.items():
        symbol = f"unitdb_{letter}{name}"
        binding.add_symbol(
            symbol, get_cython_function_address("scipy.linalg.cython_blas", letter + name)
        )
        signature = types.void(*[types.uintp] * n_arguments)  # addresses
        found[real] = types.ExternalFunction(symbol, signature)
    return found


_SYRK = _routine("syrk", 10)
_GEMM = _routine("gemm", 13)
_TRSV = _routine("trsv", 8)


def add_gram(rows: Floats, factor: float, out: Floats) -> None:
    """Add  factor · Xᵀ X  to the upper triangle of ``out``, in place.

    Parameters
    ----------
    rows : array of shape (n_rows, n)
        X; neighbours along a row are adjacent in memory.
    factor : float
    out : array of shape (n, n)
        Likewise, and of the same type.
    """
    raise NotImplementedError("to be called from compiled code")


def add_product(left: Floats, right: Floats, factor: float, out: Floats) -> None:
    """Add  factor · Xᵀ Y  to ``out``, in place.

    Parameters
    ----------
    left, right : arrays of shape (n_rows, n), (n_rows, m)
        X and Y; neighbours along a row are adjacent in memory.
    factor : float
    out : array of shape (n, m)
        Likewise, and of the same type.
    """
    raise NotImplementedError("to be called from compiled code")


def substitute(u: Floats, right: Floats) -> None:
    """Solve  Uᵀ U w = b  in place.

    Parameters
    ----------
    u : array of shape (n, n)
        Its upper triangle is read; neighbours along a row are adjacent in memory.
    right : contiguous array of shape (n,)
        b, and w afterwards. Of the same type.
    """
    raise NotImplementedError("to be called from compiled code")


@overload(add_gram)
def _add_gram(rows: Floats, factor: float, out: Floats) -> Any:
    syrk = _SYRK[rows.dtype]

    def call(rows: Floats, factor: float, out: Floats) -> None:
        size = rows.itemsize
        n = np.array([out.shape[0], rows.shape[0]], dtype=np.int32)
        step = np.array([rows.strides[0] // size, out.strides[0] // size], dtype=np.int32)
        scale = np.empty(2, dtype=rows.dtype)
        scale[0], scale[1] = factor, 1.0
        lower = _CHARACTERS.ctypes.data
        syrk(
            lower,
            lower + 1,
            n.ctypes.data,
            n.ctypes.data + 4,
            scale.ctypes.data,
            rows.ctypes.data,
            step.ctypes.data,
            scale.ctypes.data + size,
            out.ctypes.data,
            step.ctypes.data + 4,
        )

    return call


@overload(add_product)
def _add_product(left: Floats, right: Floats, factor: float, out: Floats) -> Any:
    gemm = _GEMM[left.dtype]

    def call(left: Floats, right: Floats, factor: float, out: Floats) -> None:
        size = left.itemsize
        n = np.array([out.shape[1], out.shape[0], left.shape[0]], dtype=np.int32)
        step = np.array(
            [right.strides[0] // size, left.strides[0] // size, out.strides[0] // size],
            dtype=np.int32,
        )
        scale = np.empty(2, dtype=left.dtype)
        scale[0], scale[1] = factor, 1.0
        as_is = _CHARACTERS.ctypes.data + 1
        gemm(
            as_is,
            as_is + 1,
            n.ctypes.data,
            n.ctypes.data + 4,
            n.ctypes.data + 8,
            scale.ctypes.data,
            right.ctypes.data,
            step.ctypes.data,
            left.ctypes.data,
            step.ctypes.data + 4,
            scale.ctypes.data + size,
            out.ctypes.data,
            step.ctypes.data + 8,
        )

    return call


@overload(substitute)
def _substitute(u: Floats, right: Floats) -> Any:
    trsv = _TRSV[u.dtype]

    def call(u: Floats, right: Floats) -> None:
        n = np.array([len(u), u.strides[0] // u.itemsize, 1], dtype=np.int32)
        lower = _CHARACTERS.ctypes.data
        for transposed in (lower + 1, lower + 2):
            trsv(
                lower,
                transposed,
                lower + 1,  # "not of unit diagonal" begins with an N as well
                n.ctypes.data,
                u.ctypes.data,
                n.ctypes.data + 4,
                right.ctypes.data,
                n.ctypes.data + 8,
            )

    return call
