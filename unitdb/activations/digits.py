"""Whether activations keep what they vary by when they are stored in single precision."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from unitdb.errors import ActivationsError
from unitdb.resolution import DOUBLE, SINGLE, is_constant

__all__ = ["Digits"]

_FEW_STEPS = 2.0**-142  # 128 steps of the smallest values of float32
_EXACT = {np.dtype(kind) for kind in ("f2", "f4", "?", "i1", "u1", "i2", "u2")}


class Digits:
    """What float32 makes of the units of a layer, given in more digits.

    A unit is lost where it varies as given, and float32 holds but rounding of it: 10⁹ with an SD of
    1, or 10⁻⁵⁰. A few lost units have no accuracy, as all that are constant; where most are, the
    values are of a kind that float32 is not for.

    Parameters
    ----------
    n_units : int
    """

    def __init__(self, n_units: int) -> None:
        self._ends: npt.NDArray[Any] | None = None  # lowest and highest, of the type given
        self._exact = np.ones(n_units, dtype=bool)
        self._lock = Lock()

    def add(self, given: npt.NDArray[Any]) -> None:
        """See the activations of some pictures, array of shape (n_pictures, n_units)."""
        if given.dtype in _EXACT:
            return
        with np.errstate(over="ignore", invalid="ignore"):  # refused elsewhere
            exact = (given.astype(np.float32).astype(given.dtype) == given).all(axis=0)
        with self._lock:
            seen = given if self._ends is None else np.concatenate([self._ends, given])
            self._ends = np.stack([seen.min(axis=0), seen.max(axis=0)])
            self._exact &= exact

    def check(self, *, where: str) -> None:
        """Raise ActivationsError, with an example, where most units that vary are lost."""
        if self._ends is None:
            return
        ends = self._ends
        varies = ends[0] != ends[1]
        if ends.dtype.kind == "f":
            varies &= ~is_constant(ends, resolution=DOUBLE)
        few = ends[1].astype(np.float64) - ends[0].astype(np.float64) <= _FEW_STEPS
        constant = is_constant(ends.astype(np.float32), resolution=SINGLE) | few
        lost = varies & constant & ~self._exact
        if not lost.any() or 2 * lost.sum() <= varies.sum():
            return
        first = int(lost.argmax())
        low, high = (repr(end) for end in ends[:, first].tolist())
        raise ActivationsError(
            f"{where}: unit {first} takes values from {low} to {high}, of which float32, that "
            f"activations are stored in, keeps rounding alone (as of {lost.sum()} of {len(lost)} "
            "units); subtract a constant from the layer, or scale it"
        )
