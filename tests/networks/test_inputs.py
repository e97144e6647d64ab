"""Layers that are what goes into a module, held to hooks written by hand."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import nn

from unitdb.activations import (
    ModelSpec,
    Preprocessing,
    Stimuli,
    UnitSelection,
    extract,
    load_model,
    own_module,
    to_tensor,
)
from unitdb.activations.layers import forward
from unitdb.activations.networks.automatic import chosen_layers
from unitdb.activations.networks.probing import probe_network
from unitdb.errors import ActivationsError, ModelError, UnknownLayerError
from unitdb.taps import find_tap, module_path, wanted


class Joined(nn.Module):
    """A sum and a concatenation that no module returns; a ReLU in place, a module used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.other = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.pair = Pair()
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        summed = self.relu(self.conv(x) - self.other(x))
        joined = torch.cat([summed, self.relu(-self.conv.bias[:, None, None] - summed)], 1)
        return self.fc(self.pair(joined, 2.0, other=summed).mean((2, 3)))


class Pair(nn.Module):
    def forward(self, first, scale, *, other, mask=None):
        assert mask is None
        return first * scale + torch.cat([other, other], 1)


def tapped(network: nn.Module, batch: torch.Tensor, *paths: str) -> dict[str, torch.Tensor]:
    modules = dict(network.named_modules())
    taps = {path: find_tap(modules, path, where="here") for path in paths}
    found: dict[str, torch.Tensor] = {}
    forward(network, batch, taps, lambda name, a: found.update({name: a.clone()}), where="here")
    return found


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Joined().eval()


@pytest.mark.robust(
    "networks",
    given="a layer that no module returns: a sum before its ReLU, a concatenation within a block",
    before="'input(relu#1)' is no place in a network",
    now="`input(PATH)` is what goes into a module, also where that runs in place",
)
def test_what_goes_in_is_as_it_was_before_the_module_ran(network):
    batch = torch.randn(3, 3, 6, 6)
    found = tapped(
        network,
        batch,
        *("input(relu#1)", "abs(input(relu#2))", "relu#1", "input(pair[0])", "input(pair[other])"),
        *("input(fc)", "input()"),
    )
    with torch.inference_mode():
        before = network.conv(batch) - network.other(batch)
        summed = before.clamp_min(0)
        second = -network.conv.bias[:, None, None] - summed
        joined = torch.cat([summed, second.clamp_min(0)], 1)
    assert (before < 0).any()  # which ReLU, in place, sets to 0
    assert torch.equal(found["input(relu#1)"], before)
    assert torch.equal(found["abs(input(relu#2))"], second.abs())
    assert torch.equal(found["relu#1"], summed)
    assert torch.equal(found["input(pair[0])"], joined)
    assert torch.equal(found["input(pair[other])"], summed)
    assert torch.equal(found["input()"], batch)
    assert found["input(fc)"].shape == (3, 8)


@pytest.mark.robust(
    "networks",
    given="`input(PATH)` of a module that takes several tensors, or none",
    before="no key",
    now="an error that names the inputs with their shapes; `input(PATH[1])`, `input(PATH[NAME])`",
)
def test_inputs_that_are_not_clear_are_refused(network):
    batch = torch.randn(2, 3, 6, 6)
    with pytest.raises(ActivationsError, match=r"several inputs.*\[0\] 2×8×6×6, \[other\] 2×4×6×6"):
        tapped(network, batch, "input(pair)")
    with pytest.raises(ActivationsError, match=r"no part \[1\]; there is: \[0\], \[other\]"):
        tapped(network, batch, "input(pair[1])")
    with pytest.raises(ModelError, match=r"ran 2 times.*PATH#1 to PATH#2"):
        tapped(network, batch, "input(relu)")
    for wrong in ("input(abs(fc))", "input(fc", "input(input(fc))", "output(fc)"):
        with pytest.raises(ModelError, match=r"is no place in a network; it is .*input\(PATH\)"):
            tapped(network, batch, wrong)
    with pytest.raises(UnknownLayerError, match="'relu'"):
        tapped(network, batch, "input(rely)")


def test_a_module_that_takes_no_tensor_has_no_input():
    class Made(nn.Module):
        def forward(self, n: int):
            return torch.zeros(n, 2)

    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.made = Made()

        def forward(self, x):
            return self.made(len(x)) + x.mean((1, 2, 3))[:, None]

    with pytest.raises(ActivationsError, match="no tensor goes into the module"):
        tapped(Around(), torch.zeros(2, 3, 4, 4), "input(made)")


def test_layers_are_listed_with_shape_order_and_what_made_them(network):
    probed = probe_network(network, size=6, where="here")
    found = chosen_layers(
        probed,
        ["input(relu)", "fc", "input(f?)", "abs(input(relu#2))", "relu", "input(pair)"],
        called="here",
        origin="here",
    )
    told = [(one.name, one.shape, one.gives) for one in found]
    assert told == [
        ("relu-1_input", (4, 6, 6), "input, sub"),
        ("relu-1", (4, 6, 6), "after ReLU"),
        ("relu-2_input", (4, 6, 6), "input, sub"),
        ("relu-2_input_abs", (4, 6, 6), "absolute values, input, sub"),
        ("relu-2", (4, 6, 6), "after ReLU"),
        ("pair_input", (8, 6, 6), "input, concatenation"),
        ("fc_input", (8,), "input, mean over places"),
        ("fc", (5,), "linear"),
    ]
    assert [one.tapped for one in found][-3:-1] == ["input(pair[0])", "input(fc)"]
    with pytest.raises(UnknownLayerError, match="the modules that run in here"):
        chosen_layers(probed, ["input(nowhere)"], called="here", origin="here")
    with pytest.raises(ModelError, match=r"'input\(abs\(fc\)\)' is no place in a network"):
        chosen_layers(probed, ["input(abs(fc))"], called="here", origin="here")


