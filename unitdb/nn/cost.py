"""How large a network is: parameters, and operations of one image."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from unitdb.errors import ActivationsError, ModelError
from unitdb.nn.modes import device_of, modes_kept

__all__ = ["count_flops", "count_parameters"]


def count_parameters(model: nn.Module) -> int:
    """Count the parameters that are not 0, each once; of pruned ones, those that the mask leaves.

    Parameters
    ----------
    model : torch.nn.Module
        The network.

    Returns
    -------
    int
        Numbers that are not 0.

    Raises
    ------
    ModelError
        A lazy module has not run yet.

    Examples
    --------
    >>> import torch
    >>> from unitdb import nn
    >>> nn.count_parameters(torch.nn.Conv2d(3, 8, kernel_size=3, bias=False))
    216
    """
    counted: set[int] = set()
    total = 0
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if nn.parameter.is_lazy(parameter):
                raise ModelError(
                    f"{type(module).__name__} {path!r} has no weights before it has run: pass "
                    "images through the network first"
                )
            if id(parameter) in counted:
                continue
            counted.add(id(parameter))
            # torch.nn.utils.prune keeps `weight` as `weight_orig`, and `weight_mask` beside it.
            mask = getattr(module, name.removesuffix("_orig") + "_mask", None)
            value = parameter if mask is None else parameter * mask
            total += int(value.count_nonzero())
    return total


def count_flops(model: nn.Module, images: torch.Tensor) -> int:
    """Operations for one image, less those of convolutions and linear maps with weights that are 0.

    All are counted by ``torch.utils.flop_counter`` (products and sums of convolutions, matrix
    products and attention; two for each multiplication with its addition; nothing else). Of each
    convolution or linear map, the share of its weights that are not 0 is kept: what a network
    without its pruned output channels would take there. Torch does multiply by zeros. Products with
    an *input* channel that is always 0 are counted still, so the true saving is larger.

    Parameters
    ----------
    model : torch.nn.Module
        Run once, in evaluation mode.
    images : tensor of shape (n_images, channels, height, width)
        What the network takes; the values do not matter.

    Returns
    -------
    int
        Floating-point operations.

    Raises
    ------
    ActivationsError
        There is no image.

    Examples
    --------
    >>> import torch
    >>> from unitdb import nn
    >>> nn.count_flops(torch.nn.Linear(3, 2), torch.zeros(1, 3))
    12
    """
    if images.ndim < 2 or not len(images):
        raise ActivationsError(f"images of shape {tuple(images.shape)}: there is none to run")
    counter = FlopCounterMode(display=False)
    started: dict[nn.Module, int] = {}
    spared = 0.0

    def start(module: nn.Module, _input: Any) -> None:
        started[module] = counter.get_total_flops()

    def stop(module: nn.Module, _input: Any, _output: Any) -> None:
        nonlocal spared
        weight: Any = module.weight  # of a pruned module: what its mask leaves
        zeros = 1 - int(weight.count_nonzero()) / weight.numel()
        spared += zeros * (counter.get_total_flops() - started[module])

    handles = []
    for module in model.modules():
        if isinstance(module, (nn.modules.conv._ConvNd, nn.Linear)):
            handles += [module.register_forward_pre_hook(start), module.register_forward_hook(stop)]
    try:
        with modes_kept(model), torch.no_grad(), counter:
            model.eval()(images.to(device_of(model)))
    finally:
        for handle in handles:
            handle.remove()
    return round((counter.get_total_flops() - spared) / len(images))
