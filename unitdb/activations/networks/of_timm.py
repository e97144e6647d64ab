"""Networks of timm: preprocessing, labels and weights as its ``pretrained_cfg`` states them."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import torch
from torch import nn

from unitdb.activations.foreign import as_model_error
from unitdb.activations.models import Download
from unitdb.activations.networks.described import Described
from unitdb.activations.preprocessing import Preprocessing
from unitdb.errors import ModelError, UnknownModelError
from unitdb.extras import need

__all__ = ["describe", "make", "names", "own_input"]


def names() -> list[str]:
    """Names of all networks with weights, with their tags, sorted."""
    return sorted(_library().list_pretrained())


def describe(name: str, weights: str | None) -> Described:
    """Say what timm says of a network.

    Parameters
    ----------
    name : str
        ``ARCHITECTURE`` or ``ARCHITECTURE.TAG``.
    weights : str or None
        ``random`` for none; None for those of the tag (of the default tag).

    Raises
    ------
    UnknownModelError
        There is no such network, or no such weights.
    ModelError
        timm cannot be imported, or its preprocessing is another than to resize and to crop.
    """
    timm = _library()
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        raise UnknownModelError(name, names(), where="timm", hint="unitdb models list")
    if weights not in (None, "random"):
        raise UnknownModelError(
            weights or "", ["random"], where=f"weights of timm/{name}; others are TAG of NAME.TAG"
        )
    random = weights == "random"
    known = timm.list_pretrained(f"{architecture}.*")
    stated = timm.get_pretrained_cfg(name) if name in (architecture, *known) else None
    if stated is None or not (random or stated.has_weights):
        raise UnknownModelError(name, [*known, f"{architecture}:random"], where="timm")
    full = f"{architecture}.{stated.tag}" if stated.tag else architecture
    classes = stated.num_classes
    return Described(
        origin=f"timm/{architecture}:random" if random else f"timm/{full}",
        title=f"{architecture if random else full} of timm{', random weights' if random else ''}",
        factory=f"{__name__}:make",
        options={"name": architecture if random else full},
        package="timm",
        download=None if random else _download(full, stated),
        preprocessing=_preprocessing(timm, stated, where=f"timm/{full}"),
        labels=() if random or not classes else _labels(timm, stated),
        licence=stated.license or "none stated by timm",
        source="random weights" if random else stated.hf_hub_id or stated.url or "timm",
        citation=", ".join(
            str(one) for one in (stated.paper_name, stated.paper_ids, stated.origin_url) if one
        )
        or f"timm {metadata.version('timm')}: {architecture}",
    )


def own_input(name: str, _: str | None, picture: Any) -> Any:
    """What timm's own transform makes of a picture (Pillow); names as of :func:`describe`."""
    data = (timm := _library()).data
    stated = timm.get_pretrained_cfg(name).to_dict()
    config = data.resolve_data_config(pretrained_cfg=stated, verbose=False)
    return data.create_transform(**config)(picture)


def make(*, name: str, file: str | None = None) -> nn.Module:
    """Make a network as timm does, its weights read from a file.

    Parameters
    ----------
    name : str
        Of the network, with the tag.
    file : str, optional
        Its weights; random without.
    """
    # What files of the hub hold is loaded as such, whatever other files the network had before.
    overlay = {} if file is None else {"file": file, "custom_load": False}
    network: nn.Module = _library().create_model(
        name, pretrained=file is not None, pretrained_cfg_overlay=overlay
    )
    return network


def _library() -> Any:
    need("timm", "torchvision", by="networks of timm", extra="timm")
    with as_model_error(
        f"timm {metadata.version('timm')} cannot be imported beside torch {torch.__version__} and "
        f"torchvision {metadata.version('torchvision')} (the last two must be a matching pair)"
    ):
        import timm
        import timm.data
        import timm.models
    return timm


def _download(full: str, stated: Any) -> Download:
    if stated.hf_hub_id:
        from huggingface_hub import hf_hub_url

        file = stated.hf_hub_filename or "model.safetensors"
        return Download(path=f"timm/{full}/{file}", url=hf_hub_url(stated.hf_hub_id, file))
    return Download(path=f"timm/{full}/{stated.url.rpartition('/')[2]}", url=stated.url)


def _preprocessing(timm: Any, stated: Any, *, where: str) -> Preprocessing:
    config = timm.data.resolve_data_config(pretrained_cfg=stated.to_dict(), verbose=False)
    channels, height, width = config["input_size"]
    if channels != 3 or height != width or config.get("crop_mode", "center") != "center":
        raise ModelError(
            f"{where}: preprocessing is not known here: input {config['input_size']}, "
            f"crop mode {config.get('crop_mode')!r} (3 channels, a square, and 'center' are)"
        )
    if config["interpolation"] not in ("bicubic", "bilinear"):
        raise ModelError(f"{where}: interpolation {config['interpolation']!r} is not known here")
    resize = int(height / config["crop_pct"])  # rounded down, as timm's own transform does
    return Preprocessing(
        size=height,
        resize=resize,
        crop=height / resize,
        interpolation=config["interpolation"],
        mean=_times_255(config["mean"]),
        std=_times_255(config["std"]),
    )


def _times_255(values: Any) -> tuple[float, float, float]:
    red, green, blue = (round(255 * float(value), 6) for value in values)
    return red, green, blue


def _labels(timm: Any, stated: Any) -> tuple[str, ...]:
    subset = timm.data.infer_imagenet_subset(stated.to_dict())
    if subset is None:
        return ()
    info = timm.data.ImageNetInfo(subset)
    return tuple(info.index_to_description(place) for place in range(info.num_classes()))
