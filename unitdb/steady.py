"""An activation is a function of its picture: the check, alike on both sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from unitdb.errors import ModelError

__all__ = ["ROUNDING", "check_steady", "deviation"]

ROUNDING = 1e-4
"""How far two activations of a picture may be from each other, in parts of the layer's largest.

Convolutions round otherwise in batches of another size: float32 networks that come with unitdb
differ by 8e-8, BatchNorm without running statistics by .1 and more. Networks of fewer digits get
16 of theirs, 16 ε.
"""
_AGAIN = 8
"""The same batch rounds alike: ε of the activation's type, times so much."""

Run = Callable[[torch.Tensor, int], Mapping[str, torch.Tensor]]
"""Batch, place of a picture in it → its activation by layer, in the order of the layers."""


def check_steady(
    run: Run, picture: torch.Tensor, mates: torch.Tensor, *, network: nn.Module, where: str
) -> Mapping[str, torch.Tensor]:
    """See that a picture's activation is the same alone, in other batches, and again.

    Parameters
    ----------
    run : callable
        Batch, place → activation of the picture there by layer; tensors that stay as they are.
    picture : tensor of shape (channels, height, width)
        As the network takes it.
    mates : tensor of shape (2, channels, height, width)
        Other pictures, that share a batch with it.
    network : torch.nn.Module
        Whose buffers must stay as they are, and whose modules the message names.
    where : str
        The model, for messages.

    Returns
    -------
    mapping of str to tensor
        Its activation alone.

    Raises
    ------
    ModelError
        It is not; names the first layer, by how much, and what modules may be the reason.
    """
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    pair = torch.stack([mates[0], picture])
    try:
        first = run(pair, 1)
        alone = run(picture[None], 0)
        others = run(torch.stack([picture, mates[1], mates[0]]), 0)
        again = run(pair, 1)
    except (RuntimeError, ValueError) as cause:
        raise ModelError(
            f"{where}: the network does not take a picture alone and with others: {cause}"
        ) from cause
    for found, how, same_batch in (
        (again, "asked for again", True),
        (alone, "alone and in a batch", False),
        (others, "beside other pictures, at another place of the batch", False),
    ):
        _compare(first, found, same_batch=same_batch, how=how, network=network, where=where)
    for name, buffer in network.named_buffers():
        if name not in before or not _equal(before[name], buffer):
            raise ModelError(
                f"{where}: the network's state {name!r} changes as pictures pass, in evaluation "
                "mode too; an activation must depend on its picture alone"
            )
    return alone


def _compare(
    first: Mapping[str, torch.Tensor],
    found: Mapping[str, torch.Tensor],
    *,
    same_batch: bool,
    how: str,
    network: nn.Module,
    where: str,
) -> None:
    for layer, activation in first.items():
        away = deviation(activation, found[layer])
        if away > _tolerance(activation.dtype, same_batch=same_batch):
            raise ModelError(
                f"{where}: layer {layer!r}: the activation of one picture differs, {how}, by "
                f"{away:.2g} of the largest; it must depend on the picture alone, not on the rest "
                f"of the batch, chance or what was before{_suspects(network)}"
            )


def _tolerance(dtype: torch.dtype, *, same_batch: bool) -> float:
    if not dtype.is_floating_point:
        return 0.0
    epsilon = torch.finfo(dtype).eps
    return _AGAIN * epsilon if same_batch else max(ROUNDING, 16 * epsilon)


def deviation(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return max |x − y| / max |x|; 0 where both are the same, infinite where neither.

    Parameters
    ----------
    first, second : tensor
        Real, of any shape.
    """
    if first.shape != second.shape:
        return float("inf")
    x, y = first.double(), second.double()
    alike = (x == y) | (x.isnan() & y.isnan())
    if bool(alike.all()):
        return 0.0
    away = float((x - y).abs()[~alike].max() / x.abs().max())
    return away if away == away else float("inf")


def _equal(first: torch.Tensor, second: torch.Tensor) -> bool:
    return first.shape == second.shape and deviation(first, second) == 0


def _suspects(network: nn.Module) -> str:
    """Modules that are known to do such things, for the message."""
    found = [
        f"{path or type(module).__name__!r} ({reason})"
        for path, module in network.named_modules()
        if (reason := _reason(module))
    ]
    return f"; see {', '.join(found[:3])}" if found else ""


def _reason(module: nn.Module) -> str:
    if isinstance(module, nn.modules.batchnorm._NormBase) and module.running_mean is None:
        instance = isinstance(module, nn.modules.instancenorm._InstanceNorm)
        return "" if instance else f"{type(module).__name__} without running statistics"
    return f"{type(module).__name__} in training mode" if module.training else ""
