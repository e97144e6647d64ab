"""Layers, builds, conditions and subjects that are lost, or too many."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.tiny import accuracies, stage
from tests.verification.editing import FC, edit, edit_manifest, resource
from unitdb.errors import CorruptReleaseError
from unitdb.verification.reading import verify

SMALL = (
    "layer_summary",
    "layer_reliability",
    "intersubject",
    "accuracy_histogram",
    "unit_histogram",
    "summary_histogram",
)


def drop(folder: Path, part: str, keep: Callable[[dict[str, Any]], bool]) -> None:
    """Take partitions out of a release, and all that would tell of them but the small tables."""

    def change(package: dict[str, Any]) -> None:
        n_accuracies = 0
        for table in ("accuracy", "unit_summary"):
            listed = resource(package, table)
            listed["path"] = [path for path in listed["path"] if part not in path]
        for path in resource(package, "accuracy")["path"]:
            n_accuracies += pq.read_metadata(folder / path).num_rows
        package["unitdb"]["n_accuracies"] = n_accuracies

    for table in ("accuracy", "unit_summary"):
        for path in [path for path in (folder / table).rglob("*=*") if path.name == part]:
            shutil.rmtree(path)
    for table in SMALL:
        edit(folder, f"{table}.parquet", lambda rows: [row for row in rows if keep(row)])
    edit_manifest(folder, change)


def test_lost_layer(tiny_copy: Path) -> None:
    drop(tiny_copy, "layer=fc", lambda row: row["layer"] != "fc")
    with pytest.raises(CorruptReleaseError, match=r"no partition of .*: 0123456789ab/fc/perc"):
        verify(tiny_copy)


def test_lost_build(tiny_copy: Path) -> None:
    edit(tiny_copy, "builds.parquet", lambda rows: rows[:1])
    edit(tiny_copy, "inputs.parquet", list.clear)
    drop(tiny_copy, "dataset=sim-b", lambda row: row["dataset"] == "sim-a")
    with pytest.raises(CorruptReleaseError, match="builds: none of dataset sim-b"):
        verify(tiny_copy)


def _and_imagined(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    of_fc = [row for row in rows if (row["dataset"], row["layer"]) == ("sim-a", "fc")]
    return [{**row, "condition": "imagery"} for row in of_fc] + rows


def test_second_condition_of_one_build(tiny_copy: Path) -> None:
    for table in ("accuracy", "unit_summary"):
        file = f"{table}/{FC}"
        other = tiny_copy / file.replace("perception", "imagery")
        other.parent.mkdir(parents=True)
        shutil.copy(tiny_copy / file, other)
        path = other.relative_to(tiny_copy).as_posix()
        edit(tiny_copy, path, lambda rows: [{**row, "condition": "imagery"} for row in rows])
        edit_manifest(tiny_copy, lambda p, t=table, f=path: resource(p, t)["path"].append(f))
    for name in (
        *SMALL,
        "prediction",
    ):  # what belongs to the partition is there, so that only it is odd
        edit(tiny_copy, f"{name}.parquet", _and_imagined)
    with pytest.raises(CorruptReleaseError, match="a second partition of build 0123456789ab"):
        verify(tiny_copy)


def test_lost_subject(tiny_copy: Path) -> None:
    """In all tables but ``subjects``, every summary right."""
    accuracy = accuracies()
    stage(tiny_copy, accuracy[accuracy["subject"] != "S3"])
    edit_manifest(tiny_copy, lambda p: p["unitdb"].update(n_accuracies=168))
    with pytest.raises(CorruptReleaseError, match=r"not all ROIs .*: V1/S3, V4/S3"):
        verify(tiny_copy)
