"""Verify a release: its files, its metadata, its tables, one partition at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unitdb.errors import CorruptReleaseError
from unitdb.release.manifest import MANIFEST, Manifest, check_schema_version, read_manifest
from unitdb.release.rows import coded, distinct, read_rows
from unitdb.schema import TABLES
from unitdb.verification.reading._beside import Beside
from unitdb.verification.reading._derived import Derived
from unitdb.verification.reading._hierarchy import Hierarchy
from unitdb.verification.reading._kept import Kept
from unitdb.verification.reading._limits import check_limits
from unitdb.verification.reading._listing import check_listed
from unitdb.verification.reading._metadata import (
    check_manifest,
    check_metadata,
    check_place,
    check_sums,
)
from unitdb.verification.reading._partitions import (
    Pieces,
    Referred,
    Rows,
    check_derived_rows,
    decoded,
    read,
    summaries,
)
from unitdb.verification.reading._predicted import PREDICTED, Predicted
from unitdb.verification.reading._recurrence import Recurrence
from unitdb.verification.reading._references import check_references, shown
from unitdb.verification.reading._sets import Sets
from unitdb.verification.reading._significance import Significance, check_q

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from unitdb.verification.reading._summaries import Decoded


__all__ = ["Also", "Report", "verify"]

_CHECKS = (
    "every file has its checksum, and no other file is there",
    "releases.json, where it lists the release, lists this very build",
    "datapackage.json agrees with the folder, the files and the schema",
    "columns, types, ranges, NULL and NaN",
    "rows in order, each key once, foreign keys present",
    "datasets, models, layers and builds agree with each other",
    "folders say what their rows say",
    "every layer, ROI and subject of a build is there, with the units it selects",
    "unit_summary, layer_summary, intersubject and histograms follow from the accuracies",
    "p follows from the accuracies where a formula gives it, q from p",
    "best ROIs and layers follow from the accuracies, BH scores from these",
    "the best units recur among those of others as often as the accuracies say",
    "predictions and activations of the units kept give their accuracies",
    "predictions that are published are of all samples, and those of the units kept",
)
_HISTOGRAMS = ("accuracy_histogram", "unit_histogram", "summary_histogram")
_DERIVED = ("layer_summary", "layer_reliability", "intersubject")
"""Small tables whose rows belong to partitions."""
_KEPT = ("activation", "prediction")
_CHANNELS_KEPT = (2, 6)
"""Schema with units that have activations alone."""
_MANY = ("encoding", "samples", "candidates", "identification", "candidate_features")
"""Small tables of many rows, which are read as Arrow has them."""


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
    unknown : tuple of str
        What could not be known of this release.
    checks : tuple of str
        What was checked.
    """

    path: Path
    name: str
    version: str
    n_files: int
    rows: Mapping[str, int]
    unknown: tuple[str, ...] = ()
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
                *(["  not known:"] if self.unknown else []),
                *(f"    {fact}" for fact in self.unknown),
            ]
        )


class Also(Protocol):
    """Further checks, told of what is read: those that take more than the core packages."""

    def start(
        self,
        folder: Path,
        manifest: Manifest,
        described: Mapping[str, list[dict[str, Any]]],
        small: Mapping[str, pa.Table],
    ) -> None:
        """Take the small tables: rows of those that describe, and all of them as Arrow tables."""

    def check(self, data: Decoded, keys: Sequence[str]) -> None:
        """Take a partition: layers of a network in their order."""

    def finish(self) -> tuple[Sequence[str], Sequence[str]]:
        """Say what was checked, and what could not be known."""


