"""Masks hold two numbers; of labels and probabilities dataset.yaml says which are the ROI."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from tests.responses.raw import AFFINE, SHAPE, mask, read, spec
from unitdb.errors import DatasetError
from unitdb.responses.bids_masks import MaskTest, inside, mask_path, mask_test

V1 = "sourcedata/{subject}/anat/{subject}_mask_?H_V1*.nii.gz"
V4 = "sourcedata/{subject}/anat/{subject}_mask_LH_V4.nii.gz"


def save(data, values):
    nib.save(nib.Nifti1Image(values, AFFINE), mask(data))


def labels():
    values = np.zeros(SHAPE, np.int16)
    values[0, 0] = [1, 2, 3, 4]
    values[1] = 7
    return values


def drawn(kind, *numbers):
    values = np.zeros(SHAPE, kind)
    values.reshape(-1)[: len(numbers)] = numbers
    return values


@pytest.mark.robust(
    "BIDS",
    given="masks that are atlases (labels 1 to 7), maps of probabilities, or hold −1",
    before="the ROI was all that is above 0: 24 voxels for 9, 1e-9 among them; −1 was outside",
    now="an error that tells the numbers, and how to say which are the ROI",
)
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            labels(),
            r'holds 0, 1, 2, 3, 4, 7; a mask .* "sub-01_mask_LH_V4.nii.gz = 7" for .* > 0.5',
        ),
        (drawn(np.float32, -1, -1, 1e-9), r"holds -1, 0, 9\.9\d+e-10; a mask holds 0 and 1"),
        (drawn(np.float32, 1, 1e-9), r"holds 0, 9\.9\d+e-10, 1; a mask"),
        (drawn(np.int16, -1, -1), r"holds -1, 0; a mask"),
        (drawn(np.float64, *np.arange(20) / 20), r"holds 20 numbers from 0 to 0\.95; a mask"),
        (np.full(SHAPE, 7, np.int16), "holds 7; a mask"),
        (drawn(np.float32, *[1] * 119, 2) + 1, "holds 2, 3; a mask"),
        (drawn(np.float32, 1, np.inf), "1 voxels are NaN or infinite"),
    ],
)
def test_masks_hold_two_numbers(data, values, message):
    save(data, values)
    with pytest.raises(DatasetError, match=message):
        read(data)


@pytest.mark.parametrize(
    ("values", "n_voxels"),
    [
        (drawn(np.uint8, 1, 1, 1), 3),
        (drawn(bool, 1, 1).astype(np.uint8), 2),
        (drawn(np.uint8, 255, 255), 2),
        (drawn(np.float32, 0.00392157, -0.0), 1),
        (np.ones(SHAPE, np.int16), 120),
        (np.where(drawn(np.int16, 1, 1), 1.0, 1e-17), 2),
    ],
)
def test_masks_of_other_programs(data, values, n_voxels):
    save(data, values)
    assert read(data).rois["V4"].sum() == n_voxels


@pytest.mark.parametrize(
    ("tests", "numbers"),
    [
        (["= 3"], [3]),
        ([" = 7"], [7]),
        (["=1", "= 4"], [1, 4]),
        ([" > 2"], [3, 4, 7]),
        ([">6.5"], [7]),
    ],
)
def test_labels_are_named(data, tests, numbers):
    save(data, labels())
    found = read(data, masks={"V1": [V1], "V4": [V4 + test for test in tests]})
    assert found.rois["V4"].sum() == np.isin(labels(), numbers).sum()


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("= 5", r"LH_V4\.nii\.gz: no voxel is = 5; it holds 0, 1, 2, 3, 4, 7"),
        ("> 7", r"LH_V4\.nii\.gz: no voxel is > 7; it holds"),
    ],
)
def test_labels_that_are_not_there_are_named(data, test, message):
    save(data, labels())
    with pytest.raises(DatasetError, match=message):
        read(data, masks={"V1": [V1], "V4": [f"{V4} {test}", f"{V4} = 1"]})


@pytest.mark.parametrize("test", ["= three", "< 3", ">= 3", "= 3 | 4", "= nan", "=", "= 1 2"])
def test_tests_of_masks_that_are_none_are_refused(test):
    with pytest.raises(ValueError, match=r"expected the path of a mask, or PATH = LABEL, or"):
        spec(masks={"V1": [V1], "V4": [f"{V4} {test}"]})


@pytest.mark.parametrize("path", ["a/desc=x_mask.nii.gz", "a/x=1*", "a/b>c.nii", "[lr]h=2*.nii"])
def test_paths_may_hold_signs(path):
    assert (mask_path(path), mask_test(path)) == (path, MaskTest())
    assert (mask_path(f"{path} = 2"), mask_test(f"{path} = 2")) == (path, MaskTest("=", 2.0))


def test_of_scaled_numbers_the_nearest_to_zero_is_outside(tmp_path):
    values = np.array([[[1e-9, 1.0, 1e-9]]])
    assert inside(values, MaskTest(), tmp_path).tolist() == [[[False, True, False]]]
