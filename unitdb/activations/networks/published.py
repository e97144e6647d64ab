"""Layers of published BH scores, as modules of the same networks in libraries.

A published name is taken at its word: it is what the layer of that name gives, in the code that the
name is from, without a ReLU or a normalisation that has a name of its own there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from unitdb.errors import ModelError
from unitdb.reference import bhscore_layers

__all__ = ["NOT_MADE", "Published", "published_network", "published_networks", "published_taps"]

_MIXED = re.compile(r"Mixed_(\d)([a-z])$")
_CONCAT = re.compile(r"concat_(\d)_(\d+)$")
_RESIDUAL = re.compile(r"inception_resnet_v2_([abc])(\d+)_residual_eltwise$")

_Path = Callable[[str, Mapping[str, nn.Module]], str]


@dataclass(frozen=True, kw_only=True)
class Published:
    """A network of a library that has the layers of published BH scores.

    Parameters
    ----------
    dnn : str
        The network, as the scores name it.
    path_of : callable
        What is tapped for a published name, of the network's modules by path.
    note : str
        What the published list leaves open, and what is taken here.
    """

    dnn: str
    path_of: _Path
    note: str


def published_networks() -> dict[str, Published]:
    """Networks by library and name (``timm`` without a tag), in the order of the published list."""
    order = list(dict.fromkeys(bhscore_layers()["dnn"]))
    return dict(sorted(_NETWORKS.items(), key=lambda pair: order.index(pair[1].dnn)))


def published_network(called: str, *, origin: str) -> Published:
    """A network of a library as it was published.

    Parameters
    ----------
    called : str
        Name in the library.
    origin : str
        The network, for messages: ``LIBRARY/NAME``.

    Raises
    ------
    ModelError
        It is none of the published networks, or not with the same modules.
    """
    library = origin.partition("/")[0]
    name = f"{library}/{called.partition('.')[0] if library == 'timm' else called}"
    if name not in _NETWORKS:
        why = f" ({_NOT[name]})" if name in _NOT else ""
        raise ModelError(
            f"{origin}: BH scores were published of no network with these modules{why}; layers: "
            f"bhscore is for {', '.join(published_networks())}; of other networks name paths of "
            "modules"
        )
    return _NETWORKS[name]


def published_taps(called: str, modules: Mapping[str, nn.Module], *, origin: str) -> dict[str, str]:
    """Published layers of a network, in their order, and what of it they are.

    Parameters
    ----------
    called : str
        Name in its library.
    modules : mapping of str to torch.nn.Module
        All modules by path.
    origin : str
        The network, for messages.

    Returns
    -------
    dict of str to str
        Name → what is tapped. ``:`` of published names becomes ``.``; ``_abs`` are absolute values.

    Raises
    ------
    ModelError
        As of :func:`published_network`.
    """
    published = published_network(called, origin=origin)
    names = bhscore_layers()
    found = {}
    for name in names[names["dnn"] == published.dnn]["layer"]:
        plain = name.removesuffix("_abs")
        path = published.path_of(plain, modules)
        found[name.replace(":", ".")] = f"abs({path})" if plain != name else path
    return found


def _same(name: str, _modules: Mapping[str, nn.Module]) -> str:
    return name


def _vgg(name: str, modules: Mapping[str, nn.Module]) -> str:
    if name.startswith("fc"):
        return f"classifier.{(int(name[2:]) - 6) * 3}"
    if name == "conv1_1":
        return "features.0"
    pools = [path for path, module in modules.items() if isinstance(module, nn.MaxPool2d)]
    return pools[int(name.removeprefix("pool")) - 1]


def _alexnet(name: str, _modules: Mapping[str, nn.Module]) -> str:
    from unitdb.activations.networks.of_bdpy import layer_paths

    return layer_paths("alexnet")[name]


def _squeezenet(name: str, modules: Mapping[str, nn.Module]) -> str:
    if name == "conv1":
        return "features.0"
    if name == "pool10":
        return "classifier.3"
    fires = [path for path, module in modules.items() if type(module).__name__ == "Fire"]
    return fires[int(name.removeprefix("fire").partition(":")[0]) - 2]


def _inception_v3(name: str, _modules: Mapping[str, nn.Module]) -> str:
    return "fc" if name == "Logits" else name


def _googlenet(name: str, _modules: Mapping[str, nn.Module]) -> str:
    mixed = _MIXED.match(name)
    if mixed:  # Mixed_3a of the original, a pool, has no number in torchvision
        return f"inception{mixed[1]}{chr(ord(mixed[2]) - 1)}"
    return {"Conv2d_1a_7x7": "conv1", "Conv2d_2c_3x3": "conv3", "Logits": "fc"}[name]


def _densenet(name: str, modules: Mapping[str, nn.Module]) -> str:
    """The last concatenation of a block is what it returns; others go into the next layer alone."""
    concat = _CONCAT.match(name)
    if concat is None:
        return {"conv1": "features.conv0", "fc6": "classifier"}[name]
    block = f"features.denseblock{int(concat[1]) - 1}"
    following = f"{block}.denselayer{int(concat[2]) + 1}.norm1"
    return f"input({following})" if following in modules else block


def _inception_v4(name: str, _modules: Mapping[str, nn.Module]) -> str:
    mixed = _MIXED.match(name)
    if mixed is None:
        names = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"]
        return "last_linear" if name == "Logits" else f"features.{names.index(name)}"
    first = {"3": 3, "4": 4, "5": 5, "6": 10, "7": 18}[mixed[1]]
    return f"features.{first + ord(mixed[2]) - ord('a')}"


def _inception_resnet_v2(name: str, modules: Mapping[str, nn.Module]) -> str:
    residual = _RESIDUAL.match(name)
    if residual is None:
        return {
            "conv1_3x3_s2": "conv2d_1a.conv",
            "conv4_3x3": "conv2d_4a.conv",
            "stem_concat": "mixed_5b",
            "reduction_a_concat": "mixed_6a",
            "reduction_b_concat": "mixed_7a",
            "classifier": "classif",
        }[name]
    blocks, relu = {"a": ("repeat", "act"), "b": ("repeat_1", "act"), "c": ("repeat_2", "relu")}[
        residual[1]
    ]
    after = f"{blocks}.{int(residual[2]) - 1}.{relu}"
    return f"input({after})" if after in modules else "block8"  # the last has no ReLU


def _nasnet(name: str, modules: Mapping[str, nn.Module]) -> str:
    if name == "conv0":
        return "conv0.conv" if "conv0" in modules else "conv_0.conv"
    return {"Stem": "cell_stem_1", "Logits": "last_linear"}.get(name, name.lower())


def _mobilenet_v2(name: str, modules: Mapping[str, nn.Module]) -> str:
    if name == "Logits":
        return "classifier"
    place = int(name.removeprefix("layer_").removesuffix(":output"))
    if place == 1:
        return "bn1"
    blocks = [path for path in modules if re.fullmatch(r"blocks\.\d+\.\d+", path)]
    return blocks[place - 2]


_OF_CAFFE = (
    "convolutions and fully connected layers are taken before their ReLU, as named. If Caffe "
    "computed in place, the published values are after it"
)
_OF_SLIM = (
    "convolutions are after normalisation and ReLU, like TF-slim's endpoints of these names. "
    "Logits are 1,000 classes here; TF-slim has 1,001 with one of the background"
)
_OF_PYTORCH = "conv1 is before its normalisation and ReLU, stages after their last ReLU"
_OF_SQUEEZENET = (
    "conv1 is before its ReLU; fire modules join their parts after ReLU. The published pictures "
    "have 227 pixels; torchvision's weights take 224"
)
_OF_DENSENET = (
    "concat_B_I joins the outputs of layers 1 to I of block B - 1 and the block's input, before "
    "the next normalisation. conv1 is before its own"
)
_OF_INCEPTION_RESNET = (
    "residual_eltwise is the sum before its ReLU. Convolutions are before normalisation and "
    "ReLU, as named. If Caffe computed in place, the published values are after both"
)
_OF_NASNET = (
    "conv0 is before its normalisation. Stem is the second cell of the stem. Cells join their "
    "branches before the next ReLU. All are like TF-slim's endpoints of these names. Logits are "
    "1,000 classes here; TF-slim has 1,001"
)
_OF_MOBILENET = (
    "layer_1 is after normalisation and ReLU6, the others after projection and shortcut, like "
    "TF-slim's endpoints of these names. Logits are 1,000 classes here; TF-slim has 1,001. The "
    "weights are from timm's own training"
)

_NETWORKS = {
    name: Published(dnn=dnn, path_of=path_of, note=note)
    for name, dnn, path_of, note in (
        ("bdpy/alexnet", "AlexNet", _alexnet, _OF_CAFFE),
        ("bdpy/vgg19", "VGG-19", _vgg, _OF_CAFFE),
        ("torchvision/vgg16", "VGG-16", _vgg, _OF_CAFFE),
        ("torchvision/vgg19", "VGG-19", _vgg, _OF_CAFFE),
        ("torchvision/resnet18", "ResNet-18", _same, _OF_PYTORCH),
        ("torchvision/resnet34", "ResNet-34", _same, _OF_PYTORCH),
        ("torchvision/squeezenet1_0", "SqueezeNet-1.0", _squeezenet, _OF_SQUEEZENET),
        ("torchvision/squeezenet1_1", "SqueezeNet-1.1", _squeezenet, _OF_SQUEEZENET),
        ("torchvision/inception_v3", "Inception-v3", _inception_v3, _OF_SLIM),
        ("torchvision/googlenet", "Inception-v1", _googlenet, _OF_SLIM),
        ("torchvision/densenet121", "DenseNet-121", _densenet, _OF_DENSENET),
        ("torchvision/densenet161", "DenseNet-161", _densenet, _OF_DENSENET),
        ("torchvision/densenet169", "DenseNet-169", _densenet, _OF_DENSENET),
        ("torchvision/densenet201", "DenseNet-201", _densenet, _OF_DENSENET),
        ("timm/inception_v4", "Inception-v4", _inception_v4, _OF_SLIM),
        (
            "timm/inception_resnet_v2",
            "Inception-ResNet-v2",
            _inception_resnet_v2,
            _OF_INCEPTION_RESNET,
        ),
        ("timm/nasnetalarge", "NASNet-Large", _nasnet, _OF_NASNET),
        ("timm/pnasnet5large", "PNASNet-Large", _nasnet, _OF_NASNET),
        ("timm/mobilenetv2_140", "MobileNet-v2-1.4-224", _mobilenet_v2, _OF_MOBILENET),
    )
}

_RESNET_V2 = (
    "published is TF-slim's ResNet v2, whose blocks halve the map in their last unit; in {there} "
    "they do in their first: the last units of three blocks would have other sizes"
)
_CORNET = "no library used by unitdb has its code (dicarlolab/CORnet)"
_OXFORD = "no library has this network of Caffe (Chatfield et al. 2014)"

NOT_MADE = {
    "VGG-F": _OXFORD,
    "VGG-M": _OXFORD,
    "VGG-S": _OXFORD,
    **{f"ResNet-{n}-v2": _RESNET_V2.format(there="timm's resnetv2") for n in (50, 101, 152)},
    "Inception-v2": "no library has it: TF-slim's begins with a separable convolution",
    "NASNet-Mobile": "timm has NASNet-A-Large alone",
    "CORnet-Z": _CORNET,
    "CORnet-R": _CORNET,
    "CORnet-S": _CORNET,
}
"""Published networks that no library has with the published layers, and why."""

_V1 = "published is ResNet v2, with other blocks"

_NOT = {
    "torchvision/alexnet": "the published AlexNet, bdpy/alexnet, has two groups and 96 channels in "
    "conv1, this one 64",
    **{f"{library}/resnet{n}": _V1 for library in ("torchvision", "timm") for n in (50, 101, 152)},
    **{f"timm/resnetv2_{n}": NOT_MADE[f"ResNet-{n}-v2"] for n in (50, 101, 152)},
    "torchvision/mobilenet_v2": "published is the one of width 1.4, timm/mobilenetv2_140",
    "timm/mobilenetv2_100": "published is the one of width 1.4, timm/mobilenetv2_140",
}
