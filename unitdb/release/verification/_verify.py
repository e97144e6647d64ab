"""Verify a release: its files, its metadata, its tables, one partition at a time."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unitdb.errors import CorruptReleaseError
from unitdb.files import SUMS, files_below, read_sums, sha256_file
from unitdb.release.manifest import (
    MANIFEST,
    METADATA,
    Manifest,
    check_schema_version,
    read_manifest,
)
from unitdb.release.rows import distinct
from unitdb.release.verification._partitions import (
    Referred,
    Rows,
    check_pairs_and_layers,
    check_units,
    decoded,
    read,
)
from unitdb.schema import TABLES, frictionless

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pyarrow as pa

__all__ = ["Report", "verify"]

_SHOWN = 5
_CHECKS = (
    "every file has its checksum, and no other file is there",
    "datapackage.json agrees with the files and the schema",
    "columns, types, ranges, NULL and NaN",
    "primary keys strictly increasing, foreign keys present",
    "folders say what their rows say",
    "every subject and ROI of a layer has the same units",
    "unit_summary, layer_summary and intersubject follow from the accuracies",
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was verified, all of it found right.

    Parameters
    ----------
    path : Path
        The release.
    name, version : str
        What it is called.
    n_files : int
        Files whose checksum was computed.
    rows : mapping of str to int
        Rows read of each table.
    checks : tuple of str
        What was checked.
    """

    path: Path
    name: str
    version: str
    n_files: int
    rows: Mapping[str, int]
    checks: tuple[str, ...] = _CHECKS

    def __str__(self) -> str:
        width = max(len(table) for table in self.rows)
        return "\n".join(
            [
                f"{self.name} {self.version} is sound ({self.path})",
                f"  {self.n_files} files; rows:",
                *(f"    {table:<{width}} {n:>13,}" for table, n in self.rows.items()),
                "  checked:",
                *(f"    {check}" for check in self.checks),
            ]
        )


