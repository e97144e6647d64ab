"""Masks on another grid than the BOLD images, and images that are none."""

from __future__ import annotations

import itertools

import nibabel as nib
import nibabel.processing
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from nibabel.eulerangles import euler2mat
from nilearn.image import resample_to_img

from tests.responses.raw import AFFINE, N_VOLUMES, RUNS, SHAPE, bold, mask, read
from unitdb.errors import DatasetError
from unitdb.responses.bids_images import (
    Grid,
    bold_grid,
    bold_times,
    roi_voxels,
    time_series,
)
from unitdb.responses.bids_masks import MaskTest

FINE_SHAPE = (10, 9, 8)
FINE = np.array(
    [[2.0, 0.0, 0.0, -1.3], [0.0, 2.0, 0.0, -0.7], [0.0, 0.0, 2.0, -1.1], [0.0, 0.0, 0.0, 1.0]]
)


def save(path, values, affine):
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


def nearest_by_hand(values, affine, grid_shape, grid_affine):
    """Voxel by voxel: where its centre lies in the mask; what lies beyond the image is outside."""
    found = np.zeros(grid_shape, dtype=bool)
    back = np.linalg.inv(affine)
    for place in itertools.product(*map(range, grid_shape)):
        at = (back @ grid_affine @ [*place, 1.0])[:3]
        inside = all(-0.5 <= at[axis] < values.shape[axis] - 0.5 for axis in range(3))
        found[place] = inside and values[tuple(int(np.floor(x + 0.5)) for x in at)] > 0
    return found


def redraw(data, names=("LH_V1d", "LH_V1v", "RH_V1d", "LH_V4")):
    """Draw masks anew on a finer grid."""
    rng = np.random.default_rng(1)
    drawn = {name: (rng.random(FINE_SHAPE) > 0.6).astype(np.uint8) for name in names}
    for name, values in drawn.items():
        save(mask(data, name), values, FINE)
    return drawn


def test_masks_of_another_grid_take_the_nearest_voxel(data):
    drawn = redraw(data)
    by_hand = {name: nearest_by_hand(v, FINE, SHAPE, AFFINE) for name, v in drawn.items()}
    v1 = by_hand["LH_V1d"] | by_hand["LH_V1v"] | by_hand["RH_V1d"]
    union = v1 | by_hand["LH_V4"]
    assert v1.any()
    assert not v1.all()
    responses = read(data, resample_masks="nearest")
    np.testing.assert_array_equal(responses.rois["V1"], v1[union])
    np.testing.assert_array_equal(responses.rois["V4"], by_hand["LH_V4"][union])
    run = np.asarray(nib.load(bold(data)).dataobj, np.float64)[union]
    np.testing.assert_allclose(responses.values[0], run[:, 3:6].mean(axis=1), rtol=1e-12)


def test_nearest_is_that_of_nilearn(tmp_path):
    """Of a rotated mask that, as masks do, has nothing at the border of its image."""
    rng = np.random.default_rng(2)
    values = np.zeros((14, 15, 13), dtype=np.uint8)
    values[2:-2, 2:-2, 2:-2] = rng.random((10, 11, 9)) > 0.5
    affine = np.eye(4)
    affine[:3, :3] = 1.7 * euler2mat(0.3, -0.2, 0.4)
    affine[:3, 3] = [-4.1, 2.3, -3.7]
    path = save(tmp_path / "mask.nii.gz", values, affine)
    target = nib.Nifti1Image(np.zeros(SHAPE, dtype=np.uint8), AFFINE)
    expected = resample_to_img(
        nib.load(path), target, interpolation="nearest", force_resample=True, copy_header=True
    )
    expected = np.asarray(expected.dataobj) > 0
    assert 0 < expected.sum() < expected.size
    grid = Grid(path=path, shape=SHAPE, affine=AFFINE)
    found = roi_voxels("V1", [(path, MaskTest())], grid, resample="nearest")
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=30)
@given(
    size=st.floats(0.7, 4.0),
    turn=st.tuples(*[st.floats(-0.5, 0.5)] * 3),
    shift=st.tuples(*[st.floats(-3.0, 3.0)] * 3),
    seed=st.integers(0, 99),
)
def test_nearest_voxels_by_affine_arithmetic(tmp_path_factory, size, turn, shift, seed):
    values = (np.random.default_rng(seed).random((5, 6, 4)) > 0.3).astype(np.uint8)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = size * euler2mat(*turn), shift
    path = save(tmp_path_factory.mktemp("nearest") / "mask.nii.gz", values, affine)
    stored = nib.load(path).affine  # as the header has it, in single precision
    grid = Grid(path=path, shape=SHAPE, affine=AFFINE)
    places = np.array(list(itertools.product(*map(range, SHAPE))), dtype=float)
    at = (
        places @ (np.linalg.inv(stored) @ AFFINE)[:3, :3].T
        + (np.linalg.inv(stored) @ AFFINE)[:3, 3]
    )
    # Between two voxels rounding decides: there either is the nearest.
    undecided = (np.abs(at - np.floor(at) - 0.5) < 1e-6).any(axis=1).reshape(SHAPE)
    expected = nearest_by_hand(values, stored, SHAPE, AFFINE)
    if not (expected & ~undecided).any():
        return
    found = roi_voxels("V1", [(path, MaskTest())], grid, resample="nearest")
    np.testing.assert_array_equal(found[~undecided], expected[~undecided])


