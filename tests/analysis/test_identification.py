"""Patterns, identification and profiles: equal to bdpy and loops, intervals over images cover."""

import warnings

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from unitdb.analysis import (
    MeanProfile,
    PatternSimilarity,
    pairwise_identification,
    pattern_correlation,
)
from unitdb.errors import AnalysisError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from bdpy.evals import metrics as bdpy


def similarity(predicted, candidates, *, parts=1, **normalisation):
    found = PatternSimilarity(len(predicted), len(candidates))
    for columns in np.array_split(np.arange(predicted.shape[1]), parts):
        scaling = {name: value[columns] for name, value in normalisation.items()}
        found.add(predicted[:, columns], candidates[:, columns], **scaling)
    return found


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(st.integers(2, 5), st.integers(2, 6), st.integers(3, 30)),
    missing=st.booleans(),
)
def test_similarity_equals_correlations_in_any_parts(seed, sizes, missing):
    n_images, n_candidates, n_units = sizes
    rng = np.random.default_rng(seed)
    predicted = rng.normal(3, 1, size=(n_images, n_units)).astype(np.float32)
    candidates = rng.normal(3, 1, size=(n_candidates, n_units)).astype(np.float32)
    mean, sd = rng.normal(size=n_units), rng.uniform(0.5, 2, size=n_units)
    if missing:
        predicted[0, 0] = np.nan
    plain = similarity(predicted, candidates, parts=4)
    kept = slice(1, None) if missing else slice(None)
    assert plain.n_units == n_units - missing
    expected = np.corrcoef(predicted[:, kept], candidates[:, kept])[:n_images, n_images:]
    np.testing.assert_allclose(plain.similarity(), expected, atol=1e-6)
    scaled = similarity(predicted, candidates, parts=2, mean=mean, sd=sd).similarity()
    both = [((x - mean) / sd)[:, kept] for x in (predicted.astype(float), candidates.astype(float))]
    np.testing.assert_allclose(scaled, np.corrcoef(*both)[:n_images, n_images:], atol=1e-9)


def test_many_units_constant_patterns_and_units_without_sd():
    rng = np.random.default_rng(0)
    predicted, true = rng.normal(100, 1, size=(2, 3, 20_000))
    predicted[1] = 7.25
    sd = np.ones(20_000)
    sd[5] = 0
    found = similarity(predicted, true, sd=sd)
    assert found.n_units == 19_999
    kept = np.delete(np.arange(20_000), 5)
    s = found.similarity()
    assert np.isnan(s[1]).all()
    expected = np.corrcoef(predicted[0, kept], true[2, kept])[0, 1]
    assert s[0, 2] == pytest.approx(expected, abs=1e-10)
    with pytest.raises(AnalysisError, match=r"should be \(3, 4\)"):
        found.add(np.zeros((3, 4)), np.zeros((2, 4)))


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 8))
def test_patterns_and_identification_equal_bdpy(seed, n):
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(n, 12))
    predicted = true + rng.normal(0, 2, size=(n, 12))
    s = similarity(predicted, true).similarity()
    r, mean = pattern_correlation(s, n_bootstrap=9)
    np.testing.assert_allclose(r, bdpy.pattern_correlation(predicted, true), atol=1e-12)
    assert mean.value == pytest.approx(r.mean())
    found = pairwise_identification(s, n_bootstrap=9)
    np.testing.assert_allclose(found.rates, bdpy.pairwise_identification(predicted, true))
    assert found.n_candidates == n


@given(
    s=hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 4), st.integers(4, 6)),
        elements=st.sampled_from([np.nan, 0.0, 0.5]) | st.floats(-1, 1),
    ),
    seed=st.integers(0, 99),
)
def test_rates_and_bootstrap_equal_loops(s, seed):
    """Ties, NaN and candidates of no image; replicates image by image and rival by rival."""
    targets = np.random.default_rng(seed).permutation(s.shape[1])[: len(s)]
    found = pairwise_identification(s, targets=targets, n_bootstrap=20, seed=seed)
    owner = {column: image for image, column in enumerate(targets.tolist())}

    def rate(image, times):
        wins = rivals = 0.0
        for column in range(s.shape[1]):
            own = s[image, targets[image]]
            if column == targets[image] or np.isnan(own - s[image, column]):
                continue
            weight = times[owner[column]] if column in owner else 1
            wins += weight * ((own > s[image, column]) + (own == s[image, column]) / 2)
            rivals += weight
        return wins / rivals if rivals else np.nan

    expected = [rate(image, np.ones(len(s))) for image in range(len(s))]
    np.testing.assert_allclose(found.rates, expected)
    if np.isnan(expected).all():
        assert np.isnan([found.mean.value, found.mean.low]).all()
        return
    assert found.mean.value == pytest.approx(np.nanmean(expected))
    drawn = np.random.Generator(np.random.PCG64(seed)).integers(0, len(s), (20, len(s)))
    means = []
    for images in drawn:
        times = np.bincount(images, minlength=len(s))
        rates = [rate(image, times) for image in images]
        if not np.isnan(rates).all():
            means.append(np.nanmean(rates))
    np.testing.assert_allclose(
        [found.mean.low, found.mean.high], np.quantile(means, [0.025, 0.975]), atol=1e-12
    )


