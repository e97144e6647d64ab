"""A network that is no library's, live or made by a factory, to its spec: layers are found."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import nn

from unitdb.activations.factory import make_network
from unitdb.activations.live import FACTORY, answers_sha256, copied, lent
from unitdb.activations.models import ModelSpec, get_model
from unitdb.activations.networks.automatic import chosen_layers
from unitdb.activations.networks.probing import probe_network
from unitdb.activations.preprocessing import Preprocessing
from unitdb.errors import ModelError
from unitdb.schema import name_problem

__all__ = ["Layers", "own_factory", "own_module", "preprocessing_of"]

Layers = Sequence[str] | Mapping[str, str] | str
"""``auto``; paths of modules, with ``*`` for anything; or name → path."""


def own_module(
    network: nn.Module, *, name: str | None, layers: Layers, preprocessing: Any
) -> tuple[ModelSpec, AbstractContextManager[None]]:
    """Describe a live module; inside of the context its spec can be loaded.

    Parameters
    ----------
    network : torch.nn.Module
        A copy is run on the CPU in evaluation mode; it stays as it is.
    name : str, optional
        In the database; by default its class.
    layers : Layers
    preprocessing : Preprocessing, mapping or str
        As of :func:`preprocessing_of`.

    Raises
    ------
    ModelError, UnknownLayerError, ActivationsError
        It cannot be copied, does not take its input, or has no such layers.
    """
    kind = f"{type(network).__module__}.{type(network).__qualname__}"
    mine, shown = copied(network), preprocessing_of(preprocessing)
    called = name or type(network).__name__
    spec = _with_layers(
        mine,
        layers,
        name=called,
        title=f"{called}, a live module of class {kind}",
        factory=FACTORY,
        preprocessing=shown,
        source="a live module",
    )
    answers = answers_sha256(mine, spec.layers, size=shown.size, where=f"model {called!r}")
    options = {"network": kind, "answers": answers}
    return spec.model_copy(update={"factory_options": options}), lent(network, answers)


def own_factory(
    factory: str,
    *,
    folder: Path,
    name: str | None,
    layers: Layers,
    preprocessing: Any,
    weights: str | None,
) -> ModelSpec:
    """Describe what a factory makes.

    Parameters
    ----------
    factory : str
        ``file.py:callable`` or ``package.module:callable``.
    folder : Path
        That the file, and ``weights``, are in.
    name : str, optional
        In the database; by default the callable with its file or module.
    layers : Layers
    preprocessing : Preprocessing, mapping or str
        As of :func:`preprocessing_of`.
    weights : str, optional
        File of a ``state_dict``.

    Raises
    ------
    ModelError, UnknownLayerError
        It cannot be made, does not take its input, or has no such layers.
    """
    place, _, made = factory.partition(":")
    words: dict[str, Any] = {
        "name": name or f"{place.removesuffix('.py').rpartition('/')[2]}-{made}",
        "title": f"Network of {factory}" + (f", weights {weights}" if weights else ""),
        "factory": factory,
        "weights": weights,
        "preprocessing": preprocessing_of(preprocessing),
        "source": factory,
    }
    network = make_network(_spec({"whole": ""}, None, **words), folder=folder, seed=0)
    return _with_layers(network, layers, **words)


def preprocessing_of(given: Any) -> Preprocessing:
    """What pictures go through: as stated, or that of a network that is known by name.

    Raises
    ------
    ModelError
        None is given, or it is not one.
    UnknownModelError
        No network of that name.
    """
    if isinstance(given, Preprocessing):
        return given
    if isinstance(given, str):
        return get_model(given).preprocessing
    if given is None:
        raise ModelError(
            "preprocessing of an own network is not known: give that of a known one "
            "(preprocessing torchvision/resnet50), or {size: 224, mean: [R, G, B], std: [R, G, B]} "
            "in units of 0–255"
        )
    try:
        return Preprocessing.model_validate(given)
    except ValidationError as cause:
        first = cause.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ModelError(f"preprocessing: {place}: {first['msg']}") from None


def _with_layers(network: nn.Module, layers: Layers, **words: Any) -> ModelSpec:
    where = words["name"]
    probed = probe_network(network, size=words["preprocessing"].size, where=f"model {where!r}")
    found = chosen_layers(probed, layers, called=where, origin=where)
    if not found:
        raise ModelError(f"model {where!r}: no layers are found; name paths of modules")
    axes = {one.name: one.axes for one in found if one.axes}
    return _spec({one.name: one.tapped for one in found}, axes or None, **words)


def _spec(layers: dict[str, str], axes: dict[str, str] | None, **words: Any) -> ModelSpec:
    name = re.sub(r"[^A-Za-z0-9._+-]", "-", words.pop("name"))
    if problem := name_problem(name):
        raise ModelError(f"the name {name!r} of a network {problem}")
    try:
        return ModelSpec(
            **words,
            name=name,
            layers=layers,
            axes=axes,
            licence="not stated",
            citation="none",
            check=None,
        )
    except ValidationError as cause:
        first = cause.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ModelError(f"model {name!r}: {place}: {first['msg']}") from None
