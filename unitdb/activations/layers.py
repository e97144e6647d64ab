"""What a layer is, and how its activation is caught on the way through a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from unitdb.activations.foreign import as_model_error
from unitdb.errors import ModelError
from unitdb.taps import Tap, checked_activation

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["LayerInfo", "forward"]


@dataclass(frozen=True, kw_only=True)
class LayerInfo:
    """A layer of a network whose units are decoded.

    Parameters
    ----------
    name : str
        Name in the database.
    depth : int
        Place in the order of all layers of the model, from 0.
    module : str
        Path of the torch module whose output (or input) the activations are; with what is tapped
        of it (:func:`unitdb.taps.find_tap`).
    kind : str
        Class of that module.
    shape : tuple of int
        Shape of the activation of one image.
    axes : str
        What its axes are, a letter each (:mod:`unitdb.axes`).
    n_units : int
        Product of ``shape``.
    precision : str
        ``float16`` or ``bfloat16`` where activations are computed or given in it.
    """

    name: str
    depth: int
    module: str
    kind: str
    shape: tuple[int, ...]
    axes: str
    n_units: int
    precision: str = "float32"


def forward(
    network: nn.Module,
    batch: torch.Tensor,
    layers: Mapping[str, nn.Module | Tap],
    receive: Callable[[str, torch.Tensor], None],
    *,
    where: str,
    guard: Callable[[], AbstractContextManager[object]] | None = None,
) -> None:
    """Run a batch through a network, handing over each layer's activation as soon as it is there.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    batch : tensor of shape (n_images, 3, size, size)
        Preprocessed pictures.
    layers : mapping of str to torch.nn.Module or Tap
        Modules of the network by layer name, or what is tapped of them.
    receive : callable
        Called with a layer's name and its activation, tensor of shape (n_images, ...). The network
        may overwrite that memory later: copy what is kept.
    where : str
        The model, for messages.
    guard : callable, optional
        Gives the context that the network runs in; by default ``torch.inference_mode``.

    Raises
    ------
    ActivationsError
        A layer's output is not a tensor whose first axis is the image.
    ModelError
        A layer's module does not run exactly once a pass, or the network raises an error.
    """
    import torch

    taps = {
        name: layer if isinstance(layer, Tap) else Tap(module=layer)
        for name, layer in layers.items()
    }
    calls = dict.fromkeys(layers, 0)

    def catch(name: str, output: Any) -> None:
        calls[name] += 1
        place = f"{where}: layer {name!r}"
        if taps[name].use in (None, calls[name]):
            output = taps[name].of(output, where=place)
            receive(name, checked_activation(output, len(batch), where=place))

    taken = f"{where}: the network does not take input of shape {tuple(batch.shape)}"
    with _hooks(taps, catch), (guard or torch.inference_mode)(), as_model_error(taken):
        network(batch)
    for name, times in calls.items():
        if problem := taps[name].wrong_times(times):
            raise ModelError(f"{where}: the module of layer {name!r} {problem}")


@contextmanager
def _hooks(layers: Mapping[str, Tap], catch: Callable[[str, Any], None]) -> Iterator[None]:
    handles = [tap.hook(partial(catch, name)) for name, tap in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
