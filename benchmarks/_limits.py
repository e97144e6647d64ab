"""How fast this machine can be: rates that no decoder exceeds."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ctypes import CFUNCTYPE, addressof, c_char, c_int, c_void_p
from time import perf_counter
from typing import Any

import numpy as np
from _data import KEPT, N_TEST, N_TRAIN
from numba.extending import get_cython_function_address
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

__all__ = ["measure_limits", "product_work"]

_THREADS = 2
_GEMM_SIZE = 2048
_SECONDS = 0.25
_POTRF = CFUNCTYPE(None, *[c_void_p] * 5)(  # SciPy's wrapper holds the interpreter lock
    get_cython_function_address("scipy.linalg.cython_lapack", "spotrf")
)
_LOWER = c_char(b"L")  # of the transpose, which is faster than the other triangle


def measure_limits() -> dict[str, float]:
    """Single precision, both cores: Cholesky factorisations and floating-point operations a second.

    Returns
    -------
    dict
        ``potrf``: factorisations of KEPT × KEPT a second, one thread each, the matrix in cache.
        ``gemm``: operations a second of a large matrix product.
    """
    return {"potrf": _potrf_rate(), "gemm": _gemm_rate()}


def product_work(n_voxels: int) -> float:
    """Least operations of a unit where it needs no factorisation of KEPT × KEPT.

    Without selection, one row of the product with the matrix that all units share. With it: the
    correlation with each voxel, two products with the inverse of the voxels' Gram matrix, a
    factorisation over the voxels left out, and the prediction.
    """
    if n_voxels <= KEPT:
        return 2.0 * N_TEST * N_TRAIN
    left_out = n_voxels - KEPT
    return 2.0 * n_voxels * (N_TRAIN + 2 * n_voxels + N_TEST) + left_out**3 / 3


def _potrf_rate() -> float:
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(_THREADS) as pool:
        rates = list(pool.map(_potrf_thread, range(_THREADS)))
    return float(sum(rates))


def _potrf_thread(seed: int) -> float:
    """Factorisations a second of one thread, without the copy that brings the matrix into cache."""
    root = np.random.default_rng(seed).standard_normal((KEPT, 2 * KEPT), dtype=np.float32)
    system = root @ root.T
    factor = np.empty_like(system)
    n, info = c_int(KEPT), c_int()
    arguments = (addressof(_LOWER), addressof(n), factor.ctypes.data, addressof(n), addressof(info))
    _timed_potrf(system, factor, arguments)
    count, spent = 0, 0.0
    while spent < _SECONDS:
        spent += _timed_potrf(system, factor, arguments)
        count += 1
    if info.value != 0:
        raise ArithmeticError("the matrix is not positive definite")
    return count / spent


def _timed_potrf(
    system: NDArray[np.float32], factor: NDArray[np.float32], arguments: tuple[Any, ...]
) -> float:
    np.copyto(factor, system)
    start = perf_counter()
    _POTRF(*arguments)
    return perf_counter() - start


def _gemm_rate() -> float:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((_GEMM_SIZE, _GEMM_SIZE), dtype=np.float32) for _ in range(2))
    out = np.empty_like(a)
    with threadpool_limits(_THREADS, user_api="blas"):
        count, spent = _repeat(lambda: np.matmul(a, b, out=out))
    return 2.0 * _GEMM_SIZE**3 * count / spent


def _repeat(work: Callable[[], object]) -> tuple[int, float]:
    work()
    count, start = 0, perf_counter()
    while perf_counter() - start < _SECONDS:
        work()
        count += 1
    return count, perf_counter() - start
