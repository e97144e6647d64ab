"""The convolution or linear map whose output channels are the channels of a layer."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from unitdb.errors import ModelError
from unitdb.nn.passes import LayerTracer
from unitdb.nn.unchanged import unchanged
from unitdb.nn.wiring import WiredLayer
from unitdb.taps import module_path

__all__ = ["Producer", "find_producers"]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm)
# Each channel by itself, and 0 stays 0.
_ZERO_STAYS = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU),
    *(nn.Mish, nn.Hardswish, nn.Tanh, nn.Hardtanh, nn.Softsign, nn.Identity),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
)
_ZERO_STAYS_FUNCTIONS: set[Callable[..., Any] | str] = {
    *(functional.relu, functional.relu6, functional.leaky_relu, functional.elu, functional.selu),
    *(functional.gelu, functional.silu, functional.mish, functional.hardswish, functional.tanh),
    *(functional.dropout, functional.dropout2d, functional.max_pool2d, functional.avg_pool2d),
    *(functional.adaptive_avg_pool2d, functional.adaptive_max_pool2d),
    *(torch.relu, torch.relu_, torch.tanh, "relu", "relu_", "tanh", "contiguous"),
}
_SUMS = {operator.add, operator.iadd, torch.add, "add", "add_"}


@dataclass(frozen=True, eq=False)
class Producer:
    """What gives a layer its channels.

    Parameters
    ----------
    layer : WiredLayer
        The layer.
    path : str
        Name of ``module`` in the network.
    module : torch.nn.Conv1d, Conv2d, Conv3d or Linear
        Has a row of weights for each channel.
    norms : tuple of torch.nn.Module
        Normalisations between it and the layer, with a scale and a shift for each channel.
    by_first_axis : str
        What else there is in between that takes the first axis for channels, or nothing.
    """

    layer: WiredLayer
    path: str
    module: nn.Module
    norms: tuple[nn.Module, ...]
    by_first_axis: str = ""


def find_producers(network: nn.Module, layers: Sequence[WiredLayer]) -> list[Producer]:
    """Find the producer of each layer, by going back from the layer's output.

    The way back leads through normalisations with parameters, and through what treats each channel
    by itself and leaves 0 at 0: rectifiers and the like, pooling, dropout. So a channel whose
    weights, bias, scales and shifts are 0 is 0 in the layer's output.

    Parameters
    ----------
    network : torch.nn.Module
        The network.
    layers : sequence of WiredLayer
        Layers whose axes are known.

    Raises
    ------
    ModelError
        The way ends elsewhere: at a sum (a shortcut), a concatenation, or what is not known here;
        the module is used several times, or has other channels than the layer.
    """
    for layer in layers:
        if not replace(layer.tap, how=None).is_output or layer.tap.how not in (None, "abs"):
            raise _unknown(layer, "it is not what the module returns")
    tracer = LayerTracer(layers)
    graph: fx.Graph | None = None
    why = ""
    with unchanged(network):
        network.eval()
        try:
            graph = tracer.trace(network)
        except Exception as cause:  # a forward may do anything with a proxy
            why = f"{type(network).__name__} cannot be traced ({type(cause).__name__}: {cause})"
    producers = []
    for place, layer in enumerate(layers):
        if graph is None:
            if not isinstance(layer.module, (*_CONVOLUTIONS, nn.Linear)):
                raise _unknown(layer, why)
            producer = Producer(layer, module_path(layer.path), layer.module, ())
        else:
            if len(tracer.outputs[place]) != 1:
                raise _unknown(layer, f"its module runs {len(tracer.outputs[place])} times a pass")
            output = tracer.outputs[place][0]
            if not isinstance(output, fx.Proxy):
                raise _unknown(layer, f"its module returns {type(output).__name__}, no tensor")
            producer = _back_from(output.node, layer, network)
            uses = [node for node in graph.nodes if node.target == producer.path]
            if len(uses) != 1:
                raise _unknown(layer, f"{producer.path} is used {len(uses)} times a pass")
        _check_channels(producer)
        producers.append(producer)
    return producers


def _back_from(node: fx.Node, layer: WiredLayer, network: nn.Module) -> Producer:
    norms: list[nn.Module] = []
    by_first_axis = ""
    while True:
        if node.op == "call_module":
            path = str(node.target)
            module = network.get_submodule(path)
            if isinstance(module, (*_CONVOLUTIONS, nn.Linear)):
                return Producer(layer, path, module, tuple(norms), by_first_axis)
            if isinstance(module, (*_NORMS, nn.PReLU)) or "Pool" in type(module).__name__:
                by_first_axis = path
            if isinstance(module, _NORMS):
                if getattr(module, "weight", None) is None:
                    raise _unknown(layer, f"{path} normalises without parameters")
                norms.append(module)
            elif not isinstance(module, _ZERO_STAYS):
                raise _unknown(layer, f"{path} ({type(module).__name__}) may mix channels")
        elif node.target in _SUMS:
            raise _unknown(layer, "it is a sum of several outputs (a shortcut)")
        elif node.op == "placeholder":
            raise _unknown(layer, "it is the input")
        elif node.target not in _ZERO_STAYS_FUNCTIONS:
            name = getattr(node.target, "__name__", node.target)
            raise _unknown(layer, f"{name}() may mix channels")
        elif "pool" in getattr(node.target, "__name__", ""):
            by_first_axis = f"{getattr(node.target, '__name__', node.target)}()"
        node = node.all_input_nodes[0]


def _check_channels(producer: Producer) -> None:
    chosen = producer.layer.chosen
    linear = isinstance(producer.module, nn.Linear)
    n_channels = producer.module.out_features if linear else producer.module.out_channels
    # A linear map gives the last axis of an activation, a convolution the first.
    last, first = chosen.channel.step == 1, chosen.channel.size * chosen.channel.step
    right = last if linear else len(chosen.shape) > 1 and first == chosen.n_units
    if not right or n_channels != chosen.channel.size:
        raise _unknown(
            producer.layer,
            f"{producer.path} has {n_channels} output channels, and the layer shape "
            f"{chosen.shape}, axes {chosen.axes}",
        )
    if linear and len(chosen.shape) > 1 and producer.by_first_axis:
        raise _unknown(
            producer.layer,
            f"{producer.by_first_axis} takes the first axis for channels, and the layer the last",
        )


def _unknown(layer: WiredLayer, why: str) -> ModelError:
    return ModelError(
        f"layer {layer.name!r} (module {layer.path!r}): which convolution or linear map makes its "
        f"channels is not clear: {why}; leave the layer out, or name the module that is meant: "
        f"layers={{{layer.name!r}: 'MODULE'}}"
    )
