"""Tables as files and databases, and the queries that docs/query.md shows for other tools."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import unitdb
from unitdb.cli import main
from unitdb.errors import QueryError, UnknownTableError
from unitdb.query import col
from unitdb.release import Release

PAGE = (Path(__file__).parents[1] / "docs" / "query.md").read_text()


@pytest.fixture(scope="module")
def release(tiny_release: Path) -> Release:
    return unitdb.open(tiny_release)


@pytest.mark.parametrize("table", ["accuracy", "layers"])
@pytest.mark.parametrize("ending", ["csv", "json", "parquet", "arrow"])
def test_a_table_as_a_file(release: Release, tmp_path: Path, table: str, ending: str) -> None:
    path = tmp_path / f"table.{ending}"
    release.export(table, path)
    expected = release.table(table)
    if ending == "csv":
        found = pd.read_csv(path, comment="#")
    elif ending == "json":
        found = pd.DataFrame(pd.read_json(path)["rows"].tolist())
    elif ending == "parquet":
        found = pq.read_table(path).to_pandas()
    else:
        with pa.ipc.open_file(path) as file:
            found = file.read_all().to_pandas()
    assert list(found.columns) == list(expected.columns)
    assert found.astype(str)["layer"].tolist() == expected.astype(str)["layer"].tolist()
    if table == "accuracy":
        assert found["r"].tolist() == pytest.approx(expected["r"].tolist(), nan_ok=True)
    if ending != "csv":
        return
    assert path.read_text().startswith("# release: tiny@1.0.0\n# simulated: true\n")


def test_export_is_checked(release: Release, tmp_path: Path) -> None:
    with pytest.raises(UnknownTableError, match="did you mean 'accuracy'"):
        release.export("acuracy", tmp_path / "x.csv")
    with pytest.raises(QueryError, match="in no format that is known: csv, json"):
        release.export("accuracy", tmp_path / "x.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_a_database(release: Release, tmp_path: Path) -> None:
    path = tmp_path / "tiny.duckdb"
    release.to_duckdb(path)
    release.to_duckdb(path)  # again: replaced
    with duckdb.connect(str(path), read_only=True) as connection:
        for table in release.tables:
            (n,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
            assert n == len(release.table(table))
        comments = dict(
            connection.execute(
                "SELECT table_name || '.' || column_name, comment FROM duckdb_columns()"
            ).fetchall()
        )
        (origin,) = connection.execute(
            "SELECT comment FROM duckdb_tables() WHERE table_name = 'datasets'"
        ).fetchone()
    assert comments["accuracy.r"].startswith("Decoding accuracy: ")
    assert "tiny@1.0.0. SIMULATED." in origin
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.duckdb"]


def test_export_on_the_command_line(tiny_release: Path, tmp_path: Path) -> None:
    def run(*arguments: str):
        return CliRunner().invoke(main, ["export", str(tiny_release), *arguments])

    assert run("--output", str(tmp_path / "a.parquet")).exit_code == 0
    assert pq.read_metadata(tmp_path / "a.parquet").num_rows == 112
    assert run("--output", str(tmp_path / "a.duckdb")).exit_code == 0
    refused = run("--output", str(tmp_path / "b.duckdb"), "--table", "layers")
    assert refused.exit_code == 2
    assert "leave out --table" in refused.stderr


def test_batches_are_written_as_one_table_is(release: Release, tmp_path: Path) -> None:
    """A format does not show how many batches there were."""
    from unitdb.query import export

    units = release.units().where(col.mean_r > 0.1)
    for ending in export.FORMATS:
        one, other = tmp_path / f"one.{ending}", tmp_path / f"other.{ending}"
        export.writer(one)(units.to_arrow(), one)
        export.writer(other)(units.to_reader(7, ordered=True), other)
        if ending in ("csv", "json"):
            assert one.read_bytes() == other.read_bytes()
        elif ending == "parquet":
            assert pq.read_table(one).equals(pq.read_table(other))


# --- docs/query.md --------------------------------------------------------------------------------


def block(heading: str, language: str) -> str:
    return re.search(rf"{heading}:?\n\n```{language}\n(.*?)```", PAGE, re.DOTALL)[1]


@pytest.fixture(scope="module")
def expected(release: Release) -> list[list[object]]:
    best = release.units(roi="V4").sort("mean_r").to_pandas()
    best = best.sort_values(
        ["mean_r", "model", "layer", "unit"], ascending=[False, True, True, True]
    )
    return best[["layer", "unit"]].head(10).to_numpy().tolist()


def test_the_query_of_the_page_in_duckdb(tiny_release: Path, expected) -> None:
    text = block("DuckDB's command line", "sql").replace(
        "releases/sample/1.0.0", tiny_release.as_posix()
    )
    program = Path(sys.executable).with_name("duckdb")
    done = subprocess.run([program, "-csv", "-c", text], capture_output=True, text=True, check=True)
    rows = [line.split(",") for line in done.stdout.splitlines()[1:]]
    assert [[layer, int(unit)] for _, layer, unit, _ in rows] == expected


@pytest.mark.parametrize("tool", ["pandas", "polars"])
def test_the_query_of_the_page_in_python(tiny_release: Path, expected, tool: str, capsys) -> None:
    text = block(tool, "python").replace("releases/sample/1.0.0", tiny_release.as_posix())
    scope: dict = {}
    exec(text, scope)  # noqa: S102
    assert capsys.readouterr().out
    units = scope["units"].head(10)
    found = units[["layer", "unit"]].to_numpy().tolist()
    assert [[str(layer), int(unit)] for layer, unit in found] == expected


def test_the_first_block_of_the_page(tiny_release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = block("## In Python", "python").replace("sample", "tiny").replace("block*", "conv*")
    monkeypatch.setenv("UNITDB_RELEASES", str(tiny_release.parents[1]))
    scope: dict = {}
    exec(text, scope)  # noqa: S102
    assert len(scope["units"]) > 0


def test_the_table_of_the_page_names_methods_that_are_there(release: Release) -> None:
    rows = re.findall(r"^\| [^|]+ \| (`.*`.*) \|$", PAGE, re.MULTILINE)
    methods = {name for row in rows for name in re.findall(r"`\.(\w+)", row)}
    assert {"where", "at", "among", "top", "sample", "page"} <= methods
    assert all(hasattr(release.units(), name) for name in methods)
