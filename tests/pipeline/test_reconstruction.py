"""Reconstruction end to end: built, published, verified and read."""

from __future__ import annotations

import io
import json
import re
import runpy
import shutil
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch
from click.testing import CliRunner
from matplotlib import pyplot as plt

import unitdb
from tests.pipeline.pictured import lay_out_lab, picture
from tests.pipeline.small import N_TRAIN, edit, run
from tests.verification.consistent import Change
from unitdb import plot
from unitdb.cli import main
from unitdb.errors import (
    CorruptReleaseError,
    NotKeptError,
    RecipeError,
    UnknownNameError,
)
from unitdb.pipeline import plan
from unitdb.recipes import read_recipe
from unitdb.release.pictured import reconstructions
from unitdb.verification import verify

PIPELINES = Path(__file__).parents[2] / "pipelines"


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return unitdb.open(run(lay_out_lab(tmp_path_factory.mktemp("reconstruction"))))


def test_scores_are_of_the_bytes_that_are_shown(release):
    rows = release.sql("SELECT * FROM reconstruction WHERE png IS NOT NULL")
    seen = rows[rows["source"] == "seen"].groupby("method", observed=True)
    values = release.sql("SELECT * FROM reconstruction_value").set_index(
        ["method", "subject", "source", "control", "stimulus", "metric"]
    )["value"]
    checked = 0
    for method, own in seen:
        true = {row.stimulus: picture(row.png) for row in own.itertuples()}
        assert len(true) == 8
        for row in rows[(rows["method"] == method) & (rows["source"] != "seen")].itertuples():
            made = picture(row.png)
            r = {name: np.corrcoef(made.ravel(), of.ravel())[0, 1] for name, of in true.items()}
            place = (method, row.subject, row.source, row.control, row.stimulus)
            assert values[(*place, "pixel_r")] == pytest.approx(r[row.stimulus])
            others = [r[row.stimulus] > value for name, value in r.items() if name != row.stimulus]
            assert values[(*place, "identification_raw")] == pytest.approx(np.mean(others))
            checked += 1
    assert checked > 100


def test_the_judge_is_another_network_whose_features_are_less_their_mean(release):
    """By plain loops over the pictures that are shown."""
    folder = next(path for path in release.path.parents if (path / "judge.py").exists())
    network = runpy.run_path(str(folder / "judge.py"))["make"](6).eval()

    def features(pictures):
        images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
        with torch.no_grad():
            return network((images - 127) / 128).numpy().astype(float)

    rows = release.sql("SELECT * FROM reconstruction WHERE png IS NOT NULL AND method = 'ridge'")
    seen = rows[rows["source"] == "seen"].sort_values("stimulus")
    shown = features([picture(png) for png in seen["png"]])
    train = [picture(path.read_bytes()) for path in sorted((folder / "pictures").iterdir())]
    trained = features(train[:N_TRAIN])
    varies = np.ptp(trained, axis=0) > 0
    assert 0 < (~varies).sum() < len(varies)
    values = release.sql(
        "SELECT * FROM reconstruction_value WHERE metric = 'identification_last'"
    ).set_index(["method", "subject", "source", "control", "stimulus"])["value"]
    brains = rows[rows["source"].isin(["brain", "shuffled"])]
    for row in brains.itertuples():
        own = (features([picture(row.png)])[0] - trained.mean(axis=0))[varies]
        r = [np.corrcoef(own, one)[0, 1] for one in (shown - trained.mean(axis=0))[:, varies]]
        place = seen["stimulus"].tolist().index(row.stimulus)
        others = [r[place] > one for number, one in enumerate(r) if number != place]
        found = values["ridge", row.subject, row.source, row.control, row.stimulus]
        assert found == pytest.approx(np.mean(others))
    assert len(brains) == 8 * 2 * 3


