"""Real events of the datasets god-bids and deeprecon-bids."""

from __future__ import annotations

import numpy as np
import pytest

from tests.responses.real_events import (
    MASKS,
    NEEDED,
    REAL,
    ROOT,
    lay_out,
    of_test,
    plain,
    presentations,
    shipped,
    write_masks,
)
from unitdb.errors import DatasetError, ResponsesError
from unitdb.recipes import read_recipe
from unitdb.responses import decoding_design
from unitdb.responses.bids import bids_responses
from unitdb.responses.spec import DatasetSpec

pytestmark = NEEDED


@pytest.mark.robust(
    "BIDS",
    given="`god-bids` on the real events of ds001246 1.2.1 and images of 175 volumes",
    before="no column stim_id; with the right column 1,320 and 1,925 samples, one-back repetitions "
    "among them, and the last presentations beyond the end of the run: each 9 s late",
    now="1,200 training and 1,750 test samples, from the volumes 3 to 12 s after their onsets",
)
def test_god_reads_the_version_that_it_pins(tmp_path):
    source, root = REAL / "ds001246", tmp_path / "god-bids"
    image = "derivatives/preproc-spm/output/sub-01/{session}/func/{run}_bold_preproc.nii"
    lay_out(root, source, "ses-perception*", image=image, n_volumes=175, seconds=3.0, first=3)
    write_masks(root, MASKS)
    spec = plain(shipped("god-bids"), gz=False)
    responses = bids_responses(spec, spec.responses, "sub-01", tmp_path, tests=["perception"])
    shown = [
        *presentations(source, "ses-perceptionTraining*", stimulus="stimulus_name"),
        *presentations(source, "ses-perceptionTest*", stimulus="stimulus_name"),
    ]
    assert len(shown) == 1320 + 1925
    assert [sum(again for *_, again in part) for part in (shown[:1320], shown[1320:])] == [120, 175]
    shown = [found for found in shown if not found[3]]
    assert responses.split.tolist() == ["train"] * 1200 + ["perception"] * 1750
    assert responses.stimulus_ids.tolist() == [name for _, _, name, _ in shown]
    # Of the volumes that are measured from 3 to 12 s after the onset.
    expected = [np.mean([(onset + 3) / 3 + volume for volume in range(3)]) for onset, *_ in shown]
    np.testing.assert_allclose(responses.values[:, 0], expected)
    names, times = np.unique(responses.stimulus_ids[1200:], return_counts=True)
    assert len(names) == 50
    assert set(times) == {35}
    assert set(np.unique(responses.stimulus_ids[:1200], return_counts=True)[1]) == {1}


def test_god_as_published_needs_the_first_volumes_to_be_gone(tmp_path):
    """Without the last three volumes, the last presentation of each run would be incomplete."""
    source, root = REAL / "ds001246", tmp_path / "god-bids"
    image = "derivatives/preproc-spm/output/sub-01/{session}/func/{run}_bold_preproc.nii"
    lay_out(root, source, "ses-perception*01", image=image, n_volumes=175, seconds=3.0)
    write_masks(root, MASKS)
    spec = plain(shipped("god-bids"), gz=False)
    source_spec = spec.responses.model_copy(update={"removed": None})
    message = r"event at 519 s .* needs the volumes 174 to 176; the run has 175.*`removed` says"
    with pytest.raises(DatasetError, match=message):
        bids_responses(spec, source_spec, "sub-01", tmp_path, tests=["perception"])


def test_the_real_sidecar_is_held_against_the_header(tmp_path):
    source, root = REAL / "ds001246", tmp_path / "god-bids"
    image = "derivatives/preproc-spm/output/sub-01/{session}/func/{run}_bold_preproc.nii"
    lay_out(root, source, "ses-perception*01", image=image, n_volumes=175, seconds=2.0)
    write_masks(root, MASKS)
    spec = plain(shipped("god-bids"), gz=False)
    message = r"time of 2 s, .*task-perception_bold\.json one of 3 s"
    with pytest.raises(DatasetError, match=message):
        bids_responses(spec, spec.responses, "sub-01", tmp_path, tests=["perception"])
    given = spec.responses.model_copy(update={"repetition_time": 3.0})
    found = bids_responses(spec, given, "sub-01", tmp_path, tests=["perception"])
    assert len(found.values) == 1000


