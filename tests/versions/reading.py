"""Reads a release in every way that unitdb has, with the packages of the venv it runs in.

Run as ``python -m tests.versions.reading RELEASE FOLDER``; ends without a word where all is well.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pyarrow.feather
import pyarrow.parquet as pq
from click.testing import CliRunner

import unitdb
from tests.web import serving
from unitdb import col
from unitdb.cli import main


def read(release: unitdb.Release, folder: Path) -> list[pd.DataFrame]:
    """Ask all that can be asked, and write all that can be written."""
    units = release.units(roi="V4", dataset="sim-a").where(col.min_r > -1, min_subjects=1).top(5)
    for ending in ("csv", "json", "parquet", "arrow"):
        release.export("unit_summary", folder / f"all.{ending}")
    units.to_csv(folder / "units.csv")
    assert len(pd.read_csv(folder / "units.csv", comment="#")) == 5
    assert pq.read_table(folder / "all.parquet").num_rows > 0
    assert pyarrow.feather.read_table(folder / "all.arrow").num_rows > 0
    assert units.code()
    assert units.explain()
    assert str(release.describe())
    found = [release.table(name) for name in release.tables]
    found += [release.sql(f"FROM {name} ORDER BY ALL") for name in release.tables]
    found += [units.to_pandas(), release.layer_by_roi(dataset="sim-a")]
    found += [release.similar("net/fc/3", dataset="sim-a"), release.unit("net/fc/3")]
    found += [
        release.explainable("net/fc/3"),
        release.accuracies("net", "fc", "V4", dataset="sim-a"),
    ]
    found += [units.histogram("mean_r"), release.distribution("net", dataset="sim-a")]
    assert release.trace("net/fc/3").to_dict()
    return found


def command(*arguments: str) -> None:
    done = CliRunner().invoke(main, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output


def on_the_web(path: Path, folder: Path, near: list[pd.DataFrame]) -> None:
    """The same from a server, and fetched from it."""
    with serving(path.parents[1]) as server:
        far = read(unitdb.open(f"{server.address}/tiny/1.0.0"), folder)
        for one, other in zip(near, far, strict=True):
            pd.testing.assert_frame_equal(one, other)
        command("--releases", str(folder / "fetched"), "fetch", "tiny", "--from", server.address)


def run(path: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    release = unitdb.open(path)
    near = read(release, folder)
    release.to_duckdb(folder / "all.duckdb")
    unitdb.open(path).verify()
    name = str(path)
    command("units", name, "--top", "3", "--output", str(folder / "top.csv"))
    command("units", name, "--top", "3")
    command("sql", name, "SELECT DATE '2020-01-01' AS a, [1, 2] AS b, 1::HUGEINT AS c, 'x' AS d")
    command("sql", name, "SELECT 1 AS a, 2 AS a", "--format", "json")
    command("compare", name, name)
    on_the_web(path, folder, near)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
