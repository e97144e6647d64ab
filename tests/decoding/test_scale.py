"""Voxels and activations of any size: what z-scoring and correlations make of them is the same."""

from __future__ import annotations

import numpy as np
import pytest

from unitdb.decoding import (
    DecoderSettings,
    RoiDecoder,
    VoxelSelectionRidge,
    encoding_accuracies,
    profile_correlation,
)
from unitdb.decoding._selection import most_correlated
from unitdb.errors import ResponsesError
from unitdb.responses.design import image_folds

SPLIT = [(np.arange(40), np.arange(40, 60))]
FOLDS = image_folds(60, 5, seed=0)
DOUBLES = [-1000, -560, -250, 250, 520, 1000]
SINGLES = [-110, -70, 70, 120]


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(60, 4))
    x = hidden @ rng.normal(size=(4, 40)) + rng.normal(size=(60, 40))
    y = hidden @ rng.normal(size=(4, 50)) + rng.normal(size=(60, 50))
    return x, y.astype(np.float32)


def settings(n_voxels, precision="single", **changed):
    return DecoderSettings(n_voxels=n_voxels, alpha=10.0, precision=precision, **changed)


@pytest.mark.robust(
    "numbers",
    given="one float64 voxel of size 1e-165 or 1e160 beside usual ones",
    before="the process ends with a segmentation fault; on all voxels r = .145 for .077",
    now="the accuracies of the same voxel of usual size, to the last bit",
)
@pytest.mark.parametrize("k", DOUBLES)
@pytest.mark.parametrize("n_voxels", [20, None])
def test_voxels_of_any_size_give_the_same_accuracies(data, k, n_voxels):
    x, y = data
    other = x.copy()
    other[:, 3] = np.ldexp(x[:, 3], k)
    for splits in (SPLIT, FOLDS):
        for precision in ("single", "double"):
            found, expected = (
                RoiDecoder(voxels, splits, settings(n_voxels, precision)).accuracy(y)
                for voxels in (other, x)
            )
            assert not np.isnan(expected).any()
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [1e-165, 1e-170, 1e-320, 1e160, 1e300])
def test_voxels_of_any_decimal_size_change_accuracies_by_rounding(data, size):
    x, y = data
    other = x.copy()
    other[:, 3] *= size
    for n_voxels in (20, None):
        found, expected = (
            RoiDecoder(voxels, SPLIT, settings(n_voxels)).accuracy(y) for voxels in (other, x)
        )
        np.testing.assert_allclose(found, expected, atol=2e-3 if size == 1e-320 else 1e-5)


@pytest.mark.robust(
    "numbers",
    given="float32 activations of 1e38, or of 1e-38",
    before="NULL and a warning of NumPy: differences overflow; small ones lose digits",
    now="the accuracies of the same activations of usual size, to the last bit",
)
@pytest.mark.parametrize("n_voxels", [20, None])
def test_activations_of_any_size_give_the_same_accuracies(data, n_voxels):
    x, y = data
    for precision in ("single", "double"):
        decoder = RoiDecoder(x, SPLIT, settings(n_voxels, precision))
        for sizes, of in ((SINGLES, y), (DOUBLES, y.astype(np.float64))):
            expected, p = decoder.accuracy(of), decoder.predict(of)
            for k in sizes:
                other = np.ldexp(of, k)
                np.testing.assert_array_equal(decoder.accuracy(other), expected)
                np.testing.assert_array_equal(decoder.predict(other), np.ldexp(p, k))
                kept = decoder.decode(other, keep=np.array([3, 17])).predicted
                np.testing.assert_array_equal(kept, np.ldexp(p[:, [3, 17]], k))


@pytest.mark.parametrize("k", DOUBLES)
def test_profile_correlations_do_not_depend_on_size(data, k):
    p, t = data[1][:, :25].astype(np.float64), data[1][:, 25:].astype(np.float64)
    expected = profile_correlation(p, t)
    np.testing.assert_array_equal(profile_correlation(np.ldexp(p, k), t), expected)
    np.testing.assert_array_equal(profile_correlation(p, np.ldexp(t, k)), expected)


