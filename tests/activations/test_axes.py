"""What the axes of a layer are is stated, clear, or an error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from tests.activations.conftest import write_model
from unitdb.activations import FeatureModel, load_features, load_model
from unitdb.axes import axes_problem, place_of
from unitdb.errors import ActivationsError, ModelError

VIT = """
import torch
from torch import nn


class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 2, stride=2)
        self.last = nn.Identity()
        self.block = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(8, 6), nn.ReLU())
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        x = self.patch(x)
        x = self.last(x.permute(0, 2, 3, 1)).flatten(1, 2)
        x = self.norm(self.mlp(self.block(x)))
        return self.head(x.mean(1))


def make():
    return Vit()
"""
CLEAR = {"patch": "patch", "block": "block", "norm": "norm", "head": "head"}


def test_layers_of_a_transformer_are_told_apart_where_it_is_clear(tmp_path):
    loaded = load_model(write_model(tmp_path, VIT, layers=CLEAR), folder=tmp_path)
    assert {layer.name: (layer.shape, layer.axes) for layer in loaded.layers} == {
        "patch": ((8, 2, 2), "CHW"),
        "block": ((4, 8), "TD"),
        "norm": ((4, 6), "TD"),
        "head": ((5,), "N"),
    }


@pytest.mark.robust(
    "networks",
    given="a layer of a transformer, or one that is channels-last, whose module does not say which "
    "axis is which",
    before="the first axis was taken for channels",
    now="an error that asks for `axes`",
)
@pytest.mark.parametrize(("path", "shape"), [("mlp", r"\(4, 6\)"), ("last", r"\(2, 2, 8\)")])
def test_what_is_not_clear_must_be_stated(tmp_path, path, shape):
    with pytest.raises(ModelError, match=f"layer 'x' has shape {shape}: say in the recipe"):
        load_model(write_model(tmp_path, VIT, layers={"x": path}), folder=tmp_path)
    right = {"mlp": "TD", "last": "HWC"}[path]
    for axes in (right, {"x": right}):
        spec = write_model(tmp_path, VIT, layers={"x": path}, axes=axes)
        assert load_model(spec, folder=tmp_path).layers[0].axes == right


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"patch": "HWC"}, "layer 'patch': axes are stated as 'HWC', and its module gives 'CHW'"),
        ({"block": "DT"}, "stated as 'DT', and its module gives 'TD'"),
        ({"block": "CHW"}, r"'CHW' has 3 axes, and the shape \(4, 8\) 2"),
        ({"head": "TD"}, r"'TD' has 2 axes, and the shape \(5,\) 1"),
        ({"norm": "HW"}, "has not one axis of channels"),
        ({"norm": "TT"}, "each once"),
        ({"norm": "CW"}, "one of H and W"),
    ],
)
def test_axes_that_cannot_be(tmp_path, axes, message):
    with pytest.raises(ModelError, match=message):
        load_model(write_model(tmp_path, VIT, layers=CLEAR, axes=axes), folder=tmp_path)


def test_axes_of_no_layer(tmp_path):
    with pytest.raises(ValidationError, match="axes of 'blok': no such layer"):
        write_model(tmp_path, VIT, layers=CLEAR, axes={"blok": "TD"})
    with pytest.raises(ValidationError, match="pattern"):
        write_model(tmp_path, VIT, layers=CLEAR, axes="rows")


def test_axes_are_part_of_the_identity(tmp_path):
    found = [
        load_model(write_model(tmp_path, VIT, layers=CLEAR, axes=axes), folder=tmp_path)
        for axes in (None, {"norm": "TD"})
    ]
    assert found[0].model_sha256 != found[1].model_sha256


@pytest.mark.parametrize(
    ("stored", "axes", "shape"),
    [
        ((1, 8, 3, 3), {"x": "CHW"}, (8, 3, 3)),
        ((8, 3, 3), {"x": "CHW"}, (8, 3, 3)),
        ((1, 3, 8), {"x": "HWC"}, (1, 3, 8)),
        ((1, 1, 3, 8), {"x": "HWC"}, (1, 3, 8)),
        ((1, 8), {"x": "TD"}, (1, 8)),
        ((1, 8), "TD", (8,)),
        ((1, 8), None, (8,)),
        ((4, 8), "TD", (4, 8)),
        ((4, 8), None, None),
        ((8, 3, 3), None, None),
        ((1, 8, 3, 3), {"x": "TD"}, None),
        ((2, 8, 3, 3), {"x": "CHW"}, None),
    ],
)
def test_features_state_their_axes(tmp_path, stored, axes, shape):
    (tmp_path / "f" / "x").mkdir(parents=True)
    np.save(tmp_path / "f" / "x" / "s.npy", np.zeros(stored, np.float32))
    spec = FeatureModel(
        name="m",
        title="t",
        features={"folders": ["f"], "format": "npy"},
        layers={"x": "x"},
        axes=axes,
        licence="l",
        source="s",
        citation="c",
    )
    if shape is None:
        with pytest.raises(ActivationsError, match=r"layer 'x'.*axes"):
            load_features(spec, folder=tmp_path)
    else:
        assert load_features(spec, folder=tmp_path).layers[0].shape == shape


@given(st.permutations("CHW"), st.tuples(*[st.integers(1, 5)] * 3))
def test_places_are_those_of_the_array_with_its_axes_exchanged(order, sizes):
    axes, shape = "".join(order), tuple(sizes["CHW".index(letter)] for letter in order)
    assert axes_problem(axes, shape) is None
    of_units = np.unravel_index(np.arange(np.prod(shape)), shape)
    for letter, expected in zip(order, of_units, strict=True):
        place = place_of(axes, shape, letter)
        found = np.arange(np.prod(shape)) // place.step % place.size
        np.testing.assert_array_equal(found, expected)


MOVED = """
import torch
from torch import nn


