"""Whether a traced pass gives what the network itself gives: tried, on the first images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from unitdb.errors import UnitdbError
from unitdb.nn.modes import modes_kept
from unitdb.nn.unchanged import unchanged

__all__ = ["can_be_tried", "circumstances", "difference", "give_shapes"]

_IMAGES = 2
_ALIKE = 1e-4
_OF_ALL = 1e-6
"""A gradient that is nothing but rounding is as small as this beside the largest."""

Split = Callable[[torch.Tensor], Mapping[str, torch.Tensor]]


@dataclass(frozen=True)
class _Ran:
    """What a pass gave: columns, buffers after it, and gradients by what they are taken of.

    None stands for gradients that cannot be had: what they need was overwritten, for example.
    """

    columns: torch.Tensor
    buffers: tuple[torch.Tensor, ...]
    gradients: dict[str, torch.Tensor | None] | None


def can_be_tried(images: torch.Tensor) -> bool:
    """Whether images are numbers, and nothing records or transforms what runs."""
    return (
        type(images) in (torch.Tensor, nn.Parameter)
        and not images.is_meta
        and images.ndim > 0
        and len(images) > 0
        and torch._C._functorch.peek_interpreter_stack() is None
    )


def circumstances(images: torch.Tensor) -> tuple[bool, bool]:
    """What a forward may ask for beside its mode: gradients, and autocast."""
    try:
        autocast = torch.is_autocast_enabled(images.device.type)
    except (TypeError, RuntimeError):  # torch before 2.4; a device without autocast
        autocast = False
    return torch.is_grad_enabled(), autocast


def give_shapes(network: nn.Module, plain: nn.Module, images: torch.Tensor) -> None:
    """Run lazy modules once, which have no shapes before: they may not be put back."""
    if any(map(nn.parameter.is_lazy, (*network.parameters(), *network.buffers()))):
        with modes_kept(network), torch.no_grad():
            network.eval()
            plain(images)


def difference(
    traced: nn.Module, plain: nn.Module, network: nn.Module, images: torch.Tensor, split: Split
) -> str:
    """What a traced pass gives otherwise than the network: a clause, or nothing.

    Values and types of every layer; where gradients are on, those with respect to the images and
    to all parameters that have one; buffers after a pass. Both begin with the same random numbers,
    and the network is left as it was. Takes a pass to the end of the network and a traced one of
    at most two images, each with its gradients.

    Parameters
    ----------
    traced, plain : torch.nn.Module
        Images → columns; ``plain`` by hooks, in the network itself.
    network : torch.nn.Module
        The network.
    images : tensor of shape (n_images, channels, height, width)
    split : callable
        Columns → columns by layer.

    Raises
    ------
    Exception
        What the network itself raises.
    """
    few = images[:_IMAGES].detach()
    try:
        true = _run(plain, traced, network, few)
    except UnitdbError:
        raise
    except Exception:
        if len(few) == len(images):
            raise
        few = images.detach()  # it may take batches of some sizes alone
        true = _run(plain, traced, network, few)
    try:
        own = _run(traced, traced, network, few)
    except Exception as cause:  # whatever was lost while tracing
        return f"its trace raises {type(cause).__name__}: {cause}"
    return _told(own, true, split)


def _run(one: nn.Module, traced: nn.Module, network: nn.Module, images: torch.Tensor) -> _Ran:
    taken = {"the images": images.clone(), **dict(network.named_parameters())}
    if torch.is_grad_enabled() and images.is_floating_point():
        taken["the images"].requires_grad_()
    with unchanged(network):
        columns: torch.Tensor = one(taken["the images"])
        buffers = tuple(buffer.detach().clone() for buffer in traced.buffers())
        gradients = _gradients(columns, {n: v for n, v in taken.items() if v.requires_grad})
    return _Ran(columns.detach(), buffers, gradients)


def _gradients(
    columns: torch.Tensor, taken: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor | None] | None:
    if not columns.requires_grad:
        return dict.fromkeys(taken)
    # Weights of both signs, so that nothing cancels by design.
    weights = torch.arange(1, columns.numel() + 1, device=columns.device).sin()
    weights = weights.view_as(columns).to(columns.dtype)
    try:
        found = torch.autograd.grad(columns, list(taken.values()), weights, allow_unused=True)
    except RuntimeError:
        return None
    return dict(zip(taken, found, strict=True))


def _told(own: _Ran, true: _Ran, split: Split) -> str:
    if own.columns.dtype != true.columns.dtype or own.columns.shape != true.columns.shape:
        return "traced, its activations are of another type or shape"
    values = split(own.columns)
    for layer, expected in split(true.columns).items():
        if not _alike(values[layer], expected):
            return f"traced, the activations of layer {layer!r} are others"
    if name := _other_gradient(own.gradients, true.gradients):
        return f"traced, gradients with respect to {name} are others"
    if not _all_alike(own.buffers, true.buffers):
        return "traced, its buffers are others after a pass"
    return ""


def _other_gradient(
    own: dict[str, torch.Tensor | None] | None, true: dict[str, torch.Tensor | None] | None
) -> str:
    if own is None or true is None:
        return "" if own is true else "anything"
    largest = max((_norm(value) for value in true.values() if value is not None), default=0.0)
    for name, gradient in true.items():
        least = 0.0 if name == "the images" else _OF_ALL * largest
        if not _alike(own[name], gradient, least):
            return name
    return ""


def _all_alike(own: Sequence[torch.Tensor], true: Sequence[torch.Tensor]) -> bool:
    return all(map(_alike, own, true))


def _alike(own: torch.Tensor | None, true: torch.Tensor | None, least: float = 0.0) -> bool:
    if own is None or true is None:
        return own is true
    if torch.equal(own, true):
        return True
    if not torch.equal(own.isfinite(), true.isfinite()):
        return False
    part = _ALIKE
    if true.is_floating_point():
        part = max(part, 4 * torch.finfo(true.dtype).eps)
    return _norm(own.double() - true.double()) <= part * _norm(true) + least


def _norm(value: torch.Tensor) -> float:
    finite = value.double().nan_to_num(0.0, 0.0, 0.0)
    return float(torch.linalg.vector_norm(finite))
