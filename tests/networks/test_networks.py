"""Networks of torchvision and timm by name, with random weights."""

from __future__ import annotations

import hashlib
import io
import math
import urllib.request
from urllib.response import addinfourl

import numpy as np
import PIL.Image
import pytest
import torch
from pydantic import ValidationError

from unitdb.activations import ModelChoice, get_model, load_choice, load_model, to_tensor
from unitdb.activations.factory import make_network
from unitdb.activations.layers import forward
from unitdb.activations.models import NamedNetwork
from unitdb.activations.networks import get_weights, list_networks
from unitdb.activations.networks.named import probed_network
from unitdb.activations.photographs import photograph
from unitdb.errors import MissingExtraError, ModelError, UnknownLayerError, UnknownModelError
from unitdb.taps import find_tap, module_path

VGG19 = [3_211_264] * 2 + [1_605_632] * 2 + [802_816] * 4 + [401_408] * 4 + [100_352] * 4
"""Units of conv1_1 to conv5_4 as published (Horikawa et al. 2019)."""


def units(name: str, layers="auto") -> dict[str, int]:
    return {one.name: math.prod(one.shape) for one in probed_network(name, layers=layers)[1]}


def test_units_of_vgg19_are_those_published():
    assert list(units("torchvision/vgg19").values()) == [*VGG19, 4096, 4096, 1000]


@pytest.mark.parametrize(
    ("name", "first", "last", "n"),
    [
        ("torchvision/alexnet", "features.0 64×55×55 CHW", "classifier.6 1000", 8),
        ("torchvision/resnet50", "conv1 64×112×112 CHW", "fc 1000", 18),
        ("torchvision/densenet121", "features.conv0 64×112×112 CHW", "classifier 1000", 9),
        ("torchvision/inception_v3", "Conv2d_1a_3x3 32×149×149 CHW", "fc 1000", 17),
        ("torchvision/mobilenet_v2", "features.0 32×112×112 CHW", "classifier.1 1000", 20),
        ("torchvision/convnext_tiny", "features.0 96×56×56 CHW", "classifier.2 1000", 23),
        ("torchvision/vit_b_16", "conv_proj 768×14×14 CHW", "heads.head 1000", 14),
        ("torchvision/swin_t", "features.0.0 96×56×56 CHW", "head 1000", 17),
        ("timm/vit_tiny_patch16_224", "patch_embed 196×192 TD", "head 1000", 14),
        ("timm/resnet50", "conv1 64×112×112 CHW", "fc 1000", 18),
    ],
)
def test_layers_are_found_in_order(name, first, last, n):
    found = probed_network(name)[1]
    told = [f"{one.name} {'×'.join(map(str, one.shape))} {one.axes or ''}".strip() for one in found]
    assert (told[0], told[-1], len(told)) == (first, last, n)


def test_blocks_are_told_by_what_computed_them():
    gives = {one.name: one.gives for one in probed_network("torchvision/resnet18")[1]}
    assert gives["conv1"] == "linear"
    assert gives["layer1.0"] == "after ReLU"


def test_patterns_name_each_use_of_a_module():
    found = units("torchvision/resnet18", ["layer1.*.relu", "fc"])
    assert list(found) == ["layer1.0.relu-1", "layer1.0.relu-2", "layer1.1.relu-1",
                           "layer1.1.relu-2", "fc"]  # fmt: skip
    with pytest.raises(UnknownLayerError, match="'layer1'"):
        get_model("torchvision/resnet18", layers=["layr1"])
    with pytest.raises(UnknownLayerError, match="models layers torchvision/resnet18"):
        get_model("torchvision/resnet18", layers=["stage*"])


@pytest.mark.parametrize(
    ("name", "n"),
    [("resnet18", 6), ("resnet34", 6), ("vgg16", 9), ("vgg19", 9), ("squeezenet1_0", 10),
     ("squeezenet1_1", 10), ("inception_v3", 15), ("googlenet", 12)],
)  # fmt: skip
def test_published_layers_are_in_order(name, n):
    found = probed_network(f"torchvision/{name}", layers="bhscore")[1]
    assert len(found) == n
    assert found[0].name.endswith("_abs")
    assert found[0].tapped.startswith("abs(")
    assert math.prod(found[-1].shape) == 1000


