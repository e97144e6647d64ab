"""How reliable measurements are, and what accuracy they leave room for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unitdb.analysis.bootstrap import BlockBootstrap, standard_errors
from unitdb.analysis.intervals import Interval
from unitdb.analysis.moments import BlockMoments, Blocks
from unitdb.errors import AnalysisError
from unitdb.resolution import DOUBLE, is_constant, scaled

__all__ = [
    "Explainable",
    "explainable_accuracy",
    "repeat_reliability",
    "spearman_brown",
    "subject_reliability",
    "subject_reliability_interval",
]

Array = NDArray[np.float64]

_POLE = 0.01  # where the divisor is less, rounding decides
_ROUNDING = 1e-12  # a variance of a sum that is less, of the largest that it could be, is rounding


def spearman_brown(r: ArrayLike, *, factor: float = 2.0) -> Array:
    """Reliability of ``factor`` times as many measurements:  k r / (1 + (k − 1) r).

    Parameters
    ----------
    r : array of any shape
        Correlation of two halves. NaN near the pole of the formula, 1 + (k − 1) r < .01, and
        beyond it.
    factor : float
        k; 2 for halves.

    Returns
    -------
    array of the shape of r
        float64.

    Raises
    ------
    AnalysisError
        A factor that is not positive.

    References
    ----------
    Spearman 1910, doi:10.1111/j.2044-8295.1910.tb00206.x; Brown 1910,
    doi:10.1111/j.2044-8295.1910.tb00207.x.

    Examples
    --------
    >>> from unitdb.analysis import spearman_brown
    >>> round(float(spearman_brown(0.5)), 3)
    0.667
    """
    if not factor > 0:
        raise AnalysisError(f"factor {factor}; it should be positive")
    values = np.asarray(r, dtype=np.float64)
    below = 1 + (factor - 1) * values
    whole = np.full(values.shape, np.nan)
    np.divide(factor * values, below, out=whole, where=below >= _POLE)
    return whole


def repeat_reliability(
    repeats: NDArray[np.floating],
    *,
    n_splits: int = 100,
    seed: int = 0,
    averaged: float | None = None,
) -> Array:
    """Split-half reliability of the mean over repeated presentations, for each column.

    Presentations are divided into halves at random (one is left out of an odd number), each half is
    averaged, and halves are correlated over images. The correlations of all splits are averaged and
    taken to the full number of presentations by :func:`spearman_brown`.

    Of predictions decoded from single presentations, its square root is the ceiling of a unit's
    accuracy; of responses, of a voxel's encoding accuracy. Errors of presentations must be
    independent.

    Parameters
    ----------
    repeats : array of shape (n_repeats, n_images, n_columns)
        One presentation of every image after the other; a block of units or voxels.
    n_splits : int
        Random divisions.
    seed : int
        Of numpy's PCG64; the same seed gives all blocks the same divisions.
    averaged : float, optional
        Presentations that the mean is over; by default those given. Where images were shown
        unequally often, the harmonic mean of how often.

    Returns
    -------
    array of shape (n_columns,)
        NaN where a half is constant or not finite.

    Raises
    ------
    AnalysisError
        Fewer than two presentations, or no splits.

    Examples
    --------
    >>> from unitdb.analysis import repeat_reliability
    >>> rng = np.random.default_rng(0)
    >>> true = rng.normal(size=(1, 200, 1))
    >>> repeats = true + rng.normal(size=(4, 200, 1))
    >>> repeat_reliability(repeats).round(1)
    array([0.8])
    """
    if repeats.ndim != 3 or len(repeats) < 2 or n_splits < 1:
        raise AnalysisError(
            f"{n_splits} splits of repeats of shape {repeats.shape}; at least 1 split of "
            "(n_repeats, n_images, n_columns) with 2 repeats"
        )
    n_repeats = len(repeats)
    half = n_repeats // 2
    columns = np.reshape(repeats, (-1, repeats.shape[2]))
    repeats = np.reshape(scaled(columns)[0], repeats.shape)
    total = np.zeros(repeats.shape[2])
    for (first, second), n in _divisions(n_repeats, n_splits, seed).items():
        a, b = (repeats[list(of)].mean(axis=0, dtype=np.float64) for of in (first, second))
        total += n * _column_correlations(a, b)
    return spearman_brown(total / n_splits, factor=(averaged or n_repeats) / half)


def subject_reliability(
    r: NDArray[np.floating],
    *,
    n_splits: int = 100,
    seed: int = 0,
) -> float:
    """Split-half reliability, over units, of the mean accuracy over subjects.

    As :func:`repeat_reliability` with subjects for presentations and units for images: how alike
    the mean map would be in as many other people. Correlations of halves follow from the
    covariances Σ of subjects,  a'Σb / √(a'Σa b'Σb)  with the weights a and b of the halves, so that
    units are read once.

    Parameters
    ----------
    r : array of shape (n_subjects, n_units)
        Accuracies; units that lack one in a subject are left out.
    n_splits : int
        Random divisions of the subjects.
    seed : int
        Of numpy's PCG64.

    Returns
    -------
    float
        NaN where fewer than two units are common, or all are equal in a half.

    Raises
    ------
    AnalysisError
        Fewer than two subjects, or no splits.

    Examples
    --------
    >>> from unitdb.analysis import subject_reliability
    >>> rng = np.random.default_rng(0)
    >>> r = rng.normal(size=500) + rng.normal(size=(4, 500))
    >>> round(subject_reliability(r), 1)
    0.8
    """
    halves = _Halves.of(r, n_splits, seed)
    r = _of_usual_size(r)
    complete = r[:, ~np.isnan(r).any(axis=0)]
    if complete.shape[1] < 2:
        return np.nan
    # Of differences to the first unit: what is constant has a covariance of exactly 0.
    covariance = np.cov(complete - complete[:, :1].astype(np.float64))
    return float(spearman_brown(halves.correlation(covariance[None]), factor=halves.factor)[0])


def subject_reliability_interval(
    r: NDArray[np.floating],
    blocks: Blocks,
    *,
    n_splits: int = 100,
    n_bootstrap: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """:func:`subject_reliability` with a block bootstrap interval.

    The interval of the mean correlation ρ of halves,  tanh(artanh(ρ) ± t · s), as of
    :func:`.agreement_intervals`, taken to all subjects by :func:`spearman_brown`, which keeps the
    order. What is drawn again is blocks of units of these subjects: the interval is about other
    filters, not about other people.

    Parameters
    ----------
    r : array of shape (n_subjects, n_units)
        Accuracies; units that lack one in a subject are left out.
    blocks : array of shape (n_units,)
        Block of each unit, from 0: :func:`.channel_blocks` or :func:`.tile_blocks`.
    n_splits : int
        Random divisions of the subjects, the same in all replicates.
    n_bootstrap : int
        Replicates.
    seed : int
        Of numpy's PCG64, of the divisions and of the replicates.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    Interval
        Low and high are NaN for fewer than two blocks, and where the lower end would be that of
        halves that are as good as opposed.

    Raises
    ------
    AnalysisError
        Fewer than two subjects, no splits, shapes that do not agree, or options out of range.

    References
    ----------
    Künsch 1989, doi:10.1214/aos/1176347265 (blocks).

    Examples
    --------
    >>> from unitdb.analysis import subject_reliability_interval
    >>> rng = np.random.default_rng(0)
    >>> r = rng.normal(size=500) + rng.normal(size=(4, 500))
    >>> found = subject_reliability_interval(r, np.arange(500) // 10)
    >>> found.low < found.value < found.high
    True
    """
    halves = _Halves.of(r, n_splits, seed)
    draw = BlockBootstrap(n_bootstrap, seed, confidence)
    moments = BlockMoments(len(r), int(blocks.max(initial=-1)) + 1)
    moments.add(_of_usual_size(r), blocks)
    moments.drop_empty()
    value, used = subject_reliability(r, n_splits=n_splits, seed=seed), len(moments.n)
    nothing = Interval(value=value, low=np.nan, high=np.nan)
    if np.isnan(value) or used < 2:
        return nothing
    replicates = [halves.correlation(moments.totals(w)[2]) for w in draw.weights(used)]
    se = float(standard_errors(np.concatenate(replicates), used))
    centre = float(halves.correlation(moments.totals()[2])[0])
    found = draw.interval(centre, se, used)
    ends = spearman_brown([found.low, found.high], factor=halves.factor)
    if np.isnan(ends).any():
        return nothing
    return Interval(value=value, low=float(ends[0]), high=float(ends[1]))


def _of_usual_size(r: NDArray[np.floating]) -> NDArray[np.floating]:
    """All times one power of two, so that rows can still be added."""
    _, exponent = scaled(r.ravel())
    return np.ldexp(r, -exponent) if exponent else r


@dataclass(frozen=True, eq=False)
class _Halves:
    """Divisions of subjects into halves: weights of either half, (n_splits, n_subjects)."""

    first: Array
    second: Array
    factor: float

    @classmethod
    def of(cls, r: NDArray[np.floating], n_splits: int, seed: int) -> _Halves:
        if r.ndim != 2:
            raise AnalysisError(
                f"accuracies of shape {r.shape}; they should be (n_subjects, n_units)"
            )
        n_subjects, half = len(r), len(r) // 2
        if not half or n_splits < 1:
            raise AnalysisError(
                f"{n_splits} splits of accuracies of shape {r.shape}; at least 1 split of 2 "
                "subjects"
            )
        orders = _orders(n_subjects, n_splits, seed)
        first, second = np.zeros((2, n_splits, n_subjects))
        np.put_along_axis(first, orders[:, :half], 1.0, axis=1)
        np.put_along_axis(second, orders[:, half : 2 * half], 1.0, axis=1)
        return cls(first, second, n_subjects / half)

    def correlation(self, covariance: Array) -> Array:
        """Mean correlation of halves by covariances of subjects, (n_replicates, …, …).

        NaN where a half does not vary in some division: by its own size, however small beside the
        other half's.
        """
        pairs = ((self.first, self.second), (self.first,) * 2, (self.second,) * 2)
        ab, aa, bb = (np.einsum("ks,nst,kt->nk", x, covariance, y, optimize=True) for x, y in pairs)
        # Subjects may cancel each other: of a'Σa at most (Σ_s a_s σ_s)² is summed.
        sd = np.sqrt(np.einsum("nss->ns", covariance))
        of_a, of_b = (_ROUNDING * (sd @ half.T) ** 2 for half in (self.first, self.second))
        varies = ((aa > of_a) & (bb > of_b)).all(axis=1)
        found = np.full(len(covariance), np.nan)
        found[varies] = np.mean(ab[varies] / np.sqrt(aa[varies] * bb[varies]), axis=1)
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Explainable:
    """Accuracies in parts of their ceilings; each an array of shape (n_units,).

    Parameters
    ----------
    ceiling : float
        √reliability; NaN where reliability is not positive.
    value : float
        r / ceiling, as it comes: it may be above 1.
    above_ceiling : bool
        |r| is larger than the ceiling: chance, or errors that presentations share.
    """

    ceiling: Array
    value: Array
    above_ceiling: NDArray[np.bool_]


def explainable_accuracy(r: NDArray[np.floating], reliability: NDArray[np.floating]) -> Explainable:
    """Accuracy in parts of what the noise of the measurements leaves room for: r / √reliability.

    The truth (a network's activation) has no noise, so that only predictions are corrected. Never
    clamped. Where reliability is near 0 the ratio is mostly noise; look at both.

    Parameters
    ----------
    r : array of any shape
        Accuracies.
    reliability : array that broadcasts to ``r``
        Of the predictions: :func:`repeat_reliability`.

    References
    ----------
    Spearman 1904, doi:10.2307/1412159 (attenuation).

    Returns
    -------
    Explainable
        Value and ceiling, NaN where reliability is not above 0.

    Examples
    --------
    >>> from unitdb.analysis import explainable_accuracy
    >>> found = explainable_accuracy(np.array([0.4]), np.array([0.64]))
    >>> found.value.round(2).tolist()
    [0.5]
    """
    values, part = np.broadcast_arrays(
        np.asarray(r, dtype=np.float64), np.asarray(reliability, dtype=np.float64)
    )
    ceiling = np.sqrt(np.where(part > 0, part, np.nan))
    return Explainable(
        ceiling=ceiling, value=values / ceiling, above_ceiling=np.abs(values) > ceiling
    )


def _orders(n: int, n_splits: int, seed: int) -> NDArray[np.int64]:
    rng = np.random.Generator(np.random.PCG64(seed))
    return rng.permuted(np.tile(np.arange(n), (n_splits, 1)), axis=1)


def _divisions(n: int, n_splits: int, seed: int) -> Counter[tuple[tuple[int, ...], ...]]:
    """How often each division is drawn: of four presentations there are only three."""
    half = n // 2
    orders = _orders(n, n_splits, seed).tolist()
    return Counter(
        tuple(sorted((tuple(sorted(order[:half])), tuple(sorted(order[half : 2 * half])))))
        for order in orders
    )


def _column_correlations(a: Array, b: Array) -> Array:
    constant = is_constant(a, resolution=DOUBLE) | is_constant(b, resolution=DOUBLE)
    x, y = scaled(a)[0], scaled(b)[0]
    a, b = x - x.mean(axis=0), y - y.mean(axis=0)
    scale = np.sqrt(np.einsum("iu,iu->u", a, a) * np.einsum("iu,iu->u", b, b))
    scale[constant | (scale == 0)] = np.nan
    return np.asarray(np.einsum("iu,iu->u", a, b) / scale)
