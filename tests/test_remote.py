"""Reading a release on the web, from a real HTTP server: the same answers, few bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, strategies as st

import unitdb
from tests.tiny import accuracies, arrow
from tests.web import Server, serving
from unitdb.cli import main
from unitdb.errors import CorruptReleaseError, FetchError, QueryError
from unitdb.publish import add_erratum, retract, write_partition
from unitdb.query.sandbox import connect
from unitdb.release.storage import Remote

N_UNITS = 400_000


@pytest.fixture
def published(tiny_copy: Path) -> Path:
    return tiny_copy


@pytest.fixture
def server(published: Path) -> Iterator[Server]:
    with serving(published.parents[1]) as server:
        yield server


@pytest.fixture
def remote(server: Server) -> unitdb.Release:
    return unitdb.open(f"{server.address}/tiny/1.0.0")


def test_the_same_answers_as_from_a_folder(published: Path, remote: unitdb.Release) -> None:
    local = unitdb.open(published)
    assert str(remote.describe()) == str(local.describe())
    for table in local.tables:
        pd.testing.assert_frame_equal(remote.table(table), local.table(table))
        query = f"SELECT * FROM {table} ORDER BY ALL"  # noqa: S608
        pd.testing.assert_frame_equal(remote.sql(query), local.sql(query))
    assert (
        remote.units(roi="V4").top(5).to_pandas().equals(local.units(roi="V4").top(5).to_pandas())
    )
    assert remote.trace("net/fc/3").to_dict() == local.trace("net/fc/3").to_dict()
    pd.testing.assert_frame_equal(
        remote.layer_by_roi(dataset="sim-a"), local.layer_by_roi(dataset="sim-a")
    )


def test_opening_asks_for_two_files(server: Server, remote: unitdb.Release) -> None:
    assert dict(server.asked) == {"/tiny/1.0.0/datapackage.json": 1, "/releases.json": 1}
    assert remote.label == "tiny@1.0.0"


def test_the_sandbox_holds(remote: unitdb.Release, published: Path, server: Server) -> None:
    for query in (
        "SELECT * FROM read_parquet('unitdb://other.parquet')",
        "SELECT * FROM read_text('unitdb://README.md')",
        f"SELECT * FROM read_parquet('{published / 'builds.parquet'}')",  # noqa: S608
        f"SELECT * FROM read_parquet('{server.address}/tiny/1.0.0/builds.parquet')",  # noqa: S608
        "COPY (SELECT 1) TO 'unitdb://builds.parquet'",
    ):
        with pytest.raises(QueryError):
            remote.sql(query)


def test_a_query_reads_what_it_needs(tmp_path: Path) -> None:
    """One unit of a layer of 400,000: its row group of some columns, not the file."""
    rng = np.random.default_rng(0)
    accuracy = accuracies()
    few = accuracy[(accuracy["dataset"] == "sim-b") & (accuracy["layer"] == "fc")]
    rows = few.loc[few["roi"] == "V1"].head(1)
    large = rows.loc[rows.index.repeat(N_UNITS)].reset_index(drop=True)
    large["unit"] = np.arange(N_UNITS)
    large["r"] = rng.normal(0, 0.1, N_UNITS).astype(np.float32)
    keys = {key: rows[key].iloc[0] for key in ("dataset", "condition", "model", "layer")}
    folder = tmp_path / "wide"
    path = write_partition(folder, "accuracy", keys, arrow("accuracy", large))
    with serving(folder) as server:
        storage = Remote(server.address)
        name = path.relative_to(folder).as_posix()
        connection = connect(
            {"accuracy": [storage.location(name)]}, filesystem=storage.filesystem()
        )
        query = f"SELECT count(r), avg(unit) FROM accuracy WHERE unit >= {N_UNITS - 10}"  # noqa: S608
        assert connection.execute(query).fetchall() == [(10, N_UNITS - 5.5)]
        sent = server.sent
        assert sent < path.stat().st_size / 2
        requests = server.asked.total()
        assert connection.execute(query).fetchall() == [(10, N_UNITS - 5.5)]
        assert server.asked.total() == requests  # what was read is at hand
        connection.close()


def test_any_part_of_any_file(tmp_path: Path) -> None:
    body = np.random.default_rng(0).bytes(400_000)
    (tmp_path / "file").write_bytes(body)
    with serving(tmp_path) as server:
        remote = Remote(server.address)

        @given(st.integers(0, 410_000), st.integers(0, 410_000))
        def check(start: int, stop: int) -> None:
            assert remote.read("file", start, stop) == body[start:stop]

        check()
        with remote.open("file") as file:
            assert file.seek(-5, 2) == len(body) - 5
            assert file.read() == body[-5:]
            assert file.seek(3) == 3
            assert file.read(4) == body[3:7]
            assert file.seek(2, 1) == 9


def test_a_retracted_release_warns(server: Server, published: Path) -> None:
    retract(published.parents[1], "tiny", "1.0.0", reason="Wrong.")
    with pytest.warns(UserWarning, match=r"retracted: Wrong\."):
        unitdb.open(f"{server.address}/tiny/1.0.0")


@pytest.mark.parametrize("place", ["disk", "web"])
def test_errata_and_retraction_are_looked_up_where_the_release_is(
    place: str, server: Server, published: Path
) -> None:
    root = published.parents[1]
    add_erratum(root, "tiny", "1.0.0", "V4 of S2 is too small.")
    release = unitdb.open(published if place == "disk" else f"{server.address}/tiny/1.0.0")
    entry = release.listed()
    assert entry is not None
    assert (entry.name, entry.version, entry.retracted) == ("tiny", "1.0.0", None)
    assert entry.errata == ("V4 of S2 is too small.",)
    retract(root, "tiny", "1.0.0", reason="Wrong.")  # while it is open
    entry = release.listed()
    assert entry is not None
    assert entry.retracted == "Wrong."


def test_a_release_without_a_catalogue_beside_it(server: Server, published: Path) -> None:
    (published.parents[1] / "releases.json").unlink()
    for place in (published, f"{server.address}/tiny/1.0.0"):
        assert unitdb.open(place).label == "tiny@1.0.0"
        assert unitdb.open(place).listed() is None


def test_a_server_without_ranges_is_named(server: Server) -> None:
    server.ranges = False
    release = unitdb.open(f"{server.address}/tiny/1.0.0")
    with pytest.raises(FetchError, match="whole files only; unitdb fetch"):
        release.table("builds")


def test_what_is_not_there(server: Server, remote: unitdb.Release, published: Path) -> None:
    with pytest.raises(CorruptReleaseError, match=r"tiny/2\.0\.0 is not a release"):
        unitdb.open(f"{server.address}/tiny/2.0.0")
    with pytest.raises(FetchError, match=r"127\.0\.0\.1:9"):
        unitdb.open("http://127.0.0.1:9/tiny/1.0.0")
    with pytest.raises(FetchError, match="unitdb fetch"):
        remote.verify()
    (published / "builds.parquet").unlink()
    with pytest.raises((CorruptReleaseError, FetchError), match=r"builds\.parquet"):
        remote.table("builds")
    with pytest.raises(FetchError, match=r"builds\.parquet: no such file"):
        remote.sql("SELECT * FROM builds")


def test_a_manifest_that_leaves_its_folder(server: Server, published: Path) -> None:
    path = published / "datapackage.json"
    package = json.loads(path.read_text())
    package["resources"][0]["path"] = "../../secret.parquet"
    path.write_text(json.dumps(package))
    with pytest.raises(CorruptReleaseError, match="leaves the folder"):
        unitdb.open(f"{server.address}/tiny/1.0.0")


def test_on_the_command_line(server: Server, published: Path) -> None:
    address = f"{server.address}/tiny/1.0.0"
    far = CliRunner().invoke(main, ["units", address, "--roi", "V4", "--format", "csv"])
    near = CliRunner().invoke(main, ["units", str(published), "--roi", "V4", "--format", "csv"])
    assert far.exit_code == near.exit_code == 0
    assert far.stdout == near.stdout
    assert CliRunner().invoke(main, ["verify", address]).exit_code == 2
