"""Units of the layers of the 29 networks, where a published definition leaves no doubt.

Computed from architectures: channels × side², for the input that the definition states. A layer
such as ``conv1_abs``, whose making the authors do not describe, has its convolution's shape.

AlexNet             Horikawa et al. 2019, doi:10.1038/sdata.2019.12 (which states the numbers)
VGG-16, -19         Simonyan & Zisserman 2015, arXiv:1409.1556
ResNet-18, -34      He et al. 2016, arXiv:1512.03385
CORnet-Z, -R, -S    Kubilius et al. 2018, doi:10.1101/408385; dicarlolab/CORnet
DenseNet            Huang et al. 2017, arXiv:1608.06993; names, and pooling that rounds down, of
                    shicai/DenseNet-Caffe
SqueezeNet          Iandola et al. 2016, arXiv:1602.07360; names, and input of 227 × 227, of
                    forresti/SqueezeNet, with Caffe's pooling, which rounds up
MobileNet-v2        Sandler et al. 2018, arXiv:1801.04381; names, and channels in multiples of 8, of
                    tensorflow/models, research/slim

Left out, as a number would be a guess: VGG-F, -M and -S, whose paper does not state how borders are
padded and rounded; Inception-v1 to -v4, Inception-ResNet-v2, ResNet-50-v2 to -152-v2, NASNet and
PNASNet, of which the authors state no size of input.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["ALEXNET", "BHSCORE_UNITS"]

ALEXNET = {
    "conv1": 290_400, "conv2": 186_624, "conv3": 64_896, "conv4": 64_896, "conv5": 43_264,
    "fc6": 4_096, "fc7": 4_096, "fc8": 1_000,
}  # fmt: skip

_CLASSES = 1_000
_CLASSES_AND_BACKGROUND = 1_001


def _maps(maps: Iterable[tuple[str, int, int]]) -> dict[str, int]:
    """Units by layer of (layer, channels, side)."""
    return {layer: channels * side**2 for layer, channels, side in maps}


def _vgg() -> dict[str, int]:
    pooled = [
        (f"pool{block}", min(64 * 2 ** (block - 1), 512), 224 >> block) for block in range(1, 6)
    ]
    units = _maps([("conv1_1_abs", 64, 224), *pooled])
    return units | {"fc6": 4_096, "fc7": 4_096, "fc8": _CLASSES}


def _four_stages(names: tuple[str, ...], *, first_side: int) -> dict[str, int]:
    """A convolution of 64 channels, then stages that double them and halve the map."""
    first, *stages, last = names
    doubled = [(name, 64 << i, 56 >> i) for i, name in enumerate(stages)]
    return _maps([(first, 64, first_side), *doubled]) | {last: _CLASSES}


def _resnet() -> dict[str, int]:
    stages = tuple(f"layer{i}" for i in range(1, 5))
    return _four_stages(("conv1_abs", *stages, "fc"), first_side=112)


def _cornet(first: str, *, first_side: int) -> dict[str, int]:
    areas = tuple(f"{area}_output" for area in ("V1", "V2", "V4", "IT"))
    return _four_stages((first, *areas, "decoder_linear"), first_side=first_side)


def _densenet(blocks: tuple[int, ...], *, growth: int = 32) -> dict[str, int]:
    """Each layer of a block adds channels; between blocks channels and map are halved."""
    channels, side = 2 * growth, 56
    maps = [("conv1_abs", channels, 112)]
    for block, n_layers in enumerate(blocks, 2):
        for layer in range(1, n_layers + 1):
            channels += growth
            maps.append((f"concat_{block}_{layer}", channels, side))
        channels, side = channels // 2, side // 2
    return _maps(maps) | {"fc6": _CLASSES}


def _squeezenet(first: tuple[int, int], sides: tuple[int, ...]) -> dict[str, int]:
    """Fire modules 2 to 9, which widen from 128 by 128 channels every second one."""
    fires = [(f"fire{i}:concat", 128 * (i // 2), side) for i, side in enumerate(sides, 2)]
    return _maps([("conv1_abs", *first), *fires]) | {"pool10": _CLASSES}


def _mobilenet_v2(multiplier: float) -> dict[str, int]:
    """Layers of which the first of some stages halves the map: (channels, layers, its side)."""
    stages = [
        (16, 1, 112),
        (24, 2, 56),
        (32, 3, 28),
        (64, 4, 14),
        (96, 3, 14),
        (160, 3, 7),
        (320, 1, 7),
    ]
    wide = [(channels, side) for channels, n_layers, side in stages for _ in range(n_layers)]
    maps = [
        (f"layer_{i}:output", _multiple_of_8(multiplier * channels), side)
        for i, (channels, side) in enumerate(wide, 2)
    ]
    first = ("layer_1_abs", _multiple_of_8(multiplier * 32), 112)
    return _maps([first, *maps]) | {"Logits": _CLASSES_AND_BACKGROUND}


def _multiple_of_8(channels: float) -> int:
    """Round to the nearest multiple of 8 that takes away no more than a tenth."""
    rounded = int(channels + 4) // 8 * 8
    return rounded if rounded >= 0.9 * channels else rounded + 8


BHSCORE_UNITS: Mapping[str, Mapping[str, int]] = {
    "AlexNet": {("conv1_abs" if name == "conv1" else name): n for name, n in ALEXNET.items()},
    "VGG-16": _vgg(),
    "VGG-19": _vgg(),
    "ResNet-18": _resnet(),
    "ResNet-34": _resnet(),
    "CORnet-Z": _cornet("V1_conv_abs", first_side=112),
    "CORnet-R": _cornet("V1_conv1_abs", first_side=56),
    "CORnet-S": _cornet("V1_conv1_abs", first_side=112),
    "DenseNet-121": _densenet((6, 12, 24, 16)),
    "DenseNet-161": _densenet((6, 12, 36, 24), growth=48),
    "DenseNet-169": _densenet((6, 12, 32, 32)),
    "DenseNet-201": _densenet((6, 12, 48, 32)),
    "SqueezeNet-1.0": _squeezenet((96, 111), (55, 55, 55, 27, 27, 27, 27, 13)),
    "SqueezeNet-1.1": _squeezenet((64, 113), (56, 56, 28, 28, 14, 14, 14, 14)),
    "MobileNet-v2-1.4-224": _mobilenet_v2(1.4),
}
"""Units of layers, by network and layer."""
