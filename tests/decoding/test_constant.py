"""Units and voxels that vary by rounding alone: as those that do not vary at all."""

from __future__ import annotations

import numpy as np
import pytest

from unitdb.analysis import (
    MeanProfile,
    activation_covariates,
    permutation_p,
    permuted_orders,
)
from unitdb.decoding import DecoderSettings, RoiDecoder, VoxelSelectionRidge, encoding_accuracies
from unitdb.errors import ResponsesError
from unitdb.responses.design import average_repeats, image_folds

N_TRAIN, N_TEST = 40, 20
SPLIT = [(np.arange(N_TRAIN), np.arange(N_TRAIN, N_TRAIN + N_TEST))]
FOLDS = image_folds(N_TRAIN + N_TEST, 5, seed=0)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def rounding(rng, n, size=-5.885):
    """One value that takes three neighbouring values of float32."""
    near = np.float32(size) * np.float32(1 + 2**-23)
    steps = np.array([np.float32(size), near, np.nextafter(near, np.float32(2 * size))])
    return steps[rng.integers(0, 3, n)]


@pytest.mark.robust(
    "numbers",
    given="a unit whose activations are three neighbouring float32 values (25,000 of `stem`)",
    before="an accuracy: what rounding gives is scaled up (mean .15, one of .57 is rank 10)",
    now="NULL: it varies by less than 2⁻¹⁶ of its size, and counts as constant",
)
@pytest.mark.parametrize("splits", [SPLIT, FOLDS], ids=["split", "folds"])
@pytest.mark.parametrize("voxels", [10, None])
def test_units_that_round_have_no_accuracy(rng, splits, voxels):
    y = rng.normal(size=(N_TRAIN + N_TEST, 6)).astype(np.float32)
    y[:, 1] = rounding(rng, len(y))
    y[:, 2] *= 1e-10  # small, and real
    y[:, 3] = 0
    y[[5, 9, 45, 50], 3] = 1  # sparse, and real
    y[:, 4] = 100 + 0.1 * y[:, 4]  # a tenth of a per cent, and real
    x = y[:, [0, 2, 3, 4, 5]] @ rng.normal(size=(5, 30)) + rng.normal(size=(len(y), 30))
    x += np.sign(y[:, [1]] - np.median(y[:, 1]))  # the brain knows the rounding
    found = RoiDecoder(x, splits, DecoderSettings(n_voxels=voxels, alpha=1.0)).accuracy(y)
    assert np.isnan(found).tolist() == [False, True, False, False, False, False]
    alone = RoiDecoder(x, splits, DecoderSettings(n_voxels=voxels, alpha=1.0)).accuracy(y[:, 2:3])
    larger = RoiDecoder(x, splits, DecoderSettings(n_voxels=voxels, alpha=1.0)).accuracy(
        y[:, 2:3] * np.float32(2.0**30)
    )
    np.testing.assert_allclose(alone, larger, atol=1e-6)  # size changes nothing


@pytest.mark.robust(
    "numbers",
    given="a unit that varies in training, and by rounding alone over the test images, or reversed",
    before="an accuracy, that of rounding",
    now="NULL",
)
@pytest.mark.parametrize("rows", [SPLIT[0][0], SPLIT[0][1]], ids=["training", "test"])
def test_each_side_counts(rng, rows):
    y = rng.normal(size=(N_TRAIN + N_TEST, 3)).astype(np.float32)
    y[rows, 1] = rounding(rng, len(rows))
    x = rng.normal(size=(len(y), 30))
    for voxels in (10, None):
        found = RoiDecoder(x, SPLIT, DecoderSettings(n_voxels=voxels)).accuracy(y)
        assert np.isnan(found).tolist() == [False, True, False]


def test_a_unit_that_rounds_in_the_training_of_a_fold_is_predicted_by_its_mean(rng):
    y = np.tile(rounding(rng, N_TRAIN + N_TEST)[:, None], 2)
    (train, test), *_ = FOLDS
    y[test, 0] += 1  # varies while others are held out
    x = rng.normal(size=(len(y), 30))
    predicted = RoiDecoder(x, FOLDS, DecoderSettings(n_voxels=10)).predict(y)
    assert len(np.unique(predicted[: len(test), 0])) == 1
    np.testing.assert_allclose(predicted[0, 0], y[train, 0].mean(), rtol=1e-6)