def test_brains_are_better_than_shuffled_ones_and_the_mean_picture_is_at_chance(release):
    scores = release.sql("SELECT * FROM reconstruction_score").set_index(
        ["method", "subject", "source", "metric"]
    )
    found = scores.loc[("ridge", "mean", "brain", "identification")]
    assert found["value"] > 0.75
    assert found["low"] < found["value"] < found["high"] + 1e-9
    assert found["chance"] == 0.5
    assert found["p"] == pytest.approx(1 / 3)
    assert 0.2 < found["control_mean"] < 0.8
    assert found["category_chance"] < found["value"]
    assert scores.loc[("ridge", "mean", "shuffled", "identification"), "n_controls"] == 2
    assert scores.loc[("ridge", "mean", "mean", "identification"), "value"] == pytest.approx(0.5)
    ceiling = scores.loc[("ridge", "mean", "projection", "centred_r"), "value"]
    assert ceiling > scores.loc[("ridge", "mean", "brain", "centred_r"), "value"]
    shuffled = scores.loc[("inverted", "mean", "shuffled", "pixel_r")]
    assert shuffled["n_images"] == 4  # control_images
    ceilings = scores.loc["inverted", "mean"].loc[["recovery", "projection"]]
    assert set(ceilings["n_images"]) == {6}  # ceiling_images
    paired = scores.loc[("inverted", "mean", "brain", "pixel_r")]
    difference = paired["value"] - scores.loc[("ridge", "mean", "brain", "pixel_r"), "value"]
    assert paired["over_ridge"] == pytest.approx(difference)
    assert paired["over_ridge_low"] < paired["over_ridge"] < paired["over_ridge_high"]
    assert ("inverted-conv", "mean", "recovery", "consistency") in scores.index
    assert ("inverted", "mean", "brain", "identification_last") in scores.index


def test_methods_say_what_pictures_are_made_from(release):
    methods = release.table("reconstruction_method").set_index("method")
    assert json.loads(methods.loc["inverted-conv", "layers"]) == ["conv"]
    assert methods.loc["inverted", "n_units"] == 42
    assert methods.loc["inverted-conv", "n_units"] == 36
    assert (methods["n_training"] == N_TRAIN).all()
    assert methods.loc["ridge", "judge"] == "judge"
    settings = json.loads(methods.loc["inverted", "settings"])
    assert settings["scaling"] == "mean-centred"
    assert settings["prior"]["tv"] == 0.01


def test_an_unchanged_release_is_verified(release):
    rows = verify(release.path).rows
    assert rows["reconstruction_method"] == 5


def test_a_network_from_voxels_to_pictures_is_one_of_the_methods(release):
    methods = release.table("reconstruction_method").set_index("method")
    assert methods.loc["learned", "kind"] == "end-to-end"
    assert json.loads(methods.loc["learned", "layers"]) == ["conv"]
    assert methods.loc["learned-7", "n_units"] == 192  # pixels
    assert pd.isna(methods.loc["learned", "invertible"])
    scores = release.sql("SELECT * FROM reconstruction_score WHERE kind = 'end-to-end'")
    of = scores.set_index(["method", "source", "metric"])
    assert of.loc[("learned", "brain", "identification"), "value"] > 0.6
    assert of.loc[("learned", "brain", "identification"), "n_controls"] == 1
    assert of.loc[("learned-7", "brain", "identification"), "n_controls"] == 0
    assert not {"recovery", "projection"}.intersection(scores["source"])
    shuffled = of.loc[("learned", "shuffled", "centred_r"), "value"]
    assert of.loc[("learned", "brain", "centred_r"), "value"] > shuffled + 0.3


def test_a_plan_counts_the_pictures_and_the_networks(release, tmp_path):
    recipe = lay_out_lab(tmp_path)
    (found,) = plan(recipe, data=tmp_path, releases=tmp_path / "releases")
    made = release.sql(
        "SELECT count(*) AS n FROM reconstruction WHERE kind = 'inversion' AND source IN "
        "('brain', 'shuffled', 'recovery', 'projection')"
    )
    assert found.n_pictures == made["n"][0] == 2 * (8 + 6 + 6 + 4)
    assert found.picture_seconds > 0
    assert found.n_trained == 3  # of all pictures, shuffled, and of 7
    result = CliRunner().invoke(main, ["plan", str(recipe), "--data", str(tmp_path)])
    assert re.search(r"pictures +48 to seek; about \d+ min \d+ s of the processor", result.output)
    assert re.search(r"networks +3 to train; their time is not estimated", result.output)
    edit(recipe, "prior: {steps: 5, batch: 4}", "prior: {dip: 8}")
    (found,) = plan(recipe, data=tmp_path, releases=tmp_path / "releases")
    assert found.picture_seconds is None  # drawn again an unknown number of times


