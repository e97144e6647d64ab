"""What counts as constant, and what squares can hold: one rule for all that is computed.

Dividing by what a column varies by means nothing where that is rounding. Whoever scales, ranks or
correlates asks here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

__all__ = [
    "DOUBLE",
    "HALF",
    "SINGLE",
    "flattened",
    "is_constant",
    "resolution_of",
    "scaled",
    "scaled_and_constant",
]

SINGLE = 2.0**-16
"""What a forward pass in float32 resolves, in parts of the largest activation of a unit.

128 steps of float32: in every layer of EfficientNet-lite0 the error over 92 photographs is within
it for 999 of 1,000 units (docs/methods.md has the table). For responses too, whose files hold
float32 or less."""

DOUBLE = 2.0**-45
"""The same of sums in float64, such as averages and predictions: 128 of its steps."""


_HALF = {"float16": 2.0**-7, "bfloat16": 2.0**-4}
"""The same of half precisions: 8 of their steps, beside the largest value. A unit that rounding
leaves nine values or fewer is constant. (128 steps of bfloat16 would be the whole of a number.)"""


HALF = tuple(sorted(_HALF, key=lambda name: -_HALF[name]))
"""Names of half precisions, the coarsest first."""


def resolution_of(precision: object) -> float:
    """Resolution of a precision, by name or NumPy's type; :data:`SINGLE` of all but half ones."""
    # A type's name is the same in either order of bytes.
    name = precision.name if isinstance(precision, np.dtype) else str(precision)
    return _HALF.get(name, SINGLE)


def is_constant(
    values: NDArray[Any], *, axis: int = 0, resolution: float | None = None
) -> NDArray[np.bool_]:
    """Columns that hold one value, as far as can be told:  max y − min y ≤ resolution · max |y|.

    Small values are no reason: a unit that takes 0 and 1e-30 varies, and so does one that answers
    to a single image. The range is exact whatever the order of rows, as an SD is not, so that the
    answer is the same on every machine, in tiles of any size.

    Parameters
    ----------
    values : array of shape (n_rows, n_columns)
        Raw: what has lost its mean has lost its size.
    axis : int
        Along which values are compared.
    resolution : float
        :data:`SINGLE` of activations and responses, :data:`DOUBLE` of what float64 was summed to;
        by default that of the array's type.

    Returns
    -------
    array of shape (n_columns,)
        False where a value is NaN.
    """
    if resolution is None:
        resolution = resolution_of(values.dtype)
    return _is_constant(*_ends(values, axis), resolution)


def flattened(values: NDArray[Any], *, resolution: float) -> NDArray[Any]:
    """Values whose constant columns hold their first value alone: what follows sees no rounding.

    Parameters
    ----------
    values : array of shape (n_rows, n_columns)
        Raw.
    resolution : float
        Of :func:`is_constant`. At :data:`SINGLE` the array is given back: who asks finds out there.
    """
    if resolution <= SINGLE or not len(values):
        return values
    return np.where(is_constant(values, resolution=resolution), values[0], values)


def scaled(
    values: NDArray[Any], *, axis: int = 0
) -> tuple[NDArray[np.floating], NDArray[np.int32]]:
    """Columns times a power of two each, so that their sums and squares can be held:  y · 2⁻ᵉ.

    Exact: what follows has the same bits as of columns of usual size, whose e is 0. What divides
    by a norm or an SD scales here first. Without it the square of 1e-170 is 0, that of 1e160
    infinite, and that of 1e-160 has two digits.

    Parameters
    ----------
    values : array of shape (n_rows, n_columns)
        Of float32 and float64 as they are; others become float64.
    axis : int
        Along which a column lies.

    Returns
    -------
    scaled : array of the given shape
        The given array, where no column has another size than usual.
    exponents : array of shape (n_columns,)
        e, of the values that are not NaN; 0 where one is infinite, too.
    """
    if not values.size:
        return _as_floats(values), np.zeros(np.delete(values.shape, axis), dtype=np.int32)
    return _scaled(values, _ends(values, axis), axis)


def scaled_and_constant(
    values: NDArray[Any], *, resolution: float
) -> tuple[NDArray[np.floating], NDArray[np.int32], NDArray[np.bool_]]:
    """Answer as :func:`scaled` and :func:`is_constant`, looking through the values once.

    Parameters
    ----------
    values : array of shape (n_rows, n_columns)
        Raw; neither empty.
    resolution : float
        As of :func:`is_constant`.

    Returns
    -------
    scaled : array of the given shape
    exponents : array of shape (n_columns,)
    constant : array of shape (n_columns,)
    """
    ends = _ends(values, axis=0)
    return *_scaled(values, ends, axis=0), _is_constant(*ends, resolution)


def _ends(values: NDArray[Any], axis: int) -> tuple[Floats, Floats]:
    """Highest and lowest value of each column; NaN where one is NaN."""
    high, low = values.max(axis=axis), values.min(axis=axis)
    return high.astype(np.float64), low.astype(np.float64)


def _is_constant(high: Floats, low: Floats, resolution: float) -> NDArray[np.bool_]:
    largest, exponent = _exponents(high, low)
    span = np.ldexp(high, -exponent) - np.ldexp(low, -exponent)  # neither over- nor underflows
    return np.asarray(span <= resolution * largest)


def _scaled(
    values: NDArray[Any], ends: tuple[Floats, Floats], axis: int
) -> tuple[NDArray[np.floating], NDArray[np.int32]]:
    floats = _as_floats(values)
    if np.isnan(ends[0]).any():  # of the rest of the column, then
        high, low = np.fmax.reduce(floats, axis=axis), np.fmin.reduce(floats, axis=axis)
        ends = (high.astype(np.float64), low.astype(np.float64))
    _, exponent = _exponents(*ends)
    exponent[np.abs(exponent) <= _USUAL[floats.dtype]] = 0
    if not exponent.any():
        return floats, exponent
    return np.ldexp(floats, -np.expand_dims(exponent, axis)), exponent


def _as_floats(values: NDArray[Any]) -> NDArray[np.floating]:
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)


_USUAL = {np.dtype(np.float32): 30, np.dtype(np.float64): 200}
"""Exponents of columns whose products lose no bit that counts beside the largest."""


def _exponents(high: Floats, low: Floats) -> tuple[Floats, NDArray[np.int32]]:
    """Largest size of each column as m · 2ᵉ, 1/2 ≤ m < 1; e is 0 where it is not finite."""
    largest, exponent = np.frexp(np.maximum(np.abs(high), np.abs(low)))
    return largest, np.where(np.isfinite(largest), exponent, 0).astype(np.int32)
