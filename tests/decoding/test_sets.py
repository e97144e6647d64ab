"""Test sets: weights are solved once, and what is predicted of a set does not depend on others."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from unitdb.decoding import DecoderSettings, RoiDecoder, encoding_accuracies
from unitdb.decoding._selected import SelectedRidge
from unitdb.errors import ResponsesError

N_TRAIN = 15
SIZES = {"perception": 6, "imagery": 4, "once": 9}


def rows_of(sizes):
    ends = N_TRAIN + np.cumsum([0, *sizes])
    return [np.arange(start, stop) for start, stop in pairwise(ends)]


@given(
    seed=st.integers(0, 99),
    kept=st.none() | st.integers(1, 6),
    repeats=st.booleans(),
    precision=st.sampled_from(["single", "double"]),
)
@hypothesis_settings(max_examples=20)
def test_each_set_is_decoded_as_if_it_were_alone(seed, kept, repeats, precision):
    rng = np.random.default_rng(seed)
    n_rows = N_TRAIN + sum(SIZES.values())
    x, y = rng.normal(2, 3, (n_rows, 8)), rng.normal(5, 2, (n_rows, 300))
    y[:, 3] = 2.0
    rows = rows_of(SIZES.values())
    x[rows[1], 1] = 4.0  # still over one set alone
    single = [rng.normal(size=(3, len(rows[0]), 8)), None, None] if repeats else [None] * 3
    settings = DecoderSettings(n_voxels=kept, alpha=2.0, precision=precision)
    splits = [(np.arange(N_TRAIN), np.concatenate(rows))]
    decoder = RoiDecoder(x, splits, settings, sets=rows, repeats=single)
    keep = np.array([0, 3, 280])
    summary = (lambda _, predicted, __: predicted[0]) if repeats else None
    found = decoder.decode(y, keep=keep, of_repeats=summary, n_jobs=2)
    predicted = decoder.predict(y)
    assert found.r.shape == decoder.accuracy(y).shape == (3, 300)
    for number, (of_set, own) in enumerate(zip(rows, single, strict=True)):
        alone = RoiDecoder(x, [(np.arange(N_TRAIN), of_set)], settings, repeats=own)
        expected = alone.decode(y, keep=keep, of_repeats=summary)
        places = of_set - N_TRAIN
        np.testing.assert_array_equal(found.r[number], expected.r[0])
        np.testing.assert_array_equal(found.predicted[places], expected.predicted)
        np.testing.assert_array_equal(predicted[places], alone.predict(y))
        if own is None:
            assert found.of_repeats[number] is None
        else:
            np.testing.assert_array_equal(found.of_repeats[number], expected.of_repeats[0])


def test_weights_are_solved_once_for_all_sets(monkeypatch):
    solved = []
    weights = SelectedRidge.weights
    monkeypatch.setattr(
        SelectedRidge, "weights", lambda self, z: (solved.append(z.shape[1]), weights(self, z))[1]
    )
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(34, 8)), rng.normal(size=(34, 300))
    rows = rows_of(SIZES.values())
    settings = DecoderSettings(n_voxels=3, alpha=2.0)
    decoder = RoiDecoder(x, [(np.arange(N_TRAIN), np.concatenate(rows))], settings, sets=rows)
    decoder.accuracy(y)
    assert solved == [256, 44]  # the tiles, not the tiles of each set


def test_voxels_are_predicted_over_each_set():
    rng = np.random.default_rng(1)
    units, voxels = rng.normal(size=(34, 6)), rng.normal(size=(34, 5))
    rows = rows_of(SIZES.values())
    settings = DecoderSettings(n_voxels=None, alpha=2.0)
    splits = [(np.arange(N_TRAIN), np.concatenate(rows))]
    found = encoding_accuracies([units, units], voxels, splits, settings, sets=rows)
    assert found.shape == (2, 3, 5)
    for number, of_set in enumerate(rows):
        alone = encoding_accuracies([units], voxels, [(np.arange(N_TRAIN), of_set)], settings)
        np.testing.assert_array_equal(found[1, number], alone[0])


def test_sets_are_the_held_out_rows_of_one_split():
    x, settings = np.random.default_rng(0).normal(size=(12, 4)), DecoderSettings(n_voxels=None)
    first, second = np.arange(6, 9), np.arange(9, 12)
    split = (np.arange(6), np.arange(6, 12))
    with pytest.raises(ResponsesError, match="are not the held-out rows"):
        RoiDecoder(x, [split], settings, sets=[first])
    folds = [(second, first), (first, second)]
    with pytest.raises(ResponsesError, match="one split, not folds"):
        RoiDecoder(x, folds, settings, sets=[first, second], repeats=[None, np.zeros((2, 3, 4))])
    with pytest.raises(ResponsesError, match=r"\(2, 4, 4\); .* 3 held-out rows, 4 voxels"):
        RoiDecoder(x, [split], settings, sets=[first, second], repeats=[None, np.zeros((2, 4, 4))])


@pytest.mark.parametrize("n_voxels", [None, 6])
def test_folds_may_hold_out_rows_of_several_sets(n_voxels):
    """Each as if it were the only one, in the order of the splits; some have none of a set."""
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(24, 15)), rng.normal(size=(24, 7))
    train = [np.array([0, 1, 2, 3, 4, 5]), np.array([6, 7, 8, 9, 10, 11])]
    one, two = [np.array([12, 13, 20]), np.array([14, 15])], [np.array([16, 17, 18, 19]), []]
    splits = [
        (of, np.sort(np.concatenate([a, b]).astype(int)))
        for of, a, b in zip(train, one, two, strict=True)
    ]
    sets = [np.concatenate(each).astype(int) for each in (one, two)]
    settings = DecoderSettings(n_voxels=n_voxels, alpha=2.0)
    decoder = RoiDecoder(x, splits, settings, sets=sets)
    found = decoder.decode(y, keep=np.arange(7))
    for number, of_set in enumerate((one, two)):
        alone = [(of, rows) for of, rows in zip(train, of_set, strict=True) if len(rows)]
        other = RoiDecoder(x, alone, settings)
        np.testing.assert_array_equal(found.r[number], other.accuracy(y))
        places = [decoder.test_rows.tolist().index(row) for row in sets[number]]
        np.testing.assert_array_equal(found.predicted[places], other.predict(y))
