"""Identification: whether a decoded pattern tells which image was seen; intervals over images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis.intervals import Interval
from unitdb.errors import AnalysisError
from unitdb.resolution import DOUBLE, is_constant, resolution_of, scaled

__all__ = [
    "Identification",
    "MeanProfile",
    "pairwise_identification",
    "pattern_correlation",
]

Array = NDArray[np.float64]

CHANCE = 0.5
"""Rate at which a pattern that knows nothing is nearer to the true one than to a false one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Identification:
    """Pairwise identification of images from decoded patterns.

    Parameters
    ----------
    rates : array of shape (n_images,)
        Share of false candidates that each image's prediction is less like than its true one; NaN
        where the prediction or the true pattern does not vary.
    n_candidates : int
        Patterns to choose from, the true one included.
    mean : Interval
        Over images; chance is 0.5.
    """

    rates: Array
    n_candidates: int
    mean: Interval


def pairwise_identification(
    similarity: NDArray[np.floating],
    *,
    targets: NDArray[np.integer] | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Identification:
    """Compare the true candidate of each image with each false one.

    rate_i = mean over j ≠ target_i of  [s_i,target > s_ij] + ½ [s_i,target = s_ij].

    The interval is the percentile interval of a bootstrap over images. An image that is drawn twice
    counts twice as a prediction and, where its true pattern is a candidate for others, twice as
    their false candidate: candidates are drawn with the images, as their choice is chance as well.
    Candidates that belong to no image stay as they are. An image never competes with itself.

    Parameters
    ----------
    similarity : array of shape (n_images, n_candidates)
        From :meth:`.PatternSimilarity.similarity`. NaN pairs are left out.
    targets : array of shape (n_images,), optional
        Column of each image's true pattern, each another; 0, 1, 2, … by default.
    n_bootstrap, seed, confidence
        Of the interval; the generator is numpy's PCG64.

    Returns
    -------
    Identification
        Mean rate with its interval, and the rate of each image.

    Raises
    ------
    AnalysisError
        Fewer than two candidates, or targets that are not distinct columns.

    References
    ----------
    Horikawa & Kamitani 2017, doi:10.1038/ncomms15037.

    Examples
    --------
    >>> from unitdb.analysis import pairwise_identification
    >>> similarity = np.eye(5)  # each prediction is like its own image alone
    >>> pairwise_identification(similarity).mean.value
    1.0
    """
    s = np.asarray(similarity, dtype=np.float64)
    if s.ndim != 2 or s.shape[1] < 2 or not s.shape[0]:
        raise AnalysisError(f"similarity of shape {s.shape}; needs images × at least 2 candidates")
    own = np.arange(len(s)) if targets is None else np.asarray(targets)
    if own.shape != (len(s),) or len(np.unique(own)) < len(s) or not _within(own, s.shape[1]):
        raise AnalysisError(
            f"targets should be {len(s)} different columns from 0 to {s.shape[1] - 1}"
        )
    rows = np.arange(len(s))
    true = s[rows, own][:, None]
    won = (true > s) + 0.5 * (true == s)
    counts = ~np.isnan(true - s)
    counts[rows, own] = False
    won[~counts] = 0.0
    rates = np.full(len(s), np.nan)
    n_false = counts.sum(axis=1)
    np.divide(won.sum(axis=1), n_false, out=rates, where=n_false > 0)
    if np.isnan(rates).all():
        return Identification(rates=rates, n_candidates=s.shape[1], mean=_interval([], rates, 0.95))
    replicates = []
    for weights in _draws(len(s), n_bootstrap, seed):
        candidates = np.ones((len(weights), s.shape[1]))
        candidates[:, own] = weights
        wins, pairs = candidates @ won.T, candidates @ counts.T
        # A prediction all of whose rivals are drawn away says nothing.
        w = weights * (pairs > 0)
        rate = np.divide(wins, pairs, out=np.zeros_like(wins), where=pairs > 0)
        total = w.sum(axis=1)
        replicates.append((w * rate).sum(axis=1)[total > 0] / total[total > 0])
    return Identification(
        rates=rates, n_candidates=s.shape[1], mean=_interval(replicates, rates, confidence)
    )


def pattern_correlation(
    similarity: NDArray[np.floating],
    *,
    n_bootstrap: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[Array, Interval]:
    """Pattern correlation of each image, and the mean with a bootstrap interval over images.

    Parameters
    ----------
    similarity : array of shape (n_images, n_candidates)
        The first candidates are the images' own true patterns.
    n_bootstrap, seed, confidence
        Of the percentile interval; the generator is numpy's PCG64.

    Returns
    -------
    r : array of shape (n_images,)
    mean : Interval
        NaN images are left out.

    Raises
    ------
    AnalysisError
        Fewer candidates than images.

    Examples
    --------
    >>> from unitdb.analysis import pattern_correlation
    >>> r, mean = pattern_correlation(np.array([[0.5, 0.1], [0.2, 0.3]]))
    >>> r, mean.value
    (array([0.5, 0.3]), 0.4)
    """
    if similarity.ndim != 2 or not 0 < similarity.shape[0] <= similarity.shape[1]:
        raise AnalysisError(f"similarity of shape {similarity.shape}; a candidate for each image")
    r = np.diagonal(similarity).astype(np.float64)
    known = r[~np.isnan(r)]
    draws = _draws(len(known), n_bootstrap, seed) if len(known) else iter(())
    return r, _interval([w @ known / len(known) for w in draws], r, confidence)


class MeanProfile:
    """Mean profile correlation over the units of a layer, with a bootstrap interval over images.

    r_u is the correlation over images of unit u's predictions and truth: its accuracy. Images are
    drawn again for all units at once, as these share them: that is what makes their mean vary.

    Parameters
    ----------
    n_images : int
    n_bootstrap, seed, confidence
        Of the percentile interval; the generator is numpy's PCG64.

    Attributes
    ----------
    n_units : int
        Units that counted so far: those whose predictions and truth vary.

    Examples
    --------
    >>> from unitdb.analysis import MeanProfile
    >>> truth = np.random.default_rng(0).normal(size=(20, 3))
    >>> profile = MeanProfile(20)
    >>> profile.add(truth + 1, truth).round(2)
    array([1., 1., 1.])
    >>> float(round(profile.mean().value, 2))
    1.0
    """

    def __init__(
        self, n_images: int, *, n_bootstrap: int = 1000, seed: int = 0, confidence: float = 0.95
    ) -> None:
        self.n_units = 0
        self._n_images = n_images
        self._confidence = confidence
        # The first replicate is the images as they are.
        self._weights = np.concatenate(
            [np.ones((1, n_images)), *_draws(n_images, n_bootstrap, seed)]
        )
        self._totals = np.zeros(len(self._weights))
        self._counts = np.zeros(len(self._weights))

    def add(self, predicted: NDArray[np.floating], true: NDArray[np.floating]) -> Array:
        """Count some units.

        Parameters
        ----------
        predicted, true : arrays of shape (n_images, n_units)

        Returns
        -------
        array of shape (n_units,)
            Profile correlations; NaN where a side is constant.

        Raises
        ------
        AnalysisError
            Other shapes than these.
        """
        if predicted.shape != true.shape or predicted.shape[:1] != (self._n_images,):
            raise AnalysisError(
                f"shapes {predicted.shape} and {true.shape}; both ({self._n_images}, n_units)"
            )
        found = [np.empty(0)]
        for start in range(0, true.shape[1], 1024):
            part = slice(start, start + 1024)
            r = self._replicates(
                _scaled(predicted[:, part], DOUBLE),
                _scaled(true[:, part], resolution_of(true.dtype)),
            )
            kept = r[:, ~np.isnan(r[0])]
            self.n_units += kept.shape[1]
            self._totals += np.nansum(kept, axis=1)
            self._counts += (~np.isnan(kept)).sum(axis=1)
            found.append(r[0])
        return np.concatenate(found)

    def _replicates(self, p: Array, t: Array) -> Array:
        w = self._weights / self._n_images
        mean_p, mean_t = w @ p, w @ t
        covariance = w @ (p * t) - mean_p * mean_t
        return np.asarray(covariance / (_sd(w @ p**2, mean_p) * _sd(w @ t**2, mean_t)))

    def mean(self) -> Interval:
        """Mean over the units that counted.

        Returns
        -------
        Interval
            Mean Pearson r with its bootstrap interval.
        """
        mean = np.full(len(self._totals), np.nan)
        np.divide(self._totals, self._counts, out=mean, where=self._counts > 0)
        known = mean[1:][~np.isnan(mean[1:])]
        return _interval([known], mean[:1], self._confidence)


def _scaled(values: NDArray[np.floating], resolution: float) -> Array:
    """Columns with mean 0 and variance 1; NaN where one does not vary."""
    x = scaled(values.astype(np.float64))[0]
    constant = is_constant(x, resolution=resolution)
    x -= x.mean(axis=0)
    sd = np.sqrt(np.einsum("iu,iu->u", x, x) / len(x))
    sd[constant | (sd == 0)] = np.nan
    return np.asarray(x / sd)


def _sd(squares: Array, mean: Array) -> Array:
    """From means of squares and of values; NaN where all are alike, but for rounding."""
    variance = squares - mean**2
    return np.asarray(np.sqrt(np.where(variance > 1e-12 * squares, variance, np.nan)))


def _draws(n_images: int, n_bootstrap: int, seed: int) -> Iterator[Array]:
    """How often each image is drawn, some replicates at a time: (n_replicates, n_images)."""
    if n_bootstrap < 2:
        raise AnalysisError(f"{n_bootstrap} bootstrap replicates; at least 2")
    rng = np.random.Generator(np.random.PCG64(seed))
    for start in range(0, n_bootstrap, 256):
        size = min(256, n_bootstrap - start)
        drawn = rng.integers(0, n_images, (size, n_images)) + n_images * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * n_images)
        yield counts.reshape(size, n_images).astype(np.float64)


def _interval(replicates: list[Array], values: Array, confidence: float) -> Interval:
    known = values[~np.isnan(values)]
    if not 0 < confidence < 1:
        raise AnalysisError(f"confidence {confidence}; it should be between 0 and 1")
    drawn = np.concatenate([np.empty(0), *replicates])
    if not len(known) or not len(drawn):
        return Interval(value=np.nan, low=np.nan, high=np.nan)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value=float(known.mean()), low=float(low), high=float(high))


def _within(columns: NDArray[np.integer], n: int) -> bool:
    return bool(((columns >= 0) & (columns < n)).all())
