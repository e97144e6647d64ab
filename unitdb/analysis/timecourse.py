"""What decoded patterns tell at one time: accuracy, likeness and identification, with chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis.intervals import Interval
from unitdb.analysis.lag import jackknife_interval
from unitdb.analysis.patterns import PatternSimilarity
from unitdb.errors import AnalysisError

__all__ = ["NOISES", "CoursePoint", "course_point", "matched_curves"]

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

NOISES = np.concatenate([[0.0], 2.0 ** (np.arange(-6, 13) / 2)])
"""SD of the noise that is added to predictions, in SD of these, from none to 64."""

_ROUNDING = 1e-12  # of a sum of squares: what is left of it when a constant is taken away


@dataclass(frozen=True, kw_only=True, eq=False)
class CoursePoint:
    """A test set of one time, of a layer, an ROI and a subject.

    Intervals are jackknives over targets: without each of them in turn, with all its samples.

    Parameters
    ----------
    n_samples, n_targets, n_units : int
        What it is over.
    r : Interval
        Accuracy: Pearson r over samples, mean over units.
    r_without : array of shape (n_targets,)
        The same without each target.
    r_shuffled : float
        Its control: targets exchanged by one permutation.
    r_noisy : array of shape (n_noises,)
        With noise added, of :data:`NOISES`.
    p : float
        One-sided p of r, by random permutations of targets among samples.
    pattern : Interval
        Pearson r over units of predicted and true pattern, mean over samples.
    pattern_chance : float
        The same of patterns of other targets.
    identification : Interval
        Share of the other targets that the predicted pattern is less like than its own.
    identification_chance : float
        The same where each sample has each sample's target in turn.
    """

    n_samples: int
    n_targets: int
    n_units: int
    r: Interval
    r_without: Array
    r_shuffled: float
    r_noisy: Array
    p: float
    pattern: Interval
    pattern_chance: float
    identification: Interval
    identification_chance: float


def course_point(
    predicted: NDArray[np.floating],
    truth: NDArray[np.floating],
    own: Rows,
    *,
    mean: NDArray[np.floating],
    sd: NDArray[np.floating],
    shuffled: Rows,
    seed: Sequence[int],
    n_permutations: int = 999,
) -> CoursePoint:
    """Hold the predictions of one time against what they are of.

    Parameters
    ----------
    predicted : array of shape (n_samples, n_units)
        Raw; a unit that cannot be predicted is NaN.
    truth : array of shape (n_targets, n_units)
        Activations of the targets, raw; those that no sample is of are no candidates.
    own : array of shape (n_samples,)
        Target of each sample: its row of ``truth``.
    mean, sd : arrays of shape (n_units,)
        Over the training samples, which patterns are normalised by; a unit whose SD is 0 does not
        count in patterns.
    shuffled : array of shape (n_targets,)
        For each target that which takes its place in the control.
    seed : sequence of int
        Of the noise; numpy's PCG64. Permutations are the same for all.
    n_permutations : int
        That p is from: p = (1 + those with as high an accuracy) / (1 + n_permutations).

    Returns
    -------
    CoursePoint
        Correlation, its p and floors, patterns and identification at this time.

    Raises
    ------
    AnalysisError
        Shapes that disagree.

    Examples
    --------
    >>> from unitdb.analysis import course_point
    >>> truth = np.random.default_rng(0).normal(size=(6, 20))
    >>> scale = {"mean": np.zeros(20), "sd": np.ones(20)}
    >>> own = np.arange(6)
    >>> found = course_point(truth + 1, truth, own, shuffled=np.roll(own, 1), seed=[0], **scale)
    >>> round(found.r.value, 2), found.identification.value
    (1.0, 1.0)
    """
    if own.shape != predicted.shape[:1] or predicted.shape[1:] != truth.shape[1:]:
        raise AnalysisError(
            f"{predicted.shape} predictions of {own.shape} targets, which have {truth.shape}"
        )
    present = np.unique(own)
    rng = np.random.Generator(np.random.PCG64(list(seed)))
    p, y = predicted.astype(np.float64), truth.astype(np.float64)
    accuracies, n_units = _accuracies(p, y[own], own, len(truth))
    r, without = float(accuracies[0]), accuracies[1:]
    # A mixture of the predictions themselves: as alike over units as these are.
    mix = rng.standard_normal((len(p), len(p))) / np.sqrt(max(len(p) - 1, 1))
    patterns = _patterns(predicted, truth, own, mean=mean, sd=sd)
    return CoursePoint(
        n_samples=len(p),
        n_targets=len(present),
        n_units=n_units,
        r=jackknife_interval(r, without[present]),
        r_without=without,
        r_shuffled=_mean_r(p, y[shuffled[own]]),
        r_noisy=_noisy(p, y[own], mix @ (p - p.mean(axis=0))),
        p=_permutation_p(p, y[own], _orders(len(p), n_permutations)),
        pattern=patterns[0],
        pattern_chance=patterns[1],
        identification=patterns[2],
        identification_chance=patterns[3],
    )


def _normed(values: Array) -> Array:
    """Columns with mean 0 and sum of squares 1; NaN where they do not vary."""
    centred = values - values.mean(axis=0)
    squares = (centred**2).sum(axis=0)
    varies = squares > _ROUNDING * (values**2).sum(axis=0)
    return np.asarray(centred / np.sqrt(np.where(varies, squares, np.nan)))


def _mean(of_units: Array) -> float:
    known = of_units[~np.isnan(of_units)]
    return float(known.mean()) if len(known) else np.nan


def _means(r: Array) -> Array:
    """Mean of each row over what it has; NaN where it has nothing."""
    known = ~np.isnan(r)
    n = known.sum(axis=1)
    return _ratio(np.where(known, r, 0.0).sum(axis=1), n)


def _mean_r(p: Array, y: Array) -> float:
    return _mean((_normed(p) * _normed(y)).sum(axis=0))


def _accuracies(p: Array, y: Array, own: Rows, n_targets: int) -> tuple[Array, int]:
    """Mean accuracy, then that without each target in turn; and how many units have one.

    From sums over the samples of each target, about the mean over all.
    """
    p, y = p - p.mean(axis=0), y - y.mean(axis=0)
    is_of = (np.arange(n_targets)[:, None] == own).astype(np.float64)
    n = len(own) - is_of.sum(axis=1, keepdims=True)

    def left(x: Array) -> Array:
        return np.asarray(x.sum(axis=0) - is_of @ x)

    cross = left(p * y) - left(p) * left(y) / np.maximum(n, 1)
    scale = np.ones_like(cross)
    for x in (p, y):
        square = (x**2).sum(axis=0)
        variance = left(x**2) - left(x) ** 2 / np.maximum(n, 1)
        scale *= np.sqrt(np.where(variance > _ROUNDING * square, variance, np.nan))
    of_all = (_normed(p) * _normed(y)).sum(axis=0)
    r = np.concatenate([of_all[None], cross / scale])
    return _means(r), int((~np.isnan(of_all)).sum())


def _noisy(p: Array, y: Array, noise: Array) -> Array:
    """Mean accuracy with noise added, for each of :data:`NOISES`.

    r(σ) = (c_py + σ c_ny) / √((v_p + 2 σ c_pn + σ² v_n) v_y).
    """
    true, centred = _normed(y), p - p.mean(axis=0)
    noise = noise - noise.mean(axis=0)
    cp, cn = (centred * true).sum(axis=0), (noise * true).sum(axis=0)
    vp, vn, both = (centred**2).sum(axis=0), (noise**2).sum(axis=0), (centred * noise).sum(axis=0)
    sigma = NOISES[:, None]
    variance = vp + 2 * sigma * both + sigma**2 * vn
    varies = variance > _ROUNDING * (p**2).sum(axis=0)
    r = (cp + sigma * cn) / np.sqrt(np.where(varies, variance, np.nan))
    return _means(r)


@lru_cache(maxsize=8)
def _orders(n_samples: int, n: int) -> Rows:
    """Random permutations, the same for all that have so many samples."""
    rng = np.random.Generator(np.random.PCG64(n_samples))
    return rng.permuted(np.tile(np.arange(n_samples), (n, 1)), axis=1)


def _permutation_p(p: Array, y: Array, orders: Rows) -> float:
    """As often as the mean accuracy is as high with targets permuted among samples.

    Mean accuracy = Σ_i M_i,i with M_ij the products of sample i's predictions and sample j's truth,
    both normalised over samples, mean over units: a permutation takes other entries of M.
    """
    left, right = _normed(p), _normed(y)
    known = ~np.isnan(left.sum(axis=0) + right.sum(axis=0))
    if not known.any():
        return np.nan
    products = left[:, known] @ right[:, known].T / known.sum()
    sums = products[np.arange(len(products)), orders].sum(axis=1)
    slack = 1e-9 * np.abs(products).sum()
    return float((1 + (sums >= np.trace(products) - slack).sum()) / (1 + len(orders)))


def _patterns(
    predicted: NDArray[np.floating],
    truth: NDArray[np.floating],
    own: Rows,
    *,
    mean: NDArray[np.floating],
    sd: NDArray[np.floating],
) -> tuple[Interval, float, Interval, float]:
    """Pattern correlation, that with other targets, identification, and what chance gives."""
    present, of_sample = np.unique(own, return_inverse=True)
    if len(present) < 2:
        nothing = Interval(value=np.nan, low=np.nan, high=np.nan)
        return nothing, np.nan, nothing, np.nan
    found = PatternSimilarity(len(predicted), len(present))
    found.add(predicted, truth[present], mean=mean, sd=sd)
    s = found.similarity()
    samples = np.arange(len(s))
    of_own = s[samples, of_sample]
    is_own = np.arange(len(present)) == of_sample[:, None]
    won = (of_own[:, None] > s) + 0.5 * (of_own[:, None] == s)
    pairs = ~(is_own | np.isnan(of_own[:, None] - s))
    won, n_false = np.where(pairs, won, 0.0), pairs.sum(axis=1)
    rate = _mean(_ratio(won.sum(axis=1), n_false))
    # Without each target, a row each: not as a candidate, and without its own samples.
    kept = np.where(is_own, 0, n_false[:, None] - pairs).T
    rates_without = _means(_ratio((won.sum(axis=1, keepdims=True) - won).T, kept))
    likeness_without = _means(np.where(is_own, np.nan, of_own[:, None]).T)
    return (
        jackknife_interval(_mean(of_own), likeness_without),
        _mean(s[~is_own]),
        jackknife_interval(rate, rates_without),
        _exchanged(s, of_sample),
    )


def _ratio(of: Array, n: NDArray[np.int_]) -> Array:
    return np.asarray(np.divide(of, n, out=np.full(n.shape, np.nan), where=n > 0))


def _exchanged(s: Array, of_sample: Rows) -> float:
    """Mean rate over all samples and the targets of all: of each the share that is less like."""
    vary = ~np.isnan(s).all(axis=1), ~np.isnan(s).all(axis=0)
    if not vary[0].any() or vary[1].sum() < 2:
        return np.nan
    from scipy.stats import rankdata  # takes half a second to import

    if s.shape == (len(of_sample), len(of_sample)) and all(each.all() for each in vary):
        return 0.5  # each candidate once: half of all comparisons are won
    rates = np.full(s.shape, np.nan)
    ranks = rankdata(s[np.ix_(*vary)], axis=1)
    rates[np.ix_(*vary)] = (ranks - 1) / (vary[1].sum() - 1)
    return _mean(rates[:, of_sample].ravel())


def matched_curves(noisy: NDArray[np.floating]) -> Array:
    """Curves with so much noise that the peaks of all layers are as high as the weakest's.

    The peak of a layer is the highest value over times of the mean over subjects that have values.
    Noise is the
    least that brings it down, between the amounts that there are by a straight line.

    Parameters
    ----------
    noisy : array of shape (n_subjects, n_layers, n_times, n_noises)
        ``CoursePoint.r_noisy`` of each.

    Returns
    -------
    array of shape (n_subjects, n_layers, n_times)
        NaN for a layer that no noise brings down.

    Examples
    --------
    >>> from unitdb.analysis import NOISES, matched_curves
    >>> fall = np.linspace(1, 0, len(NOISES))
    >>> heights = np.array([[0.2], [0.4]])
    >>> matched_curves((heights * [0.5, 1])[None, :, :, None] * fall).round(2)
    array([[[0.1, 0.2],
            [0.1, 0.2]]])
    """
    having = ~np.isnan(noisy).all(axis=(1, 2, 3))
    if not having.any():
        return np.full(noisy.shape[:3], np.nan)
    with np.errstate(invalid="ignore"):
        heights = _highest(noisy[having].mean(axis=0))  # (n_layers, n_noises)
    lowest = np.nanmin(heights[:, 0]) if not np.isnan(heights[:, 0]).all() else np.nan
    matched = np.full(noisy.shape[:3], np.nan)
    for layer, of_layer in enumerate(heights):
        low_enough = np.flatnonzero(of_layer <= lowest)
        if not len(low_enough):
            continue
        after = int(low_enough[0])
        if after == 0:
            matched[:, layer] = noisy[:, layer, :, 0]
            continue
        before, beyond = noisy[:, layer, :, after - 1], noisy[:, layer, :, after]
        low, high = 0.0, 1.0
        for _ in range(40):
            share = (low + high) / 2
            mixed = ((1 - share) * before + share * beyond)[having]
            height = _highest(mixed.mean(axis=0)[:, None])[0]
            low, high = (share, high) if height > lowest else (low, share)
        matched[:, layer] = (1 - high) * before + high * beyond
    return matched


def _highest(curves: Array) -> Array:
    """Highest value over times, the second last axis; NaN where there is none."""
    filled = np.where(np.isnan(curves), -np.inf, curves).max(axis=-2)
    return np.where(np.isinf(filled), np.nan, filled)
