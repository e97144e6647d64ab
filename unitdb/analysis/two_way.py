"""Means over subjects and images, both of which are samples: intervals, p, and the sign flip."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import scipy.special
from numpy.typing import NDArray

from unitdb.analysis.intervals import Interval
from unitdb.errors import AnalysisError

__all__ = ["TwoWay", "sign_flip_p", "two_way_difference", "two_way_mean"]

Array = NDArray[np.float64]

_EXACT = 14  # subjects whose signs are all tried: 16,384 ways
_DRAWN = 9_999
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class TwoWay(Interval):
    """An estimate over subjects and images:  value ± t · se.

    Parameters
    ----------
    se : float
        Standard error over both; NaN of a single value.
    df : int
        Degrees of freedom of t.
    confidence : float
        Of the interval.

    Examples
    --------
    >>> from unitdb.analysis import TwoWay
    >>> gain = TwoWay(value=0.3, low=0.08, high=0.52, se=0.1, df=10, confidence=0.95)
    >>> round(gain.less(0.1, se=0.0).value, 2)
    0.2
    """

    se: float
    df: int
    confidence: float

    @property
    def p(self) -> float:
        """One-sided p that the truth is above 0, by t = value / se; NaN without a scatter."""
        if not self.se > 0:
            return np.nan
        return float(scipy.special.stdtr(self.df, -self.value / self.se))

    def less(self, value: float, *, se: float) -> TwoWay:
        """Less a value that has an error of its own: the squares of both errors are summed.

        Returns
        -------
        TwoWay
            The difference with its error.
        """
        both = float(np.hypot(self.se, se))
        return _around(self.value - value, both, self.df, self.confidence)


def two_way_mean(
    values: Array, *, n_bootstrap: int = 2000, confidence: float = 0.95, seed: int = 0
) -> TwoWay:
    """Mean of values of subjects and images, with an interval over both.

    mean = mean over subjects of the mean over their images. Subjects and images are drawn with
    replacement, each by themselves; the interval is mean ± t · SE · √(n / (n - 1)), SE the SD over
    replicates, t Student's with n - 1 degrees of freedom, n the smaller number of those drawn.
    Where there is one subject, images alone are drawn, and the other way round. What subjects and
    images have of their own together counts up to three times in SE: the interval is rather wide.

    Parameters
    ----------
    values : array of shape (n_subjects, n_images)
        NaN where a subject has none of an image.
    n_bootstrap : int
        Replicates.
    confidence : float
        Between 0 and 1.
    seed : int
        Of numpy's PCG64.

    Returns
    -------
    TwoWay
        Ends are NaN of a single value.

    References
    ----------
    Owen 2007, doi:10.1214/07-AOAS122 (the pigeonhole bootstrap).

    Examples
    --------
    >>> from unitdb.analysis import two_way_mean
    >>> found = two_way_mean(np.array([[0.1, 0.3, 0.2], [0.3, 0.5, 0.4]]))
    >>> round(found.value, 2), found.df
    (0.3, 1)
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    kept = _useful(values)
    means = _replicates(kept, _draws(rng, len(kept), n_bootstrap), rng, n_bootstrap)
    return _interval(_mean(kept), means, kept.shape, confidence)