def test_pictures_and_scores_are_read_and_written(release, tmp_path):
    found = release.reconstructions("ridge", subject="mean", source="shuffled")
    assert set(found.pictures["source"]) == {"shuffled"}
    assert len(found.pictures) == 16
    files = found.save(tmp_path)
    assert len(files) == 16
    (row,) = found.pictures.query("stimulus == 'picture-14' and control == 2").to_dict("records")
    name = tmp_path / "mine/perception/mynet/ridge/mean/shuffled-2/picture-14.png"
    assert name.read_bytes() == row["png"]
    assert "identification 0." in str(found)
    with pytest.raises(
        UnknownNameError, match="there are: inverted, inverted-conv, learned, learned-7, ridge"
    ):
        release.reconstructions("other")
    with pytest.raises(NotKeptError, match="no pictures are reconstructed"):
        reconstructions(release.sql, [], {}, where="release x")


def test_a_notebook_shows_no_picture_without_its_control(release):
    found = release.reconstructions("ridge", subject="mean")
    shown = found._repr_html_()
    for source in ("brain", "shuffled"):
        strip = re.search(f"<tr><th>{source}</th>(.*?)</tr>", shown)[1]
        rows = found.pictures[found.pictures["source"] == source]
        first = rows[rows["control"] == rows["control"].min()].sort_values("stimulus")["png"][:8]
        assert re.findall('base64,([^"]+)', strip) == [b64encode(png).decode() for png in first]
    alone = release.reconstructions("ridge", subject="mean", source="brain")._repr_html_()
    assert "<tr><th>shuffled</th><td>none here</td></tr>" in alone


def test_a_gallery_shows_each_picture_above_its_control(release):
    axes = plot.gallery(release, "ridge", n=3)
    found = release.reconstructions("ridge", subject="mean").pictures
    names = sorted(set(found["stimulus"]))[:3]
    assert [label.get_text() for label in axes.get_xticklabels()] == names
    (drawn,) = axes.images
    for place, source in enumerate(["brain", "shuffled"]):
        rows = found[found["source"] == source].sort_values("control")
        for column, name in enumerate(names):
            png = rows[rows["stimulus"] == name]["png"].iloc[0]
            expected = np.asarray(PIL.Image.open(io.BytesIO(png)).convert("RGB"))
            at = np.s_[place * 8 : (place + 1) * 8, column * 8 : (column + 1) * 8]
            np.testing.assert_array_equal(drawn.get_array()[at], expected)
    plt.close("all")
    with pytest.raises(NotKeptError, match="shows no pictures of ridge"):
        plot.gallery(release, "ridge", sources=["dreams"])


def test_the_command_line_prints_scores_and_writes_pictures(release, tmp_path):
    folder = str(release.path)
    told = CliRunner().invoke(main, ["reconstruct", folder, "--subject", "sub-01"])
    assert told.exit_code == 0, told.output
    assert "ridge/sub-01/brain" in told.output
    told = CliRunner().invoke(main, ["reconstruct", folder, "--format", "csv"])
    assert "over_ridge" in told.output
    told = CliRunner().invoke(main, ["export", folder, "--pictures", str(tmp_path / "p")])
    assert told.exit_code == 0, told.output
    written = release.sql("SELECT count(png) AS n FROM reconstruction")["n"][0]
    assert len(list((tmp_path / "p").rglob("*.png"))) == written
    assert CliRunner().invoke(main, ["export", folder]).exit_code == 2
    plain = tmp_path / "plain.yaml"
    plain.write_text((release.path.parents[2] / "recipe.yaml").read_text().split("reconstruc")[0])
    told = CliRunner().invoke(main, ["reconstruct", str(plain)])
    assert told.exit_code == 2
    assert "asks for no pictures" in told.output


