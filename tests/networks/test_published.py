"""Layers of published networks: units as published, and pictures as the laboratory has them."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner

from tests.rarely import rarely
from unitdb.activations import (
    ModelSpec,
    Preprocessing,
    get_model,
    load_model,
    probed_network,
    to_tensor,
)
from unitdb.activations.factory import make_network
from unitdb.activations.layers import forward
from unitdb.activations.networks.published import NOT_MADE, published_networks
from unitdb.activations.photographs import photograph
from unitdb.cli import main
from unitdb.errors import ModelError
from unitdb.imports.bhscore_units import BHSCORE_UNITS
from unitdb.recipes import read_recipe
from unitdb.reference import bhscore_layers
from unitdb.specs import content_sha256
from unitdb.taps import find_tap

ROOT = Path(__file__).parents[2]
PIPELINES = ROOT / "pipelines"


@pytest.fixture(scope="module")
def listing():
    spec = importlib.util.spec_from_file_location("listing", ROOT / "docs/published_layers.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["listing"] = module  # where dataclasses look
    spec.loader.exec_module(module)
    yield module
    del sys.modules["listing"]


@pytest.fixture(scope="module")
def rows(listing):
    return list(listing.rows())


@pytest.mark.robust(
    "networks",
    given="`layers: bhscore` of DenseNet-121 to -201, Inception-v4, Inception-ResNet-v2, NASNet, "
    "PNASNet and MobileNet-v2-1.4",
    before="refused: 9 of the 29 published networks could be made",
    now="18 can, 433 published numbers of units equal; the other 11 are refused with the reason",
)
def test_units_are_those_published(listing, rows):
    known = [row for row in rows if row.published is not None]
    other = {(row.network, row.listed, row.layer) for row in known if not row.equal}
    squeezed = {one for one in other if one[0].startswith("torchvision/squeezenet1_")}
    assert {one[1] for one in squeezed} == {"BH scores"}
    assert other - squeezed == {("timm/mobilenetv2_140", "BH scores", "Logits")}
    assert len(known) - len(other) == 433
    assert {"bdpy/alexnet", "bdpy/vgg19"} <= {row.network for row in known if not row.listed}
    printed = (ROOT / "docs/published-layers.md").read_text()
    for line in (*map(str, rows), *listing.notes(), *listing.not_made(), *listing.sizes(rows)):
        assert line in printed


def test_every_published_network_can_be_made_or_says_why_not(rows):
    made = {published.dnn for published in published_networks().values()}
    assert not made & set(NOT_MADE)
    layers = bhscore_layers()
    assert made | set(NOT_MADE) == set(layers["dnn"])
    asked = [choice.name for choice in read_recipe(PIPELINES / "nonaka2021.yaml").models]
    assert len(asked) == len(made) == 18
    for name in asked:
        dnn = published_networks()[name].dnn
        names = [row.layer for row in rows if (row.network, row.listed) == (name, "BH scores")]
        assert names == [one.replace(":", ".") for one in layers[layers["dnn"] == dnn]["layer"]]


CORNET = """
from collections import OrderedDict
from torch import nn

