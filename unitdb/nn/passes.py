"""One forward pass that hands chosen activations out and stops after the last of them."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import fx, nn

from unitdb.chance import Generators
from unitdb.errors import ModelError
from unitdb.nn.picking import Pick, no_tensor
from unitdb.nn.unchanged import unchanged
from unitdb.nn.wiring import WiredLayer
from unitdb.taps import Tap, checked_activation, module_path

__all__ = ["HookedPass", "LayerTracer", "share_state", "trace_pass"]

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_PRODUCERS = (nn.modules.conv._ConvNd, nn.Linear)


class LayerTracer(fx.Tracer):
    """Trace of a network in which calls of some modules are noted.

    Modules without children, and all convolutions, stay calls of modules, so that their hooks,
    their parameters and whatever they do with sizes are as in the network.

    Parameters
    ----------
    layers : sequence of WiredLayer
        Whose modules are noted.
    """

    def __init__(self, layers: Sequence[WiredLayer]) -> None:
        super().__init__()
        self._layers = layers
        self.outputs: dict[int, list[Any]] = {place: [] for place in range(len(layers))}

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        """Whether a module is called rather than traced through."""
        if any(layer.module is inner for layer in self._layers for inner in _inner(module)):
            return False
        if isinstance(module, _PRODUCERS) or not any(True for _ in module.children()):
            return True
        return bool(super().is_leaf_module(module, qualified_name))

    def call_module(
        self, module: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Note what a module returns at the moment when it does: it may be overwritten later."""
        output = super().call_module(module, forward, args, kwargs)
        for place, layer in enumerate(self._layers):
            if layer.module is module:
                self.outputs[place].append(self.noted(place, output))
        return output

    def noted(self, place: int, output: Any) -> Any:  # noqa: ARG002
        """Give what stands for the output of a layer: by default the output."""
        return output


class _PickingTracer(LayerTracer):
    """Goes through nothing that would be lost in a trace.

    Modules that are called keep their hooks, modes and whatever they do. What a trace would lose
    is therefore called as one module; where a layer lies within it, the network is not traced.

    Parameters
    ----------
    layers : sequence of WiredLayer
    otherwise : set of torch.nn.Module
        Modules in another mode than the network, or that its ``train()`` leaves in another.
    """

    def __init__(self, layers: Sequence[WiredLayer], otherwise: Set[nn.Module]) -> None:
        super().__init__(layers)
        self._otherwise = otherwise
        self._grad = torch.is_grad_enabled()

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        if super().is_leaf_module(module, qualified_name):
            return True
        lost = self._lost(module)
        if not any(layer.module in _inner(module) for layer in self._layers):
            # Normalisation counts its batches, which a trace would do once for all.
            return bool(lost) or isinstance(module, nn.modules.batchnorm._NormBase)
        if lost:
            path = qualified_name.removeprefix("network").removeprefix(".")
            raise fx.proxy.TraceError(f"{path or 'the network'} {lost}")
        return False

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        """Refuse what runs without gradients, such as an autograd.Function: a trace has them."""
        if torch.is_grad_enabled() != self._grad:
            raise fx.proxy.TraceError("gradients are switched off on its way")
        return super().create_node(*args, **kwargs)

    def noted(self, place: int, output: Any) -> Any:
        if not isinstance(output, fx.Proxy):
            raise no_tensor(self._layers[place].name, output)
        return self.create_proxy("call_module", f"picks.{place}", (output,), {})

    def _lost(self, module: nn.Module) -> str:
        """What a trace through a module would lose."""
        if any(getattr(module, hooks) for hooks in _HOOKS):
            return "has hooks"
        return "is in another mode than the network" if module in self._otherwise else ""


class _Network(nn.Module):
    """A network and what is picked from it, as one module to trace."""

    def __init__(self, network: nn.Module, picks: Sequence[Pick]) -> None:
        super().__init__()
        self.network = network
        self.picks = nn.ModuleList(picks)

    def forward(self, images: torch.Tensor) -> Any:
        return self.network(images)


def trace_pass(
    network: nn.Module, layers: Sequence[WiredLayer], picks: Sequence[Pick]
) -> tuple[fx.GraphModule, dict[bool, fx.Graph]]:
    """Cut a network off after the last of some layers, by tracing it with torch.fx.

    Parameters
    ----------
    network : torch.nn.Module
        The network. Its modules are shared, not copied.
    layers : sequence of WiredLayer
        What is picked from.
    picks : sequence of Pick
        One for each layer.

    Returns
    -------
    module : torch.fx.GraphModule
        Images → tensor of shape (n_images, n_units), columns in the order of ``layers``.
    graphs : dict of bool to torch.fx.Graph
        Its graph for training (True) and for evaluation.

    Raises
    ------
    ModelError
        A module does not run exactly once a pass.
    Exception
        Whatever the network raises when its input is a proxy: it cannot be traced.
    """
    for layer in layers:
        if not layer.tap.is_output:
            raise fx.proxy.TraceError(f"layer {layer.name!r} is {layer.path}: for hooks alone")
    whole = _Network(network, picks)
    graphs = {}
    otherwise = _otherwise(network)
    with unchanged(network), torch.inference_mode(False), torch.enable_grad():
        generators = Generators(network, python=False)
        before = generators.states()
        for training in (True, False):
            for module in network.modules():
                module.training = training
            graphs[training] = _cut_graph(whole, layers, otherwise)
        if which := generators.moved(before):
            raise fx.proxy.TraceError(f"it draws random numbers (generator: {which}), once for all")
    if _targets(graphs[True]) != _targets(graphs[False]):
        raise fx.proxy.TraceError("it runs other modules in training than in evaluation")
    traced = fx.GraphModule(whole, graphs[network.training], "SelectedPass")
    share_state(traced, network)
    return traced, graphs


