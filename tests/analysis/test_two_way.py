"""Intervals over subjects and images: their coverage; sign flips, against every way."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, strategies as st

from unitdb.analysis import sign_flip_p, two_way_difference, two_way_mean
from unitdb.errors import AnalysisError

N_SUBJECTS, N_IMAGES = 5, 20


def effects(rng, subject, image, both, n_images=N_IMAGES):
    return (
        subject * rng.normal(size=(N_SUBJECTS, 1))
        + image * rng.normal(size=(1, n_images))
        + both * rng.normal(size=(N_SUBJECTS, n_images))
    )


@pytest.mark.parametrize(
    ("subject", "image", "both"), [(1, 0, 0.5), (0, 1, 0.5), (0, 0, 1), (0.3, 1, 2)]
)
def test_the_interval_covers_the_truth_whichever_of_both_varies(subject, image, both):
    rng = np.random.default_rng(1)
    n, covered = 300, 0
    for _ in range(n):
        found = two_way_mean(effects(rng, subject, image, both), n_bootstrap=200)
        covered += found.low <= 0 <= found.high
    assert covered / n > 0.92


def test_the_difference_is_over_images_that_are_not_paired():
    rng = np.random.default_rng(2)
    n, covered = 200, 0
    for _ in range(n):
        own = rng.normal(size=(N_SUBJECTS, 1))  # a subject's level is in both sides
        left, right = (own + effects(rng, 0.2, 1, 1) for _ in range(2))
        found = two_way_difference(left, right, n_bootstrap=200)
        covered += found.low <= 0 <= found.high
        assert found.value == pytest.approx(left.mean() - right.mean())
    assert covered / n > 0.92
    with pytest.raises(AnalysisError, match="5 and 4 subjects"):
        two_way_difference(left, right[:4])


def test_the_mean_is_over_subjects_and_what_is_missing_is_left_out():
    values = np.array([[1.0, 3, np.nan], [4, np.nan, np.nan], [np.nan] * 3])
    found = two_way_mean(values)
    assert found.value == pytest.approx((2 + 4) / 2)
    assert found.low < found.value < found.high
    one = two_way_mean(np.array([[0.5]]))
    assert (one.value, np.isnan(one.low), np.isnan(one.high)) == (0.5, True, True)
    assert np.isnan(two_way_mean(np.full((3, 2), np.nan)).value)


@given(st.lists(st.floats(-1, 1).map(lambda x: round(x, 2)), min_size=1, max_size=7))
def test_the_sign_flip_counts_every_way(values):
    ways = [np.mean(np.multiply(values, s)) for s in product((1, -1), repeat=len(values))]
    expected = np.mean([way >= np.mean(values) - 1e-12 for way in ways])
    assert sign_flip_p(np.array([*values, np.nan])) == pytest.approx(expected)


def test_five_subjects_cannot_give_less_than_one_in_32_and_many_are_drawn():
    assert sign_flip_p(np.arange(1, 6.0)) == 1 / 32
    assert sign_flip_p(np.ones(40)) == 1 / 10_000
    assert 0.3 < sign_flip_p(np.random.default_rng(0).normal(size=400)) < 0.9
    assert np.isnan(sign_flip_p(np.array([np.nan])))


@pytest.mark.robust(
    "numbers",
    given="gains of five subjects and twenty pictures, whose luck all subjects share, less a bias "
    "that is itself estimated",
    before="p ≤ .05 in 10 to 20 % of nulls: signs of subjects alone were flipped",
    now="p of t over subjects and pictures, the error of the bias in it: in 0.5 %",
)
@pytest.mark.parametrize(("subject", "of_bias"), [(0.0, 0.0), (0.01, 0.005), (0.01, 0.01)])
def test_p_counts_the_luck_of_images_and_the_error_of_the_bias(subject, of_bias):
    rng = np.random.default_rng(3)
    n, old, new = 200, 0, 0
    for _ in range(n):
        image = 0.1 if not of_bias else 0.02
        gains = effects(rng, subject, image, image)
        bias = of_bias * rng.normal()
        found = two_way_mean(gains, n_bootstrap=300).less(bias, se=of_bias)
        new += found.p <= 0.05
        old += sign_flip_p(gains.mean(axis=1) - bias) <= 0.05
        assert (found.p < 0.025) == (found.low > 0)
    assert new / n <= 0.07
    assert old / n > 0.07  # what the test is there for


def test_p_finds_an_effect_and_is_none_of_a_single_value():
    rng = np.random.default_rng(4)
    found = two_way_mean(0.5 + effects(rng, 0.1, 0.1, 0.1))
    assert found.p < 0.01
    assert found.less(0.5, se=0.1).value == pytest.approx(found.value - 0.5)
    assert found.less(0, se=0.1).se == pytest.approx(np.hypot(found.se, 0.1))
    assert np.isnan(two_way_mean(np.array([[0.5]])).p)
    assert np.isnan(two_way_mean(np.zeros((3, 4))).p)  # nothing varies