def verify(
    path: str | Path,
    *,
    staged: bool = False,
    also: Also | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Read all of a release again and check it, one partition in memory at a time.

    Parameters
    ----------
    path : str or Path
        Folder of the release.
    staged : bool
        The folder is not in its place ``name/version`` yet.
    also : Also, optional
        Further checks.
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
    if not staged:
        check_place(folder, manifest)
    n_files = check_sums(folder)
    unknown = () if staged else check_listed(folder, manifest)
    check_manifest(folder, manifest)
    check_metadata(folder)

    small, referred = _read_small(folder, manifest)
    stored = {name: _rows(name, small[name]) for name in _DERIVED if name in small}
    described = {
        name: table.to_pylist()
        for name, table in small.items()
        if name not in (*stored, *_HISTOGRAMS, *_KEPT, *_MANY)
    }
    sets = Sets(described)
    plan = check_references(described, manifest, sets)
    for row in described["builds"]:
        Significance(row, "", sets)  # what it states can be read
    limited = ("layer_summary", "intersubject", "recurrence", "hierarchy")
    check_limits(
        {name: list(stored[name].values()) for name in limited if name in stored} | described,
        described["builds"],
        sets,
    )
    depths = {(row["model"], row["layer"]): row["depth"] for row in described["layers"]}
    hierarchy = _hierarchy(described, small.get("encoding"), depths)
    recurrence = Recurrence(
        described.get("recurrence"),
        depths,
        partial(_with_halves, described["builds"], sets),
    )
    kept = Kept(
        small.get("activation"),
        small.get("prediction"),
        sets,
        together=tuple(map(int, manifest.schema.split("."))) < _CHANNELS_KEPT,
    )
    predicted = Predicted(
        folder, small.get("samples"), small.get("prediction"), sets=sets, referred=referred
    )
    derived = Derived(folder, manifest.schema, small)
    rows = Counter({name: small[name].num_rows if name in small else 0 for name in manifest.files})

    if also is not None:
        also.start(folder, manifest, described, small)

    partitions = _partitions(manifest, depths)
    with Beside() as sql, Beside() as further:
        for done, (keys, files) in enumerate(partitions.items()):
            where = files["accuracy"]
            accuracy = Pieces(folder, where, TABLES["accuracy"].at(manifest.schema), keys, referred)
            data = decoded(accuracy, n_units=plan.n_units[keys[2:]], where=where)
            build = plan.take(keys, accuracy.builds, where=where)
            plan.check_complete(data, keys, build, where=where)
            tested = Significance(build, keys[1], sets)
            spec = TABLES["unit_summary"].at(manifest.schema)
            units = Pieces(folder, files["unit_summary"], spec, keys, referred)
            of_units = summaries(data, units, where=files["unit_summary"])
            sql.run(derived.check, keys, files)
            alike = check_derived_rows(data, keys, stored, tested)
            for roi, stated in of_units.items():
                tested.check_p(data, roi, stated, alike, where=files["unit_summary"])
            hierarchy.check(data, keys)
            recurrence.add(data, keys)
            kept.check(data, keys)
            rows[PREDICTED] += predicted.check(data, keys, files.get(PREDICTED))
            if also is not None:
                further.run(also.check, data, keys)
            rows["accuracy"] += accuracy.n_rows
            rows["unit_summary"] += units.n_rows
            del data
            pa.default_memory_pool().release_unused()  # Arrow would keep it for later
            if progress is not None:
                progress(done + 1, len(partitions))

    plan.check_all_taken()
    derived.check_all_taken()
    kept.check_all_taken()
    recurrence.check()
    if "q" in TABLES["unit_summary"].at(manifest.schema).column_names:
        _check_discovery(folder, partitions)
    for name, left in stored.items():
        if left:
            names = shown("/".join(key) for key in left)
            raise CorruptReleaseError(f"{folder}: {name}: rows without accuracies: {names}")
    if rows["accuracy"] != manifest.n_accuracies:
        raise CorruptReleaseError(
            f"{folder}: {MANIFEST} states {manifest.n_accuracies} accuracies; "
            f"there are {rows['accuracy']}"
        )
    checks, more = ((), ()) if also is None else also.finish()
    return Report(
        path=folder,
        name=manifest.name,
        version=manifest.version,
        n_files=n_files,
        rows=rows,
        unknown=(*unknown, *more),
        checks=(*_CHECKS, *checks),
    )


def _with_halves(
    builds: Iterable[Mapping[str, Any]], sets: Sets, dataset: str, condition: str, model: str
) -> bool:
    """Whether single presentations were decoded of a test set."""
    stated = any(
        row.get("reliability")
        for row in builds
        if (row["dataset"], row["model"]) == (dataset, model)
    )
    return stated and sets.has_halves(dataset, condition)


def _read_small(folder: Path, manifest: Manifest) -> tuple[dict[str, pa.Table], Referred]:
    """All tables that are not partitioned, and what foreign keys may refer to."""
    small: dict[str, pa.Table] = {}
    referred: Referred = {}
    keys = {(key.table, key.columns) for table in TABLES.values() for key in table.foreign_keys}
    for name in manifest.files:
        spec = TABLES[name].at(manifest.schema)
        if spec.partition_by:
            continue
        if manifest.files[name] != (f"{name}.parquet",):
            raise CorruptReleaseError(f"{folder}: table {name!r} must be {name}.parquet")
        small[name] = read(folder, f"{name}.parquet", spec, referred)
        for table, columns in keys:
            if table == name:
                referred[table, columns] = distinct(small[name], columns)
    return small, referred


def _rows(name: str, table: pa.Table) -> Rows:
    key = TABLES[name].primary_key
    return {tuple(row[column] for column in key): row for row in table.to_pylist()}


def _partitions(
    manifest: Manifest, depths: Mapping[tuple[str, str], int]
) -> dict[tuple[str, ...], dict[str, str]]:
    """File of each partitioned table by the partition's keys, layers in their order."""
    partitions: dict[tuple[str, ...], dict[str, str]] = {}
    names = [name for name, spec in TABLES.items() if spec.partition_by and not spec.optional]
    for name in [*names, *({PREDICTED} & manifest.files.keys())]:
        for path in manifest.files[name]:
            keys = _partition_keys(name, path)
            partitions.setdefault(keys, {})[name] = path
    for keys, files in partitions.items():
        missing = [name for name in names if name not in files]
        if missing:
            raise CorruptReleaseError(f"{missing[0]} has no partition {'/'.join(keys)}")
    in_order = sorted(partitions, key=lambda keys: (keys[:3], depths.get((keys[2], keys[3]), 0)))
    return {keys: partitions[keys] for keys in in_order}


def _partition_keys(table: str, path: str) -> tuple[str, ...]:
    columns = TABLES[table].partition_by
    folder, *parts, file = path.split("/")
    names = [part.partition("=")[0] for part in parts]
    if folder != table or tuple(names) != columns or file != "part-0.parquet":
        expected = "/".join(f"{column}=…" for column in columns)
        raise CorruptReleaseError(f"{path}: must be {table}/{expected}/part-0.parquet")
    return tuple(part.partition("=")[2] for part in parts)


def _hierarchy(
    described: Mapping[str, list[dict[str, Any]]],
    encoding: pa.Table | None,
    depths: Mapping[tuple[str, str], int],
) -> Hierarchy:
    """What table ``hierarchy`` says; nothing where the release is of an older schema."""
    return Hierarchy(
        described.get("hierarchy", []),
        described.get("best_roi", []),
        encoding,
        n_voxels={
            (row["dataset"], row["roi"], row["subject"]): row["n_voxels"]
            for row in described["subjects"]
        },
        depths=depths,
        seeds={(row["dataset"], row["model"]): row["seed"] or 0 for row in described["builds"]},
    )


def _check_discovery(folder: Path, partitions: Mapping[tuple[str, ...], Mapping[str, str]]) -> None:
    """Check q within dataset, condition, model and ROI; one of these families in memory."""
    families: dict[tuple[str, ...], list[str]] = {}
    for keys, files in partitions.items():
        families.setdefault(keys[:3], []).append(files["unit_summary"])
    for keys, paths in families.items():
        rois = coded(read_rows(folder / paths[0], ["roi"])["roi"])[1]
        for roi in rois:
            found = []
            for path in paths:
                table = read_rows(folder / path, ["roi", "p", "q"])
                of_roi = table.filter(pc.equal(table["roi"], roi))
                found.append([of_roi[column].to_numpy() for column in ("p", "q")])
            p, q = (np.concatenate(parts) for parts in zip(*found, strict=True))
            check_q(p, q, where="/".join((*keys, roi)))
