"""Digits reconstructed from one person: what ridge on pixels reaches, and floors do."""

from __future__ import annotations

import pytest
import yaml

import unitdb
from tests.acceptance.conftest import ROOT
from unitdb.pipeline import build


@pytest.fixture(scope="module")
def scores(realdata, tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    text = (ROOT / "pipelines" / "digits69-reconstruction.yaml").read_text()
    methods = text.split("reconstruction:\n")[1].split("  - name: ridge-test")[0]
    text = text.split("reconstruction:\n")[0] + "reconstruction:\n" + methods
    text = text.replace("controls: 10", "controls: 2").replace("sample: 500", "sample: 20")
    recipe = folder / "recipe.yaml"
    recipe.write_text(text.replace("[{name: efficientnet-lite0-112}]", ONE_LAYER))
    release = unitdb.open(build(recipe, data=realdata, releases=folder / "releases"))
    return release.reconstructions("ridge").scores.set_index(["source", "metric"])


ONE_LAYER = "[{name: efficientnet-lite0-112, layers: [stem]}]"


@pytest.mark.slow
def test_ridge_tells_a_hundred_digits_apart_within_their_class_too(scores):
    value = scores["value"]
    assert scores.loc[("brain", "identification"), "n_images"] == 100
    assert value["brain", "identification"] >= 0.90
    assert value["brain", "identification_raw"] >= 0.88
    assert value["brain", "identification_within"] >= 0.82
    assert scores.loc[("brain", "identification"), "low"] > 0.9
    assert value["brain", "pixel_r"] == pytest.approx(0.73, abs=0.03)
    assert value["brain", "ssim"] > value["mean", "ssim"] + 0.1
    assert value["projection", "identification"] > 0.98


@pytest.mark.slow
def test_shuffled_brains_and_what_knows_the_class_alone_are_told_apart(scores):
    value = scores["value"]
    assert 0.40 < value["shuffled", "identification_within"] < 0.58
    assert 0.40 < value["shuffled", "identification"] < 0.58
    assert value["shuffled", "pixel_r"] > 0.45  # as all digits have the same middle
    assert value["class-mean", "identification"] == pytest.approx(0.725, abs=0.03)
    chance = scores.loc[("brain", "identification"), "category_chance"]
    assert value["brain", "identification"] > chance + 0.1
    assert (
        value["nearest-training", "identification_within"] < value["brain", "identification_within"]
    )


@pytest.fixture(scope="module")
def learned(realdata, tmp_path_factory):
    folder = tmp_path_factory.mktemp("learned")
    text = (ROOT / "pipelines" / "digits69-reconstruction.yaml").read_text()
    head, methods = text.split("reconstruction:\n")
    methods = "  - name: end-to-end" + methods.split("  - name: end-to-end")[1]
    methods = methods.split("  - name: random-units")[0]
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        head.replace("sample: 500", "sample: 20").replace(
            "[{name: efficientnet-lite0-112}]", ONE_LAYER
        )
        + f"reconstruction:\n{methods}"
    )
    release = unitdb.open(build(recipe, data=realdata, releases=folder / "releases"))
    scores = release.reconstructions().scores
    return scores.set_index(["method", "source", "metric"])["value"]


@pytest.mark.whole
def test_a_network_from_voxels_to_digits_beats_what_the_class_tells(learned):
    brain = learned["end-to-end", "brain"]
    assert brain["identification"] >= 0.92
    assert brain["identification_within"] >= 0.87
    assert brain["ssim"] >= 0.5
    assert 0.40 < learned["end-to-end", "shuffled", "identification_within"] < 0.58


@pytest.mark.whole
def test_more_training_pictures_are_better(learned):
    rates = [learned[f"end-to-end-{n}", "brain", "identification"] for n in (15, 30, 60)]
    assert rates[0] < rates[-1]
    assert rates[0] > 0.6


@pytest.mark.whole
def test_photographs_are_reconstructed_from_the_mean_of_fifteen_people(realdata, tmp_path):
    """Every fourth picture; docs/results.md has all, and people alone."""
    asked = yaml.safe_load((ROOT / "pipelines" / "algonauts92-reconstruction.yaml").read_text())
    asked["units"]["sample"] = 20
    asked["reconstruction"] = [
        spec | {"subjects": ["mean"], "images": 23, "controls": 2}
        for spec in asked["reconstruction"]
        if spec["name"] in ("ridge", "six-layers", "deep-layers")
    ]
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(asked))
    release = unitdb.open(build(recipe, data=realdata, releases=tmp_path / "releases"))
    scores = release.reconstructions().scores.set_index(["method", "source", "metric"])
    value = scores["value"]
    brain = value["six-layers", "brain"]
    assert brain["identification"] >= 0.77
    assert brain["centred_r"] >= 0.28
    assert 0.40 < value["six-layers", "shuffled", "identification"] < 0.60
    assert value["six-layers", "recovery", "identification"] >= 0.98
    assert brain["identification"] >= value["deep-layers", "brain", "identification"] + 0.08
    assert scores.loc[("six-layers", "brain", "identification_early"), "over_ridge_low"] > 0
