"""Networks in evaluation mode for a while, and where their parameters are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["device_of", "modes_kept"]


@contextmanager
def modes_kept(network: nn.Module) -> Iterator[None]:
    """Give each module its mode (training or evaluation) back when the block ends."""
    modes = {module: module.training for module in network.modules()}
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def device_of(network: nn.Module) -> torch.device:
    """Device of the first parameter; the CPU where there is none."""
    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
