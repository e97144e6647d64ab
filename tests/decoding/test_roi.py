from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from tests.decoding.reference import reference_accuracy, reference_predictions
from unitdb.decoding import DecoderSettings, RoiDecoder
from unitdb.decoding._selection import most_correlated
from unitdb.errors import ResponsesError
from unitdb.responses.design import image_folds

N_TEST = 12
double = partial(DecoderSettings, precision="double")


def simulated(seed, *, n_train, n_voxels, n_units, n_test=N_TEST):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n_train + n_test, n_units)) * rng.uniform(0.1, 10, n_units) + 3
    x = y @ rng.normal(size=(n_units, n_voxels)) + 5 * rng.normal(size=(len(y), n_voxels)) + 7
    return x, y


def train_test(n_train, n_test=N_TEST):
    return [(np.arange(n_train), np.arange(n_train, n_train + n_test))]


@pytest.mark.parametrize("stored", [np.float64, np.float32])
@pytest.mark.parametrize("zscore", [True, False])
@pytest.mark.parametrize(
    ("n_train", "n_voxels", "kept"),
    [
        (30, 50, 20),  # more samples than kept voxels: solved over voxels
        (30, 90, 40),  # fewer samples: solved over samples, from the kept voxels
        (30, 60, 40),  # the same, from the voxels left out
        (30, 50, 50),  # keeps all, fewer samples than voxels
        (60, 20, 500),  # keeps all, more samples than voxels
        (30, 50, None),
        (30, 50, 1),
        (30, 1, 1),
    ],
)
def test_equals_the_reference_unit_by_unit(n_train, n_voxels, kept, zscore, stored):
    x, y = simulated(0, n_train=n_train, n_voxels=n_voxels, n_units=7)
    y = y.astype(stored)  # double precision is not lost on activations stored in single
    chosen = {"n_voxels": kept, "alpha": 10.0, "zscore": zscore}
    decoder = RoiDecoder(x, train_test(n_train), double(**chosen))
    exact = y.astype(np.float64)
    expected = reference_predictions(x, exact, train_test(n_train), **chosen)
    np.testing.assert_allclose(decoder.predict(y), expected, rtol=0, atol=1e-10 * np.abs(y).max())
    expected = reference_accuracy(x, exact, train_test(n_train), **chosen)
    np.testing.assert_allclose(decoder.accuracy(y), expected, rtol=0, atol=1e-10)


@given(
    n_images=st.integers(6, 20),
    n_voxels=st.integers(1, 25),
    kept=st.none() | st.integers(1, 25),
    n_folds=st.integers(2, 6),
    alpha=st.floats(0.01, 1e3),
    zscore=st.booleans(),
    seed=st.integers(0, 1000),
)
@hypothesis_settings(deadline=None, max_examples=40)
def test_equals_the_reference_in_cross_validation(
    n_images, n_voxels, kept, n_folds, alpha, zscore, seed
):
    x, y = simulated(seed, n_train=n_images, n_voxels=n_voxels, n_units=3, n_test=0)
    splits = image_folds(n_images, n_folds, seed=seed)
    chosen = {"n_voxels": kept, "alpha": alpha, "zscore": zscore}
    decoder = RoiDecoder(x, splits, double(**chosen))
    expected = reference_accuracy(x, y, splits, **chosen)
    np.testing.assert_allclose(decoder.accuracy(y), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("n_voxels", [5, 40])
def test_relative_alpha_is_a_multiple_of_the_mean_eigenvalue(n_voxels):
    x, y = simulated(1, n_train=24, n_voxels=n_voxels, n_units=4, n_test=0)
    splits = image_folds(24, 8, seed=0)
    chosen = {"n_voxels": None, "alpha": 0.7, "alpha_relative": True, "zscore": False}
    decoder = RoiDecoder(x, splits, double(**chosen))
    expected = reference_predictions(x, y, splits, **chosen)
    np.testing.assert_allclose(decoder.predict(y), expected, rtol=1e-9)


def test_without_scaling_and_selection_a_rotation_of_voxels_changes_nothing():
    x, y = simulated(2, n_train=20, n_voxels=30, n_units=4, n_test=0)
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(30, 30)))
    splits = image_folds(20, 5, seed=0)
    chosen = double(n_voxels=None, alpha=1.0, alpha_relative=True, zscore=False)
    before = RoiDecoder(x, splits, chosen).accuracy(y)
    after = RoiDecoder(x @ rotation, splits, chosen).accuracy(y)
    np.testing.assert_allclose(after, before, atol=1e-10)