def test_what_is_on_the_grid_is_left_as_it_is(data):
    plain, resampled = read(data), read(data, resample_masks="nearest")
    assert plain.sha256 == resampled.sha256


def test_a_mask_is_resampled_once_not_for_each_run(data, monkeypatch):
    drawn, calls = redraw(data), []
    resample = nibabel.processing.resample_from_to
    monkeypatch.setattr(
        nibabel.processing,
        "resample_from_to",
        lambda *args, **kwargs: calls.append(args) or resample(*args, **kwargs),
    )
    read(data, resample_masks="nearest")
    assert len(RUNS) == 3
    assert len(calls) == len(drawn)


def test_masks_of_several_grids_are_united_on_that_of_the_images(data):
    drawn = redraw(data, ("LH_V1v",))
    v1 = nearest_by_hand(drawn["LH_V1v"], FINE, SHAPE, AFFINE)
    for name in ("LH_V1d", "RH_V1d"):
        v1 |= np.asarray(nib.load(mask(data, name)).dataobj) > 0
    assert int(read(data, resample_masks="nearest").rois["V1"].sum()) == v1.sum()


def test_the_refusal_names_the_option(data):
    redraw(data, ("LH_V1v",))
    message = (
        r"LH_V1v\.nii\.gz: has shape \(10, 9, 8\), .*_bold_preproc.* `resample_masks: nearest`"
    )
    with pytest.raises(DatasetError, match=message):
        read(data)
    save(mask(data, "LH_V1v"), np.ones(SHAPE, dtype=np.uint8), AFFINE + 0.01 * np.eye(4))
    with pytest.raises(DatasetError, match=r"LH_V1v.* lie elsewhere .* `resample_masks: nearest`"):
        read(data)


def test_an_option_that_is_none_is_named(data):
    with pytest.raises(ValueError, match="nearest"):
        read(data, resample_masks="linear")


def test_an_roi_that_resampling_loses_is_named(data):
    far = AFFINE.copy()
    far[:3, 3] = 500
    values = np.zeros(SHAPE, dtype=np.uint8)
    values.reshape(-1)[:9] = 1
    save(mask(data), values, far)
    message = r"LH_V4.*: ROI 'V4' has no voxels on the grid of .*none of its 9 .* space of the BOLD"
    with pytest.raises(DatasetError, match=message):
        read(data, resample_masks="nearest")


def test_an_empty_mask_is_not_blamed_on_resampling(data):
    save(mask(data), np.zeros(FINE_SHAPE, dtype=np.uint8), FINE)
    with pytest.raises(DatasetError, match=r"LH_V4\.nii\.gz: ROI 'V4' has no voxels; all subjects"):
        read(data, resample_masks="nearest")


def test_runs_must_be_on_one_grid(data):
    path = bold(data, run="02")
    image = nib.load(path)
    moved = nib.Nifti1Image(np.asarray(image.dataobj), AFFINE + 0.01 * np.eye(4), image.header)
    nib.save(moved, path)
    message = r"run-02_bold.* lie elsewhere than those of .*run-01_bold.* all runs must be on one"
    for options in ({}, {"resample_masks": "nearest"}):
        with pytest.raises(DatasetError, match=message):
            read(data, **options)