class Moved(nn.Module):
    def __init__(self, *order):
        super().__init__()
        self.order = order

    def forward(self, x):
        return x.permute(self.order) if x.ndim == len(self.order) else x.flatten(2).transpose(1, 2)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.Identity()

    def forward(self, x):
        x = x.flatten(2).reshape(len(x), 4, 4, 4)
        return self.weights((x @ x).softmax(-1)).sum(1)


def make(which):
    after = {
        "relu": lambda: (Moved(0, 2, 3, 1), nn.ReLU()),
        "pool": lambda: (Moved(0, 2, 3, 1), nn.AvgPool2d((1, 2))),
        "norm": lambda: (Moved(0), nn.BatchNorm1d(16)),
        "pool1": lambda: (Moved(0), nn.AdaptiveAvgPool1d(2)),
        "map": lambda: (Attention(), nn.Identity()),
        "plain": lambda: (nn.Identity(), nn.AvgPool2d((1, 2))),
        "bn": lambda: (nn.Identity(), nn.BatchNorm2d(4)),
        "square": lambda: (nn.ReLU(), nn.Dropout(0.1)),
    }
    return nn.Sequential(nn.Conv2d(3, 4, 1), *after[which]())
"""


def _moved(tmp_path, which: str, axes: str | None = None, path: str = "2"):
    spec = write_model(
        tmp_path, MOVED, layers={"x": path}, axes=axes, factory_options={"which": which}
    )
    return load_model(spec, folder=tmp_path).layers[0].axes


@pytest.mark.robust(
    "networks",
    given="(H, W, C) with as many channels as columns, attention maps (heads, T, T), pooling of "
    "channels-last maps, BatchNorm1d over tokens",
    before="CHW, or DT; stating HWC or TD was refused",
    now="an error that asks for `axes` where the network moves axes; what is stated counts, but "
    "against convolutions and transformers",
)
@pytest.mark.parametrize(
    ("which", "stated"),
    [("relu", "HWC"), ("pool", "HWC"), ("norm", "TD"), ("pool1", "TD"), ("map", "CHW")],
)
def test_axes_that_move_are_asked_for(tmp_path, which, stated):
    path = "1.weights" if which == "map" else "2"
    with pytest.raises(ModelError, match="say in the recipe which axis is which"):
        _moved(tmp_path, which, path=path)
    assert _moved(tmp_path, which, stated, path) == stated


@pytest.mark.parametrize("which", ["plain", "bn", "square"])
def test_axes_that_stay_behind_a_convolution(tmp_path, which):
    assert _moved(tmp_path, which) == "CHW"
    assert _moved(tmp_path, which, "HWC") == "HWC"


def test_groups_that_are_shuffled_leave_the_map(tmp_path):
    source = MOVED.replace("nn.Identity(), nn.BatchNorm2d(4)", "Shuffle(), nn.Identity()") + (
        "\n\nclass Shuffle(nn.Module):\n    def forward(self, x):\n"
        "        return x.unflatten(1, (2, 2)).transpose(1, 2).flatten(1, 2)\n"
    )
    spec = write_model(tmp_path, source, layers={"x": "2"}, factory_options={"which": "bn"})
    assert load_model(spec, folder=tmp_path).layers[0].axes == "CHW"
