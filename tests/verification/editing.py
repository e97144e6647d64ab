"""Change a release behind its writer's back, so that only what it says is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.tiny import remake_sums
from unitdb.schema import TABLES

CONV = "dataset=sim-a/condition=perception/model=net/layer=conv1/part-0.parquet"
FC = "dataset=sim-a/condition=perception/model=net/layer=fc/part-0.parquet"
OTHER_FC = FC.replace("sim-a", "sim-b")
OTHER = "ba9876543210"
Rows = list[dict[str, Any]]


def edit(folder: Path, file: str, change: Callable[[Rows], Rows | None]) -> None:
    """Change rows of a Parquet file behind the writer's back, and make the checksums fit."""
    spec = TABLES[file.split("/")[0].removesuffix(".parquet")]
    rows = pq.ParquetFile(folder / file).read().to_pylist()
    rows = change(rows) or rows
    pq.write_table(pa.Table.from_pylist(rows, schema=spec.arrow_schema()), folder / file)
    remake_sums(folder)


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "datapackage.json"
    package = json.loads(path.read_text())
    change(package)
    path.write_text(json.dumps(package))
    remake_sums(folder)


def set_(index: int, **values: object) -> Callable[[Rows], None]:
    return lambda rows: rows[index].update(values)


def nudge(column: str, by: float, row: int = 0) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        rows[row][column] += by

    return change


def without(roi: str, subject: str) -> Callable[[Rows], Rows]:
    return lambda rows: [r for r in rows if (r["roi"], r["subject"]) != (roi, subject)]


def scale(column: str, by: float) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        rows[0][column] *= by

    return change


def exchange(column: str) -> Callable[[Rows], None]:
    """Exchange a value with the first other one."""

    def change(rows: Rows) -> None:
        other = next(row for row in rows if row[column] != rows[0][column])
        rows[0][column], other[column] = other[column], rows[0][column]

    return change


def add_roi(rows: Rows) -> Rows:
    return [*rows[:2], {**rows[1], "roi": "V9", "place": 2}, *rows[2:]]


def swap_ranks(rows: Rows) -> None:
    """The first two rows change places, but for their ranks."""
    for column in set(rows[0]) - {"rank"}:
        rows[0][column], rows[1][column] = rows[1][column], rows[0][column]


def resource(package, table: str):
    (found,) = [each for each in package["resources"] if each["name"] == table]
    return found
