"""Units of half precision: what rounding leaves nine values of is constant, all else is decoded."""

from __future__ import annotations

import numpy as np
import pytest

from unitdb.analysis import MeanProfile, activation_covariates
from unitdb.decoding import (
    DecoderSettings,
    RoiDecoder,
    encoding_accuracies,
    profile_correlation,
)
from unitdb.errors import ResponsesError
from unitdb.resolution import SINGLE, is_constant, resolution_of
from unitdb.responses.design import image_folds

SPLIT = [(np.arange(60), np.arange(60, 80))]
FOLDS = image_folds(80, 5, seed=0)
BITS = {"float16": 11, "bfloat16": 8}
HALF = list(BITS)


def half(values, precision):
    """Values rounded to so many bits, in float32."""
    fraction, exponent = np.frexp(values)
    steps = 2.0 ** BITS[precision]
    return np.ldexp(np.round(fraction * steps) / steps, exponent).astype(np.float32)


@pytest.fixture
def data():
    """Voxels, and activations of SD 1 that they know."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(80, 3))
    x = hidden @ rng.normal(size=(3, 60)) + 0.5 * rng.normal(size=(80, 60))
    y = hidden @ rng.normal(size=(3, 18))
    return x, y / y.std(axis=0)


@pytest.mark.robust(
    "numbers",
    given="features of float16 around −5.885: units that take 2 or 3 neighbouring values",
    before="read: accuracies of all 18 units, .83 on average; .845 of a unit of a bfloat16 layer",
    now="NULL: range within 8 steps (2⁻⁷ of the size; 2⁻⁴ in bfloat16); float16 of N(0, 1) as ever",
)
@pytest.mark.parametrize("precision", HALF)
@pytest.mark.parametrize("splits", [SPLIT, FOLDS], ids=["split", "folds"])
@pytest.mark.parametrize("n_voxels", [20, None])
def test_units_that_half_precision_rounds_have_no_accuracy(data, precision, splits, n_voxels):
    x, y = data
    step = 2.0 ** (3 - BITS[precision])
    rounded, usual = half(-5.885 + 0.3 * step * y, precision), half(y, precision)
    assert max(len(np.unique(column)) for column in rounded.T) < 10
    decoder = RoiDecoder(x, splits, DecoderSettings(n_voxels=n_voxels, alpha=10.0))
    least = resolution_of(precision)
    assert not np.isnan(decoder.accuracy(rounded)).any()  # float32, as far as is known
    assert np.isnan(decoder.accuracy(rounded, resolution=least)).all()
    expected = decoder.accuracy(usual)
    assert expected.min() > 0.5
    np.testing.assert_array_equal(decoder.accuracy(usual, resolution=least), expected)
    if precision == "float16":  # an array says it itself
        assert np.isnan(decoder.accuracy(rounded.astype(np.float16))).all()
        found = decoder.accuracy(usual.astype(np.float16))
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_units_that_round_over_the_test_images_alone_have_no_accuracy(data):
    x, y = data
    still = half(-5.885 + 0.002 * y, "float16")
    still[:60] += half(y[:60], "float16")
    seen = []

    def of_repeats(_, predicted, true):
        seen.append(np.ptp(true, axis=0).max())
        return profile_correlation(predicted[0], true)[None]

    settings = DecoderSettings(n_voxels=20, alpha=10.0)
    decoder = RoiDecoder(x, SPLIT, settings, repeats=np.stack([x[60:]] * 2))
    keep, least = np.array([0]), resolution_of("float16")
    found = decoder.decode(still, keep=keep, of_repeats=of_repeats, resolution=least)
    assert np.isnan(found.r).all()
    assert np.isnan(found.of_repeats[0]).all()
    assert seen == [0.0]


@pytest.mark.parametrize("precision", HALF)
@pytest.mark.parametrize("offset", [-5.885, 1.0, 1.001, 1.999, 100.0, 3e4])
def test_nine_neighbouring_values_are_constant_and_thirty_are_not(precision, offset):
    _, exponent = np.frexp(offset)
    step = 2.0 ** (float(exponent) - BITS[precision])
    for n, constant in ((2, True), (3, True), (9, True), (30, False)):
        near = half(np.array([offset]), precision)
        values = half(near + np.sign(offset) * step * np.arange(n), precision)[:, None]
        assert is_constant(values, resolution=resolution_of(precision)).tolist() == [constant]


@pytest.mark.parametrize("precision", HALF)
def test_sparse_and_small_units_of_half_precision_vary(precision):
    values = np.zeros((50, 2), np.float32)
    values[3, 0], values[:, 1] = 1, np.linspace(0, 1e-4, 50)
    assert not is_constant(half(values, precision), resolution=resolution_of(precision)).any()
    assert resolution_of("float64") == resolution_of(np.dtype("f4")) == SINGLE


def test_measures_take_the_precision_of_their_arrays(data):
    _, y = data
    rounded = half(-5.885 + 0.002 * y, "float16").astype(np.float16)
    assert np.isnan(profile_correlation(y, rounded)).all()
    assert np.isnan(MeanProfile(80, n_bootstrap=10).add(y, rounded)).all()
    assert np.isnan(activation_covariates(rounded)).all()
    assert np.isnan(activation_covariates(rounded.astype("f4"), resolution=2.0**-7)).all()
    assert not np.isnan(activation_covariates(half(y, "float16").astype(np.float16))).any()


def test_units_that_half_precision_rounds_predict_no_voxel(data):
    x, y = data
    rounded, usual = half(-5.885 + 0.002 * y, "float16"), half(y, "float16")
    settings, least = DecoderSettings(n_voxels=None, alpha=10.0), [resolution_of("float16")]
    mixed = np.concatenate([usual, rounded], axis=1)
    found, expected = (
        encoding_accuracies([units], x, SPLIT, settings, resolutions=least)
        for units in (mixed, usual)
    )
    np.testing.assert_allclose(found, expected, atol=1e-12)
    with pytest.raises(ResponsesError, match="none of the 18 units of layer 0 varies"):
        encoding_accuracies([rounded.astype(np.float16)], x, SPLIT, settings)
