"""Check the files of a release: checksums, names, and what the metadata say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from unitdb.errors import CorruptReleaseError
from unitdb.files import SUMS, check_downloaded, files_below, read_sums, sha256_file
from unitdb.release.manifest import MANIFEST, METADATA
from unitdb.schema import SCHEMA_VERSION, TABLES, frictionless, tables_of
from unitdb.verification.reading._references import shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from unitdb.release.manifest import Manifest

__all__ = ["check_manifest", "check_metadata", "check_place", "check_sums"]


def check_sums(folder: Path) -> int:
    """Check that the files are those of ``SHA256SUMS``, byte for byte; return their number.

    Raises
    ------
    CorruptReleaseError
        Names what is missing, too many or changed.
    NotDownloadedError
        A clone has the names of some alone.
    """
    sums = read_sums(folder)
    check_downloaded(folder, sums)
    present = set(files_below(folder)) - {SUMS}
    for problem, names in (
        ("missing", sums.keys() - present),
        ("not a file", {n for n in present if not (folder / n).is_file()}),
        (f"not in {SUMS}", present - sums.keys()),
        ("changed", {n for n in sums.keys() & present if sha256_file(folder / n) != sums[n]}),
    ):
        if names:
            raise CorruptReleaseError(f"{folder}: {problem}: {shown(sorted(names))}")
    return len(sums)


def check_place(folder: Path, manifest: Manifest) -> None:
    """Raise CorruptReleaseError unless the folder is ``name/version`` of its manifest."""
    *_, name, version = ("", "", *folder.resolve().parts)
    if (name, version) != (manifest.name, manifest.version):
        raise CorruptReleaseError(
            f"{folder}: the folder must be {manifest.name}/{manifest.version}, as {MANIFEST} states"
        )


def check_manifest(folder: Path, manifest: Manifest) -> None:
    """Raise CorruptReleaseError unless tables, files and schema are those of the manifest."""
    always = tables_of(manifest.schema)
    expected_tables = [
        name
        for name in tables_of(manifest.schema, optional=True)
        if name in always or name in manifest.files
    ]
    if list(manifest.files) != expected_tables:
        raise CorruptReleaseError(
            f"{folder}: {MANIFEST} lists the tables {', '.join(manifest.files)}; "
            f"expected {', '.join(expected_tables)}"
        )
    listed = {path for paths in manifest.files.values() for path in paths}
    expected, present = listed | set(METADATA) | {SUMS}, set(files_below(folder))
    if expected != present:
        raise CorruptReleaseError(
            f"{folder}: files differ from {MANIFEST}: {shown(sorted(expected ^ present))}"
        )
    resources = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["resources"]
    older = manifest.schema != SCHEMA_VERSION
    wrong = [
        resource["name"]
        for resource in resources
        if _meaning(resource.get("schema"), older=older)
        != _meaning(frictionless(TABLES[resource["name"]].at(manifest.schema)), older=older)
    ]
    if wrong:
        raise CorruptReleaseError(
            f"{folder}: {MANIFEST}: not the schema of the table: {', '.join(wrong)}"
        )


def _meaning(schema: Any, *, older: bool) -> Any:
    """A table's schema without its prose, which may be put better between two versions.

    Nor, of an older one, which values it allows and their units: later ones allow more. The values
    themselves are checked.
    """
    if not isinstance(schema, dict):
        return None
    keep = _older if older else _described
    columns = schema.get("fields")
    if not isinstance(columns, list) or not all(isinstance(column, dict) for column in columns):
        return None
    fields = [keep(column) for column in columns]
    return schema | {"fields": fields}


def _described(column: Mapping[str, Any]) -> Any:
    return {key: value for key, value in column.items() if key != "description"}


def _older(column: Mapping[str, Any]) -> Any:
    allowed = column.get("constraints")
    required = allowed.get("required") if isinstance(allowed, dict) else None
    return column.get("name"), column.get("type"), required


def check_metadata(folder: Path) -> None:
    """Raise CorruptReleaseError where a metadata file is empty, or not the JSON it should be."""
    for name in METADATA:
        path = folder / name
        try:
            text = path.read_text(encoding="utf-8")
            content = json.loads(text) if name.endswith(".json") else text.strip()
        except ValueError as cause:
            raise CorruptReleaseError(f"{path}: cannot be read: {cause}") from cause
        if not content or not isinstance(content, dict if name.endswith(".json") else str):
            raise CorruptReleaseError(f"{path}: is empty or no JSON object")
