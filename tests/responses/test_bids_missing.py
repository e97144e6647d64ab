"""Files of a BIDS dataset, and values of its tables, that nothing would miss: each is named."""

from __future__ import annotations

import shutil

import pytest

from tests.responses.raw import bold, events, events_are, mask, part, read, spec
from unitdb.errors import DatasetError
from unitdb.responses.bids import bids_responses

V1 = "sourcedata/{subject}/anat/{subject}_mask_[LR]H_V1[dv].nii.gz"
V4 = "sourcedata/{subject}/anat/{subject}_mask_?H_V4.nii.gz"
RUN = "ses-perceptionTraining01_run-2"


@pytest.fixture
def data(data):
    shutil.copy(mask(data, "RH_V1d"), mask(data, "RH_V1v"))
    return data


def parts(**training):
    return {"train": part("Training") | training, "test": part("Test")}


@pytest.mark.robust(
    "BIDS",
    given="a run with events and without a BOLD image",
    before="left out, and no word of it: 10 samples in place of 15",
    now="one error; `leave_out` names runs that are left out on purpose",
)
def test_events_without_an_image_are_named(data):
    bold(data, run="02").unlink()
    message = (
        r"ses-perceptionTraining01_task-perception_run-02_events\.tsv: there is no BOLD image of "
        r"this run, nor of 0 others with events; near: sub-01_ses-perceptionTraining01_task-"
    )
    with pytest.raises(DatasetError, match=message):
        read(data)
    assert len(read(data, parts=parts(leave_out=[RUN])).values) == 10
    assert len(read(data, parts=parts(leave_out=["run-02"])).values) == 10


def test_events_of_all_parts_may_fit_one_pattern(data):
    both = {"events": "{subject}/ses-*/func/*_events.tsv"}
    found = read(data, parts={"train": part("Training") | both, "test": part("Test") | both})
    assert len(found.values) == 15


def test_runs_that_are_left_out_have_neither_image_nor_events_read(data):
    bold(data, run="02").write_bytes(b"damaged")
    events(data, run="02").unlink()
    assert len(read(data, parts=parts(leave_out=[f"sub-01_{RUN}"])).values) == 10


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        (["run-3"], r"train\.leave_out: 'run-3' is no run of sub-01; there are: sub-01_ses"),
        (["sub-01_run-3"], r"'sub-01_run-3' is no run of sub-01"),
        (["sub-09_run-1"], r"'sub-09_run-1' is no run of sub-01"),
        (["ses-perceptionTraining01"], r"train\.leave_out: leaves no run of sub-01"),
    ],
)
def test_runs_to_leave_out_that_are_none_are_named(data, left_out, message):
    with pytest.raises(DatasetError, match=message):
        read(data, parts=parts(leave_out=left_out))


def test_runs_of_other_people_are_left_out_of_theirs(data):
    other = spec(parts=parts(leave_out=["sub-02_run-1"]))
    other = other.model_copy(update={"subjects": ["sub-01", "sub-02"]})
    assert len(bids_responses(other, other.responses, "sub-01", data).values) == 15


@pytest.mark.parametrize("wrong", ["", "5", "run-", "desc-x", "run-5_desc-x", "run-*", "../run-5"])
def test_what_is_no_run_is_refused(wrong):
    with pytest.raises(ValueError, match=r"leave_out"):
        spec(parts=parts(leave_out=[wrong]))


@pytest.mark.robust(
    "BIDS",
    given="a value in `keep` that no presentation has: misspelt, in other letters, or of rest",
    before="kept what the other values name, and no word of it",
    now="one error with the nearest values of the column",
)
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            ["stimulus", "stimulos"],
            r"keep: event_type is 'stimulos' in no presentation .* there are: 'stimulus'$",
        ),
        (["Stimulus"], r"'Stimulus' in no presentation .* there are: 'stimulus'$"),
        (["stimulus", "1"], r"'1' in no presentation .* there are: 'rest', 'stimulus'$"),
        (["stimulus", "rest"], r"'rest' in no presentation .* its events name no stimulus"),
    ],
)
def test_a_value_to_keep_that_nothing_has_is_named(data, values, message):
    with pytest.raises(DatasetError, match=message):
        read(data, parts=parts(keep={"event_type": values}))


def test_a_value_to_keep_may_be_in_one_run_alone(data):
    header = "onset\tduration\tevent_type\tstim_id"
    events_are("6\t9\tprobe\tx\n18\t9\tstimulus\tz\n", header=header)(data)
    found = read(data, parts=parts(keep={"event_type": ["stimulus", "probe"]}))
    assert found.stimulus_ids[:2].tolist() == ["x", "z"]


def test_no_values_to_keep_are_refused():
    with pytest.raises(ValueError, match=r"keep\.event_type"):
        spec(parts=parts(keep={"event_type": []}))