def verify(path: str | Path, *, progress: Callable[[int, int], None] | None = None) -> Report:
    """Read all of a release again and check it, one partition in memory at a time.

    Parameters
    ----------
    path : str or Path
        Folder of the release.
    progress : callable, optional
        Called with the number of partitions done and the number of all.

    Returns
    -------
    Report
        What was checked.

    Raises
    ------
    CorruptReleaseError
        Files, metadata or numbers are wrong; names them.
    SchemaError
        A table is not as the schema says.
    SchemaVersionError
        The release follows a newer schema.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    check_schema_version(manifest, where=str(folder))
    n_files = _check_sums(folder)
    _check_manifest(folder, manifest)

    small, referred = _read_small(folder, manifest)
    _check_small(small, manifest)
    stored = {name: _rows(name, small[name]) for name in ("layer_summary", "intersubject")}
    n_units = {key: row["n_units"] for key, row in _rows("layers", small["layers"]).items()}
    rows = {name: small[name].num_rows if name in small else 0 for name in TABLES}

    partitions = _partitions(manifest)
    for done, (keys, files) in enumerate(partitions.items()):
        accuracy = _read_partition(folder, "accuracy", keys, files["accuracy"], referred)

        data = decoded(accuracy, n_units=n_units[keys[2:]], where=files["accuracy"])
        rows["accuracy"] += accuracy.num_rows
        del accuracy  # the largest thing in memory
        check_pairs_and_layers(data, keys, stored)
        units = _read_partition(folder, "unit_summary", keys, files["unit_summary"], referred)
        check_units(data, units, where=files["unit_summary"])
        rows["unit_summary"] += units.num_rows
        if progress is not None:
            progress(done + 1, len(partitions))

    for name, left in stored.items():
        if left:
            shown = _list("/".join(key) for key in left)
            raise CorruptReleaseError(f"{folder}: {name}: rows without accuracies: {shown}")
    if rows["accuracy"] != manifest.n_accuracies:
        raise CorruptReleaseError(
            f"{folder}: {MANIFEST} states {manifest.n_accuracies} accuracies; "
            f"there are {rows['accuracy']}"
        )
    return Report(
        path=folder, name=manifest.name, version=manifest.version, n_files=n_files, rows=rows
    )


def _check_sums(folder: Path) -> int:
    sums = read_sums(folder)
    present = set(files_below(folder)) - {SUMS}
    for problem, names in (
        ("missing", sums.keys() - present),
        (f"not in {SUMS}", present - sums.keys()),
        ("changed", {n for n in sums.keys() & present if sha256_file(folder / n) != sums[n]}),
    ):
        if names:
            raise CorruptReleaseError(f"{folder}: {problem}: {_list(sorted(names))}")
    return len(sums)


def _check_manifest(folder: Path, manifest: Manifest) -> None:
    if list(manifest.files) != list(TABLES):
        raise CorruptReleaseError(
            f"{folder}: {MANIFEST} lists the tables {', '.join(manifest.files)}; "
            f"expected {', '.join(TABLES)}"
        )
    listed = {path for paths in manifest.files.values() for path in paths}
    expected, present = listed | set(METADATA) | {SUMS}, set(files_below(folder))
    if expected != present:
        raise CorruptReleaseError(
            f"{folder}: files differ from {MANIFEST}: {_list(sorted(expected ^ present))}"
        )
    resources = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["resources"]
    wrong = [r["name"] for r in resources if r.get("schema") != frictionless(TABLES[r["name"]])]
    if wrong:
        raise CorruptReleaseError(
            f"{folder}: {MANIFEST}: not the schema of the table: {', '.join(wrong)}"
        )


def _read_small(folder: Path, manifest: Manifest) -> tuple[dict[str, pa.Table], Referred]:
    """All tables that are not partitioned, and what foreign keys may refer to."""
    small: dict[str, pa.Table] = {}
    referred: Referred = {}
    keys = {(key.table, key.columns) for table in TABLES.values() for key in table.foreign_keys}
    for name, spec in TABLES.items():
        if spec.partition_by:
            continue
        if manifest.files[name] != (f"{name}.parquet",):
            raise CorruptReleaseError(f"{folder}: table {name!r} must be {name}.parquet")
        small[name] = read(folder, f"{name}.parquet", spec, referred)
        for table, columns in keys:
            if table == name:
                referred[table, columns] = distinct(small[name], columns)
    return small, referred


def _check_small(small: Mapping[str, pa.Table], manifest: Manifest) -> None:
    """What the tables say of each other beyond keys."""
    if any(small["datasets"]["simulated"].to_pylist()) != manifest.simulated:
        raise CorruptReleaseError(
            f"{MANIFEST} states simulated = {manifest.simulated}; table 'datasets' says otherwise"
        )
    layers = small["layers"].to_pylist()
    for row in layers:
        if math.prod(row["shape"]) != row["n_units"]:
            raise CorruptReleaseError(
                f"layers: {row['model']}/{row['layer']}: n_units is {row['n_units']}, "
                f"but the shape is {row['shape']}"
            )
    for row in small["models"].to_pylist():
        found = sum(layer["model"] == row["model"] for layer in layers)
        if row["n_layers"] != found:
            raise CorruptReleaseError(
                f"models: {row['model']}: n_layers is {row['n_layers']}, but there are {found}"
            )


def _rows(name: str, table: pa.Table) -> Rows:
    key = TABLES[name].primary_key
    return {tuple(row[column] for column in key): row for row in table.to_pylist()}


def _partitions(manifest: Manifest) -> dict[tuple[str, ...], dict[str, str]]:
    """File of each partitioned table by the partition's keys."""
    partitions: dict[tuple[str, ...], dict[str, str]] = {}
    names = [name for name, spec in TABLES.items() if spec.partition_by]
    for name in names:
        for path in manifest.files[name]:
            keys = _partition_keys(name, path)
            partitions.setdefault(keys, {})[name] = path
    for keys, files in partitions.items():
        missing = [name for name in names if name not in files]
        if missing:
            raise CorruptReleaseError(f"{missing[0]} has no partition {'/'.join(keys)}")
    return partitions


def _partition_keys(table: str, path: str) -> tuple[str, ...]:
    columns = TABLES[table].partition_by
    folder, *parts, file = path.split("/")
    names = [part.partition("=")[0] for part in parts]
    if folder != table or tuple(names) != columns or file != "part-0.parquet":
        expected = "/".join(f"{column}=…" for column in columns)
        raise CorruptReleaseError(f"{path}: must be {table}/{expected}/part-0.parquet")
    return tuple(part.partition("=")[2] for part in parts)


def _read_partition(
    folder: Path, table: str, keys: Sequence[str], path: str, referred: Referred
) -> pa.Table:
    spec = TABLES[table]
    data = read(folder, path, spec, referred)
    if distinct(data, spec.partition_by) != {tuple(keys)}:
        raise CorruptReleaseError(f"{path}: rows are of another partition than the folder says")
    return data


def _list(names: Iterable[str]) -> str:
    names = list(names)
    more = f", … ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
