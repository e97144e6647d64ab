"""Reliability: equal to loops, right for simulated noise, rankings beside hypergeometric chance."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import example, given, strategies as st
from hypothesis.extra import numpy as hnp

from unitdb.analysis import (
    TopUnits,
    explainable_accuracy,
    leave_one_out_overlap,
    mean_of_others,
    overlap,
    repeat_reliability,
    spearman_brown,
    subject_reliability,
    subject_reliability_interval,
    top_overlap,
    top_units,
)
from unitdb.errors import AnalysisError

RANKED = hnp.arrays(
    np.float32,
    st.integers(1, 15),
    elements=st.sampled_from([np.nan, 0.0, 0.25]) | st.floats(-1, 1, width=32),
)


def test_spearman_brown_is_what_averaging_does():
    """The reliability of a mean of k measurements with error variance v is 1 / (1 + v/k)."""
    for v in (0.1, 1.0, 7.0):
        for k in (0.5, 2, 3.5):
            assert spearman_brown(1 / (1 + v), factor=k) == pytest.approx(1 / (1 + v / k))
    np.testing.assert_array_equal(spearman_brown([-1.0, np.nan, 0.0, 1.0]), [np.nan, np.nan, 0, 1])
    with pytest.raises(AnalysisError, match="factor 0"):
        spearman_brown(0.5, factor=0)


@given(seed=st.integers(0, 99), n_repeats=st.integers(2, 5), constant=st.booleans())
def test_repeat_reliability_equals_a_loop(seed, n_repeats, constant):
    rng = np.random.default_rng(seed)
    repeats = rng.normal(size=(n_repeats, 8, 3)) + rng.normal(size=(8, 3))
    if constant:
        repeats[:, :, 1] = 0.5
    found = repeat_reliability(repeats, n_splits=6, seed=seed)
    order = np.tile(np.arange(n_repeats), (6, 1))
    orders = np.random.Generator(np.random.PCG64(seed)).permuted(order, axis=1)
    half = n_repeats // 2
    for column in range(3):
        if constant and column == 1:
            assert np.isnan(found[column])
            continue
        r = []
        for order in orders:
            halves = [repeats[order[:half], :, column], repeats[order[half : 2 * half], :, column]]
            r.append(np.corrcoef(*[part.mean(axis=0) for part in halves])[0, 1])
        k, mean = n_repeats / half, np.mean(r)
        expected = k * mean / (1 + (k - 1) * mean) if 1 + (k - 1) * mean >= 0.01 else np.nan
        np.testing.assert_allclose(found[column], expected)
    more = repeat_reliability(repeats, n_splits=6, seed=seed, averaged=n_repeats + 0.5)
    halves = found / (n_repeats / half - (n_repeats / half - 1) * found)
    np.testing.assert_allclose(more, spearman_brown(halves, factor=(n_repeats + 0.5) / half))
    one = repeat_reliability(repeats[:, :, :1], n_splits=6, seed=seed)  # the same divisions
    np.testing.assert_allclose(one, found[:1], rtol=1e-12)


@pytest.mark.parametrize("n_repeats", [2, 5, 8])
def test_reliability_is_that_of_simulated_noise(n_repeats):
    """Signal variance 1, noise variance 4 a presentation: 1 / (1 + 4 / n)."""
    rng = np.random.default_rng(0)
    repeats = rng.normal(size=(400, 300)) + 2 * rng.normal(size=(n_repeats, 400, 300))
    found = repeat_reliability(repeats, n_splits=20)
    assert found.mean() == pytest.approx(1 / (1 + 4 / n_repeats), abs=0.01)


def test_accuracy_over_its_ceiling_recovers_what_noise_took_and_is_never_clamped():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(5000, 4))
    decoded = 0.6 * true + 0.8 * rng.normal(size=true.shape)  # r = .6 without noise
    repeats = decoded + 1.5 * rng.normal(size=(6, 5000, 4))
    r = np.array([np.corrcoef(repeats.mean(0)[:, u], true[:, u])[0, 1] for u in range(4)])
    found = explainable_accuracy(r, repeat_reliability(repeats))
    assert r.max() < 0.55
    np.testing.assert_allclose(found.value, 0.6, atol=0.04)
    assert not found.above_ceiling.any()
    found = explainable_accuracy(
        np.array([0.5, -0.5, 0.2, 0.2, np.nan]), np.array([0.16, 0.16, 0.0, -0.1, 0.5])
    )
    np.testing.assert_allclose(found.value, [1.25, -1.25, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(found.above_ceiling, [True, True, False, False, False])


def test_subject_reliability_of_two_is_spearman_brown_and_of_more_as_simulated():
    rng = np.random.default_rng(0)
    r = rng.normal(size=20_000) + rng.normal(size=(6, 20_000))
    half = np.corrcoef(r[:2])[0, 1]
    assert subject_reliability(r[:2]) == pytest.approx(2 * half / (1 + half))
    assert subject_reliability(r) == pytest.approx(6 / 7, abs=0.01)
    some = r.copy()
    some[0, :100] = np.nan
    assert subject_reliability(some) == pytest.approx(subject_reliability(r[:, 100:]))
    assert np.isnan(subject_reliability(np.full((2, 5), np.nan)))
    for wrong in (r[:1], r[0]):
        with pytest.raises(AnalysisError, match=r"shape|repeats"):
            subject_reliability(wrong)
        with pytest.raises(AnalysisError, match=r"shape|repeats"):
            subject_reliability_interval(wrong, np.zeros(20_000, np.int32))
    with pytest.raises(AnalysisError, match="1 replicates"):
        subject_reliability_interval(r, np.zeros(20_000, np.int32), n_bootstrap=1)


@pytest.mark.parametrize("n_subjects", [2, 5])
def test_interval_is_that_of_units_drawn_again(n_subjects):
    """Replicates one after the other: units of drawn blocks are put together and correlated."""
    rng = np.random.default_rng(n_subjects)
    blocks = np.repeat(np.arange(12, dtype=np.int32), rng.integers(5, 15, 12))
    of_blocks = rng.normal(size=12)[blocks]
    r = of_blocks + rng.normal(size=(n_subjects, len(blocks)))
    r[0, :7] = np.nan
    found = subject_reliability_interval(r, blocks, n_splits=8, n_bootstrap=50, seed=3)
    half, factor = n_subjects // 2, n_subjects / (n_subjects // 2)
    orders = np.random.Generator(np.random.PCG64(3)).permuted(
        np.tile(np.arange(n_subjects), (8, 1)), axis=1
    )

    def of_halves(units):
        some = r[:, units[~np.isnan(r[:, units]).any(axis=0)]]
        pairs = [
            (some[order[:half]].mean(0), some[order[half : 2 * half]].mean(0)) for order in orders
        ]
        return np.mean([np.corrcoef(*pair)[0, 1] for pair in pairs])

    drawn = np.random.Generator(np.random.PCG64(3)).integers(0, 12, (50, 12))
    z = [
        np.arctanh(of_halves(np.concatenate([np.flatnonzero(blocks == b) for b in replicate])))
        for replicate in drawn
    ]
    se = np.std(z, ddof=1) * np.sqrt(12 / 11)
    centre = of_halves(np.arange(len(blocks)))
    ends = np.tanh(np.arctanh(centre) + scipy.stats.t.ppf([0.025, 0.975], 11) * se)
    expected = factor * ends / (1 + (factor - 1) * ends)
    np.testing.assert_allclose([found.low, found.high], expected, rtol=1e-9)
    assert found.value == pytest.approx(subject_reliability(r, n_splits=8, seed=3))
    assert found.low < found.value < found.high


def test_interval_covers_the_reliability_of_all_filters():
    """Of many filters, thirty are there; another half of the same people knows the rest."""
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(200):
        of_people = rng.normal(size=(4, 1, 30)) * 0.6 + rng.normal(size=(1, 1, 30))
        r = (of_people + rng.normal(size=(4, 20, 30))).transpose(0, 2, 1).reshape(4, -1)
        found = subject_reliability_interval(
            r, np.repeat(np.arange(30, dtype=np.int32), 20), n_splits=10, n_bootstrap=200
        )
        shared, own = 1.0, (0.36 + 1.0) / 2  # variances of the mean of two people
        halves = shared / (shared + own)
        covered += found.low <= 2 * halves / (1 + halves) <= found.high
    assert 0.91 <= covered / 200 <= 0.985


def test_there_is_no_interval_of_one_block_or_of_none():
    rng = np.random.default_rng(0)
    r = rng.normal(size=(3, 40)) + rng.normal(size=40)
    for blocks, rows in (
        (np.zeros(40, np.int32), r),
        (np.arange(40, dtype=np.int32), np.full_like(r, np.nan)),
        (np.arange(40, dtype=np.int32), np.ones_like(r)),
    ):
        found = subject_reliability_interval(rows, blocks)
        assert np.isnan([found.low, found.high]).all()


TINY = 1.836506e-10
UNLIKE = np.array([[0, TINY, TINY], [TINY, 0.25, TINY]], np.float32)
"""Two subjects whose accuracies are of other sizes: each varies, for its own."""


@pytest.mark.robust(
    "numbers",
    given="reliability over two subjects, of whom one has accuracies of 1e-10 and the other of .1",
    before="NULL: what the one varies by was held for rounding of the other; .667 by averaging",
    now=".667: a half is constant by its own size",
)
def test_what_varies_little_beside_others_varies():
    assert subject_reliability(UNLIKE) == pytest.approx(2 / 3)
    assert subject_reliability(UNLIKE * np.array([[1e-30], [1.0]])) == pytest.approx(2 / 3)
    opposed = np.array([[0.1, 0.2, 0.7], [-0.1, -0.2, -0.7], [0.3, 0.1, 0.2], [0.1, 0.3, 0.2]])
    assert np.isnan(subject_reliability(opposed))  # of some halves nothing is left


@example(r=UNLIKE, seed=0)
@given(
    r=hnp.arrays(
        np.float32,
        st.tuples(st.integers(2, 5), st.integers(0, 9)),
        elements=st.sampled_from([np.nan, 0.0, 0.25]) | st.floats(-1, 1, width=32),
    ),
    seed=st.integers(0, 9),
)
def test_reliability_over_subjects_equals_that_of_means_of_halves(r, seed):
    """As of presentations, by averaging the maps of every division."""
    found = subject_reliability(r, n_splits=7, seed=seed)
    complete = r[:, ~np.isnan(r).any(axis=0)].astype(float)
    if complete.shape[1] < 2:
        assert np.isnan(found)
        return
    expected = repeat_reliability(complete[:, :, None], n_splits=7, seed=seed)[0]
    half = len(r) // 2
    sums = [complete[list(some)].sum(axis=0) for some in combinations(range(len(r)), half)]
    largest = [np.abs(complete[list(some)]).max() for some in combinations(range(len(r)), half)]
    spreads = np.ptp(sums, axis=1) / np.maximum(largest, 1e-300)
    if (spreads > 1e-3).all():  # or rounding decides what is constant
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@given(
    r=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.integers(0, 25)),
        elements=st.sampled_from([-np.inf, 0.0, 0.25]) | st.floats(-1, 1, width=32),
    ),
    k=st.integers(1, 12),
    cuts=st.lists(st.integers(0, 25), max_size=3),
)
def test_the_best_of_layers_that_come_one_at_a_time_are_the_best_of_all(r, k, cuts):
    top = TopUnits(k)
    for layer in np.split(r, sorted(cuts), axis=1):
        top.add(layer)
    assert top.n_units == r.shape[1]
    for row, values in enumerate(r):
        for fewer in range(1, k + 1):
            np.testing.assert_array_equal(top.best(row, fewer), top_units(values, fewer))
    first, last = top.best(0, k), top.best(len(r) - 1, k)
    assert overlap(first, last, top.n_units) == top_overlap(r[0], r[-1], k)


@pytest.mark.parametrize("wrong", [np.zeros((3, 4)), np.zeros(4), np.full((2, 4), np.nan)])
def test_rankings_that_do_not_go_on_are_refused(wrong):
    top = TopUnits(3)
    top.add(np.zeros((2, 5)))
    with pytest.raises(AnalysisError, match="2 rankings, n_units"):
        top.add(wrong)


@given(
    r=hnp.arrays(
        np.float32,
        st.tuples(st.integers(2, 5), st.integers(0, 9)),
        elements=st.just(np.nan) | st.floats(-1, 1, width=32),
    )
)
def test_mean_of_others_equals_pandas(r):
    for subject, found in enumerate(mean_of_others(r)):
        expected = pd.DataFrame(np.delete(r, subject, axis=0)).astype(float).mean()
        np.testing.assert_allclose(found, expected, atol=1e-7)


@given(r=RANKED, k=st.integers(0, 16))
def test_top_units_are_those_of_a_stable_sort(r, k):
    order = pd.Series(-r).sort_values(kind="stable").dropna().index
    np.testing.assert_array_equal(top_units(r, k), np.sort(order[:k]))


@given(r=RANKED, k=st.integers(1, 16), seed=st.integers(0, 99))
def test_overlap_equals_counting(r, k, seed):
    other = np.random.default_rng(seed).permutation(r)
    found = top_overlap(r, other, k)
    common = np.flatnonzero(~np.isnan(r + other))
    k = min(k, len(common))
    best = [set(common[np.argsort(-x[common], kind="stable")[:k]].tolist()) for x in (r, other)]
    assert (found.n_units, found.k, found.shared) == (len(common), k, len(best[0] & best[1]))
    assert 0 <= found.p <= 1


def test_chance_is_what_unrelated_rankings_share():
    rng = np.random.default_rng(0)
    found = [top_overlap(*rng.normal(size=(2, 200)), 40) for _ in range(2000)]
    shared = np.array([overlap.shared for overlap in found])
    one = found[0]
    assert one.chance == 8
    assert shared.mean() == pytest.approx(8, abs=0.2)  # standard error .05
    inside = (shared >= one.chance_low) & (shared <= one.chance_high)
    assert inside.mean() >= 0.94
    p = np.array([overlap.p for overlap in found])
    assert (p <= 0.05).mean() <= 0.06
    fisher = scipy.stats.fisher_exact(
        [[one.shared, 40 - one.shared], [40 - one.shared, 120 + one.shared]], alternative="greater"
    )
    assert one.p == pytest.approx(fisher.pvalue)


def test_leave_one_out_compares_with_the_mean_of_the_others():
    rng = np.random.default_rng(0)
    r = rng.normal(size=300) + rng.normal(size=(4, 300))
    r[1, :9], r[:, 20] = np.nan, np.nan
    for subject, found in enumerate(leave_one_out_overlap(r, 30)):
        others = pd.DataFrame(np.delete(r, subject, axis=0)).mean().to_numpy()
        assert found == top_overlap(r[subject], others, 30)
        assert found.shared > found.chance_high
    assert top_overlap(np.full(3, np.nan), np.zeros(3), 2).n_units == 0
    with pytest.raises(AnalysisError, match="at least 2 subjects"):
        leave_one_out_overlap(r[:1], 30)
    with pytest.raises(AnalysisError, match="the 0 best"):
        leave_one_out_overlap(r, 0)
