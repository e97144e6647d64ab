"""Digits reconstructed from one person: what ridge on pixels reaches, and floors do."""

from __future__ import annotations

import pytest

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
