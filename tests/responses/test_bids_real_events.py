"""Real events of one person of three OpenNeuro datasets, beside made-up images of their volumes.

Voxels of the images hold the number of their volume, as it was measured: samples tell their time.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.responses.raw import sets
from unitdb.errors import DatasetError, ResponsesError
from unitdb.recipes import read_recipe
from unitdb.responses import decoding_design, find_dataset
from unitdb.responses.bids import bids_responses
from unitdb.responses.bids_spec import BidsPart
from unitdb.responses.spec import DatasetSpec
from unitdb.specs import read_spec

ROOT = Path(__file__).parents[2]
REAL = Path(os.environ.get("UNITDB_REALDATA", ROOT.parent / "shared" / "realdata")) / "events"

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL}: no real events")


def shipped(name):
    return read_spec(find_dataset(name, [ROOT / "datasets"]), DatasetSpec, DatasetError)


def lay_out(root, source, sessions, *, image, n_volumes, seconds, first=0):
    """Link the real events, and write an image of each run; its voxels are volume numbers."""
    (root / "sub-01").mkdir(parents=True, exist_ok=True)
    for sidecar in source.glob("*.json"):
        if not (root / sidecar.name).exists():
            (root / sidecar.name).symlink_to(sidecar)
    content = nib.Nifti1Image(
        np.broadcast_to(np.arange(first, first + n_volumes, dtype=np.int16), (2, 1, 1, n_volumes)),
        np.eye(4),
    )
    content.header.set_xyzt_units("mm", "sec")
    content.header.set_zooms((1.0, 1.0, 1.0, seconds))
    content = content.to_bytes()
    for session in sorted((source / "sub-01").glob(sessions)):
        (root / "sub-01" / session.name).symlink_to(session)
        for events in sorted(session.glob("func/*_events.tsv")):
            path = root / image.format(session=session.name, run=events.name[: -len("_events.tsv")])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def write_masks(root, names):
    folder = root / "sourcedata" / "sub-01" / "anat"
    folder.mkdir(parents=True)
    mask = nib.Nifti1Image(np.ones((2, 1, 1), np.uint8), np.eye(4))
    for name in names:
        for side in ("LH", "RH"):
            nib.save(mask, folder / f"sub-01_mask_{side}_{name}.nii.gz")


def presentations(source, sessions, *, stimulus, keep=None):
    """Onset, duration and name of each presentation, by another reading than unitdb's."""
    for session in sorted((source / "sub-01").glob(sessions)):
        for path in sorted(session.glob("func/*_events.tsv")):
            with path.open(newline="") as file:
                rows = list(csv.DictReader(file, delimiter="\t"))
            for row, before in zip(rows, [None, *rows], strict=False):
                if row[stimulus] != "n/a" and (keep is None or keep(row)):
                    again = before is not None and before[stimulus] == row[stimulus]
                    yield float(row["onset"]), float(row["duration"]), row[stimulus], again


def plain(spec, *, gz):
    """The spec without what changes values: samples are then mean numbers of volumes."""
    content = spec.model_dump(by_alias=True)
    content["responses"] |= {"trend": 0, "normalise": None, "regress": []}
    if not gz:
        parts = [content["responses"]["train"], *content["responses"]["tests"].values()]
        for part in parts:
            part["bold"] = part["bold"].removesuffix(".gz")
    return DatasetSpec.model_validate(content)


MASKS = ("V1d", "V1v", "V2d", "V2v", "V3d", "V3v", "V4", "LOC", "FFA", "PPA")


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


def of_test(responses, name):
    """Stimuli, targets and volume numbers of a test set."""
    rows = responses.split == name
    return responses.stimulus_ids[rows], responses.target_ids[rows], responses.values[rows, 0]


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


def test_blur_decodes_the_sharp_original(tmp_path):
    source, root = REAL / "ds003661", tmp_path / "blur"
    image = "derivatives/preproc-spm/output/sub-01/{session}/func/{run}_bold_preproc.nii"
    lay_out(root, source, "ses-*", image=image, n_volumes=239, seconds=2.0)
    write_masks(root, ("V1", *MASKS[2:]))
    spec = plain(shipped("blur"), gz=False)
    responses = bids_responses(spec, spec.responses, "sub-01", tmp_path)
    assert (responses.split == "train").sum() == 1000
    levels = {"25": "3", "12": "2", "06": "1", "00": "0"}
    sets = {
        f"blur-{level}{ending}": (folder, suffix)
        for ending, folder in (("", "nocategory"), ("-category", "category"))
        for level, suffix in levels.items()
    }
    assert list(responses.tests) == list(sets)
    for name, (folder, suffix) in sets.items():
        ids, targets, _ = of_test(responses, name)
        assert len(set(ids)) == 20
        assert all(one.startswith(f"{folder}/IMG") and one.endswith(f"._{suffix}") for one in ids)
        assert targets.tolist() == [f"{one[:-1]}0" for one in ids]
        assert responses.tests[name].level == float(name.split("-")[1])
        assert responses.tests[name].prior == ("none" if folder == "nocategory" else "category")
    ids, _, values = of_test(responses, "blur-25-category")
    assert (ids[0], values[0]) == ("category/IMG00105._3", np.mean([18, 19, 20, 21]))
    design = decoding_design(responses, n_folds=None, seed=0)
    for name, (folder, suffix) in sets.items():
        found = design.held_out(name).certain
        answers = answers_of(source, folder, suffix)
        assert np.nansum(found) == answers.count("2")
        assert np.isnan(found).sum() == 20 - answers.count("1") - answers.count("2")