@pytest.mark.robust(
    "BIDS",
    given="one of the four masks that `[LR]H_V1[dv]` stands for is not there",
    before="the ROI was the union of three, and no word of it",
    now="one error that names it; `absent_masks` says which a subject does not have",
)
def test_letters_of_a_pattern_are_a_list(data):
    masks = {"V1": [V1], "V4": [V4]}
    assert read(data, masks=masks).rois["V1"].sum() == 23
    mask(data, "LH_V1v").unlink()
    message = (
        r"no file fits '.*sub-01_mask_LH_V1v\.nii\.gz', which '.*' calls for beside "
        r"sub-01_mask_LH_V1d.*, sub-01_mask_RH_V1v.*; get it, write \? for the letters"
    )
    with pytest.raises(DatasetError, match=message):
        read(data, masks=masks)
    absent = V1.replace("[LR]", "L").replace("[dv]", "v").replace("{subject}", "sub-01")
    without = read(data, masks=masks, absent_masks=[absent])
    assert without.rois["V1"].sum() == 18
    either = {"V1": [V1.replace("[LR]", "?").replace("[dv]", "?")], "V4": [V4]}
    assert read(data, masks=either).sha256 == without.sha256
    several = {"V1": [V1, V1.replace("[LR]", "[LRM]")], "V4": [V4]}
    with pytest.raises(DatasetError, match=r"no file fits '.*_MH_V1d\.nii\.gz', which"):
        read(data, masks=several, absent_masks=[absent])


@pytest.mark.robust(
    "BIDS",
    given="a mask that other subjects have and one has not, of a pattern with `*` or `?`",
    before="the ROI was the union of what was there, and no word of it",
    now="one error that names it, unless `absent_masks` does",
)
def test_a_mask_that_others_have_is_missed(data):
    anatomy = mask(data, "LH_V4").parent
    theirs = anatomy.parents[1] / "sub-02" / "anat"
    shutil.copytree(anatomy, theirs)
    for path in list(theirs.iterdir()):
        path.rename(path.with_name(path.name.replace("sub-01", "sub-02_ses-03")))
    whose = V4.replace("{subject}_mask", "{subject}*_mask")
    masks = {"V1": [V1.replace("?", "*")], "V4": [whose]}
    found = spec(masks=masks | {"V1": [whose.replace("V4", "V1*")]})
    found = found.model_copy(update={"subjects": ["sub-01", "sub-02", "sub-03"]})
    assert bids_responses(found, found.responses, "sub-01", data).rois["V4"].sum() == 9
    mask(data, "RH_V1d").unlink()
    message = (
        r"sub-02_ses-03_mask_RH_V1d\.nii\.gz: sub-01 has no such mask \(1 of the 4 of sub-02 are "
        r"missing\); get it, narrow '.*', or name the path that it would have in `absent_masks`"
    )
    with pytest.raises(DatasetError, match=message):
        bids_responses(found, found.responses, "sub-01", data)
    path = mask(data, "RH_V1d").relative_to(data / "bids").as_posix()
    stated = found.responses.model_copy(update={"absent_masks": [path]})
    assert bids_responses(found, stated, "sub-01", data).rois["V1"].sum() == 23


def test_masks_that_are_absent_are_looked_for_and_not_there(data):
    there = mask(data, "LH_V4").relative_to(data / "bids").as_posix()
    with pytest.raises(DatasetError, match=r"LH_V4.* is there, though `absent_masks` names it"):
        read(data, masks={"V1": [V1], "V4": [V4]}, absent_masks=[there])
    nowhere = there.replace("V4", "V5")
    with pytest.raises(DatasetError, match=r"absent_masks: '.*V5.*' fits no pattern of masks"):
        read(data, masks={"V1": [V1], "V4": [V4]}, absent_masks=[nowhere])
    mask(data, "LH_V4").unlink()
    with pytest.raises(DatasetError, match=r"`absent_masks` names all masks of sub-01"):
        read(data, masks={"V1": [V1], "V4": [V4]}, absent_masks=[there])


@pytest.mark.robust(
    "BIDS",
    given="a pattern without `*` whose file is a link to content that was not downloaded",
    before="no file fits it; there is, it said, the file of that very name",
    now="not downloaded",
)
def test_a_plain_name_that_is_not_downloaded(data):
    path = mask(data, "LH_V4")
    path.unlink()
    path.symlink_to("../../.git/annex/objects/nothing.nii.gz")
    for first in ("L", "[L]", "?"):
        with pytest.raises(DatasetError, match=r"sub-01_mask_LH_V4\.nii\.gz: not downloaded"):
            read(data, masks={"V1": [V1], "V4": [V4.replace("?", first)]})