@pytest.mark.robust(
    "networks",
    given="two layers that would have one name in the database: modules `_fc` and `fc`",
    before="the second took the place of the first, silently",
    now="an error that names both",
)
def test_two_layers_have_two_names():
    class Twice(nn.Sequential):
        def __init__(self) -> None:
            super().__init__()
            self._fc, self.fc = nn.Linear(12, 3), nn.Linear(3, 2)

        def forward(self, x):
            return self.fc(self._fc(x.flatten(1)))

    seen = {"size": 2, "mean": [0, 0, 0], "std": [1, 1, 1]}
    spec, _ = own_module(Twice(), name="net", layers=["_fc"], preprocessing=seen)
    assert spec.layers == {"fc": "_fc"}
    with pytest.raises(ModelError, match=r"'_fc' and 'fc' would both be called 'fc'"):
        own_module(Twice(), name="net", layers="auto", preprocessing=seen)


def test_what_is_no_tensor_does_not_count():
    from unitdb.taps import goes_in

    @dataclass
    class Options:
        heads: int
        late: int = field(init=False)

    x = torch.zeros(2)
    assert goes_in((x, 3, None), {"options": Options(2)}) is x
    assert list(goes_in((3, x), {"mask": [x]})) == ["1", "mask"]
    assert goes_in(([x, x],), {}) == [x, x]
    assert goes_in((), {}) == {}


def test_names_of_places_are_taken_apart():
    from unitdb.taps import of_input

    assert module_path("abs(input(a.b#2[0]))") == "a.b"
    assert wanted("abs(input(a.b))") == "abs"
    assert (of_input("input(a)"), of_input("abs(a)"), of_input("a.input")) == (True, False, False)


@pytest.mark.parametrize("memory_efficient", [False, True])
def test_concatenations_of_densenet_are_those_of_hooks(memory_efficient):
    """Also where it computes them twice to spare memory, and gradients are asked for."""
    from torchvision.models import DenseNet

    torch.manual_seed(0)
    network = DenseNet(8, (2, 3), 16, num_classes=4, memory_efficient=memory_efficient).eval()
    inner = network.features.denseblock2
    batch = torch.randn(2, 3, 32, 32)
    expected = []
    hook = inner.denselayer3.register_forward_pre_hook(
        lambda _, args: expected.append(torch.cat(args[0], 1).clone())
    )
    with torch.inference_mode():
        network(batch)
    hook.remove()
    path = "input(features.denseblock2.denselayer3.norm1)"
    found = tapped(network, batch, path)[path]
    assert torch.equal(found, expected[0])
    probed = probe_network(network, size=32, where="here")
    (layer,) = chosen_layers(probed, {"concat_3_2": path}, called="here", origin="here")
    assert layer.shape == found.shape[1:]
    assert (layer.axes, layer.gives) == ("CHW", "input, concatenation")


FACTORY = """
import torch
from torchvision.models import DenseNet

def make():
    return DenseNet(8, (2, 3), 16, num_classes=4)
"""


def test_inputs_are_layers_of_own_networks(tmp_path):
    (tmp_path / "small.py").write_text(FACTORY)
    path = "input(features.denseblock2.denselayer3.norm1)"
    spec = ModelSpec(
        name="small",
        title="A small DenseNet",
        factory="small.py:make",
        preprocessing=Preprocessing(size=32, mean=(127, 127, 127), std=(128, 128, 128)),
        layers={"conv1": "abs(features.conv0)", "concat_3_2": path, "fc": "classifier"},
        licence="none",
        source="random weights",
        citation="none",
        check=None,
    )
    loaded = load_model(spec, folder=tmp_path)
    assert [(one.module, one.shape, one.axes) for one in loaded.layers][1:] == [
        (path, (32, 4, 4), "CHW"),
        ("classifier", (4,), "N"),
    ]
    pictures = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    stimuli = Stimuli(("a", "b", "c"), ("a", "b", "c"), pictures.__getitem__)
    store = extract(loaded, stimuli, folder=tmp_path / "store", units=UnitSelection(sample=None))
    batch = torch.stack([to_tensor(picture, spec.preprocessing) for picture in pictures])
    with torch.inference_mode():
        features = loaded.module.features
        passed = features[:6](batch)  # conv, norm, ReLU, pool, block, transition
        block = features.denseblock2
        joined = [passed]
        for layer in (block.denselayer1, block.denselayer2):
            joined.append(layer(joined))
        expected = torch.cat(joined, 1).flatten(1).numpy()
    found = store.block("concat_3_2", 0, store.n_units("concat_3_2"))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
