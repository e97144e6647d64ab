"""torchvision beside a build of torch that its compiled part does not fit."""

from __future__ import annotations

import warnings

import pytest
import torch


def torchvision_without_its_operators() -> torch.library.Library | None:
    """Define the two operators that its import asks for; no network of pictures uses them."""
    try:
        torch.ops.torchvision.nms  # noqa: B018 - a matching pair has it
        defined = None
    except AttributeError:
        defined = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            defined.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import timm
        import torchvision  # noqa: F401
    del timm
    return defined


@pytest.fixture(scope="session", autouse=True)
def torchvision_imports():
    return torchvision_without_its_operators()