def test_deeprecon_reads_the_version_that_it_pins(tmp_path):
    source, root = REAL / "ds001506", tmp_path / "deeprecon-bids"
    sessions = "ses-perceptionNaturalImage*"
    image = "derivatives/fmriprep/sub-01/{session}/func/{run}_space-T1w_desc-preproc_bold.nii"
    lay_out(root, source, sessions, image=image, n_volumes=239, seconds=2.0)
    write_masks(root, MASKS)
    content = plain(shipped("deeprecon-bids"), gz=False)
    responses = bids_responses(content, content.responses, "sub-01", tmp_path, tests=["perception"])
    shown = [
        found
        for kind in ("Training", "Test")
        for found in presentations(
            source,
            f"ses-perceptionNaturalImage{kind}*",
            stimulus="stimulus_name",
            keep=lambda row: row["event_type"] == "1",
        )
    ]
    assert responses.split.tolist() == ["train"] * 6000 + ["perception"] * 1200
    assert responses.stimulus_ids.tolist() == [name for _, _, name, _ in shown]
    expected = [np.mean([(onset + 4) / 2 + volume for volume in range(4)]) for onset, *_ in shown]
    np.testing.assert_allclose(responses.values[:, 0], expected)


def test_imagery_of_god_is_read_as_a_whole_and_over_time(tmp_path):
    source, root = REAL / "ds001246", tmp_path / "god-bids"
    image = "derivatives/preproc-spm/output/sub-01/{session}/func/{run}_bold_preproc.nii"
    options = {"image": image, "seconds": 3.0, "first": 3}
    lay_out(root, source, "ses-perceptionTraining01", n_volumes=175, **options)
    lay_out(root, source, "ses-imagery*", n_volumes=210, **options)
    write_masks(root, MASKS)
    spec = plain(shipped("god-bids"), gz=False)
    asked = ["imagery", "imagery@*"]
    responses = bids_responses(spec, spec.responses, "sub-01", tmp_path, tests=asked)
    shown = list(
        presentations(
            source,
            "ses-imagery*",
            stimulus="category_name",
            keep=lambda row: row["event_type"] == "imagery",
        )
    )
    assert len(shown) == 500
    ids, targets, values = of_test(responses, "imagery")
    assert ids.tolist() == targets.tolist() == [name for _, _, name, _ in shown]
    expected = [np.mean([(onset + 3) / 3 + volume for volume in range(5)]) for onset, *_ in shown]
    np.testing.assert_allclose(values, expected)
    # A volume a time, from six seconds before; of a run of 639 s without its first 9 s.
    times = range(-6, 31, 3)
    assert list(responses.tests) == ["imagery", *(f"imagery@{time:+d}s" for time in times)]
    for time in times:
        there = [(onset, name) for onset, _, name, _ in shown if onset + time < 639]
        ids, _, values = of_test(responses, f"imagery@{time:+d}s")
        assert ids.tolist() == [name for _, name in there]
        np.testing.assert_allclose(values, [(onset + time) / 3 for onset, _ in there])
        assert responses.tests[f"imagery@{time:+d}s"].time == time
        assert responses.tests[f"imagery@{time:+d}s"].targets == "categories"
    # As pipelines/god-imagery.yaml asks: the mean over the trials of each category, at each time.
    recipe = read_recipe(ROOT / "pipelines" / "god-imagery.yaml")
    assert recipe.datasets == ["god-bids"]
    for name in recipe.timecourse.tests:
        assert name in recipe.tests
        assert spec.responses.tests[name].windows.times(3.0) == list(times)
    design = decoding_design(responses, n_folds=recipe.decoder.folds, seed=recipe.seed)
    for each in design.sets:
        assert len(set(design.target_ids[each.rows].tolist())) == len(each.rows) == 50


@pytest.mark.robust(
    "BIDS",
    given="imagery whose trials are to be left out by an answer that a subject never gave",
    before="no key: `keep` could name all other answers, and refused those that a subject lacks",
    now="`drop: {evaluation: [...]}`: of sub-01 none of 500 for 1, 8 for 2",
)
@pytest.mark.parametrize(("values", "n_left"), [(None, 500), (["2.0"], 492), (["1.0", "5.0"], 304)])
def test_trials_that_were_not_recognised_are_left_out(tmp_path, values, n_left):
    source, root = REAL / "ds001246", tmp_path / "god-bids"
    image = "derivatives/preproc-spm/output/sub-01/{session}/func/{run}_bold_preproc.nii"
    options = {"image": image, "seconds": 3.0, "first": 3}
    lay_out(root, source, "ses-perceptionTraining01", n_volumes=175, **options)
    lay_out(root, source, "ses-imagery*", n_volumes=210, **options)
    write_masks(root, MASKS)
    spec = plain(shipped("god-bids"), gz=False)
    part = spec.responses.tests["imagery-recognised"]
    asked = ["1.0", "1"] if values is None else values
    if values is not None:
        part.drop["evaluation"] = values
    responses = bids_responses(
        spec, spec.responses, "sub-01", tmp_path, tests=["imagery-recognised"]
    )
    assert part.drop == {"evaluation": asked}
    shown = presentations(
        source,
        "ses-imagery*",
        stimulus="category_name",
        keep=lambda row: row["event_type"] == "imagery" and row["evaluation"] not in asked,
    )
    ids, targets, _ = of_test(responses, "imagery-recognised")
    assert ids.tolist() == targets.tolist() == [name for _, _, name, _ in shown]
    assert len(ids) == n_left