class Area(nn.Module):
    def __init__(self, before, here, size=3, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(before, here, size, stride=stride, padding=size // 2)
        self.nonlin = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.output = nn.Identity()

    def forward(self, x):
        return self.output(self.pool(self.nonlin(self.conv(x))))

def make():
    decoder = OrderedDict(
        avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), linear=nn.Linear(512, 1000)
    )
    areas = OrderedDict(
        V1=Area(3, 64, 7, 2), V2=Area(64, 128), V4=Area(128, 256), IT=Area(256, 512)
    )
    return nn.Sequential(OrderedDict(**areas, decoder=nn.Sequential(decoder)))
"""


def test_a_published_network_is_made_by_an_own_factory(listing, tmp_path):
    """As docs/published-layers.md shows it; layers and units are those published."""
    (tmp_path / "cornet.py").write_text(CORNET)
    shown = yaml.safe_load(listing.NOT.partition("```yaml\n")[2].partition("```")[0])
    loaded = load_model(ModelSpec(**shown["own_models"][0]), folder=tmp_path)
    assert {one.name: one.n_units for one in loaded.layers} == BHSCORE_UNITS["CORnet-Z"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("timm/resnetv2_50", "TF-slim's ResNet v2, whose blocks halve the map in their last unit"),
        ("torchvision/resnet50", "published is ResNet v2"),
        ("torchvision/mobilenet_v2", "of width 1.4, timm/mobilenetv2_140"),
    ],
)
def test_networks_with_other_modules_are_refused_with_the_reason(name, why):
    with pytest.raises(ModelError, match=rf"\(.*{why}.*layers: bhscore is for bdpy/alexnet, "):
        get_model(name, layers="bhscore")


@pytest.mark.parametrize("n", [50, 101, 152])
def test_units_of_resnet_v2_have_other_sizes_in_timm(n):
    """TF-slim's last units of blocks 1 to 4 have sides of 28, 14, 7 and 7."""
    blocks = [f"stages.{stage}" for stage in range(4)]
    found = probed_network(f"timm/resnetv2_{n}:random", layers=blocks)[1]
    assert [one.shape[1:] for one in found] == [(56, 56), (28, 28), (14, 14), (7, 7)]


LARGE = [
    rarely("timm/inception_v4"),
    *(
        pytest.param(f"timm/{name}", marks=pytest.mark.whole)
        for name in ("nasnetalarge", "pnasnet5large")
    ),
]


@pytest.mark.parametrize(
    "name",
    [
        *("torchvision/densenet121", "timm/inception_resnet_v2", "timm/mobilenetv2_140"),
        *LARGE,
    ],
)
def test_published_layers_are_those_of_hooks_written_by_hand(name):
    spec = get_model(f"{name}:random", layers="bhscore")
    network = make_network(spec, folder=None, seed=0)
    modules = dict(network.named_modules())
    batch = to_tensor(photograph("chelsea"), spec.preprocessing)[None]
    taps = {layer: find_tap(modules, path, where="here") for layer, path in spec.layers.items()}
    hashed, given = {}, {}

    def sha(tensor):
        return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()

    def note(path, tensor):
        given[path] = sha(tensor)

    forward(network, batch, taps, lambda n, a: hashed.update({n: sha(a)}), where="here")
    for path, module in modules.items():
        kind = type(module).__name__
        if kind == "_DenseLayer":
            module.register_forward_pre_hook(
                lambda _, args, path=path: note(f"joined {path}", torch.cat(args[0], 1))
            )
        elif kind in ("Block35", "Block17", "Block8"):
            module.conv2d.register_forward_hook(
                lambda _m, _i, output, path=path: given.update({f"last {path}": output.clone()})
            )
            module.register_forward_hook(
                lambda module, args, _output, path=path: note(
                    f"sum {path}", given[f"last {path}"] * module.scale + args[0]
                )
            )
        module.register_forward_hook(
            lambda _m, _i, output, path=path: (
                note(path, output) or note(f"abs {path}", output.abs())
            )
        )
    with torch.inference_mode():
        network(batch)
    for layer, path in spec.layers.items():
        plain = re.sub(r"^(abs|input)\((.*)\)$", r"\2", path)
        if path.startswith("abs("):
            expected = given[f"abs {plain}"]
        elif path.startswith("input("):
            block, _, last = plain.rpartition(".")
            expected = given[f"{'joined' if last == 'norm1' else 'sum'} {block}"]
        else:
            expected = given[plain]
        assert hashed[layer] == expected, layer


def test_layers_that_were_known_stay_what_they_were():
    found = {
        (name, content_sha256(get_model(f"{name}:random", layers=layers).identity())[:16])
        for name, layers in (
            ("torchvision/resnet18", "bhscore"),
            ("torchvision/resnet18", ["layer1.0.relu#2", "abs(conv1)", "layer2.*.relu"]),
            ("timm/vit_tiny_patch16_224", ["blocks.?", "class(blocks.11)"]),
        )
    }
    assert found == {
        ("torchvision/resnet18", "6319bfd9b6ed66f1"),
        ("torchvision/resnet18", "23b353efbf777fe9"),
        ("timm/vit_tiny_patch16_224", "218cb619d52368bd"),
    }


def test_the_command_says_what_a_published_name_is_taken_for():
    asked = ["models", "layers", "torchvision/densenet121", "--layers", "bhscore"]
    printed = CliRunner().invoke(main, asked).output
    assert "input(features.denseblock1.denselayer2.norm1)" in printed
    said = "DenseNet-121 of the published BH scores: concat_B_I joins the outputs of layers 1 to I"
    assert said in printed


def test_channels_of_caffe_are_blue_green_red():
    stated = get_model("bdpy/vgg19").preprocessing
    assert stated == Preprocessing(size=224, mean=(123, 117, 104), std=(1, 1, 1), channels="BGR")
    picture = photograph("coffee")
    usual = to_tensor(picture, stated.model_copy(update={"channels": "RGB"}))
    assert torch.equal(to_tensor(picture, stated), usual.flip(0))


@pytest.mark.robust(
    "networks",
    given="`layers: [conv1, fc8]` of bdpy/alexnet: names of papers in place of paths",
    before="unknown layer 'conv1'; there are: features.0, …",
    now="these two layers, under these names",
)
def test_layers_are_chosen_by_the_names_of_papers():
    asked = get_model("bdpy/alexnet:random", layers=["fc8", "conv1"])
    assert asked.layers == {"conv1": "features.0", "fc8": "classifier.4"}
    paths = get_model("bdpy/alexnet:random", layers=["features.0", "classifier.*"]).layers
    assert list(paths) == ["features.0", *(f"classifier.{n}" for n in range(5))]
    scored = get_model("bdpy/alexnet:random", layers="bhscore").layers
    assert scored["conv1_abs"] == "abs(features.0)"


def test_networks_in_rgb_stay_those_that_they_were():
    plain = Preprocessing(size=8, mean=(0, 0, 0), std=(1, 1, 1))
    assert [key for key, _ in plain.identity()] == ["size", "crop", "interpolation", "mean", "std"]


@pytest.mark.parametrize("name", ["horikawa2019", "nonaka2021"])
def test_recipes_of_published_releases(name):
    recipe = read_recipe(PIPELINES / f"{name}.yaml")
    assert recipe.name == name
    for choice in recipe.models:
        assert choice.name.partition("/")[0] in ("bdpy", "torchvision", "timm")
    assert np.unique([choice.name for choice in recipe.models]).size == len(recipe.models)
