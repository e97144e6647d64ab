"""BIDS datasets that come with unitdb, on made-up images in their layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.responses.raw import (
    AFFINE,
    EVENTS,
    N_VOLUMES,
    RUNS,
    read,
    run_name,
    with_numbers,
)
from unitdb import programs
from unitdb.errors import DatasetError
from unitdb.responses import find_dataset
from unitdb.responses.bids import bids_responses
from unitdb.responses.spec import DatasetSpec
from unitdb.sources import DatasetFiles, get, install
from unitdb.specs import read_spec


def test_god_as_a_bids_dataset_is_cloned_and_used_in_place(written, tmp_path):
    path = find_dataset("god-bids", [Path(__file__).parents[2] / "datasets"])
    found = read_spec(path, DatasetSpec, DatasetError)
    theirs, data = tmp_path / "theirs", tmp_path / "data"
    programs.run("datalad", "create", "-c", "text2git", theirs, folder=tmp_path)
    lay_out_as_god(written / "bids", theirs)
    programs.run("datalad", "save", "-m", "All", folder=theirs)
    version = programs.run("git", "rev-parse", "HEAD", folder=theirs).strip()
    files = DatasetFiles(datalad=str(theirs), version=version, fetch=found.files.fetch)
    install("god-bids", files, data=data)
    with pytest.raises(DatasetError, match=r"\.nii\.gz: not downloaded: unitdb datasets get"):
        bids_responses(found, found.responses, "sub-01", data, tests=["perception"])
    get("god-bids", files, data=data, subjects=["sub-01"])
    responses = bids_responses(found, found.responses, "sub-01", data, tests=["perception"])
    assert responses.stimulus_ids[-1] == "n01443541_22563"
    counts = {roi: int(mask.sum()) for roi, mask in responses.rois.items()}
    assert counts == {"V1": 23, **dict.fromkeys(("V2", "V3", "V4", "LOC", "FFA", "PPA"), 9)}
    # Three volumes fewer than the events have seen; of five times the same test picture the first.
    options = {"trend": 1, "normalise": "percent", "shift": -6.0}
    expected = read(written, **options)
    np.testing.assert_allclose(responses.roi("V1"), expected.roi("V1")[:11])


@pytest.mark.robust(
    "BIDS",
    given="masks V3a, V3b, LOC2 beside V3d, V3v and LOC, in `god-bids` and `deeprecon-bids`",
    before="`V3*` and `LOC*` took them: their voxels were of V3 and LOC",
    now="patterns fit V3d and V3v alone",
)
@pytest.mark.parametrize("name", ["god-bids", "deeprecon-bids"])
def test_masks_are_those_of_the_region(tmp_path, name):
    path = find_dataset(name, [Path(__file__).parents[2] / "datasets"])
    masks = read_spec(path, DatasetSpec, DatasetError).responses.masks
    folder = tmp_path / Path(masks["V3"][0].replace("{subject}", "sub-01")).parent
    folder.mkdir(parents=True)
    for region in ("V3d", "V3v", "LOC", "V3a", "V3b", "V3A", "LOC2"):
        (folder / f"sub-01_mask_RH_{region}.nii.gz").touch()
    for roi, regions in (("V3", ["V3d", "V3v"]), ("LOC", ["LOC"])):
        found = [f for p in masks[roi] for f in tmp_path.glob(p.replace("{subject}", "sub-01"))]
        assert sorted(file.name for file in found) == [
            f"sub-01_mask_RH_{region}.nii.gz" for region in regions
        ]


def lay_out_as_god(source, root):
    """Copy to the paths and the numbers of ds001246."""
    shutil.copytree(source / "sub-01", root / "sub-01")
    with_numbers(root / "sub-01")
    for path in root.rglob("*_events.tsv"):
        path.write_text(path.read_text().replace("stim_id", "stimulus_id"))
    ready = root / "derivatives" / "preproc-spm" / "output"
    shutil.copytree(source / "derivatives" / "sub-01", ready / "sub-01")
    anatomy = root / "sourcedata" / "sub-01" / "anat"
    shutil.copytree(source / "sourcedata" / "sub-01" / "anat", anatomy)
    add_masks(anatomy)


def add_masks(anatomy):
    """Masks of the other regions."""
    shutil.copy(anatomy / "sub-01_mask_RH_V1d.nii.gz", anatomy / "sub-01_mask_RH_V1v.nii.gz")
    for name in ("V2d", "V2v", "V3d", "V3v", "V4", "LOC", "FFA", "PPA"):
        for side in ("LH", "RH"):
            path = anatomy / f"sub-01_mask_{side}_{name}.nii.gz"
            if not path.exists():
                shutil.copy(anatomy / "sub-01_mask_LH_V4.nii.gz", path)
    for name in ("V3a", "V3b", "V3A", "LOC2", "PPA2"):  # are none of V3, LOC and PPA
        shutil.copy(
            anatomy / "sub-01_mask_LH_V1v.nii.gz", anatomy / f"sub-01_mask_RH_{name}.nii.gz"
        )


def test_deeprecon_as_a_bids_dataset_reads_what_fmriprep_writes(written, tmp_path):
    path = find_dataset("deeprecon-bids", [Path(__file__).parents[2] / "datasets"])
    found = read_spec(path, DatasetSpec, DatasetError)
    lay_out_as_deeprecon(written / "bids", tmp_path / "deeprecon-bids")
    responses = bids_responses(found, found.responses, "sub-01", tmp_path, tests=["perception"])
    assert (
        responses.split.tolist() == ["train"] * 8 + ["perception"] * 4
    )  # repetitions are left out
    assert responses.stimulus_ids[-1] == "n01443541_22563"
    # The masks, of another grid than the images, are the same voxels there.
    assert {roi: int(mask.sum()) for roi, mask in responses.rois.items()} == {
        "V1": 23,
        **dict.fromkeys(("V2", "V3", "V4", "LOC", "FFA", "PPA"), 9),
    }
    run = written / "bids" / "derivatives" / "sub-01" / "ses-perceptionTraining01" / "func"
    values = nib.load(run / f"{run_name('perceptionTraining01', '01')}_bold_preproc.nii.gz")
    voxel = np.asarray(values.dataobj, np.float64).reshape(-1, N_VOLUMES)[0]  # the first of V1
    time = np.arange(N_VOLUMES)
    ones = np.ones(N_VOLUMES)
    motion = np.stack([np.sin(time * (i + 1)) for i in range(6)])
    design = np.column_stack([ones, time, *motion])
    fitted = design[:, 1:] - design[:, 1:].mean(axis=0)
    weights = np.linalg.lstsq(design, voxel, rcond=None)[0][1:]
    percent = 100 * ((voxel - fitted @ weights) / voxel.mean() - 1)
    # From 3.6 s + 4 s on, nearest to the fifth volume of 2 s.
    np.testing.assert_allclose(responses.roi("V1")[0, 0], percent[4:8].mean(), rtol=1e-4)


def lay_out_as_deeprecon(source, root):
    """Copy to the paths, columns and numbers of ds001506, and of fMRIPrep's output for it."""
    motion = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
    for session, run in RUNS:
        name = run_name(session, run)
        new_session = session.replace("perception", "perceptionNaturalImage")
        new = run_name(new_session, run)
        raw = root / "sub-01" / f"ses-{new_session}" / "func"
        ready = root / "derivatives" / "fmriprep" / "sub-01" / f"ses-{new_session}" / "func"
        raw.mkdir(parents=True, exist_ok=True)
        ready.mkdir(parents=True, exist_ok=True)
        image = nib.load(
            source / f"derivatives/sub-01/ses-{session}/func" / f"{name}_bold_preproc.nii.gz"
        )
        image.header.set_zooms((3.0, 3.0, 3.0, 2.0))
        nib.save(image, ready / f"{new}_space-T1w_desc-preproc_bold.nii.gz")
        time = np.arange(N_VOLUMES)
        table = np.stack([np.sin(time * (i + 1)) for i in range(6)], axis=1)
        lines = ["\t".join(motion), *("\t".join(map(repr, row.tolist())) for row in table)]
        (ready / f"{new}_desc-confounds_timeseries.tsv").write_text("\n".join(lines) + "\n")
        shown = ["egg" if "Test" in session else picture for _, picture in EVENTS]
        events = ["onset\tduration\tevent_type\tstimulus_id\tresponse_time", "0\t6\t-1\tn/a\t0"]
        for place, ((onset, _), picture) in enumerate(zip(EVENTS, shown, strict=True)):
            kind = 2 if place == 3 else 1
            events.append(f"{onset * 0.6:g}\t8\t{kind}\t{picture}\t0.0")
        (raw / f"{new}_events.tsv").write_text("\n".join(events) + "\n")
    with_numbers(root / "sub-01", followed_by="\t0.0\n")
    anatomy = root / "sourcedata" / "sub-01" / "anat"
    shutil.copytree(source / "sourcedata" / "sub-01" / "anat", anatomy)
    add_masks(anatomy)
    for path in anatomy.iterdir():
        refine(path)


def refine(path):
    """Cut each voxel of a mask into 3 × 3 × 3, whose middle one lies where it was."""
    values = np.asarray(nib.load(path).dataobj)
    for axis in range(3):
        values = values.repeat(3, axis=axis)
    affine = AFFINE / 3
    affine[:3, 3] = AFFINE[:3, :3] @ np.full(3, -1 / 3)
    affine[3, 3] = 1
    nib.save(nib.Nifti1Image(values, affine), path)