@pytest.mark.parametrize("name", ["torchvision/alexnet", "torchvision/resnet50", "timm/resnet18"])
def test_published_layers_of_other_networks_are_refused(name):
    with pytest.raises(ModelError, match="layers: bhscore is for bdpy/alexnet, "):
        get_model(name, layers="bhscore")


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("torchvision/resnet18:random", ["layer1.0.relu#2", "layer2", "abs(conv1)"]),
        ("torchvision/squeezenet1_1:random", "bhscore"),
        ("timm/vit_tiny_patch16_224:random", ["blocks.0", "head"]),
    ],
)
def test_activations_are_those_of_hooks_written_by_hand(name, layers, tmp_path):
    spec = get_model(name, layers=layers)
    network = make_network(spec, folder=tmp_path, seed=0)
    batch = to_tensor(photograph("chelsea"), spec.preprocessing)[None]
    modules = dict(network.named_modules())
    ours, theirs = {}, {}
    taps = {n: find_tap(modules, path, where="here") for n, path in spec.layers.items()}
    forward(network, batch, taps, lambda n, a: ours.update({n: a.clone()}), where="here")
    for path in {module_path(each) for each in spec.layers.values()}:
        modules[path].register_forward_hook(
            lambda _m, _i, output, path=path: theirs.setdefault(path, []).append(output.clone())
        )
    with torch.inference_mode():
        network(batch)
    assert set(ours) == set(spec.layers)
    for layer, path in spec.layers.items():
        uses = theirs[module_path(path)]
        expected = uses[1] if "#2" in path else uses[0]
        assert torch.equal(ours[layer], expected.abs() if "abs(" in path else expected)


@pytest.mark.parametrize("name", ["resnet50", "inception_v3", "vit_b_16", "efficientnet_b1"])
def test_preprocessing_of_torchvision_is_its_own(name):
    from torchvision import models

    transforms = models.get_model_weights(name)["DEFAULT"].transforms()
    ours = get_model(f"torchvision/{name}").preprocessing
    for picture in ("chelsea", "rocket", "china"):
        pixels = photograph(picture)
        theirs = transforms(PIL.Image.fromarray(np.array(pixels)))
        assert torch.allclose(to_tensor(pixels, ours), theirs, atol=1e-5)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "resnet50", "efficientnet_lite0"])
def test_preprocessing_of_timm_is_its_own(name):
    import timm

    stated = timm.get_pretrained_cfg(name).to_dict()
    transforms = timm.data.create_transform(**timm.data.resolve_data_config(pretrained_cfg=stated))
    pixels = photograph("coffee")
    theirs = transforms(PIL.Image.fromarray(np.array(pixels)))
    ours = get_model(f"timm/{name}").preprocessing
    assert torch.allclose(to_tensor(pixels, ours), theirs, atol=1e-5)


def test_a_network_says_what_its_library_says():
    spec = get_model("torchvision/resnet50:IMAGENET1K_V1")
    assert isinstance(spec, NamedNetwork)
    assert spec.name == "resnet50-IMAGENET1K_V1"
    assert spec.citation.endswith("https://arxiv.org/abs/1512.03385")
    assert spec.download.sha256 == "0676ba61"
    assert spec.check.photographs["coffee"] == [967]
    assert sorted(spec.check.photographs["chelsea"]) == [281, 282, 285]
    assert get_model("timm/resnet50.a1_in1k").licence == "apache-2.0"
    assert get_model("timm/vit_tiny_patch16_224").check.photographs["motorcycle_left"] == [665, 670]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision/resnet51", "'resnet50'"),
        ("torchvision/resnet50:IMAGENET1K_V3", "'IMAGENET1K_V2'"),
        ("timm/resnet5o", "resnet50"),
        ("timm/resnet50.tv_in2k", "'resnet50.tv_in1k'"),
        ("nowhere/net", "there are: torchvision, timm, bdpy, transformers"),
    ],
)
def test_unknown_networks_name_the_nearest(name, message):
    with pytest.raises(UnknownModelError, match=message):
        get_model(name)


