"""Amplitude of decoded features, against plain formulas; means over images."""

from __future__ import annotations

import numpy as np
import pytest

from unitdb.analysis import mean_over_images, true_amplitude
from unitdb.errors import AnalysisError


def test_decoded_deviations_vary_as_true_ones_do():
    rng = np.random.default_rng(0)
    true = 5 + rng.normal(size=(12, 40)) * np.arange(1, 41)
    mean = true.mean(axis=0)
    amplitude = true_amplitude(true, mean)
    shrunk = mean + 0.1 * (true - mean)
    about = amplitude.matched(shrunk, "mean-centred") - mean
    expected = np.mean([(row - mean).std() for row in true])
    np.testing.assert_allclose(about.std(axis=1), expected)
    r = [np.corrcoef(a, row - mean)[0, 1] for a, row in zip(about, true, strict=True)]
    np.testing.assert_allclose(r, 1)
    raw = amplitude.matched(shrunk, "shen2019")
    np.testing.assert_allclose(raw.std(axis=1), np.mean([row.std() for row in true]))
    np.testing.assert_array_equal(amplitude.matched(shrunk, "none"), shrunk)
    with pytest.raises(AnalysisError, match="40 units"):
        amplitude.matched(shrunk[:, 1:], "none")
    with pytest.raises(AnalysisError, match="'mean'; one of mean-centred, shen2019, none"):
        amplitude.matched(shrunk, "mean")


def test_what_does_not_vary_stays_the_training_mean():
    true = np.random.default_rng(1).normal(size=(5, 8))
    mean = true.mean(axis=0)
    found = true_amplitude(true, mean).matched(mean[None], "mean-centred")
    np.testing.assert_array_equal(found, mean[None])


def test_intervals_over_images_are_percentiles_of_resampled_means():
    values = np.random.default_rng(2).normal(0.3, 1, 60)
    found = mean_over_images(np.append(values, np.nan))
    assert found.value == pytest.approx(values.mean())
    half = 1.96 * values.std(ddof=1) / np.sqrt(60)
    assert found.low == pytest.approx(values.mean() - half, abs=0.1)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1)
    one = mean_over_images(np.array([0.5]))
    assert one.value == 0.5
    assert np.isnan([one.low, one.high, mean_over_images(np.array([np.nan])).value]).all()