def test_what_cannot_be_identified_is_refused():
    with pytest.raises(AnalysisError, match="at least 2 candidates"):
        pairwise_identification(np.zeros((1, 1)))
    for targets in ([0, 0], [0, 3], [-1, 0], [0]):
        with pytest.raises(AnalysisError, match="2 different columns from 0 to 2"):
            pairwise_identification(np.zeros((2, 3)), targets=np.array(targets))
    with pytest.raises(AnalysisError, match="a candidate for each image"):
        pattern_correlation(np.zeros((3, 2)))
    with pytest.raises(AnalysisError, match="1 bootstrap replicates"):
        pattern_correlation(np.eye(3), n_bootstrap=1)
    with pytest.raises(AnalysisError, match="confidence 2"):
        pattern_correlation(np.eye(3), confidence=2)


def test_patterns_that_know_nothing_are_at_chance():
    rng = np.random.default_rng(0)
    rates = [
        pairwise_identification(
            similarity(*rng.normal(size=(2, 20, 30))).similarity(), n_bootstrap=2
        ).mean.value
        for _ in range(200)
    ]
    # The standard error of their mean is below .005.
    assert np.mean(rates) == pytest.approx(0.5, abs=0.02)


def profile_by_hand(p, t):
    """Mean correlation over the columns that vary in both."""
    r = []
    for x, y in zip(p.T, t.T, strict=True):
        varies = np.ptp(x) > 0 and np.ptp(y) > 0
        r.append(np.corrcoef(x, y)[0, 1] if varies else np.nan)
    return np.array(r)


@given(
    values=hnp.arrays(
        np.float32,
        st.tuples(st.just(2), st.integers(3, 8), st.integers(1, 6)),
        elements=st.sampled_from([0.0, 1.0]) | st.integers(-32, 32).map(lambda x: x / 8),
    ),
    seed=st.integers(0, 99),
)
def test_mean_profile_equals_a_loop_over_units_and_replicates(values, seed):
    p, t = values.astype(float)
    found = MeanProfile(len(p), n_bootstrap=10, seed=seed)
    r = np.concatenate([found.add(p[:, :2], t[:, :2]), found.add(p[:, 2:], t[:, 2:])])
    expected = profile_by_hand(p, t)
    np.testing.assert_allclose(r, expected, atol=1e-9)
    known = ~np.isnan(expected)
    assert found.n_units == known.sum()
    mean = found.mean()
    if not known.any():
        assert np.isnan(mean.value)
        return
    assert mean.value == pytest.approx(expected[known].mean(), abs=1e-9)
    drawn = np.random.Generator(np.random.PCG64(seed)).integers(0, len(p), (10, len(p)))
    means = [profile_by_hand(p[images][:, known], t[images][:, known]) for images in drawn]
    means = [np.nanmean(m) for m in means if not np.isnan(m).all()]
    if means:
        expected = np.quantile(means, [0.025, 0.975])
        np.testing.assert_allclose([mean.low, mean.high], expected, atol=1e-8)


def test_mean_profile_refuses_other_images():
    with pytest.raises(AnalysisError, match=r"both \(5, n_units\)"):
        MeanProfile(5).add(np.zeros((4, 2)), np.zeros((4, 2)))


N_UNITS, NOISE = 20, 3.0


def simulate(rng, n_images):
    true = rng.normal(size=(n_images, N_UNITS))
    return true + NOISE * rng.normal(size=true.shape), true


def test_intervals_over_images_cover_the_truth():
    """Of 600 simulations .93 to .97 for 60 images; the binomial standard error is .009.

    Truth is what very many images give: the decoder is fixed, images are drawn.
    """
    rng = np.random.default_rng(2)
    many = similarity(*simulate(rng, 3000)).similarity()
    true_rate = pairwise_identification(many, n_bootstrap=2).mean.value
    true_pattern = np.diagonal(many).mean()
    true_profile = 1 / np.sqrt(1 + NOISE**2)
    hits = np.zeros(3)
    for seed in range(600):
        predicted, true = simulate(rng, 60)
        s = similarity(predicted, true).similarity()
        profile = MeanProfile(60, n_bootstrap=200, seed=seed)
        profile.add(predicted, true)
        intervals = (
            pairwise_identification(s, n_bootstrap=400, seed=seed).mean,
            pattern_correlation(s, n_bootstrap=400, seed=seed)[1],
            profile.mean(),
        )
        truths = (true_rate, true_pattern, true_profile)
        for at, (interval, truth) in enumerate(zip(intervals, truths, strict=True)):
            hits[at] += interval.low <= truth <= interval.high
    share = hits / 600
    assert (share >= 0.93).all(), share
    assert (share <= 0.97).all(), share
