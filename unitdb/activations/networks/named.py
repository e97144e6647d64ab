"""The registry: from the name of a library's network to its spec, layers included."""

from __future__ import annotations

import fnmatch
import importlib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import PIL.Image

from unitdb.activations.models import NamedNetwork
from unitdb.activations.networks.automatic import Found, chosen_layers, output_layer
from unitdb.activations.networks.described import Described, photographs_check
from unitdb.activations.networks.probing import Probed, probe
from unitdb.activations.networks.weights import get_weights
from unitdb.activations.photographs import PHOTOGRAPHS, photograph
from unitdb.activations.preprocessing import to_tensor
from unitdb.errors import ModelError, UnknownModelError

__all__ = [
    "SOURCES",
    "beside_library",
    "get_network",
    "list_networks",
    "named_network",
    "probed_network",
    "published_accuracy",
]

SOURCES = {
    "torchvision": "unitdb.activations.networks.of_torchvision",
    "timm": "unitdb.activations.networks.of_timm",
    "bdpy": "unitdb.activations.networks.of_bdpy",
    "transformers": "unitdb.activations.networks.of_transformers",
}
"""Source → module with ``names``, ``describe`` and ``make``."""

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._+-]")


def list_networks(source: str, pattern: str = "*") -> list[str]:
    """Names of a library's networks.

    Parameters
    ----------
    source : str
        A key of :data:`SOURCES`.
    pattern : str
        What names must fit; ``*`` stands for anything.

    Raises
    ------
    MissingExtraError
        The library is not installed.
    """
    names = (f"{source}/{name}" for name in _source(source, source).names())
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def named_network(
    name: str,
    *,
    layers: Sequence[str] | str = "auto",
    weights: str | None = None,
    data: Path | None = None,
) -> NamedNetwork:
    """Find a library's network; parameters and errors as of :func:`unitdb.activations.get_model`.

    Neither weights nor a network connection are needed; of transformers, the files that describe it
    are in the data folder.
    """
    return probed_network(name, layers=layers, weights=weights, data=data)[0]


def probed_network(
    name: str,
    *,
    layers: Sequence[str] | str = "auto",
    weights: str | None = None,
    data: Path | None = None,
) -> tuple[NamedNetwork, tuple[Found, ...]]:
    """As :func:`named_network`, with what was found of each layer."""
    source, _, rest = name.partition("/")
    called, _, state = rest.partition(":")
    library = _source(source, name)
    here = {"data": data} if hasattr(library, "prepare") else {}
    described: Described = library.describe(called, state or None, **here)
    options = described.options
    if weights is not None and "weights" in options:
        options = {**options, "weights": "random"}
    passed = probe(library.make, options, size=described.preprocessing.size, where=name)
    asked = _by_the_library(described.layers, layers)
    found = chosen_layers(passed, asked, called=called, origin=name)
    scores = _scores(probed=passed, found=found, n=len(described.labels), origin=name)
    added = scores is not None and scores not in found
    if scores is not None and added:
        found = (*found, scores)
    check = photographs_check(described.labels, scores.name) if scores is not None else None
    full = described.origin.partition("/")[2]
    own = weights is not None
    if own:
        plain = called.partition(".")[0] if source == "timm" else called
        full = f"{plain}-{PurePosixPath(weights or '').stem}"
    spec = NamedNetwork(
        name=_NOT_IN_NAMES.sub("-", full),
        title=f"{called} of {source}, weights {weights}" if own else described.title,
        factory=described.factory,
        factory_options=options,
        weights=weights,
        packages=[described.package],
        preprocessing=described.preprocessing,
        layers={one.name: one.tapped for one in found},
        axes={one.name: one.axes for one in found if one.axes} or None,
        licence="not stated" if own else described.licence,
        source=str(weights) if own else described.source,
        citation=described.citation,
        check=check,
        # Weights of one's own that cannot be checked may be of other classes.
        classes=_classes(described, scores) if check is not None or not own else {},
        origin=described.origin,
        download=None if own else described.download,
        added=added,
    )
    return spec, found