def test_a_block_of_units_gives_what_each_unit_gives_alone():
    x, y = simulated(3, n_train=30, n_voxels=50, n_units=6)
    decoder = RoiDecoder(x, train_test(30), double(n_voxels=20))
    alone = [decoder.accuracy(y[:, [unit]])[0] for unit in range(6)]
    np.testing.assert_allclose(decoder.accuracy(y), alone, atol=1e-12)


@pytest.mark.parametrize("kept", [10, None])
def test_constant_units_have_no_accuracy(kept):
    x, y = simulated(4, n_train=30, n_voxels=20, n_units=4)
    y[:, 0] = 0.1  # constant throughout
    y[30:, 1] = 0.1  # constant over the test images
    y[:30, 2] = 0.1  # constant over the training images: so is its prediction
    r = RoiDecoder(x, train_test(30), double(n_voxels=kept)).accuracy(y)
    assert np.isnan(r[:3]).all()
    assert np.isfinite(r[3])


def test_constant_voxels_change_nothing():
    x, y = simulated(5, n_train=30, n_voxels=20, n_units=4)
    widened = np.insert(x, [0, 10], [0.1, 1e9], axis=1)
    chosen = double(n_voxels=12)
    before = RoiDecoder(x, train_test(30), chosen).accuracy(y)
    after = RoiDecoder(widened, train_test(30), chosen).accuracy(y)
    np.testing.assert_allclose(after, before, atol=1e-12)


def test_an_roi_without_any_varying_voxel_is_refused():
    with pytest.raises(ResponsesError, match="none of the 3 voxels varies"):
        RoiDecoder(np.ones((20, 3)), train_test(8), double())


def test_held_out_activations_do_not_enter_their_own_prediction():
    x, y = simulated(6, n_train=30, n_voxels=20, n_units=4)
    decoder = RoiDecoder(x, train_test(30), double(n_voxels=8))
    before = decoder.predict(y)
    y[30:] = 1e6
    np.testing.assert_array_equal(decoder.predict(y), before)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_voxels": 0}, "at least 1"),
        ({"alpha": -1}, "at least 0"),
        ({"alpha": float("nan")}, "at least 0"),
        ({"alpha": float("inf")}, "finite"),
        ({"alpha_relative": True}, "without voxel selection"),
        ({"precision": "half"}, "single or double"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        DecoderSettings(**wrong)


def test_one_voxel_of_huge_variance_does_not_cancel_the_others():
    x, y = simulated(7, n_train=30, n_voxels=60, n_units=4)
    seen = np.column_stack([np.ones(30), y[:30]])
    noise = np.random.default_rng(0).normal(size=30)
    unrelated = noise - seen @ np.linalg.lstsq(seen, noise)[0]
    x[:, 5] = 1e7 * np.append(unrelated, np.ones(N_TEST))  # related to no unit: never selected
    chosen = {"n_voxels": 40, "alpha": 10.0, "zscore": False}
    found = RoiDecoder(x, train_test(30), double(**chosen)).accuracy(y)
    expected = reference_accuracy(x, y, train_test(30), **chosen)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_ties_of_correlation_go_to_the_lower_voxel():
    def exact(unit, voxels):
        return true[unit, voxels]

    true = np.abs([[0.1, -0.5, 0.5, 0.3, -0.3, 0.3], [0.2, 0.2, 0.2, 0.1, 0.2, 0.2]])
    expected = {1: [[1], [0]], 3: [[1, 2, 3], [0, 1, 2]], 4: [[1, 2, 3, 4], [0, 1, 2, 4]]}
    for noise in (0, 1e-9):
        score = true + noise * np.random.default_rng(0).normal(size=true.shape)
        for n_voxels, voxels in expected.items():
            kept = most_correlated(score, n_voxels, tolerance=1e-7, exact=exact)
            assert kept.tolist() == voxels
