"""Images that hold what is no series of real numbers, or not all of it."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest

from tests.responses.raw import AFFINE, N_VOLUMES, SHAPE, bold, mask, read
from unitdb.errors import DatasetError


def save(path, values, **fields):
    image = nib.Nifti1Image(values, AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    if values.ndim > 3:
        image.header.set_zooms((3.0,) * 4 + (1.0,) * (values.ndim - 4))
    nib.save(image, path)
    if fields:
        content = bytearray(gzip.decompress(path.read_bytes()))
        header = nib.Nifti1Header(bytes(content[:348]))
        for field, value in fields.items():
            header[field] = value
        path.write_bytes(gzip.compress(header.binaryblock + bytes(content[348:])))


RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


@pytest.mark.robust(
    "BIDS",
    given="BOLD images and masks of complex numbers or of colours (RGB)",
    before="the real part, with a warning of numpy; colours ended in a traceback",
    now="one error that names the file and the kind",
)
@pytest.mark.parametrize(
    ("kind", "words"),
    [(np.complex64, "complex numbers"), (np.complex128, "complex"), (RGB, "colo")],
)
@pytest.mark.parametrize("which", [bold, mask])
def test_only_real_numbers_are_read(data, kind, words, which):
    shape = (*SHAPE, N_VOLUMES) if which is bold else SHAPE
    save(which(data), np.zeros(shape, kind))
    with pytest.raises(DatasetError, match=rf"{which(data).name}: holds {words}"):
        read(data)


def flip(path):
    """Change a byte of the voxels such that what is unpacked is as long as before."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    packed = bytearray(gzip.compress(bytes(content), compresslevel=0))
    packed[-20] ^= 1
    path.write_bytes(packed)


@pytest.mark.robust(
    "BIDS",
    given="a changed byte in a `.nii.gz`; a header that states fewer volumes than the file holds",
    before="taken as it is: the checksum stands behind the voxels, where nobody looked",
    now="an error that names the file; images are read to their end once",
)
@pytest.mark.parametrize(
    ("which", "spoil", "message"),
    [
        (bold, flip, r"cannot be read: CRC check failed"),
        (mask, flip, r"cannot be read"),
        (
            bold,
            lambda path: save(path, np.ones((*SHAPE, 40), np.int16), dim=[4, 6, 5, 4, 30, 1, 1, 1]),
            r"cannot be read: the header states shape \(6, 5, 4, 30\), .* a volume more",
        ),
        (
            bold,
            lambda path: save(path, np.ones((*SHAPE, 25), np.int16), dim=[4, 6, 5, 4, 30, 1, 1, 1]),
            r"cannot be read: the header states shape \(6, 5, 4, 30\), .* holds less",
        ),
    ],
)
def test_files_are_whole(data, which, spoil, message):
    spoil(which(data))
    with pytest.raises(DatasetError, match=rf"{which(data).name}: {message}"):
        read(data)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_file_that_is_whole_is_read(data, ending):
    path = bold(data).with_name(bold(data).name.replace(".nii.gz", ending))
    values = np.asarray(nib.load(bold(data)).dataobj)
    before = read(data).sha256
    bold(data).unlink()
    save(path, values)
    parts = {
        split: {
            **part.model_dump(),
            "bold": part.bold.replace(".nii.gz", ".nii*"),
        }
        for split, part in _spec_parts().items()
    }
    assert read(data, parts=parts).sha256 == before


def _spec_parts():
    from tests.responses.raw import spec

    responses = spec().responses
    return {"train": responses.train, "test": responses.tests["perception"]}


@pytest.mark.robust(
    "BIDS",
    given="masks with NaN",
    before="outside, without a word",
    now="an error that counts them",
)
def test_masks_have_a_number_in_each_voxel(data):
    values = np.zeros(SHAPE, np.float32)
    values[0, 0, :3] = 1
    values[1, 1, 1:] = np.nan
    save(mask(data), values)
    with pytest.raises(DatasetError, match=r"LH_V4\.nii\.gz: 3 voxels are NaN"):
        read(data)


@pytest.mark.parametrize(
    ("values", "fields", "message"),
    [
        (np.ones((*SHAPE, N_VOLUMES), np.int16), {"scl_slope": np.inf}, "are scaled by inf"),
        (
            np.ones((*SHAPE, N_VOLUMES), np.int16),
            {"scl_slope": 1, "scl_inter": np.nan},
            "cannot be",
        ),
        (
            np.full((*SHAPE, N_VOLUMES), np.inf, np.float32),
            {},
            "voxels of the ROIs are NaN or inf",
        ),
        (np.ones((*SHAPE, 1, N_VOLUMES), np.int16), {}, r"has shape \(6, 5, 4, 1, 30\), expected"),
    ],
)
def test_scales_and_axes_that_make_no_series(data, values, fields, message):
    save(bold(data), values, **fields)
    with pytest.raises(DatasetError, match=message):
        read(data)


def test_a_scale_of_nan_is_none(data):
    """NIfTI and nibabel write it for voxels that are not scaled."""
    save(bold(data), np.full((*SHAPE, N_VOLUMES), 7, np.int16), scl_slope=np.nan, scl_inter=np.nan)
    assert (read(data).values[:5] == 7).all()


@pytest.mark.robust(
    "BIDS",
    given="`._*` files of macOS beside images, events, confounds and masks",
    before="two images of one run, or a mask that cannot be read",
    now="passed over",
)
def test_hidden_files_of_a_dataset_are_passed_over(data):
    before = read(data, regress=["trans_x"]).sha256
    for path in [*(data / "bids").rglob("*.*")]:
        if path.is_file():
            path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7")
    assert read(data, regress=["trans_x"]).sha256 == before