def rewrite(path, values=None, **fields):
    """Write an image again with other values, or other fields in its header."""
    image = nib.load(path)
    values = np.asarray(image.dataobj) if values is None else values
    header = image.header.copy()
    for field, value in fields.items():
        header[field] = value
    nib.save(nib.Nifti1Image(values, image.affine, header), path)


def lose_a_value(path):
    values = np.asarray(nib.load(path).dataobj).copy()
    values.reshape(-1, N_VOLUMES)[2, 7] = np.nan
    rewrite(path, values=values)


def save_cifti(path):
    """Values of a surface, under the ending of an image of voxels."""
    axes = (
        nib.cifti2.ScalarAxis(["thickness"]),
        nib.cifti2.BrainModelAxis.from_surface(range(3), 5, "CortexLeft"),
    )
    nib.save(nib.Cifti2Image(np.ones((1, 3), np.float32), axes), path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda d: lose_a_value(bold(d)),
            r"run-01_bold.*: 1 voxels .* the first \(0, 0, 2\) in volume 7",
        ),
        (
            lambda d: rewrite(bold(d), xyzt_units=34),
            r"run-01_bold.*no repetition time",
        ),
        (
            lambda d: rewrite(bold(d), xyzt_units=255),
            r"run-01_bold.*: (cannot be read|the header states no)",
        ),
        (
            lambda d: rewrite(bold(d), np.zeros(SHAPE)),
            r"run-01_bold.* has shape \(6, 5, 4\), expected \(x, y, z, volumes\)",
        ),
        (
            lambda d: rewrite(bold(d), np.zeros((*SHAPE, 0))),
            r"event at 6 s .* the run has 0",
        ),
        (
            lambda d: save(mask(d), np.ones((*SHAPE, 2), np.uint8), AFFINE),
            r"LH_V4.* has shape \(6, 5, 4, 2\), expected one volume",
        ),
        (
            lambda d: save(mask(d), np.ones(SHAPE[:2], np.uint8), AFFINE),
            r"LH_V4.* has shape \(6, 5\), expected one volume",
        ),
    ],
)
def test_images_that_do_not_serve_are_named(data, spoil, message):
    spoil(data)
    with pytest.raises(DatasetError, match=message):
        read(data)


def test_a_mask_with_a_fourth_axis_of_one_is_a_mask(data):
    before = read(data).sha256
    save(mask(data), np.asarray(nib.load(mask(data)).dataobj)[..., None], AFFINE)
    assert read(data).sha256 == before


def test_other_kinds_of_images_are_refused(data):
    anatomy = mask(data).parent
    save_cifti(anatomy / "surface.dscalar.nii")
    (anatomy / "surface.gii").write_text("<GIFTI/>")
    for name, message in (
        ("surface.dscalar.nii", r"dscalar\.nii: is a Cifti2Image, expected a NIfTI image"),
        ("surface.gii", r"surface\.gii: expected a NIfTI image, \.nii or \.nii\.gz"),
    ):
        path = f"sourcedata/{{subject}}/anat/{name}"
        with pytest.raises(DatasetError, match=message):
            read(data, masks={"V1": [path], "V4": [path]})


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 347), value=st.integers(0, 255))
def test_any_byte_of_a_header_may_be_wrong(tmp_path_factory, place, value):
    """Whatever stands there, the image is read or one clear error names it."""
    folder = tmp_path_factory.mktemp("header")
    image = nib.Nifti1Image(np.ones((3, 3, 3, 4), np.int16), AFFINE)
    image.header.set_zooms((3.0, 3.0, 3.0, 2.0))
    path = folder / "sub-01_bold.nii"
    nib.save(image, path)
    content = bytearray(path.read_bytes())
    content[place] = value
    path.write_bytes(content)
    try:
        grid = bold_grid(path)
        _, seconds = bold_times(path)
        series = time_series(path, np.ones(grid.shape, dtype=bool), grid)
    except DatasetError as error:
        assert str(error).startswith(str(path))  # noqa: PT017 - either way is right
    else:
        assert np.isfinite(series).all()
        assert seconds is None or isinstance(seconds, float)
