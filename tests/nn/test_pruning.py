"""Pruned channels are 0 where the layer is, the others as they were, and the counts are true."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn as torch_nn
from torch.nn import functional
from torch.nn.utils import prune as torch_prune

from tests.nn.conftest import LAYERS, Branching, images, ready
from unitdb import col, nn
from unitdb.errors import ActivationsError, ModelError, QueryError, UnknownLayerError


class Deep(torch_nn.Module):
    """Convolution, normalisation, rectifier and pooling; a grouped convolution; a linear map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch_nn.Conv2d(3, 6, 3, padding=1)
        self.norm = torch_nn.BatchNorm2d(6)
        self.pool = torch_nn.MaxPool2d(2)
        self.depthwise = torch_nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False)
        self.group_norm = torch_nn.GroupNorm(2, 6)
        self.act = torch_nn.SiLU()
        self.fc = torch_nn.Linear(24, 5)

    def forward(self, x):
        x = self.pool(functional.relu(self.norm(self.conv(x))))
        x = self.act(self.group_norm(self.depthwise(x)))
        return self.fc(torch.flatten(x, 1))


SHAPES = {"conv": (6, 5, 5), "norm": (6, 5, 5), "pool": (6, 2, 2), "act": (6, 2, 2), "fc": (5,)}
PRODUCERS = {"conv": "conv", "norm": "conv", "pool": "conv", "act": "depthwise", "fc": "fc"}


@pytest.fixture
def deep() -> torch_nn.Module:
    return ready(Deep())


def holding(layer: str, channels: list[int]) -> dict[str, torch.Tensor]:
    """One unit in each of some channels of a layer."""
    mask = torch.zeros(SHAPES[layer], dtype=torch.bool).flatten(1 if len(SHAPES[layer]) > 1 else 0)
    if mask.ndim == 2:
        mask[channels, 1] = True
    else:
        mask[channels] = True
    return {layer: mask.reshape(SHAPES[layer])}


def output(network: torch_nn.Module, path: str, batch: torch.Tensor) -> torch.Tensor:
    found = []
    handle = network.get_submodule(path).register_forward_hook(
        lambda _m, _i, result: found.append(result.detach().clone())
    )
    network(batch)
    handle.remove()
    return found[0]


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("layer", SHAPES)
def test_channels_are_zero_in_the_layer_and_the_others_as_before(deep, layer, keep):
    batch = images()
    before = output(deep, layer, batch)
    report = nn.prune(deep, holding(layer, [1, 4]), images=batch, keep=keep)
    n_channels = SHAPES[layer][0]
    kept = [1, 4] if keep else [c for c in range(n_channels) if c not in (1, 4)]
    pruned = [c for c in range(n_channels) if c not in kept]
    after = output(deep, layer, batch)
    assert torch.equal(after[:, kept], before[:, kept]) or layer == "act"  # groups share moments
    assert not after[:, pruned].any()
    (row,) = report.layers
    assert (row.layer, row.producer) == (layer, PRODUCERS[layer])
    assert (row.n_channels, row.n_kept) == (n_channels, len(kept))


def test_parameters_and_flops_are_those_of_the_smaller_network(deep):
    report = nn.prune(deep, holding("conv", [0, 2, 5]), images=images(3))
    conv, depthwise, fc = 6 * 27 + 6, 6 * 9, 24 * 5 + 5
    norms = 4 * 6
    assert report.parameters_before == conv + depthwise + fc + norms
    # The layer is the convolution's own output: the normalisation behind it is not touched.
    assert report.parameters_after == report.parameters_before - (3 * 27 + 3)
    flops = {"conv": 2 * 6 * 25 * 27, "depthwise": 2 * 6 * 4 * 9, "fc": 2 * 24 * 5}
    assert report.flops_before == sum(flops.values())
    assert report.flops_after == report.flops_before - flops["conv"] // 2


def test_flops_are_per_image_and_change_no_mode(deep):
    deep.train()
    before = copy.deepcopy(deep.state_dict())
    assert nn.count_flops(deep, images(1)) == nn.count_flops(deep, images(5))
    assert deep.training
    assert all(torch.equal(before[key], value) for key, value in deep.state_dict().items())
    with pytest.raises(ActivationsError, match="there is none to run"):
        nn.count_flops(deep, images(0))


def test_normalisations_between_are_pruned_too(deep):
    report = nn.prune(deep, holding("norm", [0, 1, 2]), images=images())
    assert report.parameters_before - report.parameters_after == 3 * (27 + 1) + 3 * 2