@pytest.mark.parametrize("n_voxels", [20, None])
def test_encoding_does_not_depend_on_the_size_of_units_or_voxels(data, n_voxels):
    x, y = data
    units = y.astype(np.float64)
    expected = encoding_accuracies([units], x, SPLIT, settings(n_voxels))
    for k in DOUBLES:
        of_units = encoding_accuracies([np.ldexp(units, k)], x, SPLIT, settings(n_voxels))
        of_voxels = encoding_accuracies([units], np.ldexp(x, k), SPLIT, settings(n_voxels))
        np.testing.assert_array_equal(of_units, expected)
        np.testing.assert_array_equal(of_voxels, expected)


@pytest.mark.parametrize("k", [-900, -560, 520, 900])
def test_estimators_predict_the_same_of_voxels_of_any_size(data, k):
    x, y = data
    other = x.copy()
    other[:, 3] = np.ldexp(x[:, 3], k)
    model = VoxelSelectionRidge(alpha=[1.0, 10.0], n_voxels=20)
    expected = model.fit(x, y).predict(x)
    errors = model.cv_mse_
    np.testing.assert_allclose(model.fit(other, y).predict(other), expected, rtol=1e-12)
    np.testing.assert_array_equal(model.cv_mse_, errors)
    with pytest.raises(ResponsesError, match=r"voxel 3 has an SD of .* other units"):
        model.fit(other, np.ldexp(y.astype(np.float64), -k))


@pytest.mark.robust(
    "numbers",
    given="`zscore: false`, and a voxel whose square the precision cannot hold (1e-25 in single)",
    before="an accuracy of what is left of the digits, NULL, or a segmentation fault",
    now="an error with the voxel's number: z-score, or other units",
)
@pytest.mark.parametrize(
    ("size", "n_voxels", "precision"),
    [
        (1e-25, 20, "single"),
        (1e30, 20, "single"),
        (1e-160, None, "single"),
        (1e-160, 20, "double"),
        (1e160, None, "double"),
        (1e308, 20, "double"),
    ],
)
def test_voxels_that_cannot_be_squared_are_refused(data, size, n_voxels, precision):
    x, y = data
    other = x.copy()
    other[:, 3] *= size / 4
    with pytest.raises(ResponsesError, match=r"voxel 3 varies by .*e.*z-score voxels"):
        RoiDecoder(other, SPLIT, settings(n_voxels, precision, zscore=False))
    RoiDecoder(x * 1e-9, SPLIT, settings(n_voxels, precision, zscore=False)).accuracy(y)


def test_held_out_values_out_of_reach_and_voxels_without_numbers_are_refused(data):
    x, _ = data
    far, unknown = x.copy(), x.copy()
    far[50, 3] = 1e40
    unknown[5, 7] = np.nan
    with pytest.raises(ResponsesError, match="voxel 3: held-out rows are further"):
        RoiDecoder(far, SPLIT, settings(20))
    with pytest.raises(ResponsesError, match="voxel 7 holds NaN"):
        RoiDecoder(unknown, SPLIT, settings(20))


def test_units_without_numbers_have_no_accuracy_and_disturb_no_other(data):
    x, y = data
    other = y.copy()
    other[5, 7] = np.nan
    for n_voxels in (20, None):
        decoder = RoiDecoder(x, SPLIT, settings(n_voxels))
        found = decoder.accuracy(other)
        assert np.isnan(found[7])
        np.testing.assert_array_equal(np.delete(found, 7), np.delete(decoder.accuracy(y), 7))


def test_every_place_is_filled_whatever_the_scores_are():
    scores = np.array([[np.nan, 1, 2, np.nan], [np.nan] * 4, [np.inf, np.nan, np.inf, 0]])
    kept = most_correlated(scores, 3, tolerance=0.1, exact=lambda unit, at: scores[unit, at])
    assert kept.min() >= 0
    assert kept.max() < 4
    assert [len(set(row)) for row in kept.tolist()] == [3, 3, 3]
    assert {1, 2} <= set(kept[0].tolist())