def _otherwise(network: nn.Module) -> set[nn.Module]:
    found = {module for module in network.modules() if module.training != network.training}
    with unchanged(network):
        for mode in (True, False):
            network.train(mode)
            found |= {module for module in network.modules() if module.training != mode}
    return found


def share_state(traced: fx.GraphModule, network: nn.Module) -> None:
    """Let a traced pass have the parameters and buffers of containers, not copies of references.

    So that it has those that are put in their place, or moved, too.
    """
    owners = dict(network.named_modules(prefix="network", remove_duplicate=False))
    for path, holder in traced.named_modules(remove_duplicate=False):
        owner = owners.get(path)
        if owner is None or owner is holder:
            continue
        for name in holder._buffers.keys() - owner._buffers.keys():  # a tensor, but no buffer
            vars(holder)[name] = holder._buffers[name]
        holder._parameters, holder._buffers = owner._parameters, owner._buffers
        holder._non_persistent_buffers_set = owner._non_persistent_buffers_set


def _cut_graph(
    whole: _Network, layers: Sequence[WiredLayer], otherwise: Set[nn.Module]
) -> fx.Graph:
    tracer = _PickingTracer(layers, otherwise)
    graph = tracer.trace(whole)
    picked = []
    for place, layer in enumerate(layers):
        _check_times(layer.name, layer.tap, len(tracer.outputs[place]))
        picked.append(tracer.outputs[place][0].node)
    order = {node: place for place, node in enumerate(graph.nodes)}
    last = max(order[node] for node in picked)
    next(
        iter(order)
    ).type = torch.Tensor  # the images; TorchScript reads no annotation that is text
    # By order and not by use, as what runs in place may be used by nobody.
    for node in reversed(list(graph.nodes)):
        if order[node] > last:
            graph.erase_node(node)
    graph.output(graph.call_function(torch.cat, (picked, 1)))
    return graph


def _targets(graph: fx.Graph) -> set[str]:
    return {str(node.target) for node in graph.nodes if node.op in ("call_module", "get_attr")}


class _Finished(BaseException):
    """All activations have been picked; no network takes it for an error of its own."""


class HookedPass(nn.Module):
    """The same by forward hooks, for networks that torch.fx cannot trace.

    The first pass runs to its end, to see that each module runs once; later ones stop early.

    Parameters
    ----------
    network : torch.nn.Module
        The network.
    layers : sequence of WiredLayer
        What is picked from.
    picks : sequence of Pick
        One for each layer.
    """

    def __init__(
        self, network: nn.Module, layers: Sequence[WiredLayer], picks: Sequence[Pick]
    ) -> None:
        super().__init__()
        self.network = network
        self.picks = nn.ModuleList(picks)
        self._taps = [(layer.name, module_path(layer.path), layer.tap) for layer in layers]
        self._seen_to_run_once = False

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images → tensor of shape (n_images, n_units)."""
        picked: dict[int, torch.Tensor] = {}
        calls = [0] * len(self._taps)

        def catch(place: int, output: Any) -> None:
            calls[place] += 1
            name, _, tap = self._taps[place]
            if tap.use not in (None, calls[place]):
                return
            where = f"layer {name!r}"
            output = checked_activation(tap.of(output, where=where), len(images), where=where)
            picked[place] = self.picks[place](output)
            if self._seen_to_run_once and len(picked) == len(self._taps):
                raise _Finished

        handles = [
            # By its path, which another module may stand at since.
            replace(tap, module=self.network.get_submodule(path)).hook(partial(catch, place))
            for place, (_, path, tap) in enumerate(self._taps)
        ]
        try:
            self.network(images)
        except _Finished:
            pass
        except Exception:  # what comes after the last layer may not take such images
            if len(picked) < len(self._taps):
                raise
        finally:
            for handle in handles:
                handle.remove()
        if not self._seen_to_run_once:
            for (name, _, tap), times in zip(self._taps, calls, strict=True):
                _check_times(name, tap, times)
            self._seen_to_run_once = True
        return torch.cat([picked[place] for place in range(len(self._taps))], 1)


def _check_times(name: str, tap: Tap, times: int) -> None:
    if problem := tap.wrong_times(times):
        raise ModelError(f"the module of layer {name!r} {problem}")


def _inner(module: nn.Module) -> set[nn.Module]:
    return {inner for inner in module.modules() if inner is not module}
