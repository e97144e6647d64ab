"""Every way of solving gives what the slow reference gives, or one clear error."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings as hypothesis_settings, strategies as st

from tests.decoding.reference import reference_accuracy, reference_predictions
from unitdb.decoding import DecoderSettings, RoiDecoder, _selected, roi, settings
from unitdb.errors import DeviceError, IllConditionedError, ResponsesError

N_TEST = 12


def design(n_train):
    return [(np.arange(n_train), np.arange(n_train, n_train + N_TEST))]


def simulated(seed, n_train, n_voxels, n_units=5):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n_train + N_TEST, n_units)) * rng.uniform(0.1, 10, n_units) + 3
    x = y @ rng.normal(size=(n_units, n_voxels)) + 5 * rng.normal(size=(len(y), n_voxels)) + 7
    return x, y


def decoded(x, y, splits, *, device=None, **chosen):
    return RoiDecoder(x, splits, DecoderSettings(**chosen), device=device).predict(y)


@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("zscore", [True, False])
@pytest.mark.parametrize(
    ("n_train", "n_voxels", "kept"), [(60, 50, 20), (30, 90, 40), (25, 400, 360), (70, 60, 55)]
)
@pytest.mark.parametrize("way", ["kept", "left out", "samples"])
def test_all_ways_are_equal(way, n_train, n_voxels, kept, zscore, precision, monkeypatch):
    monkeypatch.setattr(
        _selected, "_cheapest", lambda work: way if way in work else min(work, key=work.get)
    )
    x, y = simulated(1, n_train, n_voxels)
    chosen = {"n_voxels": kept, "alpha": 20.0, "zscore": zscore}
    expected = reference_predictions(x, y, design(n_train), **chosen)
    found = decoded(x, y, design(n_train), precision=precision, **chosen)
    tolerance = {"single": 2e-5, "double": 1e-10}[precision] * np.abs(y).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_the_cheapest_way_is_taken(monkeypatch):
    taken = []
    monkeypatch.setattr(
        _selected, "_cheapest", lambda work: taken.append(min(work, key=work.get)) or taken[-1]
    )
    for n_train, n_voxels, kept in ((1200, 1100, 500), (1200, 700, 500), (90, 1500, 500)):
        x, _ = simulated(0, n_train, n_voxels)
        RoiDecoder(x, design(n_train), DecoderSettings(n_voxels=kept))
    assert taken == ["kept", "left out", "samples"]


@given(data=st.data())
@hypothesis_settings(max_examples=60)
def test_equals_the_reference_or_is_refused(data):
    """Duplicate, negated, constant and nearly equal voxels, constant units, few samples, ties."""
    draw = data.draw
    n_train, n_voxels = draw(st.integers(4, 25)), draw(st.integers(1, 30))
    kept, alpha = draw(st.integers(1, 32)), draw(st.sampled_from([0.0, 1e-3, 1.0, 100.0]))
    zscore, precision = draw(st.booleans()), draw(st.sampled_from(["single", "double"]))
    x, y = simulated(draw(st.integers(0, 999)), n_train, n_voxels, n_units=3)
    for _ in range(draw(st.integers(0, 6))):
        source, to = draw(st.integers(0, n_voxels - 1)), draw(st.integers(0, n_voxels - 1))
        factor = draw(st.sampled_from([1.0, -1.0, 0.0]))
        x[:, to] = factor * x[:, source]
    if draw(st.booleans()):
        y[:, 1] = 4.0
    chosen = {"n_voxels": kept, "alpha": alpha, "zscore": zscore}
    varying = (x[:n_train] != x[0]).any(axis=0)
    try:
        found = RoiDecoder(
            x, design(n_train), DecoderSettings(precision=precision, **chosen)
        ).accuracy(y)
    except IllConditionedError:
        used = min(kept, int(varying.sum()))
        z = x[:n_train, varying] - x[:n_train, varying].mean(axis=0)
        dependent = np.linalg.matrix_rank(z / z.std(axis=0)) < z.shape[1]
        assert alpha == 0
        assert dependent or used >= n_train - 1
        return
    except ResponsesError:
        assert not varying.any()
        return
    usable = [0, 2]
    assert np.isnan(found[1]) == (np.ptp(y[:, 1]) == 0)
    # Without a penalty the answer itself may be worth few digits. Float32 loses some where raw
    # voxels dwarf the penalty, or predictions hardly leave their mean: 5e-5 in 24,000 examples.
    tolerance = {"single": 1e-4, "double": 1e-9}[precision] * (1 if alpha >= 1 else 1e3)
    expected = reference_accuracy(x[:, varying], y[:, usable], design(n_train), **chosen)
    np.testing.assert_allclose(found[usable], expected, rtol=0, atol=tolerance)


@pytest.mark.slow
def test_single_precision_is_enough_where_voxels_are_alike():
    """One signal dominates all voxels, as global noise does in fMRI."""
    x, y = simulated(4, 200, 300, n_units=20)
    x += 300 * np.random.default_rng(0).normal(size=(len(x), 1))
    for kept in (100, 250):
        chosen = {"n_voxels": kept, "alpha": 100.0}
        expected = reference_accuracy(x, y, design(200), **chosen)
        decoder = RoiDecoder(x, design(200), DecoderSettings(**chosen))
        np.testing.assert_allclose(decoder.accuracy(y), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("precision", ["single", "double"])
def test_an_unstable_unit_is_named(precision):
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(52, 10)), rng.normal(size=(52, roi.TILE + 40))
    x[:, 1] = x[:, 0]
    y[:, :] = x[:, [5]] + x[:, [6]] + 0.1 * y  # keep the voxels 5 and 6
    y[:, roi.TILE + 30] = x[:, 0]
    y[:, [3, roi.TILE + 2]] = 7.0  # constant: not counted among those solved
    decoder = RoiDecoder(x, design(40), DecoderSettings(n_voxels=2, alpha=0.0, precision=precision))
    with pytest.raises(IllConditionedError, match=f"of unit {roi.TILE + 30} has no stable"):
        decoder.predict(y)
    found = decoder.predict(y[:, : roi.TILE + 30])
    assert np.isfinite(found).all()
    assert (found[:, [3, roi.TILE + 2]] == 7.0).all()


def test_units_that_are_all_constant_are_predicted_by_their_value():
    x, _ = simulated(13, 40, 30)
    decoder = RoiDecoder(x, design(40), DecoderSettings(n_voxels=5))
    y = np.tile([2.0, -1.0], (40 + N_TEST, 1))
    np.testing.assert_array_equal(decoder.predict(y), y[40:])
    assert np.isnan(decoder.accuracy(y)).all()


def test_least_squares_on_dependent_voxels_is_refused():
    x, y = simulated(6, 30, 10)
    x[:, 3] = x[:, 4]
    with pytest.raises(IllConditionedError, match="alpha = 0"):
        decoded(x, y, design(30), n_voxels=None, alpha=0.0)


def test_least_squares_on_independent_voxels_is_least_squares():
    x, y = simulated(7, 40, 10)
    found = decoded(x, y, design(40), n_voxels=None, alpha=0.0, precision="double")
    train = np.column_stack([np.ones(40), x[:40]])
    weights = np.linalg.lstsq(train, y[:40])[0]
    expected = np.column_stack([np.ones(N_TEST), x[40:]]) @ weights
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize(("n_train", "n_voxels", "kept"), [(60, 50, 20), (25, 90, 40)])
def test_torch_gives_the_same(n_train, n_voxels, kept, precision):
    x, y = simulated(8, n_train, n_voxels)
    chosen = {"n_voxels": kept, "alpha": 20.0, "precision": precision}
    expected = decoded(x, y, design(n_train), **chosen)
    found = decoded(x, y, design(n_train), device="cpu", **chosen)
    tolerance = {"single": 5e-5, "double": 1e-10}[precision]
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(y).max())


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
@pytest.mark.parametrize("name", ["cuda", "cuda:3", "gpu"])
def test_a_missing_device_is_named(name):
    x, _ = simulated(9, 20, 10)
    with pytest.raises(DeviceError, match=f"no device '{name}'.*there is: cpu"):
        RoiDecoder(x, design(20), DecoderSettings(n_voxels=5), device=name)


def test_blocks_and_threads_change_no_bit():
    x, y = simulated(10, 50, 70, n_units=3 * roi.TILE + 17)
    decoder = RoiDecoder(x, design(50), DecoderSettings(n_voxels=30, alpha=10.0))
    whole = decoder.accuracy(y)
    np.testing.assert_array_equal(decoder.accuracy(y, n_jobs=2), whole)
    halves = [decoder.accuracy(y[:, : 2 * roi.TILE]), decoder.accuracy(y[:, 2 * roi.TILE :])]
    np.testing.assert_array_equal(np.concatenate(halves), whole)


@pytest.mark.parametrize("last", [1, 2, 17])
@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("n_folds", [1, 5])
def test_tiles_that_are_decoded_together_have_the_bits_of_each_alone(
    n_folds, precision, last, monkeypatch
):
    x, y = simulated(13, 60, 20, n_units=5 * roi.TILE + last)
    y[:, 3] = 7.0
    y[0, 4] *= 1e200
    rows = np.arange(len(x))
    splits = design(60)
    if n_folds > 1:
        splits = [(np.setdiff1d(rows, test), test) for test in np.array_split(rows, n_folds)]
    decoder = RoiDecoder(x, splits, DecoderSettings(n_voxels=None, precision=precision))
    widths = []
    for at_once in (1, settings.AT_ONCE):
        monkeypatch.setattr(settings, "AT_ONCE", at_once)
        widths.append(next(iter(decoder._together(y.shape[1])))[1])
        found = decoder.decode(y, keep=np.array([3, 4, 700, 1280]))
        given = (found.r, found.predicted, decoder.predict(y), decoder.accuracy(y, n_jobs=2))
        if at_once == 1:
            alone = given
    assert widths == [roi.TILE, 5 * roi.TILE + (last if last > 1 else 0)]
    for one, other in zip(alone, given, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_last_tile_of_one_unit_has_the_bits_that_it_has_in_a_block_of_its_own():
    for seed in range(15):
        x, y = simulated(seed, 50, 20, n_units=2 * roi.TILE + 1)
        decoder = RoiDecoder(x, design(50), DecoderSettings(n_voxels=None))
        whole = decoder.decode(y.astype(np.float32), keep=np.array([2 * roi.TILE]))
        alone = decoder.decode(y[:, 2 * roi.TILE :].astype(np.float32), keep=np.array([0]))
        np.testing.assert_array_equal(whole.r[:, -1:], alone.r)
        np.testing.assert_array_equal(whole.predicted, alone.predicted)


def test_activations_are_read_a_tile_at_a_time():
    x, y = simulated(11, 30, 20, n_units=2 * roi.TILE + 5)
    widths = []

    class Columns:
        shape = y.shape

        def __getitem__(self, key):
            rows, columns = key
            widths.append(columns.stop - columns.start)
            return y[rows, columns]

    decoder = RoiDecoder(x, design(30), DecoderSettings(n_voxels=8))
    np.testing.assert_array_equal(decoder.accuracy(Columns()), decoder.accuracy(y))
    assert widths == [roi.TILE, roi.TILE, 5]


def test_activations_of_other_rows_are_refused():
    x, y = simulated(12, 30, 20)
    with pytest.raises(ResponsesError, match="40 rows, the responses have 42"):
        RoiDecoder(x, design(30), DecoderSettings()).accuracy(y[:40])
