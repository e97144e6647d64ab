"""Correlations with stimulus and original, both controls, against loops over images and noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from unitdb.analysis import feature_gain, noise_control, null_control, pattern_r
from unitdb.errors import AnalysisError

SNRS = np.round(np.arange(10, -100.05, -0.1), 1)


def corr(a, b):
    return np.corrcoef(a, b)[0, 1]


def design(seed, *, n_images=12, n_units=40, n_sharp=4):
    rng = np.random.default_rng(seed)
    original = rng.normal(3, 2, (n_images, n_units))
    stimulus = 0.6 * original + rng.normal(1, 1, original.shape)
    stimulus[:n_sharp] = original[:n_sharp]
    mean, sd = rng.normal(2, 1, n_units), rng.uniform(0.5, 2, n_units)
    sd[3] = 0
    return stimulus, original, np.arange(n_images) < n_sharp, mean, sd


@pytest.mark.parametrize("scaled", [False, True])
@given(seed=st.integers(0, 1000), n_units=st.integers(5, 60))
def test_r_is_over_units_less_their_training_mean(seed, n_units, scaled):
    stimulus, original, _, mean, sd = design(seed, n_units=n_units)
    found = pattern_r(original, stimulus, mean=mean, sd=sd if scaled else None)
    for image, r in enumerate(found):
        a, b = original[image] - mean, stimulus[image] - mean
        if scaled:
            a, b = (np.delete(x, 3) / np.delete(sd, 3) for x in (a, b))
        assert r == pytest.approx(corr(a, b), abs=1e-12)


def test_predictions_that_are_the_training_mean_have_no_r():
    stimulus, _, _, mean, _ = design(0)
    still = np.tile(mean.astype(np.float32), (len(stimulus), 1))
    assert np.isnan(pattern_r(still, stimulus, mean=mean)).all()
    assert not np.isnan(pattern_r(still + 1e-3 * stimulus, stimulus, mean=mean)).any()


def slow_noise_control(stimulus, original, sharp, target, draws):
    """As EstimateMatchedNoise.m goes, with several draws; features centred."""
    r_s, r_o = (np.zeros((len(SNRS), len(stimulus))) for _ in range(2))
    for place, snr in enumerate(SNRS):
        for image, f in enumerate(stimulus):
            sd = np.sqrt((f**2).mean() / 10 ** (snr / 10))
            noisy = [f + sd * draw[image] for draw in draws]
            r_s[place, image] = np.mean([corr(x, f) for x in noisy])
            r_o[place, image] = np.mean([corr(x, original[image]) for x in noisy])
    mean = r_o[:, sharp].mean(axis=1)
    place = np.abs(mean - target).argmin()
    if target < 0 and (mean < 0).any():
        place = np.flatnonzero(mean < 0)[0]
    return SNRS[place], r_s[place], r_o[place]


@pytest.mark.parametrize(
    ("target", "scaled", "seed"),
    [(0.3, False, 1), (0.05, True, 1), (-0.1, False, 1), (-0.1, True, 2)],
)
def test_the_published_control_is_that_of_a_loop(target, scaled, seed):
    stimulus, original, sharp, mean, sd = design(seed, n_images=4, n_sharp=2)
    given = {"mean": mean, "sd": sd if scaled else None}
    found = noise_control(
        stimulus, original, sharp=sharp, target=target, n_draws=2, seed=5, **given
    )
    f, g = stimulus - mean, original - mean
    if scaled:
        f, g = (np.delete(x, 3, axis=1) / np.delete(sd, 3) for x in (f, g))
    rng = np.random.Generator(np.random.PCG64(5))
    draws = [rng.standard_normal(f.shape) for _ in range(2)]
    snr, r_s, r_o = slow_noise_control(f, g, sharp, target, draws)
    assert found.snr == pytest.approx(snr)
    np.testing.assert_allclose(found.r_stimulus, r_s, atol=1e-12)
    np.testing.assert_allclose(found.r_original, r_o, atol=1e-12)
    np.testing.assert_allclose(found.r_stimulus[:2], found.r_original[:2], atol=1e-14)


def test_more_draws_scatter_less():
    stimulus, original, sharp, mean, _ = design(2, n_units=30)

    def spread(n_draws):
        gains = [
            np.mean(np.subtract(c.r_original, c.r_stimulus)[~sharp])
            for seed in range(25)
            for c in [
                noise_control(
                    stimulus,
                    original,
                    sharp=sharp,
                    target=0.2,
                    mean=mean,
                    n_draws=n_draws,
                    seed=seed,
                )
            ]
        ]
        return np.std(gains)

    assert spread(20) < 0.5 * spread(1)


def test_the_null_matches_noise_of_responses_on_pictures_shown_as_they_are():
    stimulus, original, sharp, mean, _ = design(3, n_images=6)
    rng = np.random.default_rng(9)
    predicted = mean + 0.3 * (stimulus - mean)
    noise = rng.normal(size=(3, *stimulus.shape))
    given = {"sharp": sharp, "mean": mean}
    found = null_control(predicted, noise, stimulus, original, target=0.4, **given)
    p, f, g = (x - mean for x in (predicted, stimulus, original))
    unit = np.sqrt((p[sharp] ** 2).mean() / (noise**2).mean())
    snrs = np.arange(40, -100.05, -0.1)

    def mean_r(snr, image, target):
        a = unit / 10 ** (snr / 20)
        return np.mean([corr(p[image] + a * draw[image], target[image]) for draw in noise])

    means = [np.mean([mean_r(snr, image, g) for image in np.flatnonzero(sharp)]) for snr in snrs]
    best = snrs[np.abs(np.array(means) - 0.4).argmin()]
    assert found.snr == pytest.approx(best)
    expected = [mean_r(best, image, g) for image in range(6)]
    np.testing.assert_allclose(found.r_original, expected, atol=1e-9)
    expected = [mean_r(best, image, f) for image in range(6)]
    np.testing.assert_allclose(found.r_stimulus, expected, atol=1e-9)


def test_the_gain_is_what_is_beyond_the_control():
    values = np.random.default_rng(0).normal(size=(4, 7))
    expected = [(o - s) - (co - cs) for s, o, cs, co in values.T]
    np.testing.assert_allclose(feature_gain(*values), expected)


def test_without_a_match_there_is_no_control():
    stimulus, original, sharp, mean, _ = design(4)
    given = {"sharp": sharp, "mean": mean}
    found = noise_control(stimulus, original, target=np.nan, **given)
    assert np.isnan([found.snr, *found.r_stimulus, *found.r_original]).all()
    with pytest.raises(AnalysisError, match="no picture was shown as it is"):
        noise_control(stimulus, original, target=0.1, sharp=~np.ones(12, dtype=bool), mean=mean)
    with pytest.raises(AnalysisError, match="0 draws"):
        noise_control(stimulus, original, target=0.1, n_draws=0, **given)
    with pytest.raises(AnalysisError, match="shapes"):
        noise_control(stimulus, original[:5], target=0.1, **given)


@pytest.mark.robust(
    "numbers",
    given="decoding that is better than a control with the least noise (10 dB; 40 dB of the null)",
    before="the end of the range was taken, and the gain was against a control that is worse",
    now="no SNR, and no gain against that control",
)
def test_a_control_that_cannot_be_as_good_as_decoding_is_none():
    stimulus, original, sharp, mean, _ = design(5)
    given = {"sharp": sharp, "mean": mean}
    rng = np.random.default_rng(1)
    predicted = (
        mean + stimulus - mean + rng.normal(0, 4, stimulus.shape)
    )  # of a half-trained decoder
    noise = rng.normal(size=(3, *stimulus.shape))
    p, g = (x[sharp] - mean for x in (predicted, original))
    best = np.mean([corr(a, b) for a, b in zip(p, g, strict=True)])
    for target, is_there in ((best - 0.1, True), (best, True), (best + 0.02, False)):
        found = null_control(predicted, noise, stimulus, original, target=target, **given)
        assert np.isfinite([found.snr, *found.r_stimulus, *found.r_original]).all() == is_there
        assert np.isfinite(found.snr) == is_there
    assert np.isfinite(noise_control(stimulus, original, target=0.9, **given).snr)
    assert np.isnan(noise_control(stimulus, original, target=0.99, **given).r_original).all()


def test_noise_alone_is_what_decoding_worse_than_chance_is_matched_with():
    stimulus, original, sharp, mean, _ = design(6, n_units=400)
    seeds = [
        noise_control(stimulus, original, sharp=sharp, mean=mean, target=-0.3, seed=seed)
        for seed in range(8)
    ]
    assert -100 in [round(found.snr, 6) for found in seeds]  # luck of the draws above 0
    assert max(np.abs(found.r_original).max() for found in seeds) < 0.1
