"""Reconstruction on its way: what is killed goes on, what cannot be made is said."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import unitdb
from tests.pipeline.pictured import lay_out_lab
from tests.pipeline.small import contents, run
from unitdb.errors import (
    InversionError,
    RecipeError,
    UnknownLayerError,
    UnknownRoiError,
    UnknownSubjectError,
)
from unitdb.measures.reconstructed import problems
from unitdb.nn.learning import Run
from unitdb.reconstruction import PictureStep, TrainStep, making
from unitdb.verification import verify


@pytest.mark.robust(
    "numbers",
    given="scores over 8 pictures, one of which could not be found",
    before="`n_images` was 8, beside the mean and the interval of 7",
    now="7",
)
@pytest.mark.robust(
    "recipes",
    given="a picture among others whose targets are nothing, or whose loss does not fall",
    before="the whole build ended at it",
    now="it has no bytes and no scores, the column `problem` says why, and the others are made",
)
def test_a_picture_that_cannot_be_found_is_missing_and_says_why(tmp_path, monkeypatch):
    asked = """
  - {name: inverted, kind: inversion, layers: [conv], controls: 1, subjects: [sub-01],
     control_images: 4, prior: {steps: 2}}
"""
    right = making.PictureStep._inverted

    def stays(step, targets, ids, source):
        if "brain" in str(step.target) and "-0000" in str(step.target) and "picture-15" in ids:
            raise InversionError("image picture-15: the loss did not fall")
        return right(step, targets, ids, source)

    monkeypatch.setattr(making.PictureStep, "_inverted", stays)
    built = unitdb.open(run(lay_out_lab(tmp_path, asked)))
    rows = built.sql("SELECT * FROM reconstruction WHERE problem IS NOT NULL")
    assert set(rows["source"]) == {"brain", "nearest-training"}
    assert set(rows["stimulus"]) == {"picture-15"}
    assert rows["png"].isna().all()
    assert rows["loss"].isna().all()
    assert rows["problem"].str.contains("did not fall").all()
    values = built.sql("SELECT * FROM reconstruction_value WHERE source = 'brain'")
    assert values[values["stimulus"] == "picture-15"]["value"].isna().all()
    known = values[(values["stimulus"] != "picture-15") & (values["metric"] == "pixel_r")]
    assert known["value"].notna().all()
    assert len(known) == 7
    scores = built.sql("SELECT * FROM reconstruction_score WHERE source = 'brain'")
    assert set(scores["n_images"]) == {7}
    assert verify(built.path)
    from unitdb.browser import _gallery

    shown = _gallery.gallery(built, ["mine", "perception", "mynet", "inverted"], "sub-01")
    assert re.findall(r"reconstructed</div><div[^>]*>(.*?)</div>", shown) == ["could not be made"]
    assert "may not be shown" not in shown


@pytest.mark.robust(
    "numbers",
    given="a reconstruction of whose candidates some have no category",
    before="`category_share` was among the others, and `category_chance` beside a rate among all",
    now="both are NULL, and `verify` says so of a release that has them",
)
def test_category_chance_is_unknown_where_a_candidate_has_no_category(tmp_path):
    asked = """
  - {name: ridge, kind: ridge, size: 8, controls: 1, subjects: [sub-01],
     categories: {a: ["picture-14", "picture-15", "picture-16"], b: ["picture-17"]}}
"""
    built = unitdb.open(run(lay_out_lab(tmp_path, asked)))
    scores = built.table("reconstruction_score").set_index(["source", "metric"])
    assert scores["category_chance"].isna().all()
    known = scores.loc["brain", "value"].notna()
    assert (known == (scores.loc["brain", "n_images"] > 0)).all()
    assert not known["category_share"]
    assert known[["identification_within", "identification_between"]].all()
    assert verify(built.path)
    names = ("reconstruction", *(f"reconstruction_{name}" for name in ("method", "value", "score")))
    tables = {name: pq.read_table(built.path / f"{name}.parquet") for name in names}
    of_others = {"picture-14": 2 / 3, "picture-15": 2 / 3, "picture-16": 2 / 3, "picture-17": 0.0}
    tables["reconstruction_value"] = _with(
        tables["reconstruction_value"],
        lambda row: row["metric"] == "category_share",
        lambda row: {"value": of_others.get(row["stimulus"])},
    )
    tables["reconstruction_score"] = _with(
        tables["reconstruction_score"],
        lambda row: (row["source"], row["metric"]) == ("brain", "identification"),
        lambda _: {"category_chance": 0.75},
    )
    said = "\n".join(problems(tables))
    assert "category_chance is 0.75; reconstruction_value gives None" in said
    assert f"'picture-14' is {2 / 3}, of 7 rivals no whole number" in said


def _with(table, chosen, change):
    rows = [row | change(row) if chosen(row) else row for row in table.to_pylist()]
    return pa.Table.from_pylist(rows, schema=table.schema)


LEARNED = """
  - {name: learned, kind: end-to-end, size: 8, controls: 1, subjects: [sub-01], folds: 3,
     layers: [conv], steps: 10, batch: 7}
