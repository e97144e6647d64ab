"""Real events of blurred pictures, and of imagery in a dataset of one's own."""

from __future__ import annotations

import numpy as np
import pytest

from tests.responses.raw import sets
from tests.responses.real_events import (
    MASKS,
    NEEDED,
    REAL,
    lay_out,
    of_test,
    plain,
    shipped,
    write_masks,
)
from unitdb.errors import DatasetError
from unitdb.responses import decoding_design
from unitdb.responses.bids import bids_responses
from unitdb.responses.bids_spec import BidsPart
from unitdb.responses.spec import DatasetSpec

pytestmark = NEEDED


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
