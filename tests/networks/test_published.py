"""Layers of published networks: units as published, and pictures as the laboratory has them."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from unitdb.activations import Preprocessing, get_model, load_model, to_tensor
from unitdb.activations.networks import get_weights, weights
from unitdb.activations.photographs import photograph
from unitdb.errors import ModelError
from unitdb.recipes import read_recipe

ROOT = Path(__file__).parents[2]
PIPELINES = ROOT / "pipelines"


def test_units_are_those_published():
    spec = importlib.util.spec_from_file_location("listing", ROOT / "docs/published_layers.py")
    listing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(listing)
    found = list(listing.rows())
    known = [row for row in found if row[4] is not None]
    assert len(known) > 50
    other = {row[0] for row in known if row[3] != row[4]}
    assert other == {f"torchvision/squeezenet1_{n}, BH scores" for n in (0, 1)}
    assert {"bdpy/alexnet", "bdpy/vgg19"} <= {row[0] for row in known}


def test_channels_of_caffe_are_blue_green_red():
    stated = get_model("bdpy/vgg19").preprocessing
    assert stated == Preprocessing(size=224, mean=(123, 117, 104), std=(1, 1, 1), channels="BGR")
    picture = photograph("coffee")
    usual = to_tensor(picture, stated.model_copy(update={"channels": "RGB"}))
    assert torch.equal(to_tensor(picture, stated), usual.flip(0))


def test_networks_in_rgb_stay_those_that_they_were():
    plain = Preprocessing(size=8, mean=(0, 0, 0), std=(1, 1, 1))
    assert [key for key, _ in plain.identity()] == ["size", "crop", "interpolation", "mean", "std"]


def test_weights_without_an_address_are_asked_for():
    with pytest.raises(ModelError, match="no address of them is known; name the file"):
        load_model(get_model("bdpy/alexnet"))


@pytest.mark.parametrize("member", ["VGG_ILSVRC_19_layers/VGG_ILSVRC_19_layers.pt", "other.pt"])
def test_weights_are_taken_out_of_their_archive(tmp_path, monkeypatch, member):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr(member, b"weights")
    answer = io.BytesIO(written.getvalue())
    monkeypatch.setattr(weights.urllib.request, "urlopen", lambda *_, **__: answer)
    spec = get_model("bdpy/vgg19")
    if member == "other.pt":
        with pytest.raises(ModelError, match="is no archive with VGG_ILSVRC"):
            get_weights(spec, data=tmp_path)
        assert not list(tmp_path.rglob("*.pt"))
    else:
        assert get_weights(spec, data=tmp_path).read_bytes() == b"weights"


@pytest.mark.parametrize("name", ["horikawa2019", "nonaka2021"])
def test_recipes_of_published_releases(name):
    recipe = read_recipe(PIPELINES / f"{name}.yaml")
    assert recipe.name == name
    for choice in recipe.models:
        assert choice.name.partition("/")[0] in ("bdpy", "torchvision")
    assert np.unique([choice.name for choice in recipe.models]).size == len(recipe.models)
