import numpy as np
import pytest

from unitdb.errors import ResponsesError, UnknownRoiError
from unitdb.responses import Responses


def make(**changes):
    given = {
        "dataset": "d",
        "subject": "s",
        "values": np.arange(12.0).reshape(4, 3),
        "stimulus_ids": np.array(["a", "b", "c", "c"]),
        "split": np.array(["train", "train", "test", "test"]),
        "rois": {"V1": np.array([True, False, True]), "V2": np.array([False, True, True])},
    }
    return Responses(**(given | changes))


def test_an_roi_is_its_voxels_and_rois_may_overlap():
    np.testing.assert_array_equal(make().roi("V1")[0], [0, 2])
    np.testing.assert_array_equal(make().roi("V2")[0], [1, 2])
    with pytest.raises(UnknownRoiError, match="unknown roi 'V3' in dataset 'd'; did you mean 'V"):
        make().roi("V3")


def nan_at_row_2():
    values = np.arange(12.0).reshape(4, 3)
    values[2, 1] = np.nan
    return values


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": nan_at_row_2()}, r"d/s: 1 .* NaN .* sample 2 \(stimulus 'c'\), voxel 1"),
        ({"values": np.zeros(4)}, r"shape \(4,\)"),
        ({"values": np.zeros((3, 3))}, "3 rows of responses but 4 stimulus ids"),
        ({"split": np.array(["train"] * 3)}, "4 rows of responses but 3 splits"),
        ({"split": np.array(["train"] * 4)}, "expected train and test"),
        ({"stimulus_ids": np.array(["a", "b", "b", "c"])}, "both in train and in test: b"),
        ({"rois": {"V1": np.zeros(3, bool)}}, "'V1' has no voxels; .* leave it out of `rois`"),
        ({"rois": {"V1": np.ones(2, bool)}}, "expected \\(3,\\) bool"),
    ],
)
def test_contradictions_are_refused(changes, message):
    with pytest.raises(ResponsesError, match=message):
        make(**changes)


def test_the_hash_follows_everything_decoding_depends_on():
    changed = [
        {"values": np.arange(12.0).reshape(4, 3) + 1},
        {"values": np.arange(12.0, dtype=np.float32).reshape(4, 3)},
        {"stimulus_ids": np.array(["a", "x", "c", "c"])},
        {
            "split": np.array(["train", "train", "train", "test"]),
            "stimulus_ids": np.array(["a", "b", "d", "c"]),
        },
        {"rois": {"V1": np.array([True, True, True]), "V2": np.array([False, True, True])}},
        {"rois": {"V4": np.array([True, False, True]), "V2": np.array([False, True, True])}},
    ]
    hashes = {make().sha256, *(make(**change).sha256 for change in changed)}
    assert len(hashes) == 1 + len(changed)
    assert make().sha256 == make().sha256
