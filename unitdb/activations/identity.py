"""What activations depend on besides pictures, network and units: code, packages, processor."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

from unitdb.activations.models import ModelSpec
from unitdb.errors import ModelError, closest
from unitdb.files import visible

__all__ = ["environment", "model_packages", "source_sha256"]

_PACKAGES = ("Pillow", "numpy", "torch")

SOURCES = ("axes", "npy", "pictures", "steady", "taps", "texts")
"""Modules beside this folder whose code is part of the identity of activations."""

NO_NUMBER_OF = frozenset(
    {"chance", "datafolder", "errors", "extras", "files", "lazily", "reads", "reference"}
    | {"resolution", "schema", "specs"}
)
"""Those that the folder uses too, and that no activation depends on."""


def environment() -> dict[str, object]:
    """Hashes of the source that computes, versions of the packages that do, architecture."""
    return {
        "code": source_sha256(Path(__file__).parent),
        "beside": [source_sha256(Path(__file__).parents[1] / f"{name}.py") for name in SOURCES],
        "packages": _versions(_PACKAGES),
        "machine": platform.machine(),
    }


def model_packages(spec: ModelSpec) -> dict[str, str]:
    """Versions of the distributions that a network is made by.

    Those that ``spec.packages`` names and, where the factory is in an installed package, the one
    that it comes from; unitdb itself is left out, since its code is part of every key.

    Parameters
    ----------
    spec : ModelSpec
        The model.

    Returns
    -------
    dict of str to str
        Distribution → version.

    Raises
    ------
    ModelError
        A distribution that the spec names is not installed; names the nearest.
    """
    place = spec.factory.partition(":")[0]
    top = place.partition(".")[0]
    own = [] if place.endswith(".py") or top == "unitdb" else _distributions().get(top, [])
    try:
        return _versions({*spec.packages, *own})
    except metadata.PackageNotFoundError as cause:
        known = {name for names in _distributions().values() for name in names}
        near = closest(str(cause.name), known)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ModelError(
            f"model {spec.name!r}: packages: {cause.name!r} is not installed{hint}"
        ) from None


@cache
def source_sha256(place: Path) -> str:
    """SHA-256 (hex) of a Python file, or all below a folder: names and bytes, as first read."""
    digest = hashlib.sha256()
    for path in sorted(visible(place.rglob("*.py"), below=place)) or [place]:
        name = path.name if path == place else path.relative_to(place).as_posix()
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@cache
def _distributions() -> dict[str, list[str]]:
    return {top: list(names) for top, names in metadata.packages_distributions().items()}


def _versions(names: Iterable[str]) -> dict[str, str]:
    return {name: metadata.version(name) for name in sorted(names)}
