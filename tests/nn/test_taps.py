"""Layers that are tapped: what the pipeline decodes of a module, units in torch take too."""

from __future__ import annotations

import pytest
import torch
from torch import nn as torch_nn

from tests.nn.conftest import images
from unitdb import nn
from unitdb.errors import ActivationsError, ModelError, UnknownLayerError


def everything(*shape: int) -> torch.Tensor:
    return torch.ones(*shape, dtype=torch.bool)


class Pair(torch_nn.Module):
    def forward(self, x):
        return x, 2 * x


class Tapped(torch_nn.Module):
    """Has a tuple, a module that runs twice, and what no module returns; and tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch_nn.Conv2d(3, 3, 1)
        self.relu = torch_nn.ReLU(inplace=True)
        self.pair = Pair()
        self.cls_token = torch_nn.Parameter(torch.randn(1, 1, 3))
        self.tokens = torch_nn.Identity()

    def forward(self, x):
        x = self.relu(self.conv(x)) - 1
        x = self.pair(self.relu(x))[1]
        tokens = x.flatten(2).transpose(1, 2)
        return self.tokens(torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], 1))


def of(network: Tapped, x: torch.Tensor) -> dict[str, torch.Tensor]:
    conv = network.conv(x)
    between = conv.relu() - 1
    last = 2 * between.relu()
    return {
        "abs(conv)": conv.abs(),
        "relu#2": between.relu(),
        "abs(relu#1)": conv.relu(),
        "input(pair)": between.relu(),
        "pair[0]": between.relu(),
        "pair[1]": last,
        "class(tokens)": network.cls_token.expand(len(x), 1, 3)[:, 0],
        "patches(tokens)": last.flatten(2).transpose(1, 2),
    }


@pytest.mark.robust(
    "networks",
    given="units of a release whose layers are tapped (`abs(0)`, `input(3)`, `PATH[0]`, `PATH#2`, "
    "`class(norm)`), in unitdb.nn",
    before="an error about an unknown module, with the advice to map the layer to a module, which "
    "has other activations",
    now="the same taps as in the pipeline, by hooks; where a module has another name, the advice "
    "keeps the tap",
)
@pytest.mark.parametrize("tapped", list(of(Tapped(), torch.zeros(1, 3, 5, 5))))
def test_a_tap_gives_what_the_pipeline_takes(tapped):
    network, batch = Tapped().eval(), images()
    true = of(network, batch)[tapped]
    selected = nn.SelectedActivations(
        network, {"layer": everything(*true.shape[1:])}, layers={"layer": tapped}
    )
    for _ in range(2):
        assert torch.equal(selected(batch), true.flatten(1))
    assert selected.why_hooks == f"TraceError: layer 'layer' is {tapped}: for hooks alone"
    assert torch.equal(
        nn.SelectedActivations(network, {tapped: everything(*true.shape[1:])})(batch),
        true.flatten(1),
    )
    with pytest.raises(ModelError, match="cannot be traced"):
        nn.SelectedActivations(network, {tapped: everything(*true.shape[1:])}, method="fx")


def test_advice_keeps_the_tap():
    with pytest.raises(UnknownLayerError, match=r"layers=\{'c': 'abs\(input\(MODULE\[1\]\)\)'\}"):
        nn.SelectedActivations(
            Tapped(), {"c": everything(3, 5, 5)}, layers={"c": "abs(input(con[1]))"}
        )
    with pytest.raises(ModelError, match=r"layer 'c': 'abs\(conv' is no place in a network"):
        nn.SelectedActivations(Tapped(), {"c": everything(3, 5, 5)}, layers={"c": "abs(conv"})
    with pytest.raises(ModelError, match=r"layer 'c': class.*no class token"):
        nn.SelectedActivations(
            torch_nn.Sequential(torch_nn.Identity()), {"c": everything(3)}, layers={"c": "class(0)"}
        )
    with pytest.raises(ActivationsError, match=r"no part \[2\]; there is: \[0\], \[1\]"):
        nn.SelectedActivations(Tapped(), {"pair[2]": everything(3, 5, 5)})(images())
    with pytest.raises(ModelError, match="no use #3"):
        nn.SelectedActivations(Tapped(), {"relu#3": everything(3, 5, 5)})(images())


def test_channels_of_absolute_values_are_pruned_where_they_are_made():
    network = torch_nn.Sequential(torch_nn.Conv2d(3, 2, 1), torch_nn.ReLU())
    mask = everything(2, 5, 5)
    mask[0] = False
    report = nn.prune(network, {"c": mask}, images=images(1), layers={"c": "abs(1)"})
    assert (report.layers[0].producer, report.layers[0].n_kept) == ("0", 1)
    with pytest.raises(ModelError, match=r"'input\(1\)'.*not what the module returns"):
        nn.prune(network, {"c": mask}, images=images(1), layers={"c": "input(1)"})


class Made(torch_nn.Module):
    def __init__(self, make) -> None:
        super().__init__()
        self.make = make

    def forward(self, x):
        return self.make(x)


@pytest.mark.robust(
    "networks",
    given="a module in unitdb.nn whose output has windows or tokens first, or is complex, sparse "
    "or quantised",
    before="more rows than images; the real part, without a word; or a traceback of torch",
    now="refused in the words in which the pipeline refuses it",
)
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("method", ["fx", "hooks"])
@pytest.mark.parametrize(
    ("make", "shape", "problem"),
    [
        (torch.fft.fft2, (3, 5, 5), "the activation is complex; it must be real"),
        (torch.Tensor.to_sparse, (3, 5, 5), "the activation is sparse or nested"),
        (
            lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8),
            (3, 5, 5),
            r"the activation is quantised; .* dequantize",
        ),
        (
            lambda x: x.unfold(2, 2, 2).flatten(0, 1),
            (2, 5, 2),
            r"the activation of \d images has shape \(\d+, 2, 5, 2\); its first axis must be",
        ),
    ],
    ids=["complex", "sparse", "quantised", "windows"],
)
def test_what_is_no_activation_is_refused(make, shape, problem, method):
    network = torch_nn.Sequential(Made(make)).eval()
    for run in (
        lambda: nn.SelectedActivations(network, {"0": everything(*shape)}, method=method)(images()),
        lambda: nn.brain_readout(network, {"0": everything(*shape)}, images()),
    ):
        with pytest.raises(ActivationsError, match=f"layer '0': {problem}"):
            run()


def test_each_later_batch_has_a_row_for_each_image():
    network = torch_nn.Sequential(Made(lambda x: x.transpose(0, 1))).eval()
    selected = nn.SelectedActivations(network, {"0": everything(2, 5, 5)})
    assert selected(torch.randn(3, 2, 5, 5)[:2].expand(2, 2, 5, 5)).shape == (2, 50)
    with pytest.raises(ActivationsError):
        selected(torch.randn(4, 2, 5, 5))
