"""Networks of torchvision: preprocessing, labels and weights as its ``Weights`` state them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import torch
from torch import nn

from unitdb.activations.foreign import as_model_error
from unitdb.activations.models import Download
from unitdb.activations.networks.described import Described
from unitdb.activations.networks.weights import read_state
from unitdb.activations.preprocessing import Preprocessing
from unitdb.errors import ModelError, UnknownModelError
from unitdb.extras import need

__all__ = ["describe", "make", "names", "own_input"]

_PAPER = re.compile(r"`([^`<]+?)\s*<(https?://[^>]+)>`_")
_HASHED = re.compile(r"-([0-9a-f]{8,64})\.pth$")


def names() -> list[str]:
    """Names of all classification networks, sorted."""
    models = _library()
    return sorted(models.list_models(module=models))


def describe(name: str, weights: str | None) -> Described:
    """Say what torchvision says of a network.

    Parameters
    ----------
    name : str
        As ``torchvision.models.list_models`` gives it.
    weights : str or None
        Member of its ``Weights``; None for the default ones, ``random`` for none.

    Raises
    ------
    UnknownModelError
        There is no such network, or no such weights of it.
    ModelError
        torchvision cannot be imported, or its preprocessing is another than to resize and to crop.
    """
    models = _library()
    if name not in (known := names()):
        raise UnknownModelError(name, known, where="torchvision", hint="unitdb models list")
    members = models.get_model_weights(name)
    random = weights == "random"
    if not random and weights not in (None, "DEFAULT", *members.__members__):
        raise UnknownModelError(
            weights or "", [*members.__members__, "random"], where=f"weights of torchvision/{name}"
        )
    chosen = members["DEFAULT" if random or weights is None else weights]
    state = "random" if random else chosen.name
    paper = _PAPER.search(" ".join((models.get_model_builder(name).__doc__ or "").split()))
    return Described(
        origin=f"torchvision/{name}:{state}",
        title=f"{name} of torchvision, {'random weights' if random else chosen.name}",
        factory=f"{__name__}:make",
        options={"name": name, "weights": state},
        package="torchvision",
        download=None if random else _download(chosen.url),
        preprocessing=_preprocessing(chosen.transforms(), where=f"torchvision/{name}"),
        accuracy=None if random else _accuracy(chosen.meta),
        labels=() if random else tuple(chosen.meta.get("categories", ())),
        licence="of the weights: none stated by torchvision; of its code: "
        + ", ".join(metadata.metadata("torchvision").get_all("License") or ["not stated"]),
        source="random weights" if random else chosen.url,
        citation=f"{paper[1]}, {paper[2]}" if paper else str(chosen.meta.get("recipe", "none")),
    )


def own_input(name: str, weights: str | None, picture: Any) -> Any:
    """What torchvision's transform makes of a picture (Pillow); names as of :func:`describe`."""
    members = _library().get_model_weights(name)
    return members["DEFAULT" if weights in (None, "random") else weights].transforms()(picture)


def make(*, name: str, weights: str, file: str | None = None) -> nn.Module:
    """Make a network as torchvision does, its weights read from a file.

    Parameters
    ----------
    name : str
        Of the network.
    weights : str
        Member of its ``Weights``, or ``random``.
    file : str, optional
        The state_dict; without one the network has random weights, its parts as of these weights.
    """
    models = _library()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how weights are drawn
        network: nn.Module
        if weights == "random" or file is None:
            network = models.get_model(name, weights=None)
            return network
        chosen = models.get_model_weights(name)[weights]
        state = read_state(file)
        given = type(chosen)
        # What belongs to weights besides them (transform_input, renamed keys) torchvision does
        # itself, where it loads them; they are read here, since it would unpickle the file.
        real = given.get_state_dict
        try:
            given.get_state_dict = lambda *_args, **_options: state
            network = models.get_model(name, weights=chosen)
        finally:
            given.get_state_dict = real
    return network


def _library() -> Any:
    need("torchvision", by="networks of torchvision", extra="torchvision")
    with as_model_error(
        f"torchvision {metadata.version('torchvision')} cannot be imported beside torch "
        f"{torch.__version__} (the two must be a matching pair)"
    ):
        from torchvision import models
    return models


def _accuracy(meta: Mapping[str, Any]) -> float | None:
    percent = meta.get("_metrics", {}).get("ImageNet-1K", {}).get("acc@1")
    return None if percent is None else float(percent) / 100


def _download(url: str) -> Download:
    hashed = _HASHED.search(url)
    return Download(
        path=f"torchvision/{url.rpartition('/')[2]}",
        url=url,
        sha256=hashed[1] if hashed else "",
    )


def _preprocessing(transforms: Any, *, where: str) -> Preprocessing:
    try:
        size, resize = transforms.crop_size[0], transforms.resize_size[0]
        return Preprocessing(
            size=size,
            resize=resize,
            crop=size / resize,
            interpolation=transforms.interpolation.value,
            mean=_times_255(transforms.mean),
            std=_times_255(transforms.std),
        )
    except (AttributeError, LookupError, TypeError, ValueError) as cause:
        raise ModelError(f"{where}: preprocessing {transforms!r} is not known here") from cause


def _times_255(values: Any) -> tuple[float, float, float]:
    red, green, blue = (round(255 * float(value), 6) for value in values)
    return red, green, blue
