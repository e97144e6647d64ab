"""The region from which a unit is decoded best, where it is decoded at all."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import scipy.special
from numpy.typing import NDArray

from unitdb.errors import AnalysisError, closest

__all__ = ["BHMethod", "Chooser", "best_rois"]

BHMethod = Literal["nonaka2021", "corrected"]
Best = NDArray[np.int16]

_P = 0.05  # two-sided, of a positive accuracy
_BLOCK = 1 << 15  # units at a time, whose intermediate results stay in the cache
_NEAR = 1e-6  # part of the critical value within which p is computed
_ROUNDING = 1e-6  # by which a correlation in float32 may leave [-1, 1]
_MOST_ROIS = 2**15 - 1


def best_rois(
    r: NDArray[np.floating], *, n_stimuli: int, method: BHMethod = "corrected", seed: int = 0
) -> Best:
    """Region with the highest accuracy of each unit, if that is positive and p < .05 (two-sided).

    ``"nonaka2021"``  p of  t = r √((n − 2) (1 − r²)),  as published; ties go to the first region.
    The formula lacks a division: t falls again above r = 1/√2, and very accurate units are lost.

    ``"corrected"``   p of  t = r √((n − 2) / (1 − r²)),  times the number of regions in which the
    unit has an accuracy (Bonferroni), as the highest of several is high by chance; one of those
    that are equally high is drawn.

    NaN is no accuracy. (The published code puts 0, which is the same, as only positive ones count.)

    Parameters
    ----------
    r : array of shape (..., n_rois, n_units)
        Accuracies: Pearson r. Nothing is written to it. In ``"nonaka2021"`` t has its precision.
    n_stimuli : int
        Test images that each accuracy is over; 50 in the publication.
    method : {"corrected", "nonaka2021"}
    seed : int
        Of numpy's PCG64, for ties.

    Returns
    -------
    array of shape (..., n_units)
        Region, from 0, or -1.

    Raises
    ------
    AnalysisError
        Too few images or axes, too many regions, accuracies above 1, or another method.

    References
    ----------
    Nonaka, Majima, Aoki & Kamitani 2021, doi:10.1016/j.isci.2021.103013.

    Examples
    --------
    >>> from unitdb.analysis import best_rois
    >>> best_rois(np.array([[0.6, 0.1], [0.2, 0.1]]), n_stimuli=50)
    array([ 0, -1], dtype=int16)
    """
    return Chooser(method, n_stimuli, seed).best(r)


class Chooser:
    """Chooses regions for one layer after another; ties of all are drawn from one generator.

    Parameters
    ----------
    method : {"corrected", "nonaka2021"}
    n_stimuli : int
    seed : int

    Raises
    ------
    AnalysisError
        Too few images, or another method.
    """

    def __init__(self, method: BHMethod, n_stimuli: int, seed: int) -> None:
        if method not in get_args(BHMethod):
            near = closest(str(method), get_args(BHMethod)) or get_args(BHMethod)
            raise AnalysisError(f"method {method!r} of a BH score; valid: {', '.join(near)}")
        if n_stimuli < 3:
            raise AnalysisError(f"{n_stimuli} test images; a BH score needs at least 3")
        self._published = method == "nonaka2021"
        self._df = n_stimuli - 2
        self._rng = np.random.Generator(np.random.PCG64(seed))

    def best(self, r: NDArray[np.floating]) -> Best:
        """Region of each unit, as :func:`best_rois`."""
        r = np.asarray(r)
        if r.ndim < 2 or not 1 <= r.shape[-2] <= _MOST_ROIS or r.dtype.kind != "f":
            raise AnalysisError(
                f"accuracies of shape {r.shape} and type {r.dtype}; they should be floats, "
                f"(n_rois, n_units), of 1 to {_MOST_ROIS} regions"
            )
        found = np.empty((*r.shape[:-2], r.shape[-1]), dtype=np.int16)
        for subject in np.ndindex(r.shape[:-2]):
            for start in range(0, r.shape[-1], _BLOCK):
                units = slice(start, start + _BLOCK)
                found[subject][units] = self._of_block(r[subject][:, units])
        return found

    def _of_block(self, r: NDArray[np.floating]) -> Best:
        high, top = r[0].copy(), np.zeros(r.shape[1], dtype=np.int16)
        absent = ~(high > 0)  # NaN included
        high[absent], top[absent] = 0, -1
        tied = np.ones(r.shape[1], dtype=np.int16)
        for roi, row in enumerate(r[1:], start=1):
            if not self._published:
                self._draw(row, high, top, tied, roi)
            better = row > high
            np.copyto(high, row, where=better)
            np.copyto(top, np.int16(roi), where=better)
            if not self._published:
                np.copyto(tied, np.int16(1), where=better)
        if high.max(initial=0) > 1 + _ROUNDING:
            raise AnalysisError(f"accuracy {high.max():g} is no correlation: above 1")
        kept = self._as_published(high) if self._published else self._corrected(high, r)
        top[~kept] = -1
        return top

    def _draw(
        self,
        row: NDArray[np.floating],
        high: NDArray[np.floating],
        top: Best,
        tied: Best,
        roi: int,
    ) -> None:
        """The k-th of equally high regions takes the place of those before with chance 1/k."""
        (equal,) = np.nonzero((row == high) & (top >= 0))
        tied[equal] += 1
        taken = equal[self._rng.random(len(equal)) * tied[equal] < 1]
        top[taken] = roi

    def _as_published(self, r: NDArray[np.floating]) -> NDArray[np.bool_]:
        """P < .05 by the published arithmetic, in the precision of the accuracies."""
        with np.errstate(invalid="ignore"):  # r above 1 by rounding has no t
            t = r * np.sqrt(self._df * (1 - r**2))
        critical = scipy.special.stdtrit(self._df, 1 - _P / 2)
        kept = t > critical
        (near,) = np.nonzero(np.abs(t - critical) < _NEAR * critical)
        p = 2 * (1 - scipy.special.stdtr(self._df, t[near].astype(np.float64)))
        kept[near] = p < _P
        return np.asarray(kept)

    def _corrected(self, high: NDArray[np.floating], r: NDArray[np.floating]) -> NDArray[np.bool_]:
        t = scipy.special.stdtrit(self._df, 1 - _P / 2 / np.arange(1, len(r) + 1))
        critical = t / np.sqrt(self._df + t**2)  # an accuracy for each number of regions
        missing = np.isnan(r).sum(axis=0) if np.isnan(r.sum()) else 0
        return np.asarray(high > critical[len(r) - 1 - missing])
