"""Photographs from their own activations of EfficientNet-lite0: how they are painted decides."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
import torch

from unitdb import nn
from unitdb.activations import get_model, photograph
from unitdb.activations.efficientnet import efficientnet_lite
from unitdb.analysis import picture_correlation, structural_similarity

pytestmark = pytest.mark.whole

SIZE = 224
TRANSFORM = nn.Transform(
    size=SIZE, crop=1.0, interpolation="bicubic", mean=(127.0,) * 3, std=(128.0,) * 3
)
EARLY = ("stem", "block1", "block3", "block6", "block9")


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return efficientnet_lite(0).eval()


def recovered(network, picture: PIL.Image.Image, layers, **options) -> dict[str, float]:
    """Scores of what comes out of a picture's activations of all units of some layers."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    seen = picture.crop((left, top, left + side, top + side)).resize((SIZE, SIZE))
    paths = [get_model("efficientnet-lite0").layers[layer] for layer in layers]
    masks = {}
    hooks = [
        network.get_submodule(path).register_forward_hook(
            lambda _m, _i, output, path=path: masks.update(
                {path: torch.ones(output.shape[1:], dtype=torch.bool)}
            )
        )
        for path in paths
    ]
    with torch.no_grad():
        network(TRANSFORM(seen)[None])
        for hook in hooks:
            hook.remove()
        masks = {path: masks[path] for path in paths}
        targets = nn.SelectedActivations(network, masks)(TRANSFORM(seen)[None])
    known = (np.asarray(seen)[None], targets)
    found = nn.invert(network, masks, targets, transform=TRANSFORM, known=known, **options)
    pixels = np.asarray(seen)[None]
    return {
        "loss": float(found.loss[0, -1]),
        "r": float(picture_correlation(found.images, pixels)[0]),
        "ssim": float(structural_similarity(found.images, pixels)[0]),
    }


@pytest.mark.parametrize("name", ["chelsea", "astronaut"])
def test_a_shipped_photograph(network, name):
    found = recovered(network, PIL.Image.fromarray(photograph(name)), EARLY, steps=150, tv=1.0)
    assert found["r"] > 0.95
    assert found["ssim"] > 0.75


def test_published_stimuli(network, realdata):
    """Pixels alone come nowhere near; deep layers have the lowest loss, and the worst picture."""
    seen = PIL.Image.open(realdata / "algonauts92/images/image_05.jpg").convert("RGB")
    pyramid = recovered(network, seen, EARLY, steps=150)
    assert pyramid["r"] > 0.98
    assert pyramid["ssim"] > 0.79
    pixels = recovered(network, seen, EARLY, prior="pixels", steps=200)
    assert pixels["r"] < 0.7
    assert pixels["loss"] > 2 * pyramid["loss"]
    deep = recovered(network, seen, ("block14",), steps=150)
    assert deep["loss"] < pyramid["loss"]
    assert deep["r"] < 0.5
