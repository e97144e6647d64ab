"""A network with its batch normalisation folded into the convolutions before it."""

from __future__ import annotations

import copy
from collections import Counter

import torch
from torch import fx, nn

from unitdb.nn.selected import SelectedActivations

__all__ = ["folded"]

_ALIKE = 1e-4


def folded(selected: SelectedActivations, images: torch.Tensor) -> nn.Module:
    """A copy for evaluation that gives the same activations but for rounding, sooner.

    A normalisation γ (x − μ) / σ + β of what a convolution alone gives is put into its weights and
    its bias. Whether a module's weights may be scaled so is not asked but tried: a convolution may
    do what it likes with its weights.

    Parameters
    ----------
    selected : SelectedActivations
        In evaluation mode.
    images : tensor of shape (n, channels, height, width)
        On which both are compared.

    Returns
    -------
    torch.nn.Module
        ``selected`` itself where nothing can be folded, or the activations would be others.
    """
    if not isinstance(selected.network, fx.GraphModule):
        return selected
    network = copy.deepcopy(selected.network).requires_grad_(False)
    modules = dict(network.named_modules())
    calls = [node for node in network.graph.nodes if node.op == "call_module"]
    times = Counter(node.target for node in calls)
    for norm in calls:
        before = norm.args[0] if norm.args else None
        if (
            isinstance(before, fx.Node)
            and before.op == "call_module"
            and times[norm.target] == times[before.target] == len(before.users) == 1
            and _folds(modules[str(before.target)], modules[str(norm.target)])
        ):
            norm.replace_all_uses_with(before)
            network.graph.erase_node(norm)
    network.recompile()
    with torch.no_grad():
        true, own = selected(images), network(images)
    near = torch.linalg.vector_norm(own - true) <= _ALIKE * torch.linalg.vector_norm(true)
    return network if bool(near) else selected


def _folds(convolution: nn.Module, norm: nn.Module) -> bool:
    """Put a normalisation into a convolution, where both are such."""
    if not isinstance(convolution, nn.Conv1d | nn.Conv2d | nn.Conv3d) or not isinstance(
        norm, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
    ):
        return False
    if norm.running_mean is None or norm.running_var is None:
        return False
    weight, bias = nn.utils.fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    convolution.weight, convolution.bias = weight, bias
    return True