def two_way_difference(
    values: Array,
    others: Array,
    *,
    n_bootstrap: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> TwoWay:
    """Difference of two means, of the same subjects and different images.

    As :func:`two_way_mean`; subjects are drawn for both sides together, the images of each side by
    themselves: they are not paired.

    Parameters
    ----------
    values, others : arrays of shape (n_subjects, n_images) and (n_subjects, n_others)
    n_bootstrap, confidence, seed
        As of :func:`two_way_mean`.

    Returns
    -------
    TwoWay
        Difference, its interval and standard error.

    Raises
    ------
    AnalysisError
        Other subjects.

    Examples
    --------
    >>> from unitdb.analysis import two_way_difference
    >>> values = np.array([[0.1, 0.3, 0.2], [0.3, 0.5, 0.4]])
    >>> round(two_way_difference(values, values - 0.1).value, 2)
    0.1
    """
    if len(values) != len(others):
        raise AnalysisError(f"{len(values)} and {len(others)} subjects: the same are needed")
    rng = np.random.Generator(np.random.PCG64(seed))
    both = ~(np.isnan(values).all(axis=1) | np.isnan(others).all(axis=1))
    sides = [_useful(side[both]) for side in (values, others)]
    drawn = _draws(rng, int(both.sum()), n_bootstrap)
    left, right = (_replicates(side, drawn, rng, n_bootstrap) for side in sides)
    smallest = (len(sides[0]), min(side.shape[1] for side in sides))
    return _interval(_mean(sides[0]) - _mean(sides[1]), left - right, smallest, confidence)


def sign_flip_p(values: Array, *, seed: int = 0) -> float:
    """One-sided p of a mean over subjects: how often it is as high with signs drawn at random.

    It takes the images as given: what is luck of theirs is common to all subjects, and counts as an
    effect.

    Exact for symmetric differences: all 2ⁿ ways for n ≤ 14, so that it is never below 2⁻ⁿ (1/32 of
    five subjects); else 9,999 drawn ones and the true one.

    Parameters
    ----------
    values : array of shape (n_subjects,)
        NaN is left out.
    seed : int
        Of numpy's PCG64, for those drawn.

    Returns
    -------
    float
        NaN without a subject.

    Examples
    --------
    >>> from unitdb.analysis import sign_flip_p
    >>> sign_flip_p(np.array([0.1, 0.2, 0.3, 0.1, 0.2]))
    0.03125
    """
    known = values[~np.isnan(values)].astype(np.float64)
    if not len(known):
        return np.nan
    if len(known) <= _EXACT:
        signs = np.array(list(product((1.0, -1.0), repeat=len(known))))
    else:
        rng = np.random.Generator(np.random.PCG64(seed))
        drawn = rng.choice([-1.0, 1.0], size=(_DRAWN, len(known)))
        signs = np.concatenate([np.ones((1, len(known))), drawn])
    sums = signs @ known
    return float((sums >= known.sum() - _ROUNDING * np.abs(known).sum()).mean())


def _useful(values: Array) -> Array:
    """Subjects and images of which there is a value."""
    known = ~np.isnan(values)
    return np.asarray(values[known.any(axis=1)][:, known.any(axis=0)], dtype=np.float64)


def _mean(values: Array) -> float:
    return float(np.nanmean(values, axis=1).mean()) if values.size else np.nan


def _draws(rng: np.random.Generator, n: int, n_bootstrap: int) -> Array:
    """How often each of n is drawn, (n_bootstrap, n); once each where there is one."""
    if n < 2:
        return np.ones((n_bootstrap, n))
    return rng.multinomial(n, np.full(n, 1 / n), size=n_bootstrap).astype(np.float64)


def _replicates(
    values: Array, subjects: Array, rng: np.random.Generator, n_bootstrap: int
) -> Array:
    images = _draws(rng, values.shape[1], n_bootstrap)
    known = ~np.isnan(values)
    sums = images @ np.where(known, values, 0.0).T  # (n_bootstrap, n_subjects)
    counts = images @ known.T.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts  # NaN of a subject none of whose images was drawn
        weights = np.where(counts > 0, subjects, 0.0)
        return np.asarray(np.nansum(means * weights, axis=1) / weights.sum(axis=1))


def _interval(value: float, replicates: Array, shape: tuple[int, ...], confidence: float) -> TwoWay:
    drawn = [n for n in shape if n > 1]
    if not drawn or np.isnan(value):
        return _around(value, np.nan, 0, confidence)
    n = min(drawn)
    se = float(np.nanstd(replicates, ddof=1)) * np.sqrt(n / (n - 1))
    return _around(value, se, n - 1, confidence)


def _around(value: float, se: float, df: int, confidence: float) -> TwoWay:
    half = float(scipy.special.stdtrit(df, 0.5 + confidence / 2)) * se if df else np.nan
    return TwoWay(
        value=value, low=value - half, high=value + half, se=se, df=df, confidence=confidence
    )
