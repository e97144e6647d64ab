"""``datapackage.json``: what a release says of itself, and the first thing a reader opens."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unitdb.errors import (
    CorruptReleaseError,
    FetchError,
    NotDownloadedError,
    SchemaVersionError,
)
from unitdb.extras import upgrade_hint
from unitdb.files import check_downloaded
from unitdb.release.citing import Person
from unitdb.release.names import (
    VERSION_PATTERN,
    bounded_text,
    check_paths,
    matching as _matching,
    typed as _typed,
)
from unitdb.schema import NAME_PATTERN, SCHEMA_VERSION, TABLES

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

_SCHEMA_PATTERN = r"[0-9]{1,4}\.[0-9]{1,4}"


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
    authors : tuple of Person
        Who made it; none where they are not stated.
    doi : str or None
        DOI of this version of the release.
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
    authors: tuple[Person, ...] = ()
    doi: str | None = None


def read_manifest(folder: Path) -> Manifest:
    """Read ``datapackage.json`` of the release in ``folder``, and nothing else.

    Raises
    ------
    NotDownloadedError
        A clone has the name of the file alone.
    CorruptReleaseError
        The file is missing, not JSON, or lacks or misstates a part; names which.
    """
    check_downloaded(folder, [MANIFEST])
    return parse_manifest(lambda: bounded_text(folder / MANIFEST), str(folder))


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
    except (FetchError, NotDownloadedError):
        raise
    except (OSError, ValueError, RecursionError) as cause:
        raise CorruptReleaseError(f"{path}: cannot be read: {cause}") from cause
    try:
        own = content["unitdb"]
        return Manifest(
            name=_matching(content["name"], NAME_PATTERN),
            version=_matching(content["version"], VERSION_PATTERN),
            title=_typed(content["title"], str),
            description=_typed(content["description"], str),
            licence=_typed(content["licenses"][0]["name"], str),
            citation=_typed(own["citation"], str),
            simulated=_typed(own["simulated"], bool),
            schema=_matching(own["schema"], _SCHEMA_PATTERN),
            recipe_sha256=_typed(own["recipe_sha256"], str),
            n_accuracies=_count(own["n_accuracies"]),
            files=_files(content["resources"]),
            authors=tuple(map(Person.from_dict, _typed(own.get("authors", []), list))),
            doi=None if own.get("doi") is None else _typed(own["doi"], str),
        )
    except KeyError as cause:
        raise CorruptReleaseError(f"{path}: the key {cause} is missing") from cause
    except (TypeError, ValueError, IndexError, AttributeError) as cause:
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
            f"to upgrade it, {upgrade_hint()}"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _count(value: Any) -> int:
    if _typed(value, int) < 0:
        raise ValueError(f"{value} is no number of accuracies")
    return int(value)


def _files(resources: Any) -> dict[str, tuple[str, ...]]:
    """Paths of the files of each table, of which this unitdb knows all names."""
    files: dict[str, tuple[str, ...]] = {}
    for resource in _typed(resources, list):
        name, path = _typed(resource["name"], str), resource["path"]
        if name not in TABLES or name in files:
            raise ValueError(f"the resource {name[:80]!r} is no table, or stands twice")
        files[name] = tuple([path] if isinstance(path, str) else _typed(path, list))
        if not files[name]:
            raise ValueError(f"the table {name} has no files")
    check_paths(path for paths in files.values() for path in paths)
    return files
