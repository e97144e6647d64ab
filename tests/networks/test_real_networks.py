"""What blocks of real networks do: parts, uses, layouts of memory, precision, wrapped weights."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import nn

from unitdb.activations import ModelSpec, get_model, load_model, own_factory, own_module
from unitdb.errors import ModelError

SEEN = {"size": 16, "mean": [127, 127, 127], "std": [128, 128, 128]}


@dataclass
class Given:
    hidden: torch.Tensor
    weights: torch.Tensor


class Pair(NamedTuple):
    hidden: torch.Tensor
    weights: torch.Tensor


GIVES = {
    "dataclass": Given,
    "named tuple": Pair,
    "tuple": lambda hidden, weights: (hidden, weights),
    "dictionary": lambda hidden, weights: {"hidden": hidden, "weights": weights},
    "list": lambda hidden, weights: [hidden, weights],
}
PART = dict.fromkeys(GIVES, "0") | {"dataclass": "hidden", "dictionary": "hidden"}


class Block(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.relu(self.first(x))
        return GIVES[self.kind](x + self.relu(self.second(y)), y.mean((2, 3)))


class Network(nn.Module):
    def __init__(self, kind="tuple"):
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList([Block(kind), Block(kind)])
        self.fc = nn.Linear(3, 5)

    def forward(self, x):
        for block in self.blocks:
            given = block(x)
            x = given["hidden"] if isinstance(given, dict) else getattr(given, "hidden", None)
            x = given[0] if x is None else x
        return self.fc(x.mean((2, 3)))


def loaded(network, layers="auto"):
    spec, at_hand = own_module(network, name=None, layers=layers, preprocessing=SEEN)
    with at_hand:
        return load_model(spec)


@pytest.mark.robust(
    "networks",
    given="layers: auto of a network whose blocks return a dataclass",
    before="its blocks were passed over without a word: class scores alone were decoded",
    now="each block is a layer, by the name of the first part (blocks.0[hidden])",
)
@pytest.mark.parametrize("kind", GIVES)
def test_blocks_that_return_parts_are_layers(kind):
    found = {layer.module: layer.shape for layer in loaded(Network(kind)).layers}
    part = PART[kind]
    assert found == {f"blocks.0[{part}]": (3, 16, 16), f"blocks.1[{part}]": (3, 16, 16), "fc": (5,)}


def test_a_module_that_runs_twice_is_refused_by_name_or_each_use_is_a_layer():
    with pytest.raises(ModelError, match=r"'r' ran 2 times.*PATH#1 to PATH#2"):
        loaded(Network(), {"r": "blocks.0.relu"})
    found = loaded(Network(), ["blocks.0.relu", "fc"])
    assert [layer.name for layer in found.layers] == ["blocks.0.relu-1", "blocks.0.relu-2", "fc"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused_in_one_line(dtype):
    with pytest.raises(ModelError, match=r"weights are b?float16, pictures float32") as found:
        loaded(Network().to(dtype))
    assert "\n" not in str(found.value)


@pytest.mark.robust(
    "networks",
    given="an own network in half precision and `cast: float32`",
    before="refused; only another factory helped",
    now="run in single precision, its weights keeping their values; without the key refused",
)
def test_half_precision_is_cast_where_it_is_asked_for(tmp_path):
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\n\ndef make():\n    torch.manual_seed(0)\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(784, 5)).half()\n"
    )
    words = dict.fromkeys(("title", "licence", "source", "citation"), "none")
    given = {"name": "half", "factory": "net.py:make", "preprocessing": SEEN, "check": None}
    spec = ModelSpec(**given, **words, layers={"conv": "0"})
    with pytest.raises(ModelError):
        load_model(spec, folder=tmp_path)
    cast = load_model(spec.model_copy(update={"cast": "float32"}), folder=tmp_path)
    assert cast.layers[0].precision == "float32"
    weights = cast.module[0].weight
    assert torch.equal(weights, weights.half().float())
    assert "cast" not in dict(spec.identity())


def test_units_do_not_depend_on_the_layout_of_memory():
    plain, last = Network(), Network().to(memory_format=torch.channels_last)
    assert loaded(last).weights_sha256 == loaded(plain).weights_sha256
    assert [one.shape for one in loaded(last).layers] == [one.shape for one in loaded(plain).layers]


def test_dropout_that_no_mode_ends_is_refused():
    class Dropping(Network):
        def forward(self, x):
            return nn.functional.dropout(super().forward(x), 0.5)

    with pytest.raises(ModelError, match="Dropping"):
        loaded(Dropping())


@pytest.mark.parametrize(
    ("saved", "hint"),
    [
        (lambda state: {f"module.{key}": value for key, value in state.items()}, "DataParallel"),
        (lambda state: {"state_dict": state, "epoch": 3}, "under the key 'state_dict'"),
    ],
)
def test_wrapped_weights_say_what_to_save(tmp_path, saved, hint):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\ndef make():\n    return nn.Sequential(nn.Conv2d(3, 4, 3))\n"
    )
    state = nn.Sequential(nn.Conv2d(3, 4, 3)).state_dict()
    torch.save(saved(state), tmp_path / "w.pt")
    asked = {"folder": tmp_path, "name": None, "layers": "auto", "preprocessing": SEEN}
    with pytest.raises(ModelError, match=hint):
        own_factory("net.py:make", weights="w.pt", **asked)


def test_the_users_module_is_not_changed():
    network = Network().train()
    network.fc.weight.requires_grad_(False)
    loaded(network)
    assert network.training
    assert not network.fc.weight.requires_grad
    assert not any(module._forward_hooks for module in network.modules())


def test_preprocessing_of_a_known_network():
    spec, _ = own_module(Network(), name="n", layers="auto", preprocessing="efficientnet-lite0")
    assert spec.preprocessing == get_model("efficientnet-lite0").preprocessing


@pytest.mark.parametrize("name", ["grad_checkpointing", "gradient_checkpointing"])
def test_gradient_checkpointing_is_off_and_the_users_module_stays_as_it_is(name):
    network = Network()
    setattr(network.blocks[1], name, True)
    there = loaded(network)
    assert getattr(there.module.blocks[1], name) is False
    assert getattr(network.blocks[1], name) is True


def test_a_network_of_timm_that_checkpoints_has_the_activations_of_one_that_does_not():
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = timm.create_model("resnet10t", pretrained=False)
    seen = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = copy.deepcopy(network).eval()(seen)
    network.set_grad_checkpointing(True)
    there = loaded(network, layers=["fc"])
    with torch.no_grad():
        assert torch.equal(there.module(seen), expected)
    assert not there.module.grad_checkpointing
