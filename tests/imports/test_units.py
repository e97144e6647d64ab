"""Numbers of units: the layers of each definition, run by torch without their values."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from unitdb.imports import LAYOUTS
from unitdb.imports.bhscore_units import BHSCORE_UNITS


def picture(side: int) -> Tensor:
    return torch.empty(1, 3, side, side, device="meta")


def conv(x: Tensor, channels: int, kernel: int, stride: int = 1, pad: int = 0) -> Tensor:
    return nn.Conv2d(x.shape[1], channels, kernel, stride, pad, device="meta")(x)


def pool(x: Tensor, kernel: int, *, pad: int = 0, up: bool = False) -> Tensor:
    return nn.MaxPool2d(kernel, 2, pad, ceil_mode=up)(x)


def vgg() -> dict[str, Tensor]:
    x = picture(224)
    found = {"conv1_1_abs": conv(x, 64, 3, pad=1)}
    for block, channels in enumerate((64, 128, 256, 512, 512), 1):
        x = found[f"pool{block}"] = pool(conv(x, channels, 3, pad=1), 2)
    return found


def stages(names: tuple[str, ...], x: Tensor) -> dict[str, Tensor]:
    """A stage of 3 × 3 convolutions, as long as it may be, has the shape of its first."""
    found = {}
    for i, name in enumerate(names):
        x = found[name] = conv(x, 64 * 2**i, 3, 2 if i else 1, 1)
    return found


def resnet() -> dict[str, Tensor]:
    first = conv(picture(224), 64, 7, 2, 3)
    names = tuple(f"layer{i}" for i in range(1, 5))
    return {"conv1_abs": first} | stages(names, pool(first, 3, pad=1))


AREAS = ("V1_output", "V2_output", "V4_output", "IT_output")


def cornet_s() -> dict[str, Tensor]:
    first = conv(picture(224), 64, 7, 2, 3)
    return {"V1_conv1_abs": first} | stages(AREAS, pool(first, 3, pad=1))


def cornet_r() -> dict[str, Tensor]:
    x = conv(picture(224), 64, 7, 4, 3)
    return {"V1_conv1_abs": conv(x, 64, 3, pad=1)} | stages(AREAS, x)


def cornet_z() -> dict[str, Tensor]:
    x = first = conv(picture(224), 64, 7, 2, 3)
    found = {"V1_conv_abs": first}
    for i, area in enumerate(AREAS):
        x = conv(x, 64 * 2**i, 3, pad=1) if i else first
        x = found[area] = pool(x, 3, pad=1)
    return found


def densenet(blocks: tuple[int, ...], growth: int) -> dict[str, Tensor]:
    x = conv(picture(224), 2 * growth, 7, 2, 3)
    found = {"conv1_abs": x}
    x = pool(x, 3, pad=1)
    for block, n_layers in enumerate(blocks, 2):
        for layer in range(1, n_layers + 1):
            new = conv(conv(x, 4 * growth, 1), growth, 3, pad=1)
            x = found[f"concat_{block}_{layer}"] = torch.cat([x, new], dim=1)
        x = nn.AvgPool2d(2, 2)(conv(x, x.shape[1] // 2, 1))
    return found


def squeezenet(channels: int, kernel: int, pooled_after: tuple[int, ...]) -> dict[str, Tensor]:
    x = conv(picture(227), channels, kernel, 2)
    found = {"conv1_abs": x}
    x = pool(x, 3, up=True)
    for fire, squeezed in enumerate((16, 16, 32, 32, 48, 48, 64, 64), 2):
        x = conv(x, squeezed, 1)
        x = torch.cat([conv(x, 4 * squeezed, 1), conv(x, 4 * squeezed, 3, pad=1)], dim=1)
        found[f"fire{fire}:concat"] = x
        if fire in pooled_after:
            x = pool(x, 3, up=True)
    return found


def mobilenet() -> dict[str, Tensor]:
    """Of width 1.4, its channels rounded by hand."""
    x = conv(picture(224), 48, 3, 2, 1)
    found = {"layer_1_abs": x}
    channels = (24, 32, 32, 48, 48, 48, 88, 88, 88, 88, 136, 136, 136, 224, 224, 224, 448)
    for layer, n in enumerate(channels, 2):
        x = found[f"layer_{layer}:output"] = conv(x, n, 3, 2 if layer in (3, 5, 8, 15) else 1, 1)
    return found


DEFINITIONS = {
    "VGG-16": vgg,
    "VGG-19": vgg,
    "ResNet-18": resnet,
    "ResNet-34": resnet,
    "CORnet-Z": cornet_z,
    "CORnet-R": cornet_r,
    "CORnet-S": cornet_s,
    "DenseNet-121": lambda: densenet((6, 12, 24, 16), 32),
    "DenseNet-161": lambda: densenet((6, 12, 36, 24), 48),
    "DenseNet-169": lambda: densenet((6, 12, 32, 32), 32),
    "DenseNet-201": lambda: densenet((6, 12, 48, 32), 32),
    "SqueezeNet-1.0": lambda: squeezenet(96, 7, (4, 8)),
    "SqueezeNet-1.1": lambda: squeezenet(64, 3, (3, 5)),
    "MobileNet-v2-1.4-224": mobilenet,
}
ENDS = {"fc": 1000, "fc6": 1000, "pool10": 1000, "decoder_linear": 1000, "Logits": 1001}
VGG_ENDS = {"fc6": 4096, "fc7": 4096, "fc8": 1000}


@pytest.mark.parametrize("network", DEFINITIONS)
def test_layers_have_the_shapes_that_torch_gives(network: str) -> None:
    shapes = DEFINITIONS[network]()
    ends = VGG_ENDS if network.startswith("VGG") else ENDS
    found = {layer: x[0].numel() for layer, x in shapes.items()}
    for layer, n_units in LAYOUTS["bhscore"].networks[network].layers.items():
        assert n_units == (found[layer] if layer in found else ends[layer]), layer


def test_every_other_network_is_left_unknown() -> None:
    networks = LAYOUTS["bhscore"].networks
    known = {name for name, one in networks.items() if None not in one.layers.values()}
    assert known == set(DEFINITIONS) | {"AlexNet"} == set(BHSCORE_UNITS)
    unknown = set(networks) - known
    assert all(set(networks[name].layers.values()) == {None} for name in unknown)
