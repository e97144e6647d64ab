import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from unitdb.errors import ResponsesError
from unitdb.responses import Responses, decoding_design, shuffle_images
from unitdb.responses.design import average_repeats, image_folds
from unitdb.responses.types import TestSet


def responses(ids, split):
    rng = np.random.default_rng(0)
    return Responses(
        dataset="d",
        subject="s",
        values=rng.normal(size=(len(ids), 3)),
        stimulus_ids=np.array(ids),
        split=np.array(split),
        rois={"V1": np.ones(3, bool)},
    )


@given(ids=st.lists(st.sampled_from("abcdef"), min_size=1, max_size=20))
def test_averages_equal_pandas_groups(ids):
    values = np.random.default_rng(0).normal(size=(len(ids), 4))
    means, unique = average_repeats(values, np.array(ids))
    expected = pd.DataFrame(values).groupby(ids, sort=False).mean()
    assert unique.tolist() == expected.index.tolist()
    np.testing.assert_allclose(means, expected, atol=1e-12)


@given(n_images=st.integers(2, 50), data=st.data())
def test_folds_hold_each_image_out_once(n_images, data):
    n_folds = data.draw(st.integers(2, n_images))
    folds = image_folds(n_images, n_folds, seed=data.draw(st.integers(0, 5)))
    held_out = np.concatenate([test for _, test in folds])
    assert sorted(held_out) == list(range(n_images))
    assert {len(test) for _, test in folds} <= {n_images // n_folds, -(-n_images // n_folds)}
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(n_images))


def test_training_keeps_presentations_and_tests_average_them():
    given = responses(list("aabxyzxyz"), ["train"] * 3 + ["test"] * 6)
    design = decoding_design(given, n_folds=None, seed=0)
    assert design.stimulus_ids.tolist() == list("aabxyz")
    np.testing.assert_array_equal(design.values[:3], given.values[:3])
    np.testing.assert_allclose(design.values[3], given.values[[3, 6]].mean(axis=0))
    ((train, test),) = design.splits
    assert (train.tolist(), test.tolist()) == ([0, 1, 2], [3, 4, 5])


@pytest.mark.robust(
    "datasets",
    given="a cue that stands for several targets in one test set (`targets: {column: …}`)",
    before="each of its samples was decoded as the last target: of the cue x with the targets p, "
    "q and r all three as r, without a word",
    now="single samples keep targets of their own; to average them is an error that names two",
)
def test_a_stimulus_of_several_targets():
    shown, targets = list("abcxxxyz"), list("abcpqrst")
    given = responses(shown, ["train"] * 3 + ["test"] * 5)
    single = dataclasses.replace(
        given, target_ids=np.array(targets), tests={"test": TestSet(average=False)}
    )
    design = decoding_design(single, n_folds=None, seed=0)
    assert design.stimulus_ids.tolist() == shown
    assert design.target_ids.tolist() == targets
    averaged = dataclasses.replace(single, tests={"test": TestSet()})
    with pytest.raises(ResponsesError, match="'x' have several targets, 'p' and 'q'"):
        decoding_design(averaged, n_folds=None, seed=0)


def test_folds_do_not_depend_on_the_order_of_presentation():
    ids = list("abcdefgh")
    forward = decoding_design(responses(ids, ["cross-validation"] * 8), n_folds=4, seed=1)
    backward = decoding_design(responses(ids[::-1], ["cross-validation"] * 8), n_folds=4, seed=1)
    assert forward.stimulus_ids.tolist() == backward.stimulus_ids.tolist()
    for (_, a), (_, b) in zip(forward.splits, backward.splits, strict=True):
        assert a.tolist() == b.tolist()


@pytest.mark.parametrize(
    ("split", "n_folds", "message"),
    [
        (["train"] * 3 + ["test"] * 5, 4, "has test sets; leave out"),
        (["cross-validation"] * 8, None, "name `folds`"),
        (["cross-validation"] * 8, 9, "9 folds over 8 images"),
        (["train"] * 6 + ["test"] * 2, None, "2 test images"),
    ],
)
def test_designs_that_make_no_sense_are_refused(split, n_folds, message):
    with pytest.raises(ResponsesError, match=message):
        decoding_design(responses(list("abcdefgh"), split), n_folds=n_folds, seed=0)


def test_shuffling_keeps_sides_and_presentations_together():
    ids = list("aabbccddeeffgghhxyzxyz")
    design = decoding_design(responses(ids, ["train"] * 16 + ["test"] * 6), n_folds=None, seed=0)
    shuffled = shuffle_images(design, seed=[0, 3])
    train, test = shuffled.stimulus_ids[:16], shuffled.stimulus_ids[16:]
    assert sorted(train) == list("aabbccddeeffgghh")
    assert sorted(test) == list("xyz")
    assert (train[::2] == train[1::2]).all()
    assert (shuffled.stimulus_ids != design.stimulus_ids).any()
    assert (shuffle_images(design, seed=[0, 4]).stimulus_ids != shuffled.stimulus_ids).any()


@pytest.mark.parametrize("n_folds", [None, 2])
def test_single_presentations_of_held_out_images_are_kept_in_the_order_of_time(n_folds):
    shown = ["a", "c", "a", "b", "c", "a", "b"]
    ids = [*"xyz", *shown] if n_folds is None else shown
    split = ["train"] * 3 + ["test"] * 7 if n_folds is None else ["cross-validation"] * 7
    given_ = responses(ids, split)
    design = decoding_design(given_, n_folds=n_folds, seed=0, repeats=True)
    held_out = design.stimulus_ids[np.concatenate([test for _, test in design.splits])]
    (of_set,) = design.sets
    assert of_set.repeats.shape == (2, 3, 3)  # b and c were shown twice, a three times
    assert of_set.averaged == pytest.approx(3 / (1 / 2 + 1 / 2 + 1 / 3))
    for column, image in enumerate(held_out):
        expected = given_.values[given_.stimulus_ids == image]
        np.testing.assert_array_equal(of_set.repeats[:, column], expected[:2])
    assert decoding_design(given_, n_folds=n_folds, seed=0).sets[0].repeats is None


def test_an_image_that_was_shown_once_has_no_repeats():
    once = responses([*"xy", *"aabccdd"], ["train"] * 2 + ["test"] * 7)
    with pytest.raises(ResponsesError, match=r"d/s: 'b' was shown once; .* `reliability`"):
        decoding_design(once, n_folds=None, seed=0, repeats=True)
