"""Layers of published BH scores, as modules of the same networks in torchvision."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import nn

from unitdb.errors import ModelError
from unitdb.reference import bhscore_layers

__all__ = ["published_taps"]

_MIXED = re.compile(r"Mixed_(\d)([a-z])$")


def published_taps(called: str, modules: Mapping[str, nn.Module], *, origin: str) -> dict[str, str]:
    """Published layers of a network, in their order, and what of it they are.

    Parameters
    ----------
    called : str
        Name in torchvision.
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
        It is none of the 29 networks, or not with the same modules.
    """
    library = origin.partition("/")[0]
    if f"{library}/{called}" not in _NETWORKS:
        there = ", ".join(_NETWORKS)
        why = f" ({_NOT[called]})" if library == "torchvision" and called in _NOT else ""
        raise ModelError(
            f"{origin}: BH scores were published of no network with these modules{why}; layers: "
            f"bhscore is for {there}"
        )
    published, path_of = _NETWORKS[f"{library}/{called}"]
    names = bhscore_layers()
    found = {}
    for name in names[names["dnn"] == published]["layer"]:
        plain = name.removesuffix("_abs")
        path = path_of(plain, modules)
        found[name.replace(":", ".")] = f"abs({path})" if plain != name else path
    return found


_Path = Callable[[str, Mapping[str, nn.Module]], str]


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


_NETWORKS: dict[str, tuple[str, _Path]] = {
    "bdpy/alexnet": ("AlexNet", _alexnet),
    "bdpy/vgg19": ("VGG-19", _vgg),
    "torchvision/resnet18": ("ResNet-18", _same),
    "torchvision/resnet34": ("ResNet-34", _same),
    "torchvision/vgg16": ("VGG-16", _vgg),
    "torchvision/vgg19": ("VGG-19", _vgg),
    "torchvision/squeezenet1_0": ("SqueezeNet-1.0", _squeezenet),
    "torchvision/squeezenet1_1": ("SqueezeNet-1.1", _squeezenet),
    "torchvision/inception_v3": ("Inception-v3", _inception_v3),
    "torchvision/googlenet": ("Inception-v1", _googlenet),
}

_NOT = {
    "alexnet": "the published AlexNet, bdpy/alexnet, has two groups and 96 channels in conv1, this "
    "one 64",
    **dict.fromkeys(
        ("densenet121", "densenet161", "densenet169", "densenet201"),
        "published are concatenations within dense blocks, which no module of torchvision returns",
    ),
    **dict.fromkeys(
        ("resnet50", "resnet101", "resnet152"), "published is ResNet v2, with other blocks"
    ),
    "mobilenet_v2": "published is the one of width 1.4",
}
