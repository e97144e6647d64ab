"""Normalisation folded into convolutions: the same activations, or none is folded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import BatchNorm2d, Conv2d, Module, ReLU, Sequential, functional
from torch.nn.utils import parametrizations, prune

from unitdb import nn
from unitdb.nn.folding import folded


class Standardised(Conv2d):
    """Whose weights may not be scaled: it does that itself."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        weight = self.weight / self.weight.flatten(1).std(dim=1).view(-1, 1, 1, 1)
        return torch.nn.functional.conv2d(images, weight, self.bias)


class Twice(Sequential):
    """Whose first convolution is seen with and without its normalisation."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raw = self[0](images)
        return self[3](self[2](self[1](raw)) + raw)


class Repeated(Sequential):
    """Whose first convolution runs twice."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = self[1](self[0](images))
        return self[3](self[2](first + self[0](images)))


class Borrowed(Sequential):
    """Whose first convolution lends its weights."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        lent = functional.conv2d(images, self[0].weight)
        return self[3](self[2](self[1](self[0](images))) + lent)


class Rectified(BatchNorm2d):
    """A normalisation that does more."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images).relu()


def hooked() -> Module:
    network = make()
    network[1].register_forward_hook(lambda _m, _i, output: output.clamp(-1, 1))
    return network


def pruned() -> Module:
    network = make()
    prune.random_unstructured(network[0], "weight", 0.5)
    return network


def of_norm_one() -> Module:
    network = make()
    parametrizations.spectral_norm(network[0])
    return network.eval()


def dead() -> Module:
    network = make()
    torch.nn.init.zeros_(network[3].weight)
    torch.nn.init.zeros_(network[3].bias)
    return network


def make(kind=Sequential, convolution=Conv2d, normalisation=BatchNorm2d, **options) -> Module:
    torch.manual_seed(0)
    norm = normalisation(5, **options)
    network = kind(convolution(3, 5, 3, bias=False), norm, ReLU(inplace=True), Conv2d(5, 4, 3))
    with torch.no_grad():
        for tensor in norm.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 2)
    return network.eval()


def chosen(network: Module, *layers: str) -> nn.SelectedActivations:
    shapes = {"0": (5, 6, 6), "1": (5, 6, 6), "3": (4, 4, 4)}
    masks = {layer: torch.ones(shapes[layer], dtype=torch.bool) for layer in layers}
    return nn.SelectedActivations(network, masks).eval()


def norms_left(module: Module) -> int:
    graph = (module.network if isinstance(module, nn.SelectedActivations) else module).graph
    modules = dict(graph.owning_module.named_modules())
    return sum(
        isinstance(modules[node.target], BatchNorm2d)
        for node in graph.nodes
        if node.op == "call_module"
    )


IMAGES = torch.linspace(-2, 2, 2 * 3 * 8 * 8).view(2, 3, 8, 8).sin()


@pytest.mark.parametrize("options", [{}, {"affine": False}], ids=str)
@pytest.mark.parametrize("layers", [("1",), ("3",), ("1", "3")], ids=str)
def test_activations_and_gradients_are_the_same_but_for_rounding(options, layers):
    selected = chosen(make(**options), *layers)
    before = {name: tensor.clone() for name, tensor in selected.state_dict().items()}
    quick = folded(selected, IMAGES)
    assert norms_left(selected) == 1
    assert norms_left(quick) == 0
    gradients = []
    for module in (selected, quick):
        images = IMAGES.clone().requires_grad_()
        activations = module(images)
        gradients.append(torch.autograd.grad(activations.square().sum(), images)[0])
        torch.testing.assert_close(activations, selected(IMAGES))
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)
    for name, tensor in selected.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize(
    ("network", "layers"),
    [
        (make(), ("0", "3")),
        (make(Twice), ("3",)),
        (make(Repeated), ("3",)),
        (make(track_running_stats=False), ("3",)),
        (make(convolution=Standardised), ("3",)),
        (make(Borrowed), ("3",)),
        (make(normalisation=Rectified), ("3",)),
        (hooked(), ("3",)),
        (pruned(), ("3",)),
        (of_norm_one(), ("3",)),
        (dead(), ("3",)),
    ],
    ids=[
        *("convolution chosen", "used twice", "run twice", "no statistics", "weights scaled"),
        *("weights lent", "more than a norm", "hooked", "pruned", "of norm one", "dead"),
    ],
)
def test_what_would_give_others_is_left_alone(network, layers):
    selected = chosen(network, *layers)
    quick = folded(selected, IMAGES)
    assert norms_left(quick) == 1
    assert torch.equal(quick(IMAGES), selected(IMAGES))


def test_networks_that_cannot_be_traced_are_taken_as_they_are():
    selected = nn.SelectedActivations(
        make(), {"3": torch.ones(4, 4, 4, dtype=torch.bool)}, method="hooks"
    ).eval()
    assert folded(selected, IMAGES) is selected


@pytest.mark.parametrize("network", [make(convolution=Standardised), hooked(), pruned()])
def test_pictures_sought_together_are_of_the_network_as_it_is(network):
    """Of one whose input is 0 for the grey that all pictures begin with, too."""
    masks = {"3": torch.ones(4, 4, 4, dtype=torch.bool)}
    scale = {"mean": (127.5,) * 3, "std": (128.0,) * 3}
    look = nn.Transform(size=8, crop=1.0, interpolation="bilinear", **scale)
    with torch.no_grad():
        targets = chosen(network, "3")(IMAGES)
    options = {"transform": look, "steps": 20}
    alone = nn.invert(network, masks, targets, **options)
    together = nn.invert(network, masks, targets, batch=2, **options)
    np.testing.assert_allclose(together.loss, alone.loss, rtol=1e-3)
