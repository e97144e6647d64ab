"""A network with its batch normalisation folded into the convolutions before it."""

from __future__ import annotations

import copy
from collections import Counter

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from unitdb.nn.selected import SelectedActivations

__all__ = ["folded"]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_ALIKE = 1e-4


def folded(selected: SelectedActivations, images: torch.Tensor) -> nn.Module:
    """A copy for evaluation that gives the same activations but for rounding, sooner.

    A normalisation γ (x − μ) / σ + β of what a convolution alone gives is put into its weights and
    its bias. Whether the weights may be scaled so is not asked but tried: a convolution may do what
    it likes with them.

    Parameters
    ----------
    selected : SelectedActivations
        In evaluation mode.
    images : tensor of shape (n, channels, height, width)
        On which both are compared, layer by layer: noise, in which no weight goes unseen.

    Returns
    -------
    torch.nn.Module
        ``selected`` itself where nothing can be folded, or the activations would be others.
    """
    with torch.enable_grad():  # the copy is not tried any more
        selected.try_trace(images)
    if not isinstance(selected.network, fx.GraphModule) or any(
        map(_is_changed, selected.modules())
    ):
        return selected
    network = copy.deepcopy(selected.network).requires_grad_(False)
    modules = dict(network.named_modules())
    nodes = list(network.graph.nodes)
    calls = [node for node in nodes if node.op == "call_module"]
    times = Counter(node.target for node in calls)
    times.update(str(node.target).rpartition(".")[0] for node in nodes if node.op == "get_attr")
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
        true, own = selected.split(selected(images)), selected.split(network(images))
    return network if all(_alike(own[layer], true[layer]) for layer in true) else selected


def _is_changed(module: nn.Module) -> bool:
    """Whether something stands between a module's weights and what it gives: hooks, pruning."""
    if isinstance(module, _CONVOLUTIONS) and "weight" not in module._parameters:
        return True
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _alike(own: torch.Tensor, true: torch.Tensor) -> bool:
    size = torch.linalg.vector_norm(true)
    return bool(size > 0) and bool(torch.linalg.vector_norm(own - true) <= _ALIKE * size)


def _folds(convolution: nn.Module, norm: nn.Module) -> bool:
    """Put a normalisation into a convolution, where both are such."""
    if not isinstance(convolution, _CONVOLUTIONS) or not isinstance(norm, _NORMS):
        return False
    if type(norm) not in _NORMS:  # one that does more
        return False
    if norm.running_mean is None or norm.running_var is None:
        return False
    weight, bias = fuse_conv_bn_weights(
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
