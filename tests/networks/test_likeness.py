"""Networks without classes: by likeness, by BatchNorm, and by the library's own transform."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from unitdb.activations import LoadedModel, Preprocessing, beside_library, get_model, to_tensor
from unitdb.activations.factory import make_network
from unitdb.activations.networks import check_likeness, likeness, named, of_torchvision
from unitdb.activations.photographs import photograph

SHOWN = ("astronaut", "chelsea", "coffee", "rocket", "china", "flower")
RIGHT = Preprocessing(size=32, mean=(127.5,) * 3, std=(127.5,) * 3)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(likeness, "PHOTOGRAPHS", dict.fromkeys(SHOWN))


def seen_in_training(preprocessing) -> nn.Module:
    """A network whose BatchNorm has seen the photographs under a preprocessing."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 12, 5, 2),
        nn.BatchNorm2d(12, momentum=None),
        nn.ReLU(),
        nn.Conv2d(12, 16, 5, 2),
        nn.BatchNorm2d(16, momentum=None),
    )
    batch = torch.stack([to_tensor(photograph(name), preprocessing) for name in SHOWN])
    with torch.no_grad():
        network.train()(batch)
    return network.eval()


def loaded(network, stated, layers=None) -> LoadedModel:
    spec = get_model("efficientnet-lite0").model_copy(
        update={"preprocessing": stated, "check": None, "layers": layers or {"last": "4"}}
    )
    words = {"weights_sha256": "", "model_sha256": "", "checked_on": ()}
    return LoadedModel(spec=spec, module=network, layers=(), **words)


def better(network, stated) -> list[str]:
    return [one.how for one in check_likeness(loaded(network, stated)) if one.better]


@pytest.mark.robust(
    "networks",
    given="a network without classes whose mean, SD or size is stated wrongly",
    before='`models check`: "no class scores of ImageNet: nothing to check it by"',
    now="where it has BatchNorm, the right one is better: exit code 2",
)
@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ({"mean": (0, 0, 0), "std": (255,) * 3}, "from −1 to 1"),
        ({"mean": (0, 0, 0), "std": (1, 1, 1)}, "from −1 to 1"),
        ({"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}, "from −1 to 1"),
        ({}, None),
    ],
)
def test_another_mean_and_sd_are_found_by_moments(planted, found):
    stated = RIGHT.model_copy(update=planted)
    names = better(seen_in_training(RIGHT), stated)
    assert names == [] if found is None else found in names


def test_without_moments_nothing_is_told_apart_and_it_says_so():
    network = nn.Sequential(
        nn.Conv2d(3, 12, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    )
    answers = check_likeness(loaded(network, RIGHT, {"last": "3"}))
    assert all(np.isnan(one.divergence) and one.alike and not one.better for one in answers)
    assert {one.n_photographs for one in answers} == {len(SHOWN)}


def test_what_does_not_see_pictures_is_found():
    class Blind(nn.Module):
        def forward(self, x):
            return torch.ones(len(x), 4) + 1e-3 * (torch.arange(len(x)) % 2)[:, None]

    network = nn.Sequential(Blind())
    assert check_likeness(loaded(network, RIGHT, {"last": "0"}))[0].n_right == 0


@pytest.mark.robust(
    "networks",
    given="channel order, mean or size of a library's network read wrongly from its metadata",
    before="found in tests of some networks alone",
    now="`models check` holds all photographs to the library's own transform, for each network",
)
@pytest.mark.parametrize(
    "planted",
    [{"channels": "BGR"}, {"mean": (127.5,) * 3}, {"interpolation": "bicubic"}, {"resize": 240},
     {"fit": "centre-down"}],
)  # fmt: skip
def test_pictures_are_held_to_the_librarys_own(planted, monkeypatch):
    monkeypatch.setattr(named, "PHOTOGRAPHS", dict.fromkeys(("coffee", "rocket", "flower")))
    name = "torchvision/resnet18:random"
    assert beside_library(name) < 1e-5
    real = of_torchvision._preprocessing

    def wrong(*given, **words):
        right = real(*given, **words).model_dump() | planted
        return Preprocessing(**(right | {"crop": right["size"] / right["resize"]}))

    monkeypatch.setattr(of_torchvision, "_preprocessing", wrong)
    assert beside_library(name) > 1e-2


def test_what_has_no_library_is_beside_none():
    assert beside_library("efficientnet-lite0") is None
    assert beside_library("bdpy/vgg19:random") is None
    assert beside_library("timm/vit_tiny_patch16_224:random") < 1e-5


@pytest.mark.whole
def test_moments_of_a_trained_network(monkeypatch):
    monkeypatch.undo()  # all photographs
    spec = get_model("efficientnet-lite0")
    network = make_network(spec, folder=None, seed=0)
    answers = check_likeness(loaded(network, spec.preprocessing, {"head": "_bn1"}))
    assert answers[0].n_right == answers[0].n_photographs == 18
    away = {one.how: one.divergence for one in answers}
    right = away.pop("as stated")
    told = {how for how, value in away.items() if right < 0.8 * value}
    assert told == away.keys() - {"channels exchanged (BGR)", "from −1 to 1"}
