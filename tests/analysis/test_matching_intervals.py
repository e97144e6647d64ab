"""Intervals of identification, over images with all their trials."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analysis.matched import NAN, made
from unitdb.analysis import pairwise_identification
from unitdb.matching import (
    Matches,
    image_intervals,
    match,
    patterns,
    similarity,
    summarise,
)


def test_intervals_are_those_of_pairwise_identification():
    predicted, candidates = made(5, 15, 15, 30)
    s = similarity(patterns(predicted), patterns(candidates))
    found = match(s, candidates=np.arange(15), targets=np.arange(15))
    expected = pairwise_identification(s)
    (low, high), _ = image_intervals(found)
    assert (low, high) == pytest.approx((expected.mean.low, expected.mean.high), abs=1e-12)
    assert summarise(found, 15).rate == pytest.approx(expected.mean.value)


def test_intervals_of_trials_draw_images_with_all_their_trials():
    """Each replicate, put together pair by pair."""
    predicted, candidates = made(6, 5, 8, 30)
    of = np.repeat(np.arange(5), 3)
    trials = predicted[of] + np.random.default_rng(1).normal(size=(15, 30))
    s = similarity(patterns(trials), patterns(candidates))
    found = match(s, candidates=np.arange(5), targets=of)
    rng = np.random.Generator(np.random.PCG64(0))
    rates, specifics = [], []
    for drawn in rng.integers(0, 5, (100, 5)):
        counted = np.bincount(drawn, minlength=5)
        weights = np.r_[counted, np.ones(3)]
        rate, total, own, chance, pairs = 0.0, 0.0, 0.0, 0.0, 0.0
        for i, target in enumerate(of):
            false = np.arange(8) != target
            n = weights[false].sum()
            rate += counted[target] * ((s[i] < s[i, target]) * weights)[false].sum() / n
            own += counted[target] * (s[i] < s[i, target])[false].mean()
            total += counted[target]
            for j in range(5):
                if j != target:
                    rate_ij = (s[i] < s[i, j])[np.arange(8) != j].mean()
                    chance += counted[target] * counted[j] * rate_ij
                    pairs += counted[target] * counted[j]
        rates.append(rate / total)
        specifics.append(own / total - chance / pairs if pairs else NAN)
    ends = image_intervals(found, n_bootstrap=100)
    for replicates, (low, high) in zip((rates, specifics), ends, strict=True):
        assert (low, high) == pytest.approx(tuple(np.nanquantile(replicates, [0.025, 0.975])))


@pytest.mark.slow
def test_intervals_cover():
    """95 % intervals of both over other images, 400 studies: .90 to .985 cover."""
    n, n_candidates, n_units = 40, 200, 30
    within = np.zeros(2)
    truth = [summarise(_study(seed, 400, 560, n_units), 560) for seed in range(8)]
    rate, specific = (np.mean([getattr(one, name) for one in truth]) for name in _BOTH)
    for seed in range(400):
        (low, high), (less, more) = image_intervals(_study(1000 + seed, n, n_candidates, n_units))
        within += low <= rate <= high, less <= specific <= more
    assert (within / 400 > 0.90).all(), within
    assert (within / 400 < 0.985).all(), within


_BOTH = ("rate", "specific")


def _study(seed: int, n: int, n_candidates: int, n_units: int) -> Matches:
    """Predictions with a pattern in common, and images that differ in how well they are decoded."""
    rng = np.random.default_rng(seed)
    candidates = rng.normal(size=(n_candidates, n_units))
    signal = rng.uniform(0, 0.5, (n, 1))
    common = np.random.default_rng(0).normal(size=n_units) * 0.3
    predicted = common + signal * candidates[:n] + rng.normal(size=(n, n_units))
    s = similarity(patterns(predicted), patterns(candidates))
    return match(s, candidates=np.arange(n), targets=np.arange(n))
