"""BH score: the published computation to the last digit, the corrected one as a loop has it."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from tests.analysis.bhscore_reference import corrected_choices, published, published_tops, spearman
from unitdb.analysis import (
    average_bh_score,
    best_rois,
    bh_score,
    encoding_bh_score,
    spearman_of_counts,
)
from unitdb.errors import AnalysisError

R = st.sampled_from([np.nan, -1.0, 0.0, 0.25, 0.5, 0.96875, 1.0]) | st.integers(-64, 64).map(
    lambda x: x / 64
)
COUNTS = hnp.arrays(np.int64, st.tuples(*[st.integers(1, 6)] * 2), elements=st.integers(0, 9))


@st.composite
def networks(draw, n_layers, most_units=12):
    """Accuracies of all layers: ties, NaN, nothing but NaN, and no units included."""
    n_rois, dtype = draw(st.integers(1, 5)), draw(st.sampled_from([np.float32, np.float64]))
    return [
        draw(hnp.arrays(dtype, (n_rois, draw(st.integers(0, most_units))), elements=R))
        for _ in range(draw(st.integers(*n_layers)))
    ]


def quietly(function, *args, **options):
    """The references warn of constant input, and of r that is 1 but for rounding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **options)


@given(counts=COUNTS)
def test_correlation_from_counts_equals_scipys_of_the_cases(counts):
    rows, columns = np.indices(counts.shape)
    cases = [np.repeat(at.ravel(), counts.ravel()) for at in (rows, columns)]
    expected = np.nan
    if all(len(set(side.tolist())) > 1 for side in cases):
        expected = scipy.stats.spearmanr(*cases).statistic
    np.testing.assert_allclose(spearman_of_counts(counts), expected, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(
        spearman_of_counts(np.stack([counts, counts])), [spearman_of_counts(counts)] * 2
    )


def test_correlation_of_many_cases_is_exact():
    """Of 4 million cases: against whole numbers, in which nothing is rounded."""
    counts = np.random.default_rng(0).integers(1, 200_000, (8, 5))
    rows, columns = counts.sum(axis=1).tolist(), counts.sum(axis=0).tolist()
    n = sum(rows)
    u = [2 * sum(rows[:i]) + size - n for i, size in enumerate(rows)]
    v = [2 * sum(columns[:j]) + size - n for j, size in enumerate(columns)]
    products = sum(int(counts[i, j]) * u[i] * v[j] for i in range(8) for j in range(5))
    scatter = sum(k * x * x for k, x in zip(rows, u, strict=True)) * sum(
        k * x * x for k, x in zip(columns, v, strict=True)
    )
    square = Fraction(products**2, scatter)
    expected = np.sign(products) * float(square) ** 0.5
    assert spearman_of_counts(counts) == pytest.approx(expected, abs=1e-15)


@given(accuracies=networks((5, 9)), seed=st.integers(0, 2**32 - 1), n_stimuli=st.integers(3, 90))
def test_nonaka2021_is_the_published_computation(accuracies, seed, n_stimuli):
    options = {"n_stimuli": n_stimuli, "n_repeats": 4, "seed": seed}
    expected = quietly(published, accuracies, **options)
    before = [r.copy() for r in accuracies]
    found = bh_score(accuracies, method="nonaka2021", **options)
    np.testing.assert_allclose(found.repeats, expected, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found.score, np.mean(expected), rtol=0, atol=1e-13)
    for r, kept, row in zip(accuracies, before, found.counts, strict=True):
        np.testing.assert_array_equal(r, kept)  # the published code overwrites NaN
        tops = quietly(published_tops, r, n_stimuli) if r.size else np.empty(0, dtype=int)
        np.testing.assert_array_equal(row, np.bincount(tops, minlength=len(r)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nonaka2021_of_a_large_network_with_values_at_the_threshold(dtype):
    rng = np.random.default_rng(0)
    accuracies = [
        np.clip(rng.normal(0.2 + peak, 0.2, (5, 3000)), -1, 1).astype(dtype)
        for peak in np.linspace(-0.1, 0.1, 9)
    ]
    t = scipy.stats.t.isf(0.025, 48) / np.sqrt(48)  # r √(1 − r²) at p = .05
    for r in np.sqrt((1 + np.array([-1, 1]) * np.sqrt(1 - 4 * t**2)) / 2):
        near = dtype(r) + np.arange(-40, 40) * np.spacing(dtype(r))
        accuracies[4] = np.hstack([accuracies[4], np.vstack([near, np.zeros((4, 80))])])
    accuracies[4] = accuracies[4].astype(dtype)
    found = bh_score(accuracies, n_stimuli=50, method="nonaka2021", n_repeats=6, seed=7)
    expected = published(accuracies, n_repeats=6, seed=7)
    np.testing.assert_allclose(found.repeats, expected, rtol=0, atol=1e-13)
    tops = [published_tops(r, 50) for r in accuracies]
    np.testing.assert_array_equal(found.counts, [np.bincount(x, minlength=5) for x in tops])
    assert found.n_counted == sum(map(len, tops))
    assert found.n_units == sum(r.shape[1] for r in accuracies)


@given(
    r=hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(0, 12)), elements=R),
    n_stimuli=st.integers(3, 90),
    seed=st.integers(0, 99),
)
def test_corrected_regions_are_those_of_a_loop(r, n_stimuli, seed):
    before = r.copy()
    found = best_rois(r, n_stimuli=n_stimuli, method="corrected", seed=seed)
    np.testing.assert_array_equal(r, before)
    for unit, roi in zip(r.T, found, strict=True):
        allowed = corrected_choices(unit, n_stimuli)
        assert roi in (allowed or [-1])
    np.testing.assert_array_equal(found, best_rois(r, n_stimuli=n_stimuli, seed=seed))


def test_equally_high_regions_are_drawn_equally_often_in_any_number():
    r = np.full((4, 30_000), 0.8)
    r[3, :10_000], r[0, 10_000:20_000] = 0.1, np.nan
    found = best_rois(r, n_stimuli=50, seed=1)
    three, others, four = np.split(found, 3)
    for drawn, expected in ((three, [0, 1, 2]), (others, [1, 2, 3]), (four, [0, 1, 2, 3])):
        counts = np.bincount(drawn, minlength=4)
        assert np.flatnonzero(counts).tolist() == expected
        assert scipy.stats.chisquare(counts[expected]).pvalue > 1e-3
    assert (best_rois(r, n_stimuli=50, method="nonaka2021") == np.repeat([0, 1, 0], 10_000)).all()
    assert (best_rois(r, n_stimuli=50, seed=2) != found).any()


def test_few_null_units_count_once_the_maximum_is_corrected_for():
    """Of four independent regions: .025 for the corrected method, .061 as published."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50, 4, 20_000))
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    r = (x * y).sum(axis=0) / np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    corrected = (best_rois(r, n_stimuli=50) >= 0).mean()
    assert corrected == pytest.approx(0.025, abs=0.004)
    published_rate = (best_rois(r, n_stimuli=50, method="nonaka2021") >= 0).mean()
    critical = scipy.stats.t.isf(0.025, 48) / np.sqrt(48)  # of r √(1 − r²)
    least = np.sqrt((1 - np.sqrt(1 - 4 * critical**2)) / 2)
    one = scipy.stats.t.sf(least * np.sqrt(48 / (1 - least**2)), 48)
    expected = 1 - (1 - one) ** 4
    assert expected == pytest.approx(0.061, abs=5e-4)
    assert published_rate == pytest.approx(expected, abs=0.005)


def test_very_accurate_units_are_lost_by_the_published_formula_alone():
    r = np.array([[0.2, 0.4, 0.9, 0.97, 1.0]])
    assert best_rois(r, n_stimuli=50, method="nonaka2021").tolist() == [-1, 0, 0, -1, -1]
    assert best_rois(r, n_stimuli=50).tolist() == [-1, 0, 0, 0, 0]
    fine = np.linspace(0, 1, 10_001)[None]
    for method, limits in (("nonaka2021", (0.305, 0.952)), ("corrected", (0.279, 1.0))):
        counted = fine[0, best_rois(fine, n_stimuli=50, method=method) == 0]
        assert (counted.min(), counted.max()) == pytest.approx(limits, abs=5e-4)
    for n_stimuli, any_counts in ((19, False), (20, True)):
        counts = best_rois(fine, n_stimuli=n_stimuli, method="nonaka2021") == 0
        assert counts.any() == any_counts


@given(accuracies=networks((2, 4)), n_stimuli=st.integers(3, 90))
def test_encoding_score_is_the_published_one_with_regions_for_layers(accuracies, n_stimuli):
    """All regions once; shuffled voxels, as only their regions count."""
    r = np.concatenate(accuracies, axis=1)
    rois = np.repeat(np.arange(len(accuracies)), [part.shape[1] for part in accuracies])
    order = np.random.default_rng(0).permutation(len(rois))
    if rois.max(initial=0) < 1:
        with pytest.raises(AnalysisError, match="needs 2 at least"):
            encoding_bh_score(r, rois, n_stimuli=n_stimuli)
        return
    found = encoding_bh_score(r[:, order], rois[order], n_stimuli=n_stimuli, method="nonaka2021")
    parts = [r[:, rois == roi] for roi in range(rois.max() + 1)]
    tops = [quietly(published_tops, part, n_stimuli) if part.size else [] for part in parts]
    np.testing.assert_allclose(found.score, quietly(spearman, tops), rtol=0, atol=1e-13)
    assert found.counts.shape == (len(parts), len(r))


def test_subjects_are_pooled_and_few_layers_all_count():
    rng = np.random.default_rng(0)
    accuracies = [rng.uniform(-0.2, 0.7, (3, 4, 50)) for _ in range(4)]
    found = bh_score(accuracies, n_stimuli=50, n_repeats=3)
    pooled = [np.concatenate(list(r), axis=1) for r in accuracies]
    flat = bh_score(pooled, n_stimuli=50, n_repeats=3)
    np.testing.assert_array_equal(found.counts, flat.counts)
    np.testing.assert_array_equal(found.repeats, np.full(3, flat.score))
    assert found.score == pytest.approx(float(spearman_of_counts(found.counts)))
    assert found.n_units == 600
    np.testing.assert_allclose(found.proportions.sum(axis=1), 1)
    tops = [best_rois(r, n_stimuli=50) for r in pooled]
    assert found.score == pytest.approx(spearman([top[top >= 0] for top in tops]))
    encoding = encoding_bh_score(pooled[0], rng.integers(0, 3, 150), n_stimuli=50)
    assert average_bh_score(found, encoding) == (found.score + encoding.score) / 2


def test_a_network_without_a_single_significant_unit_has_no_score():
    found = bh_score([np.full((2, 3), np.nan), np.zeros((2, 0))], n_stimuli=50)
    assert np.isnan(found.score)
    assert np.isnan(found.repeats).all()
    assert np.isnan(found.proportions).all()


def test_wrong_shapes_and_options_are_refused():
    good = [np.zeros((2, 3)), np.zeros((2, 4))]
    for wrong, message in (
        (good[:1], "of 1 layers or regions"),
        ([np.zeros((2, 3)), np.zeros((3, 3))], r"\(2, 3\), \(3, 3\)"),
        ([np.zeros((1, 2, 3)), np.zeros((2, 3))], r"\(1, 2, 3\), \(2, 3\)"),
        ([np.zeros(3), np.zeros(3)], r"should be \(n_rois, n_units\)"),
        ([np.full((2, 3), 1.5)] * 2, r"accuracy 1\.5 is no correlation"),
        ([np.zeros((2, 3), dtype=int)] * 2, "int64"),
        ([np.zeros((0, 3))] * 2, "1 to 32767 regions"),
    ):
        with pytest.raises(AnalysisError, match=message):
            bh_score(wrong, n_stimuli=50)
    for options, message in (
        ({"n_stimuli": 2}, "2 test images"),
        ({"n_layers": 1}, "draws of 1 layers"),
        ({"n_repeats": 0}, "0 draws"),
        ({"method": "nonaka2020"}, r"'nonaka2020'.*valid: nonaka2021"),
    ):
        with pytest.raises(AnalysisError, match=message):
            bh_score(good, **({"n_stimuli": 50} | options))
    for rois, message in (
        (np.zeros(3), "whole numbers"),
        (np.zeros(4, dtype=int), r"\(2, 3\) and regions of shape \(4,\)"),
        (np.array([0, -1, 1]), "region -1"),
    ):
        with pytest.raises(AnalysisError, match=message):
            encoding_bh_score(good[0], rois, n_stimuli=50)
    scores = [bh_score(good, n_stimuli=9, method=m) for m in ("corrected", "nonaka2021")]
    with pytest.raises(AnalysisError, match="no common average"):
        average_bh_score(*scores)
