"""Small networks, one of them that of the tiny release."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import unitdb
from unitdb import col

LAYERS = {"conv1": "features.1", "fc": "fc"}
IMAGE = (3, 5, 5)


class Net(nn.Module):
    """Layers of the tiny release: conv1 (2, 3, 3), after a normalisation, and fc (10,)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 2, 3),
            nn.BatchNorm2d(2),
            nn.ReLU(inplace=True),  # overwrites the layer before it
        )
        self.fc = nn.Linear(18, 10)
        self.tail = Counted(nn.Linear(10, 4))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = functional.dropout(self.features(images), 0.5, self.training)
        return self.tail(self.fc(hidden.flatten(1)))


class Counted(nn.Module):
    """Counts how often it runs."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.runs = 0
        self.register_forward_pre_hook(self._count)

    def _count(self, _module: nn.Module, _input: object) -> None:
        self.runs += 1

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.module(values)


class Branching(Net):
    """Cannot be traced: what runs depends on values of the input."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.sum() > 1e9:
            images = -images
        return super().forward(images)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def net() -> Net:
    """In evaluation mode, with statistics of normalisation that are not 0 and 1."""
    return ready(Net())


def ready(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            for value in [*module.parameters(), *module.buffers()]:
                if value.is_floating_point():
                    value.data.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="session")
def release(tiny_release):
    return unitdb.open(tiny_release)


@pytest.fixture
def units(release):
    """Fifteen units of both layers, one row each."""
    return release.units(dataset="sim-a", roi="V4").where(col.n_subjects > 0).top(15)


def images(n: int = 4) -> torch.Tensor:
    return torch.randn(n, *IMAGE)


def reference(network: nn.Module, batch: torch.Tensor, units, layers=LAYERS) -> torch.Tensor:
    """Columns of chosen units, by plain hooks that copy."""
    rows = units.to_pandas()
    kept = {}
    for layer, path in layers.items():
        network.get_submodule(path).register_forward_hook(
            lambda _m, _i, output, layer=layer: kept.__setitem__(layer, output.clone().flatten(1))
        )
    network(batch)
    for path in layers.values():
        network.get_submodule(path)._forward_hooks.clear()
    chosen = {layer: sorted(set(rows.loc[rows["layer"] == layer, "unit"])) for layer in layers}
    return torch.cat([kept[layer][:, chosen[layer]] for layer in layers], dim=1)