@pytest.mark.parametrize("name", ["algonauts92", "deeprecon", "digits69"])
def test_the_shipped_recipes_are_read(name):
    recipe = read_recipe(PIPELINES / f"{name}-reconstruction.yaml")
    kinds = {spec.kind for spec in recipe.reconstruction}
    assert kinds == {"ridge", "inversion"} | ({"end-to-end"} if name == "digits69" else set())
    judges = {spec.judge for spec in recipe.reconstruction}
    assert not judges.intersection(model.name for model in recipe.models)


def test_the_page_and_the_report_show_all_pictures_beside_shuffled_ones(release, monkeypatch):
    pytest.importorskip("streamlit", reason="needs unitdb[app]")
    from streamlit.testing.v1 import AppTest

    from unitdb.browser import _gallery, report

    shown = _gallery.gallery(release, ["mine", "perception", "mynet", "ridge"], "sub-01")
    assert shown.count("<img") == 8 * 3  # seen, reconstructed, shuffled; pixels have no ceiling
    names = [shown.index(f"<figcaption>picture-{number}") for number in range(14, 22)]
    assert names == sorted(names)
    inverted = _gallery.gallery(release, ["mine", "perception", "mynet", "inverted"], "mean")
    assert inverted.count("<img") == 8 * 2 + 6 + 4
    assert inverted.count("none was made") == 4 + 2
    monkeypatch.setenv("UNITDB_RELEASE", str(release.path))
    app = AppTest.from_string(
        "from unitdb.browser._app import show\nshow('reconstruction')", default_timeout=300
    )
    app.query_params["method"] = "ridge"
    app.run()
    assert not app.exception, app.exception[0].value
    table = app.dataframe[0].value.set_index("source")
    scores = release.reconstructions("ridge", subject="mean").scores
    expected = scores[(scores["source"] == "brain") & (scores["metric"] == "ssim")]
    assert expected.empty  # pictures of 8 pixels have none
    assert table.loc["brain", "identification"] > table.loc["mean", "identification"]
    assert table.loc["chance", ["identification", "centred r"]].tolist() == [0.5, 0]
    assert pd.isna(table.loc["chance", "pixel r"])
    assert "none picked" in "\n".join(each.value for each in app.caption)
    page = "".join(report._reconstructed(release))
    assert page.count("<img") > 100
    assert "<script" not in page


def test_people_judge_blind_and_their_choices_are_a_rate(release, monkeypatch, tmp_path):
    pytest.importorskip("streamlit", reason="needs unitdb[app]")
    from streamlit.testing.v1 import AppTest

    from unitdb.browser._judging import choices_csv, questions

    place = ["mine", "perception", "mynet", "ridge"]
    asked = questions(release, place, "mean", "me")
    assert len(asked) == 16  # of a brain, and of a shuffled one among them
    assert asked == questions(release, place, "mean", "me")
    assert asked != questions(release, place, "mean", "you")
    sides = [question.shown[0][0] == question.stimulus for question in asked]
    assert 0 < sum(sides) < 16
    assert all(question.other != question.stimulus for question in asked)
    assert len({(question.stimulus, question.other) for question in asked}) == 8
    monkeypatch.setenv("UNITDB_RELEASE", str(release.path))
    app = AppTest.from_string(
        "from unitdb.browser._app import show\nshow('judging')", default_timeout=300
    )
    app.query_params["method"] = "ridge"
    app.run()
    assert "Say who judges" in app.info[0].value
    app.text_input[0].set_value("me").run()
    for question in asked[:3]:
        right = question.shown[1][0] == question.stimulus
        (button,) = (each for each in app.button if each.label == ("Right" if right else "Left"))
        button.click().run()
        assert not app.exception
    (choices,) = app.session_state["judged"].values()
    assert [row["chosen"] for row in choices] == [question.stimulus for question in asked[:3]]
    path = tmp_path / "choices.csv"
    path.write_text(choices_csv(choices))
    told = CliRunner().invoke(main, ["judge", str(path)])
    assert told.exit_code == 0, told.output
    assert all("1.000" in line for line in told.output.splitlines()[1:])


