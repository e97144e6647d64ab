"""AlexNet and VGG19 as Kamitani Lab's bdpy has them: networks of Caffe, by the names of papers."""

from __future__ import annotations

import re
from importlib import metadata
from typing import Any

import torch
from torch import nn

from unitdb.activations.foreign import as_model_error
from unitdb.activations.models import Download
from unitdb.activations.networks.caffe import caffe_state
from unitdb.activations.networks.described import Described
from unitdb.activations.networks.weights import read_state
from unitdb.activations.preprocessing import Preprocessing
from unitdb.errors import ModelError, UnknownModelError
from unitdb.extras import need

__all__ = ["describe", "layer_paths", "make", "names"]

_SIDE = {"alexnet": 227, "vgg19": 224}
"""Side of the input: conv1 of AlexNet gives 55 × 55."""

_CITED = {
    "alexnet": "Krizhevsky, Sutskever & Hinton (2012), NIPS 25",
    "vgg19": "Simonyan & Zisserman (2015), https://arxiv.org/abs/1409.1556",
}
_DOWNLOADS = {
    "alexnet": Download(
        path="bdpy/bvlc_alexnet.caffemodel",
        url="http://dl.caffe.berkeleyvision.org/bvlc_alexnet.caffemodel",
        came="sha1:9116a64c0fbe4459d18f4bb6b56d647b63920377",
    ),
    "vgg19": Download(
        path="bdpy/VGG_ILSVRC_19_layers.pt",
        url="https://ndownloader.figshare.com/files/38225868",
        came="md5:49f4d6dbf1024f33149352dfd309dc4d",
        member="VGG_ILSVRC_19_layers/VGG_ILSVRC_19_layers.pt",
    ),
}
"""Addresses and checksums as their publishers state them: models/bvlc_alexnet/readme.md of
https://github.com/BVLC/caffe, and data/files.json of
https://github.com/KamitaniLab/brain-decoding-cookbook-public."""

_LICENCES = {
    "alexnet": "of the weights: released for unrestricted use (BVLC)",
    "vgg19": "of the weights: none stated by bdpy",
}


def names() -> list[str]:
    """Both names, sorted."""
    return sorted(_SIDE)


def describe(name: str, weights: str | None) -> Described:
    """Say what bdpy says of a network, and the laboratory's scripts of its pictures.

    Channels are blue, green, red; the mean of ImageNet's training pictures, one value a channel, is
    taken away, and nothing is divided by. Weights of VGG19 are the laboratory's file. Its file of
    AlexNet, ``bvlc_alexnet.pt``, has no address: these are what it is named after, BVLC's own, in
    Caffe's format.

    Parameters
    ----------
    name : {"alexnet", "vgg19"}
    weights : str or None
        ``random`` for none.

    Raises
    ------
    UnknownModelError
        Another network, or other weights.
    ModelError
        bdpy cannot be imported.
    """
    _library()
    if name not in _SIDE:
        raise UnknownModelError(name, names(), where="bdpy")
    if weights not in (None, "random"):
        raise UnknownModelError(weights or "", ["random"], where=f"weights of bdpy/{name}")
    random = weights == "random"
    download = None if random else _DOWNLOADS[name]
    return Described(
        origin=f"bdpy/{name}:random" if random else f"bdpy/{name}",
        title=f"{name} of bdpy, {'random weights' if random else 'weights of Caffe'}",
        factory=f"{__name__}:make",
        options={"name": name},
        package="bdpy",
        download=download,
        preprocessing=Preprocessing(
            size=_SIDE[name],
            interpolation="bicubic",
            mean=(123, 117, 104),
            std=(1, 1, 1),
            channels="BGR",
        ),
        licence=f"{_LICENCES[name]}; of bdpy's code: "
        + ", ".join(metadata.metadata("bdpy").get_all("License") or ["not stated"]),
        source="random weights" if download is None else download.url,
        citation=_CITED[name],
        layers={
            layer: path for layer, path in layer_paths(name).items() if not layer.startswith("relu")
        },
    )


def layer_paths(name: str) -> dict[str, str]:
    """Module of each layer, by the names of papers: what bdpy's ``layer_map`` says."""
    return {
        layer: re.sub(r"\[(\d+)\]", r".\1", str(path))
        for layer, path in _library().layer_map(name).items()
    }


def make(*, name: str, file: str | None = None) -> nn.Module:
    """Make a network as bdpy does, its weights read from a file.

    Parameters
    ----------
    name : {"alexnet", "vgg19"}
    file : str, optional
        The state_dict, or a file of Caffe (``.caffemodel``); random weights without.

    Raises
    ------
    ModelError
        The file is not of this network.
    """
    network: nn.Module = _library().model_factory(name)
    if file is not None:
        try:
            if file.endswith(".caffemodel"):
                paths = layer_paths(name)
                weighted = {layer: path for layer, path in paths.items() if "relu" not in layer}
                network.load_state_dict(caffe_state(network, file, weighted))
            else:
                network.load_state_dict(read_state(file))
        except (RuntimeError, TypeError, AttributeError) as cause:
            raise ModelError(f"{file}: not of {name}: {' '.join(str(cause).split())}") from None
    return network


def _library() -> Any:
    need("bdpy", by="networks of bdpy", extra="bdpy")
    with as_model_error(
        f"bdpy {metadata.version('bdpy')} cannot be imported beside torch {torch.__version__}"
    ):
        from bdpy.dl.torch import models
    return models