def test_a_column_to_drop_by_must_be_there(tmp_path):
    source, root = REAL / "ds001246", tmp_path / "god-bids"
    image = "derivatives/preproc-spm/output/sub-01/{session}/func/{run}_bold_preproc.nii"
    options = {"image": image, "seconds": 3.0, "first": 3}
    lay_out(root, source, "ses-perceptionTraining01", n_volumes=175, **options)
    lay_out(root, source, "ses-imageryTest01", n_volumes=210, **options)
    write_masks(root, MASKS)
    spec = plain(shipped("god-bids"), gz=False)
    spec.responses.tests["imagery-recognised"].drop["evalution"] = ["1.0"]
    with pytest.raises(DatasetError, match="evalution"):
        bids_responses(spec, spec.responses, "sub-01", tmp_path, tests=["imagery-recognised"])


def test_runs_of_god_are_held_out_with_their_windows(tmp_path):
    source, root = REAL / "ds001246", tmp_path / "god-bids"
    image = "derivatives/preproc-spm/output/sub-01/{session}/func/{run}_bold_preproc.nii"
    options = {"image": image, "seconds": 3.0, "first": 3}
    lay_out(root, source, "ses-perceptionTest01", n_volumes=175, **options)
    write_masks(root, MASKS)
    content = plain(shipped("god-bids"), gz=False).model_dump(by_alias=True)
    part = content["responses"]["tests"]["perception"]
    of_tests = ("targets", "seen_in_training", "time", "level", "prior", "labels", "shift")
    for key in (*of_tests, "certain"):
        part.pop(key, None)
    part |= {"condition": "perception", "hold_out": "runs", "average": False}
    content["responses"] |= {"train": None, "tests": {}, "cross-validation": part}
    spec = DatasetSpec.model_validate(content)
    asked = ["perception", "perception@*"]
    responses = bids_responses(spec, spec.responses, "sub-01", tmp_path, tests=asked)
    n_runs = len(list((source / "sub-01" / "ses-perceptionTest01" / "func").glob("*_events.tsv")))
    assert sorted(set(responses.runs.tolist())) == list(range(1, n_runs + 1))
    design = decoding_design(responses, n_folds=n_runs, seed=0)
    assert [each.name for each in design.sets][:3] == [
        "perception",
        "perception@-6s",
        "perception@-3s",
    ]
    for train, test in design.splits:
        (number,) = set(design.runs[test].tolist())
        assert number not in design.runs[train]
        assert len(train) == 50 * (n_runs - 1)
    with pytest.raises(ResponsesError, match="as many as runs leave out one at a time"):
        decoding_design(responses, n_folds=None, seed=0)


def test_deeprecon_reads_shapes_letters_and_imagery(tmp_path):
    source, root = REAL / "ds001506", tmp_path / "deeprecon-bids"
    image = "derivatives/fmriprep/sub-01/{session}/func/{run}_space-T1w_desc-preproc_bold.nii"
    for sessions in ("*NaturalImageTraining01", "*Artificial*", "*Letter*", "ses-imagery*"):
        lay_out(root, source, sessions, image=image, n_volumes=239, seconds=2.0)
    write_masks(root, MASKS)
    (tmp_path / "deeprecon-stimuli").mkdir()
    table = "".join(f"{number}\timagined-{number:02d}\n" for number in range(1, 27))
    (tmp_path / "deeprecon-stimuli" / "names_imagery.tsv").write_text(table)
    spec = plain(shipped("deeprecon-bids"), gz=False)
    asked = ["shapes", "letters", "imagery"]
    responses = bids_responses(spec, spec.responses, "sub-01", tmp_path, tests=asked)
    sizes = {name: np.unique(of_test(responses, name)[0], return_counts=True) for name in asked}
    assert [(len(names), set(times)) for names, times in sizes.values()] == [
        (40, {20}),
        (10, {12}),
        (26, {20}),
    ]
    ids, _, values = of_test(responses, "letters")
    assert ids[0] == "letter_black_img028_R"
    assert values[0] == np.mean(range(18, 24))  # of 12 s from 32 s + 4 s on
    assert of_test(responses, "imagery")[0][0] == "imagined-07"
    assert of_test(responses, "shapes")[0][0] == "colorExpStim19_yellow_+"