@pytest.mark.robust(
    "numbers",
    given="constant voxels, averaged over unequally many presentations: they differ by an ulp",
    before="scaled up to SD 1: an ROI of nothing else gave accuracies, and 400 beside 20 with "
    "signal took mean r from .100 to .076 (docs/rounding.md)",
    now="constant: such an ROI is refused, and beside others they change nothing",
)
def test_voxels_that_round_are_constant(rng):
    times = rng.integers(1, 6, N_TRAIN + N_TEST)
    ids = np.repeat(np.arange(len(times)), times).astype(str)
    still, shown = average_repeats(np.full((len(ids), 400), 0.1) * rng.uniform(1, 9, 400), ids)
    order = np.argsort(shown.astype(int))
    still = still[order]
    assert (np.ptp(still, axis=0) > 0).any()
    y = rng.normal(size=(len(times), 20))
    settings = DecoderSettings(n_voxels=15, alpha=10.0)
    for splits in (SPLIT, FOLDS):
        with pytest.raises(ResponsesError, match="none of the 400 voxels varies"):
            RoiDecoder(still, splits, settings)
        real = y[:, :20] + rng.normal(size=(len(y), 20))
        among = RoiDecoder(np.hstack([still, real]), splits, settings).accuracy(y)
        np.testing.assert_array_equal(among, RoiDecoder(real, splits, settings).accuracy(y))
    with pytest.raises(ResponsesError, match="none of the 400 voxels varies"):
        VoxelSelectionRidge().fit(still, y)
    # As targets of encoding:
    found = encoding_accuracies([y], np.hstack([still[:, :3], real]), SPLIT, settings)
    assert np.isnan(found[0, :3]).all()
    assert not np.isnan(found[0, 3:]).any()
    with pytest.raises(ResponsesError, match="none of the 400 units of layer 0 varies"):
        encoding_accuracies([still], real, SPLIT, settings)


@pytest.mark.robust(
    "numbers",
    given="voxels that vary in training, and by an ulp over the test images",
    before="accuracies of rounding",
    now="NULL: the prediction is constant",
)
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_voxels_that_round_over_test_images(rng, value):
    x = rng.normal(size=(N_TRAIN + N_TEST, 30))
    x[N_TRAIN:] = value + rng.integers(0, 3, (N_TEST, 30)) * 2.0**-51 * value
    x[:N_TRAIN] -= x[:N_TRAIN].mean(axis=0) - value
    y = rng.normal(size=(len(x), 40))
    for voxels in (5, None):
        for precision in ("single", "double"):
            settings = DecoderSettings(n_voxels=voxels, precision=precision)
            assert np.isnan(RoiDecoder(x, SPLIT, settings).accuracy(y)).all()


def test_a_prediction_that_varies_little_beside_its_mean_varies(rng):
    y = 1e4 + rng.normal(size=(N_TRAIN + N_TEST, 5))
    x = y @ rng.normal(size=(5, 30)) + rng.normal(size=(len(y), 30))
    weak, strong = (
        RoiDecoder(x, SPLIT, DecoderSettings(n_voxels=10, alpha=alpha)).accuracy(y)
        for alpha in (1e5, 1e9)
    )
    np.testing.assert_allclose(weak, strong, atol=0.05)


def test_analysis_knows_no_unit_that_rounds(rng):
    y = rng.normal(size=(30, 3)).astype(np.float32)
    y[:, 1] = rounding(rng, 30)
    predicted = y + rng.normal(size=y.shape)
    here = [False, True, False]
    assert np.isnan(activation_covariates(y)).tolist() == [here, here]
    orders = permuted_orders(30, 50, seed=0)
    assert np.isnan(permutation_p(predicted, y, orders)).tolist() == here
    assert np.isnan(MeanProfile(30, n_bootstrap=10).add(predicted, y)).tolist() == here
