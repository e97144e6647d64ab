"""Lags in time: against a loop, of planted truth, and where there is no order at all."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize_scalar
from scipy.stats import gamma

from unitdb.analysis import adjusted_lags, course_lags, lag_order, peaks, template_lags
from unitdb.errors import AnalysisError

TIMES = np.arange(0, 40, 3.0)
UNEQUAL = np.array([0.317, 0.2, 0.107, 0.07, 0.04, 0.016])


def _response(times):
    """Haemodynamic response to 6 s, its peak 1."""
    fine = np.arange(0, 60, 0.1)
    hrf = gamma.pdf(fine, 6) - gamma.pdf(fine, 16) / 6
    course = np.convolve(hrf, np.ones(60))[: len(fine)]
    return np.interp(times, fine + 3, course / course.max(), left=0)


def course(heights, lags):
    return np.array([h * _response(TIMES - lag) for h, lag in zip(heights, lags, strict=True)])


def studies(rng, true, n, *, n_subjects=5, sd=0.06):
    """Curves of each subject with noise that is alike over time, and in part over layers."""
    for _ in range(n):
        shape = (n_subjects, *true.shape)
        e = np.sqrt(0.7) * rng.standard_normal(shape)
        e = e + np.sqrt(0.3) * rng.standard_normal((n_subjects, 1, len(TIMES)))
        for k in range(1, len(TIMES)):
            e[..., k] = 0.4 * e[..., k - 1] + np.sqrt(1 - 0.4**2) * e[..., k]
        yield true + sd * e


def _slow_lag(curve, template, times):
    """The smallest residual over a fine grid of delays, a > 0 by least squares."""
    spline = CubicSpline(times, template)

    def residual(delay):
        shifted = np.array([spline(min(max(t - delay, times[0]), times[-1])) for t in times])
        a = minimize_scalar(
            lambda a: ((curve - a * shifted) ** 2).sum(), bounds=(0, 100), method="bounded",
            options={"xatol": 1e-12},
        ).x  # fmt: skip
        return ((curve - a * shifted) ** 2).sum()

    delays = np.arange(-8, 8.001, 0.05)
    return delays[np.argmin([residual(delay) for delay in delays])]


def test_lags_are_where_a_loop_finds_them():
    m = course([0.3, 0.2, 0.1], [1.3, 0.0, -2.1]) + 0.01 * np.random.default_rng(0).normal(
        size=(3, len(TIMES))
    )
    expected = [_slow_lag(curve, m.mean(axis=0), TIMES) for curve in m]
    np.testing.assert_allclose(template_lags(m, TIMES), expected, atol=0.06)


def test_height_does_not_count_and_no_value_is_left_out():
    m = course([0.3, 0.02, 0.1], [1.0, 0.0, -1.0])
    lags = template_lags(m, TIMES)
    same = np.array([m[0], np.full(len(TIMES), np.nan), m[1], m[2]])
    same[2, 3] = np.nan
    again = template_lags(same, TIMES)
    assert np.isnan(again[1])
    np.testing.assert_allclose(again[[0, 2, 3]], lags, atol=0.3)
    scaled = m * [[1.0], [10.0], [1.0]]
    np.testing.assert_allclose(np.diff(template_lags(scaled, TIMES)), np.diff(lags), atol=0.15)
    assert np.isnan(template_lags(m[:1], TIMES)).all()
    assert np.isnan(template_lags(-m, TIMES)).sum() == 0  # the template is as upside down
    with pytest.raises(AnalysisError, match="ascend"):
        template_lags(m, TIMES[::-1])


def test_planted_lags_lie_within_their_intervals_as_often_as_these_say():
    planted = np.linspace(1.5, -1.5, 6)
    true = course([0.2, 0.2, 0.15, 0.15, 0.107, 0.107], planted)
    without_noise = template_lags(true, TIMES)
    # Behind a template that leans to the stronger layers: differences are what was planted.
    np.testing.assert_allclose(
        without_noise - without_noise.mean(), planted - planted.mean(), atol=0.12
    )
    held, found = [], []
    for curves in studies(np.random.default_rng(1), true, 150):
        lags = course_lags(curves, TIMES)
        ends = zip(lags.intervals(), without_noise, strict=True)
        held.append([each.low <= value <= each.high for each, value in ends])
        found.append(lag_order(lags).p)
    assert 0.9 <= np.mean(held) <= 0.98
    assert np.mean(np.array(found) < 0.05) > 0.7


@pytest.mark.parametrize("heights", [UNEQUAL, UNEQUAL[::-1]])
def test_unequal_signal_makes_no_order(heights):
    """Without any lag p is uniform, and the time of the peak goes with the signal."""
    p, argmax = [], []
    for curves in studies(np.random.default_rng(0), course(heights, [0.0] * 6), 200):
        p.append(lag_order(course_lags(curves, TIMES)).p)
        argmax.append(np.mean([peaks(one, TIMES)[0] for one in curves], axis=0))
    p = np.array(p)
    assert (p <= 0.05).mean() <= 0.07
    assert abs((p <= 0.5).mean() - 0.5) < 0.1
    late = np.mean(argmax, axis=0)
    strong, weak = late[heights.argmax()], late[heights.argmin()]
    assert weak - strong > 1.5  # a false order, for each layer peaks at 12 s


def test_the_order_is_a_slope_with_a_jackknife():
    curves = next(studies(np.random.default_rng(3), course([0.3] * 4, [1, 0.5, 0, -1.0]), 1))
    lags = course_lags(curves, TIMES)
    order = lag_order(lags)
    depth = np.arange(4) / 3
    slopes = [np.polyfit(depth, one, 1)[0] for one in lags.without]
    se = np.sqrt(4 / 5 * np.sum((slopes - np.mean(slopes)) ** 2))
    assert order.slope.value == pytest.approx(np.polyfit(depth, lags.lags, 1)[0])
    assert order.se == pytest.approx(se)
    assert order.slope.high - order.slope.value == pytest.approx(2.7764451 * se)
    assert order.p < 0.05
    for subject in range(5):
        expected = template_lags(np.delete(curves, subject, axis=0).mean(axis=0), TIMES)
        np.testing.assert_array_equal(lags.without[subject], expected)
    with pytest.raises(AnalysisError, match=r"5 left out in turn cannot be adjusted by .* with 4;"):
        adjusted_lags(lags, course_lags(curves[1:], TIMES))
    nothing = adjusted_lags(lags, lags)
    assert not nothing.lags.any()
    assert np.isnan(lag_order(nothing).p)
    assert np.isnan(lag_order(course_lags(curves[:1], TIMES)).p)