def answers_of(source, folder, suffix):
    """What was answered to the pictures of a level, read line by line."""
    session = "ses-testCategory" if folder == "category" else "ses-testNoCategory"
    found = []
    for path in sorted(source.glob(f"sub-01/{session}*/func/*_events.tsv")):
        names, *rows = [line.split("\t") for line in path.read_text().splitlines()]
        rows = [dict(zip(names, row, strict=True)) for row in rows]
        found += [
            row["button_response"]
            for row in rows
            if row["trial_type"] == "1" and row["stimulus_name"].endswith(f"._{suffix}")
        ]
    assert len(found) == 20
    return found


def own(root, parts):
    """A spec of datasets that are not shipped, with masks and images in plain places."""
    return DatasetSpec.model_validate(
        {
            **dict.fromkeys(("title", "description", "licence", "source", "citation"), "none"),
            "name": "own",
            "subjects": ["sub-01"],
            "rois": {"V1": "primary"},
            "stimuli": {"kind": "folder", "folder": "pictures", "ending": ".png"},
            "responses": {
                "kind": "bids",
                "root": root,
                "shift": 4.0,
                **sets(parts),
                "masks": {"V1": ["sourcedata/{subject}/anat/{subject}_mask_LH_V1.nii.gz"]},
            },
        }
    )


def runs_of(session, **how):
    func = f"{{subject}}/ses-{session}*/func"
    return {"bold": f"ready/{func}/*_bold.nii", "events": f"{func}/*_events.tsv", **how}


def test_events_of_blurred_images(tmp_path):
    """ds003661: one-back repetitions are trial_type 2, names are text, four runs are of a test."""
    source, root = REAL / "ds003661", tmp_path / "blur"
    image = "ready/sub-01/{session}/func/{run}_bold.nii"
    lay_out(root, source, "ses-*", image=image, n_volumes=239, seconds=2.0)
    write_masks(root, ["V1"])
    named = {"stimulus": "stimulus_name", "keep": {"trial_type": ["1"]}}
    parts = {"train": runs_of("training", **named), "test": runs_of("test", **named)}
    spec = own("blur", parts)
    responses = bids_responses(spec, spec.responses, "sub-01", tmp_path)
    assert responses.split.tolist() == ["train"] * 1000 + ["perception"] * 160
    assert responses.stimulus_ids[0] == "n07892512_7601"
    assert "IMG00105._3" in responses.stimulus_ids
    assert responses.values[0, 0] == np.mean([18, 19, 20, 21])  # from 32 s + 4 s on
    dropped = {"stimulus": "stimulus_name", "repeats": "drop"}
    parts = {"train": runs_of("training", **dropped), "test": runs_of("test", **named)}
    spec = own("blur", parts)
    with pytest.raises(DatasetError, match=r"as trial_type '1' and '2'; say with `keep`"):
        bids_responses(spec, spec.responses, "sub-01", tmp_path)


@pytest.mark.robust(
    "BIDS",
    given="imagery without `keep`: cue, imagery, evaluation and rest of a trial name one stimulus",
    before="four presentations a trial: 2,000 samples of 500 trials (ds001246)",
    now="an error that names the lines, and what `keep` could say; with it 500 samples",
)
@pytest.mark.parametrize(
    ("dataset", "sessions", "kind", "n_samples", "first"),
    [
        ("ds001246", "ses-imagery*", "imagery", 500, np.mean([14, 15, 16, 17, 18]) - 1),
        ("ds001506", "ses-imagery*", "2", 520, np.mean([20, 21, 22, 23])),
    ],
)
def test_imagery_must_say_what_is_imagined(tmp_path, dataset, sessions, kind, n_samples, first):
    source, root = REAL / dataset, tmp_path / "imagery"
    image = "ready/sub-01/{session}/func/{run}_bold.nii"
    seconds = 3.0 if dataset == "ds001246" else 2.0
    lay_out(root, source, sessions, image=image, n_volumes=240, seconds=seconds)
    write_masks(root, ["V1"])
    part = runs_of("imagery", stimulus="category_name")
    for keep in ({}, {"evaluation": ["5.0", "4.0"]}):
        spec = own("imagery", {"cross-validation": part | {"keep": keep}})
        message = (
            r"lines \d+ and \d+ show 'n\d+' one after the other as event_type .*say with `keep`"
        )
        with pytest.raises(DatasetError, match=message):
            bids_responses(spec, spec.responses, "sub-01", tmp_path)
    part |= {"keep": {"event_type": [kind]}}
    spec = own("imagery", {"cross-validation": part})
    responses = bids_responses(spec, spec.responses, "sub-01", tmp_path)
    assert len(responses.values) == n_samples
    assert responses.values[0, 0] == first


def test_parts_say_what_repeats_are():
    part = BidsPart(bold="a", events="b")
    assert part.repeats == "keep"
    with pytest.raises(ValueError, match="repeats"):
        BidsPart(bold="a", events="b", repeats="sometimes")