def _other_picture(row):
    flat = np.full((8, 8, 3), 100, np.uint8)
    flat[0, :4] = 200
    written = io.BytesIO()
    PIL.Image.fromarray(flat).save(written, "PNG")
    return row | {"png": written.getvalue()} if row["source"] == "brain" else row


def _higher(row):
    return row | {"value": min(row["value"] + 0.01, 1)} if row["value"] is not None else row


@pytest.mark.robust(
    "verification",
    given="a picture that is exchanged for another in a release, or a score raised by .01",
    before="there was no such table",
    now="scores are computed again from the bytes that are shown",
)
@pytest.mark.parametrize(
    ("table", "change", "says"),
    [
        ("reconstruction", _other_picture, "the pictures give"),
        ("reconstruction_score", _higher, "reconstruction_value gives"),
    ],
)
def test_verify_computes_scores_again(release, tmp_path, table, change, says):
    shutil.copytree(release.path.parents[1], tmp_path / "copy")
    folder = tmp_path / "copy" / release.path.parent.name / release.path.name
    changed = Change(
        name=table, file=f"{table}.parquet", rows=lambda rows: [change(row) for row in rows]
    )
    assert changed.make(folder)
    with pytest.raises(CorruptReleaseError, match=says):
        verify(folder)


@pytest.mark.robust(
    "recipes",
    given="units chosen by a release that was tested on the pictures that are reconstructed",
    before="there was no such measure",
    now="refused as circular; the number of pictures is named",
)
def test_units_are_not_chosen_by_the_pictures_that_are_reconstructed(release, tmp_path):
    asked = f"kind: inversion, layers: [conv], units: {{top: 3, by: '{release.path}'}}"
    recipe = lay_out_lab(tmp_path, f"\n  - {{name: wrong, {asked}}}\n")
    with pytest.raises(RecipeError, match=r"8 of the pictures .* circular"):
        run(recipe)


def test_results_are_printed_as_the_release_has_them(release):
    command = [sys.executable, PIPELINES.parent / "docs" / "results.py", "reconstruction"]
    printed = subprocess.run(
        [*command, release.path], capture_output=True, text=True, check=True
    ).stdout
    found = [[one.strip() for one in line.split("|")[1:-1]] for line in printed.splitlines()]
    scores = release.reconstructions(subject="mean").scores
    checked = 0
    for row in scores[scores["metric"] == "identification"].itertuples():
        value = f"{row.value:.3f} ({row.low:.3f} to {row.high:.3f})"
        cells = [row.source, str(row.n_images), value]
        if row.source in ("mean", "class-mean"):  # once for all methods of these pictures
            assert cells in [one[1:4] for one in found]
        else:
            assert [row.method, *cells] in [one[:4] for one in found]
        checked += 1
    assert checked > 10
    means = [one[2:] for one in found if one[1:2] == ["mean"]]
    assert len(means) == len({tuple(one) for one in means})
    late = scores[(scores["metric"] == "identification_late") & (scores["source"] == "brain")]
    gained = late[late["over_ridge"].notna()]
    assert gained["method"].tolist() == ["inverted", "inverted-conv"]
    for row in late.itertuples():  # of this judge there is neither early nor middle
        value = f"{row.value:.3f} ({row.low:.3f} to {row.high:.3f})"
        assert [row.method, "brain", "–", "–", value] in [one[:5] for one in found]
    for row in gained.itertuples():
        value = f"{row.over_ridge:.3f} ({row.over_ridge_low:.3f} to {row.over_ridge_high:.3f})"
        assert [row.method, "over ridge", "–", "–", value] in [one[:5] for one in found]
