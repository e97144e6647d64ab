"""``datapackage.json``: what a release says of itself, and the first thing a reader opens."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from unitdb.errors import CorruptReleaseError, FetchError, SchemaVersionError
from unitdb.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "MANIFEST",
    "METADATA",
    "VERSION_PATTERN",
    "Manifest",
    "check_schema_version",
    "parse_manifest",
    "read_manifest",
]

MANIFEST = "datapackage.json"
METADATA = (
    MANIFEST,
    "croissant.json",
    "dataset_description.json",
    "CITATION.cff",
    "CHANGELOG.md",
    "README.md",
    "recipe.yaml",
)
"""The files of a release besides its tables and their checksums."""

VERSION_PATTERN = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The parts of ``datapackage.json`` that reading needs.

    Parameters
    ----------
    name, version, title, description, licence, citation : str
        What the release is called, and how to cite it.
    simulated : bool
        True where any of its responses are simulated, not measured.
    schema : str
        Schema that its tables follow, MAJOR.MINOR.
    recipe_sha256 : str
        Hash of the recipe that built it.
    n_accuracies : int
        Rows of the table ``accuracy``.
    files : mapping of str to tuple of str
        Paths of the Parquet files of each table, relative to the release.
    """

    name: str
    version: str
    title: str
    description: str
    licence: str
    citation: str
    simulated: bool
    schema: str
    recipe_sha256: str
    n_accuracies: int
    files: Mapping[str, tuple[str, ...]]


def read_manifest(folder: Path) -> Manifest:
    """Read ``datapackage.json`` of the release in ``folder``, and nothing else.

    Raises
    ------
    CorruptReleaseError
        The file is missing, not JSON, or lacks or misstates a part; names which.
    """
    return parse_manifest(lambda: (folder / MANIFEST).read_text(encoding="utf-8"), str(folder))


def parse_manifest(read: Callable[[], str], where: str) -> Manifest:
    """Make a manifest of the text that ``read`` gives.

    Parameters
    ----------
    read : callable
        Reads ``datapackage.json``.
    where : str
        Folder or address of the release, for messages.

    Raises
    ------
    CorruptReleaseError
        As of :func:`read_manifest`.
    """
    path = f"{where}/{MANIFEST}"
    try:
        content = json.loads(read())
    except FileNotFoundError:
        raise CorruptReleaseError(f"{where} is not a release: it has no {MANIFEST}") from None
    except FetchError:
        raise
    except (OSError, ValueError) as cause:
        raise CorruptReleaseError(f"{path}: cannot be read: {cause}") from cause
    try:
        own = content["unitdb"]
        return Manifest(
            name=_typed(content["name"], str),
            version=_matching(content["version"], VERSION_PATTERN),
            title=_typed(content["title"], str),
            description=_typed(content["description"], str),
            licence=_typed(content["licenses"][0]["name"], str),
            citation=_typed(own["citation"], str),
            simulated=_typed(own["simulated"], bool),
            schema=_matching(own["schema"], r"\d+\.\d+"),
            recipe_sha256=_typed(own["recipe_sha256"], str),
            n_accuracies=_typed(own["n_accuracies"], int),
            files={r["name"]: _paths(r["path"]) for r in content["resources"]},
        )
    except KeyError as cause:
        raise CorruptReleaseError(f"{path}: the key {cause} is missing") from cause
    except (TypeError, ValueError, IndexError) as cause:
        raise CorruptReleaseError(f"{path}: not as unitdb writes it: {cause}") from cause


def check_schema_version(manifest: Manifest, *, where: str) -> None:
    """Raise SchemaVersionError where this unitdb does not read the schema of a release."""
    if _numbers(manifest.schema)[0] < _numbers(SCHEMA_VERSION)[0]:
        raise SchemaVersionError(
            f"{where} follows schema {manifest.schema}, which this unitdb no longer reads "
            f"(it reads {SCHEMA_VERSION}): build the release again"
        )
    if _numbers(manifest.schema) > _numbers(SCHEMA_VERSION):
        raise SchemaVersionError(
            f"{where} follows schema {manifest.schema}; this unitdb reads up to {SCHEMA_VERSION}: "
            "upgrade it with pip install --upgrade unitdb"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is not of type {kind.__name__}")
    return value


def _matching(value: Any, pattern: str) -> str:
    if not re.fullmatch(pattern, _typed(value, str)):
        raise ValueError(f"{value!r} does not match {pattern!r}")
    return str(value)


def _paths(path: Any) -> tuple[str, ...]:
    paths = tuple([path] if isinstance(path, str) else path)
    for one in paths:
        if PurePosixPath(_typed(one, str)).is_absolute() or ".." in PurePosixPath(one).parts:
            raise ValueError(f"{one!r} leaves the folder of the release")
    return paths