def test_networks_are_listed():
    assert "torchvision/resnet50" in list_networks("torchvision", "torchvision/resnet*")
    assert all("vit" in name for name in list_networks("timm", "*vit*"))


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_missing_library_names_its_extra(library, monkeypatch):
    from unitdb import extras

    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=rf"\[{library}\]"):
        get_model(f"{library}/resnet18")


def test_weights_that_are_not_here_say_what_gets_them(tmp_path):
    with pytest.raises(ModelError, match="unitdb models get torchvision/resnet18:IMAGENET1K_V1"):
        load_model(get_model("torchvision/resnet18"), data=tmp_path)


@pytest.fixture
def file(tmp_path):
    """Weights of squeezenet1_1, drawn with a seed."""
    spec = get_model("torchvision/squeezenet1_1:random", layers=["features.0"])
    torch.save(make_network(spec, folder=None, seed=0).state_dict(), tmp_path / "own.pth")
    return tmp_path / "own.pth"


def test_weights_are_downloaded_once_and_held_to_their_checksum(file, tmp_path, monkeypatch):
    content = file.read_bytes()
    asked = []

    def answer(url, timeout):
        asked.append(url)
        return addinfourl(io.BytesIO(content), {}, url)

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    spec = get_model("torchvision/squeezenet1_1", layers=["features.0"])
    with pytest.raises(ModelError, match="SHA-256"):
        get_weights(spec, data=tmp_path)
    assert not list((tmp_path / "networks").rglob("*.pth"))
    stated = spec.download.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()[:8]})
    spec = spec.model_copy(update={"download": stated, "check": None})
    path = get_weights(spec, data=tmp_path)
    assert get_weights(spec, data=tmp_path) == path
    assert len(asked) == 2
    loaded = make_network(spec, folder=None, seed=1, data=tmp_path).state_dict()
    state = torch.load(file, weights_only=True)
    assert torch.equal(loaded["features.0.weight"], state["features.0.weight"])
    path.write_bytes(content + b"more")
    with pytest.raises(ModelError, match="has changed or is damaged"):
        make_network(spec, folder=None, seed=1, data=tmp_path)


def test_own_weights_in_a_network_of_a_library(file, tmp_path):
    spec = get_model(
        "torchvision/squeezenet1_1", layers=["features.3", "features.0"], weights=file.name
    )
    assert (spec.name, spec.download) == ("squeezenet1_1-own", None)
    # Class scores come last, for the photographs.
    assert list(spec.layers) == ["features.0", "features.3", "scores"]
    state = make_network(spec, folder=tmp_path, seed=1).state_dict()
    stored = torch.load(file, weights_only=True)
    assert all(torch.equal(state[key], value) for key, value in stored.items())
    torch.save({f"module.{key}": value for key, value in state.items()}, file)
    with pytest.raises(ModelError, match=r"begin with 'module\.'.*network\.module"):
        make_network(spec, folder=tmp_path, seed=1)
    torch.save({"epoch": 3, "state_dict": dict(state)}, file)
    with pytest.raises(ModelError, match="under the key 'state_dict'"):
        make_network(spec, folder=tmp_path, seed=1)


def test_a_network_of_a_recipe(tmp_path):
    choice = ModelChoice(name="torchvision/mobilenet_v3_small:random", layers=["features.?"])
    model = load_choice(choice, (), folder=tmp_path, data=tmp_path, seed=0)
    assert [layer.name for layer in model.layers] == [f"features.{n}" for n in range(10)]
    assert model.spec.name == "mobilenet_v3_small-random"
    assert model.checked_on == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "efficientnet-lite0", "layers": "auto"},
        {"name": "efficientnet-lite0", "weights": "own.pth"},
        {"name": "torchvision/../resnet18"},
        {"name": "elsewhere/resnet18"},
        {"name": "torchvision/resnet18", "weights": "../own.pth"},
    ],
)
def test_what_no_network_can_be_chosen_by(wrong):
    with pytest.raises(ValidationError):
        ModelChoice(**wrong)
