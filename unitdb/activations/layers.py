"""What a layer is, and how its activation is caught on the way through a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unitdb.activations.foreign import as_model_error
from unitdb.activations.taps import Tap, goes_in
from unitdb.errors import ActivationsError, ModelError

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
        of it (:func:`unitdb.activations.taps.find_tap`).
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
            receive(name, _checked(taps[name].of(output, where=place), len(batch), where=place))

    taken = f"{where}: the network does not take input of shape {tuple(batch.shape)}"
    with _hooks(taps, catch), (guard or torch.inference_mode)(), as_model_error(taken):
        network(batch)
    for name, times in calls.items():
        if problem := _wrong_times(taps[name], times):
            raise ModelError(f"{where}: the module of layer {name!r} {problem}")


def _wrong_times(tap: Tap, times: int) -> str:
    """What is wrong with how often a module ran; empty where nothing is."""
    if tap.use is not None:
        return "" if tap.use <= times else f"ran {times} times in one pass: no use #{tap.use}"
    if times == 1:
        return ""
    uses = f"; name one of its uses, PATH#1 to PATH#{times}" if times else ""
    return (
        f"ran {times} times in one pass; an activation is defined only for a module that runs "
        f"exactly once{uses}"
    )


@contextmanager
def _hooks(layers: Mapping[str, Tap], catch: Callable[[str, Any], None]) -> Iterator[None]:
    handles = [_hook(tap, name, catch) for name, tap in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(tap: Tap, name: str, catch: Callable[[str, Any], None]) -> Any:
    if tap.goes_in:  # before the module runs, which may overwrite it
        return tap.module.register_forward_pre_hook(
            lambda _module, args, kwargs: catch(name, goes_in(args, kwargs)), with_kwargs=True
        )
    return tap.module.register_forward_hook(lambda _module, _input, output: catch(name, output))


def _checked(output: Any, n_images: int, *, where: str) -> torch.Tensor:
    import torch

    if not isinstance(output, torch.Tensor):
        raise ActivationsError(
            f"{where}: the module returns {type(output).__name__}, not a tensor; "
            "name a module inside it that returns the tensor"
        )
    if output.layout != torch.strided or output.is_quantized or output.is_nested:
        kind = "quantised" if output.is_quantized else "sparse or nested"
        raise ActivationsError(
            f"{where}: the activation is {kind}; name a module that returns a plain tensor, such "
            "as one behind it that calls dequantize() or to_dense()"
        )
    if output.is_complex():
        raise ActivationsError(f"{where}: the activation is complex; it must be real")
    if output.ndim == 0 or len(output) != n_images:
        raise ActivationsError(
            f"{where}: the activation of {n_images} images has shape {tuple(output.shape)}; "
            "its first axis must be the image"
        )
    return output