def test_parameters_are_counted_once():
    shared = torch_nn.Linear(3, 3)
    network = torch_nn.Sequential(shared, shared)
    assert nn.count_parameters(network) == 12
    shared.bias.data[1] = 0
    assert nn.count_parameters(network) == 11


def test_masks_are_those_of_torch_and_can_be_made_permanent(deep):
    batch = images()
    nn.prune(deep, holding("conv", [0]), images=batch)
    assert torch_prune.is_pruned(deep)
    pruned = deep(batch)
    pruned.sum().backward()
    assert not deep.conv.weight_orig.grad[1:].any()
    for name in ("weight", "bias"):
        torch_prune.remove(deep.conv, name)
    assert torch.equal(deep(batch), pruned)
    assert not torch_prune.is_pruned(deep)
    assert torch.equal(copy.deepcopy(deep)(batch), pruned)


def test_pruning_again_prunes_more(deep):
    nn.prune(deep, holding("conv", [0, 1, 2]), images=images())
    report = nn.prune(deep, holding("conv", [2, 3]), images=images())
    weights = deep.conv.weight.flatten(1).any(dim=1)
    assert weights.nonzero().flatten().tolist() == [2]
    assert report.flops_after < report.flops_before


@pytest.mark.parametrize("quota", [0.01, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("keep", [True, False])
def test_quota_takes_the_best_channels(net, release, quota, keep):
    units = release.units(dataset="sim-a", roi="V4", layer="fc")
    ranked = units.to_pandas().sort_values("mean_r", ascending=False)["unit"].tolist()
    n = max(1, round(quota * 10))
    if n == 10 and not keep:
        with pytest.raises(QueryError, match="all of its 10 channels would be pruned"):
            nn.prune(net, units, images=images(), quota=quota, keep=keep)
        return
    nn.prune(net, units, images=images(), quota=quota, keep=keep, layers=LAYERS)
    left = net.fc.weight.any(dim=1).nonzero().flatten().tolist()
    assert left == sorted(ranked[:n] if keep else ranked[n:])


def test_the_score_is_the_mean_over_the_chosen_units_of_the_channel(net, release):
    units = release.units(dataset="sim-a", roi="V1", layer="conv1").where(col.n_subjects > 0)
    rows = units.to_pandas()
    means = rows["mean_r"].groupby(rows["unit"] // 9).mean()
    nn.prune(net, units, images=images(), quota=0.5, layers=LAYERS)
    assert net.features[0].weight.flatten(1).any(dim=1).tolist() == (means == means.max()).tolist()


def test_of_masks_channels_with_most_units_are_best_and_the_rest_come_last(deep):
    mask = torch.zeros(6, 5, 5, dtype=torch.bool)
    mask[4, 0, :3] = True
    mask[2, 0, 0] = True
    report = nn.prune(deep, {"conv": mask}, images=images(), quota=0.5)
    assert deep.conv.weight.flatten(1).any(dim=1).nonzero().flatten().tolist() == [0, 2, 4]
    assert report.layers[0].n_kept == 3


def test_a_quota_to_drop_leaves_channels_without_a_chosen_unit(deep):
    report = nn.prune(deep, holding("conv", [3]), images=images(), quota=0.5, keep=False)
    assert report.layers[0].n_kept == 5


class Shortcut(torch_nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch_nn.Conv2d(3, 3, 1)
        self.second = torch_nn.Conv2d(3, 3, 1)
        self.sum = torch_nn.Identity()
        self.mixed = torch_nn.Softmax(dim=1)
        self.plain = torch_nn.BatchNorm2d(3, affine=False)
        self.cat = torch_nn.Identity()
        self.twice = torch_nn.Conv2d(3, 3, 1)
        self.late = torch_nn.ReLU()
        self.start = torch_nn.Identity()

    def forward(self, x):
        x = self.first(self.start(x))
        y = self.sum(x + self.second(x))
        z = self.plain(self.first_again(y))
        return self.late(self.twice(self.twice(self.cat(torch.cat([self.mixed(z)], 1)))))

    def first_again(self, x):
        return torch.relu(x)


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        ("sum", r"a sum of several outputs \(a shortcut\)"),
        ("mixed", r"mixed \(Softmax\) may mix channels"),
        ("plain", "plain normalises without parameters"),
        ("cat", r"cat\(\) may mix channels"),
        ("late", "twice is used 2 times a pass"),
        ("twice", "runs 2 times a pass"),
        ("start", "it is the input"),
    ],
)
def test_a_producer_that_is_not_clear_is_refused_and_nothing_is_pruned(layer, why):
    network = ready(Shortcut())
    units = {name: torch.ones(3, 5, 5, dtype=torch.bool) for name in ("second", layer)}
    with pytest.raises(ModelError, match=rf"layer '{layer}' .* is not clear: .*{why}"):
        nn.prune(network, units, images=images())
    assert not torch_prune.is_pruned(network)


def test_channels_must_be_those_of_the_layer(net):
    with pytest.raises(ModelError, match=r"fc has 10 output channels, and the layer shape \(9,\)"):
        nn.prune(net, {"fc": torch.ones(9, dtype=torch.bool)}, images=images())


def test_an_untraceable_network_is_pruned_where_the_layer_is_the_convolution(units):
    network = ready(Branching())
    with pytest.raises(ModelError, match="Branching cannot be traced"):
        nn.prune(network, units, images=images(), layers=LAYERS)
    report = nn.prune(network, units, images=images(), layers={"conv1": "features.0"})
    assert [layer.producer for layer in report.layers] == ["features.0", "fc"]


def test_two_layers_of_the_same_channels_are_refused(deep):
    both = holding("conv", [1]) | holding("norm", [2])
    with pytest.raises(QueryError, match="'conv' and 'norm' have the same channels"):
        nn.prune(deep, both, images=images())
    assert not torch_prune.is_pruned(deep)


@pytest.mark.parametrize("quota", [0, -0.5, 1.5])
def test_a_quota_is_a_share(net, units, quota):
    with pytest.raises(QueryError, match="quota is a share"):
        nn.prune(net, units, images=images(), quota=quota)


def test_unknown_modules(net, units):
    with pytest.raises(UnknownLayerError, match="conv1"):
        nn.prune(net, units, images=images())


def test_the_report_prints_as_a_table(net, units):
    report = nn.prune(net, units, images=images(), layers=LAYERS)
    lines = str(report).splitlines()
    assert lines[0].split() == ["layer", "module", "channels", "kept"]
    assert lines[1].split()[:3] == ["conv1", "features.0", "2"]
    assert lines[-2].split() == [
        "parameters", f"{report.parameters_before:,}", f"{report.parameters_after:,}"
    ]  # fmt: skip
    assert lines[-1].split()[-2:] == [f"{report.flops_before:,}", f"{report.flops_after:,}"]


@pytest.mark.robust(
    "networks",
    given="`nn.prune` of a network with weight_norm, spectral_norm or another parametrisation, or "
    "with lazy modules that have not run",
    before="a TypeError of torch, and a network of which some layers were pruned",
    now="one error that says what to do; nothing is changed",
)
@pytest.mark.parametrize(
    "changed",
    [
        torch_nn.utils.parametrizations.weight_norm,
        torch_nn.utils.parametrizations.spectral_norm,
        torch_nn.utils.spectral_norm,
        pytest.param(
            torch_nn.utils.weight_norm,
            marks=pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`"),
        ),
    ],
)
def test_weights_that_are_computed_are_refused_before_anything_is_pruned(changed):
    network = torch_nn.Sequential(
        torch_nn.Conv2d(3, 4, 3), torch_nn.ReLU(), changed(torch_nn.Conv2d(4, 4, 3))
    ).eval()
    batch = torch.randn(1, 3, 8, 8)
    before, names = network(batch), [name for name, _ in network.named_parameters()]
    masks = {
        name: torch.zeros(4, size, size, dtype=torch.bool) for name, size in (("1", 6), ("2", 4))
    }
    for mask in masks.values():
        mask[:2] = True
    with pytest.raises(ModelError, match=r"layer '2': the weight of 2.*weight_norm"):
        nn.prune(network, masks, images=batch)
    assert torch.equal(network(batch), before)
    assert [name for name, _ in network.named_parameters()] == names


def test_lazy_modules_that_have_not_run_are_named():
    network = torch_nn.Sequential(torch_nn.LazyConv2d(4, 3), torch_nn.ReLU()).eval()
    mask = torch.zeros(4, 6, 6, dtype=torch.bool)
    mask[0] = True
    for run in (
        lambda: nn.count_parameters(network),
        lambda: nn.prune(network, {"1": mask}, images=torch.randn(1, 3, 8, 8)),
    ):
        with pytest.raises(ModelError, match="LazyConv2d '0' has no weights before it has run"):
            run()
    network(torch.randn(1, 3, 8, 8))
    assert nn.prune(network, {"1": mask}, images=torch.randn(1, 3, 8, 8)).layers[0].n_kept == 1
