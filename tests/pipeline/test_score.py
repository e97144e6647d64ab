"""A network scored in one call: from a file and as a live module, on a small dataset."""

from __future__ import annotations

import importlib.util
import re
from html import escape

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

import unitdb
from tests.pipeline.small import lay_out
from unitdb.cli import main
from unitdb.errors import ModelError, UnknownLayerError, UnknownModelError, UnknownRoiError
from unitdb.pipeline import build
from unitdb.release import score_of

SEEN = {"size": 8, "mean": [127, 127, 127], "std": [128, 128, 128]}
LAYERS = {"conv": "1", "scores": "3"}


def live(folder):
    spec = importlib.util.spec_from_file_location("net", folder / "net.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make(6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("score")
    lay_out(folder)
    return folder


def scored(network, folder, **options):
    asked = {"dataset": str(folder / "mine.yaml"), "data": folder, "releases": folder / "releases"}
    return unitdb.score(network, **(asked | {"layers": LAYERS, "preprocessing": SEEN} | options))


@pytest.fixture(scope="module")
def score(folder):
    return scored(live(folder), folder)


def test_a_notebook_shows_what_is_printed(score):
    shown = score._repr_html_()
    for line in score.words():
        assert escape(line) in shown
    for layer, values in score.matrix.iterrows():
        assert f"<th>{layer}</th>" in shown
        assert all(f">{value:.3f}</td>" in shown for value in values)
    assert ("SIMULATED" in shown) == score.simulated
    for tag in ("table", "tr", "td", "th", "p", "div"):
        assert len(re.findall(f"<{tag}[ >]", shown)) == shown.count(f"</{tag}>")


def test_figures_are_those_of_its_release(score):
    release = score.release
    row = release.sql(
        "SELECT * FROM hierarchy WHERE kind = 'decoding' AND method = 'corrected'"
    ).iloc[0]
    assert (score.value, *score.interval) == (row["score"], row["score_low"], row["score_high"])
    assert score.matrix.equals(release.layer_by_roi("accuracy"))
    assert list(score.agreement.index) == ["conv", "scores"]
    for roi, best in score.best_layers.iterrows():
        assert best["layer"] == score.matrix[roi].idxmax()
        assert 0 <= best["n_subjects"] <= best["of_subjects"] == 3
    accuracy = release.sql("SELECT layer, roi, unit, r FROM accuracy").astype({"layer": str})
    conv = accuracy[(accuracy["layer"] == "conv")]
    channel = conv["unit"] // 9
    means = conv.groupby([channel, conv["roi"].astype(str)])["r"].mean()
    top = score.channels[score.channels["layer"] == "conv"].iloc[0]
    assert top["mean_r"] == pytest.approx(means.max(), abs=1e-6)
    assert (top["channel"], top["roi"]) == means.idxmax()
    assert not score.simulated
    release.verify()


def test_printed_in_words(score):
    text = str(score)
    for words in ("BH score ", "(95 % ", "no unit has a best ROI", "channel"):
        assert words in text


def test_placed_by_the_published_method_beside_what_differs(score):
    placed = score_of(score.release)
    keys = {"kind": "decoding", "over": "units", "score_low": 0.1, "score_high": 0.3}
    rows = [
        keys | {"method": "corrected", "score": 0.2},
        keys | {"method": "nonaka2021", "score": 0.3},
    ]
    placed.__dict__["bh"] = pd.DataFrame(rows)
    assert placed.placement == unitdb.reference.place(0.3, by="bh_decoding")
    assert (placed.value, placed.interval) == (0.2, (0.1, 0.3))
    assert f"has {placed.placement.place}, " in str(placed)
    assert "other regions (2: V1, IT; published: 5" in placed.caveat


def test_a_live_module_stays_as_it_is_and_is_not_scored_twice(folder, score):
    network = live(folder).train()
    before = [value.clone() for value in network.state_dict().values()]
    again = scored(network, folder)
    assert network.training
    assert all(
        torch.equal(*pair) for pair in zip(before, network.state_dict().values(), strict=True)
    )
    assert again.release.label == score.release.label


@pytest.mark.robust(
    "networks",
    given="Two live networks of one class and the same weights, whose code differs",
    before="right already: what layers answer to noise is part of the identity",
    now="two releases, each with its own numbers",
)
def test_networks_that_differ_in_code_alone_are_not_one(folder, score):
    network = live(folder)
    network[1] = torch.nn.Hardtanh(0, 0.01)  # no weights: the same state
    other = scored(network, folder)
    assert other.release.label != score.release.label
    assert not other.matrix.equals(score.matrix)


def accuracies(found):
    table = found.release.sql("SELECT layer, roi, subject, unit, r FROM accuracy ORDER BY ALL")
    return table["r"].to_numpy()


def test_a_file_gives_the_same_numbers_as_the_live_module(folder, score):
    (folder / "other.py").write_text(
        (folder / "net.py").read_text().replace("n_classes=5", "n_classes=6")
    )
    found = scored(f"{folder / 'other.py'}:make", folder)
    np.testing.assert_array_equal(accuracies(found), accuracies(score))


def test_layers_are_found_and_rois_and_units_chosen(folder):
    found = scored(live(folder), folder, layers="auto", rois=["IT"], units=3)
    assert list(found.matrix.columns) == ["IT"]
    assert list(found.release.table("layers")["layer"]) == ["0", "3"]
    assert found.release.table("layer_summary")["n_units"].max() == 3
    assert found.placement is None
    assert np.isnan(found.value)
    assert "BH score: none" in str(found)


def test_the_command_says_the_same_and_writes_the_report(folder, score):
    args = ["--releases", folder / "releases", "score", f"{folder / 'other.py'}:make"]
    args += ["--dataset", folder / "mine.yaml", "--data", folder, "--units", 3]
    args += ["--layers", "1", "--layers", "3", "--html", folder / "score.html"]
    (folder / "other.py").write_text(
        (folder / "net.py").read_text().replace("n_classes=5", "n_classes=6")
    )
    stated = "{size: 8, mean: [127, 127, 127], std: [128, 128, 128]}"
    done = CliRunner().invoke(main, [*map(str, args), "--preprocessing", stated])
    assert done.exit_code == 0, done.output
    assert "Best layer of each ROI" in done.output
    page = (folder / "score.html").read_text()
    assert "The network as a whole" in page
    assert "Most brain-like channels" in page


@pytest.mark.parametrize(
    ("network", "options", "error", "message"),
    [
        (None, {"preprocessing": None}, ModelError, "preprocessing of an own network is not known"),
        (None, {"preprocessing": {"size": 8}}, ModelError, "preprocessing: mean: Field required"),
        (None, {"rois": ["V9"]}, UnknownRoiError, "'V9'"),
        (None, {"units": 0}, ModelError, "units=0"),
        (None, {"layers": ["conv*"]}, UnknownLayerError, "'conv\\*'"),
        (None, {"weights": "w.pt"}, ModelError, "a live module has its own"),
        (
            "efficientnet-lite9",
            {"preprocessing": None, "layers": "auto"},
            UnknownModelError,
            "lite",
        ),
        ("efficientnet-lite0", {}, ModelError, "are for own networks"),
        ("nowhere.py:make", {}, ModelError, "no such file"),
    ],
)
def test_what_cannot_be_scored_is_said_in_one_line(folder, network, options, error, message):
    with pytest.raises(error, match=message) as found:
        scored(live(folder) if network is None else network, folder, **options)
    assert "\n" not in str(found.value)


def test_without_measured_data_the_sample_is_taken(tmp_path, monkeypatch):
    from unitdb.pipeline import scoring

    monkeypatch.setattr(scoring, "build", lambda path, **_: pytest.fail(path.read_text()))
    with pytest.raises(pytest.fail.Exception, match="scored by sample"):
        unitdb.score("efficientnet-lite0", data=tmp_path, releases=tmp_path)


def test_the_recipe_of_a_live_module_says_that_no_file_holds_it(score):
    recipe = score.release.path / "recipe.yaml"
    with pytest.raises(ModelError, match="was given as a live module, which no file holds"):
        build(recipe, releases=recipe.parent, data=score.release.path)