def get_network(name: str, *, data: Path | None = None) -> Path:
    """Download what a library's network needs into the data folder; then it works offline.

    Parameters
    ----------
    name : str
        As of :func:`unitdb.activations.get_model`.
    data : Path, optional
        Data folder.

    Returns
    -------
    Path
        File of weights.

    Raises
    ------
    ModelError
        The network has no weights to get, the address does not answer, or other bytes came.
    UnknownModelError
        There is no such network.
    """
    if "/" not in name:
        raise ModelError(f"{name}: its weights come with its package; there is nothing to get")
    source, _, rest = name.partition("/")
    library = _source(source, name)
    if hasattr(library, "prepare"):
        library.prepare(rest.partition(":")[0], data=data)
    return get_weights(named_network(name, data=data), data=data)


def beside_library(name: str, *, data: Path | None = None) -> float | None:
    """Hold pictures, as a network of a library gets them, to the library's own transform.

    Finds each mistake in what is read from the library's metadata: channel order, mean, SD, size.

    Parameters
    ----------
    name : str
        As of :func:`unitdb.activations.get_model`.
    data : Path, optional
        Data folder.

    Returns
    -------
    float or None
        Largest difference over the shipped photographs, in units of the input; None where the
        library has no transform (bdpy), or the network is of none.

    Raises
    ------
    UnknownModelError, ModelError
        As of :func:`unitdb.activations.get_model`.
    """
    source, _, rest = name.partition("/")
    if not rest or not hasattr(library := _source(source, name), "own_input"):
        return None
    called, _, state = rest.partition(":")
    here = {"data": data} if hasattr(library, "prepare") else {}
    stated = _described(name, data).preprocessing
    most = 0.0
    for shown in map(photograph, sorted(PHOTOGRAPHS)):
        picture = PIL.Image.fromarray(np.array(shown))
        theirs = np.asarray(library.own_input(called, state or None, picture, **here))
        most = max(most, float(np.abs(to_tensor(shown, stated).numpy() - theirs).max()))
    return most


def published_accuracy(name: str, *, data: Path | None = None) -> float | None:
    """Top-1 accuracy on ImageNet's validation pictures, as a network's library publishes it.

    Parameters
    ----------
    name : str
        As of :func:`unitdb.activations.get_model`.
    data : Path, optional
        Data folder.

    Returns
    -------
    float or None
        From 0 to 1; None where the library states none (timm, transformers, bdpy), of random
        weights, and of a network of no library.

    Raises
    ------
    UnknownModelError, ModelError
        As of :func:`unitdb.activations.get_model`.
    """
    return _described(name, data).accuracy if "/" in name else None


def _described(name: str, data: Path | None) -> Described:
    source, _, rest = name.partition("/")
    library = _source(source, name)
    called, _, state = rest.partition(":")
    here = {"data": data} if hasattr(library, "prepare") else {}
    found: Described = library.describe(called, state or None, **here)
    return found


def _by_the_library(
    known: Mapping[str, str], asked: Sequence[str] | str
) -> Mapping[str, str] | Sequence[str] | str:
    """Layers under the names that a library gives them, where these are asked for or all are."""
    if known and asked == "auto":
        return known
    if isinstance(asked, str) or not set(asked) <= known.keys():
        return asked
    return {layer: path for layer, path in known.items() if layer in asked}


def _scores(probed: Probed, found: Sequence[Found], n: int, origin: str) -> Found | None:
    """Layer of class scores: among those found, or else what the network gives."""
    if not n:
        return None
    whole = output_layer(probed, origin)
    likely = [*found, *([whole] if whole is not None else [])]
    return next((one for one in likely if math.prod(one.shape) == n), None)


def _classes(described: Described, scores: Found | None) -> dict[str, list[str]]:
    return {} if scores is None else {scores.name: list(described.labels)}


def _source(source: str, name: str) -> Any:
    if source not in SOURCES:
        raise UnknownModelError(
            source, SOURCES, where=f"libraries of networks (LIBRARY/NAME: {name})"
        )
    return importlib.import_module(SOURCES[source])