"""


@pytest.mark.slow
def test_a_killed_training_goes_on_and_ends_in_the_same_bytes(tmp_path, monkeypatch):
    recipe = lay_out_lab(tmp_path, LEARNED)
    made, steps = [], []
    right, step_right = TrainStep.run, Run._step

    def dies(run_, step):
        steps.append(step)
        if len(steps) == 25:  # in the third fold
            raise KeyboardInterrupt
        step_right(run_, step)

    monkeypatch.setattr(TrainStep, "run", lambda step: (right(step), made.append(step.target)))
    monkeypatch.setattr(Run, "_step", dies)
    with pytest.raises(KeyboardInterrupt):
        run(recipe)
    n_done = len(made)
    monkeypatch.setattr(Run, "_step", step_right)
    found = contents(run(recipe))
    assert n_done < 6
    assert len(made) == len(set(made)) == 6  # three folds, and those of a control
    other = contents(run(lay_out_lab(tmp_path / "other", LEARNED), workers=1))
    for name in ("reconstruction.parquet", "reconstruction_value.parquet"):
        assert found[name] == other[name]


SMALL = """
  - {name: inverted, kind: inversion, layers: [conv], controls: 1, subjects: [sub-02],
     folds: 4, control_images: 4, units: {top: 20, by: training}, prior: {steps: 12, lr: 0.02}}
"""


@pytest.mark.slow
def test_a_killed_build_goes_on_and_ends_in_the_same_bytes(tmp_path, monkeypatch):
    recipe = lay_out_lab(tmp_path, SMALL)
    made = []
    right = PictureStep.run

    def dies(step):
        if len(made) == 3:
            raise KeyboardInterrupt
        right(step)
        made.append(step.target)

    monkeypatch.setattr(PictureStep, "run", dies)
    with pytest.raises(KeyboardInterrupt):
        run(recipe)
    monkeypatch.setattr(PictureStep, "run", lambda step: (made.append(step.target), right(step)))
    del made[3:]
    path = run(recipe)
    assert len(set(made)) == len(made)  # no tile twice
    found = contents(path)
    monkeypatch.setattr(PictureStep, "run", right)
    other = lay_out_lab(tmp_path / "other", SMALL)
    again = contents(run(other, workers=1))
    for name in ("reconstruction.parquet", "reconstruction_value.parquet"):
        assert found[name] == again[name]
    scores = unitdb.open(path).table("reconstruction_method")
    assert scores["condition"].astype(str).tolist() == ["cross-validation"]
    assert scores["n_units"].tolist() == [20]
    assert scores["n_candidates"].tolist() == [22]


@pytest.mark.robust(
    "recipes",
    given="a reconstruction judged by the network that is inverted, of layers, people, ROIs or "
    "sizes that are not there, of categories that overlap, or end to end of more pictures than "
    "train",
    before="there was no such measure",
    now="one error that names what is wrong, before anything is computed",
)
@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        ("kind: ridge, judge: mynet", RecipeError, "is the network whose units are used"),
        ("kind: inversion, layers: [conv9]", UnknownLayerError, "conv9"),
        ("kind: inversion, layers: [conv], sets: [[scores]]", RecipeError, "none of `layers`"),
        ("kind: inversion, layers: [conv], prior: {pyramid: 32}", RecipeError, "pictures of 8"),
        ("kind: ridge, subjects: [sub-09]", UnknownSubjectError, "sub-09"),
        ("kind: ridge, rois: [V9]", UnknownRoiError, "V9"),
        ("kind: ridge, categories: {a: ['x*']}", RecipeError, "fits no stimulus"),
        ("kind: ridge, categories: {a: ['*'], b: ['*1']}", RecipeError, "is in two of them"),
        ("kind: end-to-end, sizes: [14]", RecipeError, "14, and 14 pictures of sub-01 train"),
        ("kind: end-to-end, layers: [conv9]", UnknownLayerError, "conv9"),
        ("kind: end-to-end, loss: {feature: 1}", RecipeError, "feature takes `layers`"),
        ("kind: end-to-end, loss: {image: 0, adversarial: 0}", RecipeError, "no `layers`"),
        ("kind: end-to-end, preset: shen2019", RecipeError, "256, 320, 384, 448"),
        (
            "kind: inversion, layers: [conv], units: {top: 3}",
            RecipeError,
            "`by` goes with `top`",
        ),
    ],
)
def test_what_cannot_be_made_is_said_before_anything_is_computed(tmp_path, asked, error, says):
    recipe = lay_out_lab(tmp_path, f"\n  - {{name: wrong, {asked}}}\n")
    with pytest.raises(error, match=says):
        run(recipe)
    assert not (tmp_path / "releases" / "small").exists()
