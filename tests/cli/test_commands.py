"""Commands that read releases, beside their Python calls."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from tests.cli.conftest import table
from unitdb.cli import main
from unitdb.publish import retract
from unitdb.release import open_release
from unitdb.schema import TABLES


def test_releases_lists_and_marks_simulated(run) -> None:
    result = run("releases")
    assert result.exit_code == 0
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("tiny@1.0.0")]
    assert "SIMULATED" in line
    assert "latest" in line


def test_releases_of_an_empty_folder(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--releases", str(tmp_path), "releases"])
    assert result.exit_code == 0
    assert result.stdout == ""
    assert str(tmp_path) in result.stderr


def test_describe_is_the_python_call(run, tiny_release: Path) -> None:
    result = run("describe", "tiny@1.0.0")
    assert result.stdout == str(open_release(tiny_release).describe()) + "\n"
    assert "SIMULATED" in result.stdout
    assert "SIMULATED" in result.stderr


@pytest.mark.parametrize("ending", ["csv", "json", "parquet", "txt"])
def test_output_takes_its_format_from_the_ending(run, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"units.{ending}"
    result = run("units", "tiny", "--top", "3", "--output", str(path))
    assert result.exit_code == 0
    assert result.stdout == ""
    read = {
        "csv": lambda: pd.read_csv(path, comment="#"),
        "json": lambda: json.loads(path.read_text())["rows"],
        "parquet": lambda: pq.read_table(path),
        "txt": lambda: path.read_text().splitlines()[1:],
    }[ending]
    assert len(read()) == 3


def test_sql(run) -> None:
    result = run("sql", "tiny", "SELECT count(*) AS n FROM accuracy", "--format", "csv")
    assert table(result)["n"].tolist() == [224]
    assert "# release: tiny@1.0.0" in result.stdout
    result = run("sql", "tiny", "SELECT 1 AS a, 2 AS a", "--format", "json")
    assert json.loads(result.stdout)["rows"] == [{"a": 1, "a_1": 2}]


def test_schema(run) -> None:
    assert all(name in run("schema").stdout for name in TABLES)
    shown = run("schema", "unit_summary").stdout
    assert all(name in shown for name in TABLES["unit_summary"].column_names)
    markdown = run("schema", "unit_summary", "--format", "markdown").stdout
    assert markdown.startswith("## unit_summary\n")
    assert "`min_r`" in markdown
    assert "## layer_summary" not in markdown
    assert run("schema", "--format", "markdown").stdout.startswith("# Data dictionary")
    content = json.loads(run("schema", "--format", "json").stdout)
    assert list(content["tables"]) == list(TABLES)


def test_verify(run, tiny_copy: Path) -> None:
    assert run("verify", "tiny").exit_code == 0
    (tiny_copy / "README.md").write_text("changed")
    result = run("verify", str(tiny_copy))
    assert result.exit_code == 2
    assert "README.md" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["describe", "tinny"], "unknown release 'tinny'"),
        (["describe", "./nowhere"], "nowhere"),
        (["units", "tiny", "--roi", "v4"], "did you mean 'V4'"),
        (["units", "tiny", "--where", "minr>0.1"], "did you mean 'min_r'"),
        (["units", "tiny", "--where", "roi"], "COLUMN OPERATOR NUMBER"),
        (["units", "tiny", "--top", "0"], "positive number"),
        (["units", "tiny", "--top", "3", "--by", "roi"], "unknown column 'roi'"),
        (["sql", "tiny", "COPY accuracy TO 'x.csv'"], "only reading is allowed"),
        (["sql", "tiny", "SELEC 1"], "SELEC"),
        (["schema", "unit_sumary"], "did you mean 'unit_summary'"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(run, arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = [x for x in result.stderr.splitlines() if not x.startswith("SIMULATED")]
    assert line.startswith("unitdb: error: ")
    assert message in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuch"],
        ["units"],
        ["units", "tiny", "--by", "min_r"],
        ["units", "tiny", "--format", "parquet"],
        ["units", "tiny", "--format", "xlsx"],
        ["units", "tiny", "--top", "1", "--output", "x.xls"],
    ],
)
def test_wrong_usage_is_exit_code_2(run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr


def test_a_file_that_cannot_be_written_is_an_error_in_one_line(run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("units", "tiny", "--top", "1", "--output", str(tmp_path / "file" / "x.csv"))
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("unitdb: error: ")


def test_a_retracted_release_warns(tiny_copy: Path) -> None:
    root = tiny_copy.parent.parent
    retract(root, "tiny", "1.0.0", reason="wrong sign")
    shown = CliRunner().invoke(main, ["--releases", str(root), "releases"]).stdout
    assert "retracted: wrong sign" in shown
    code = "from unitdb.cli import main; main()"
    command = [sys.executable, "-c", code, "--releases", str(root), "describe", "tiny@1.0.0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "unitdb: warning: tiny@1.0.0 is retracted: wrong sign" in done.stderr.splitlines()


def test_nested_values_become_text_in_csv(run) -> None:
    result = run("sql", "tiny", "SELECT layer, shape FROM layers", "--format", "csv")
    assert table(result)["shape"].map(json.loads).tolist() == [[2, 3, 3], [10]]
    result = run("sql", "tiny", "SELECT INTERVAL 1 DAY AS i", "--format", "csv")
    assert "days=1" in table(result)["i"][0]


def test_json_has_no_nan(run) -> None:
    query = "SELECT 'nan'::float AS a, 'inf'::double AS b, 0.5::float AS c"
    result = run("sql", "tiny", query, "--format", "json")
    assert json.loads(result.stdout)["rows"] == [{"a": None, "b": None, "c": 0.5}]


def test_output_into_a_folder_that_is_not_there_is_refused(run, tmp_path: Path) -> None:
    result = run("units", "tiny", "--top", "1", "--output", str(tmp_path / "no" / "x.csv"))
    assert result.exit_code == 2
    assert "no such folder" in result.stderr
    assert not (tmp_path / "no").exists()


def test_compare(run) -> None:
    same = run("compare", "tiny", "tiny@1.0.0")
    assert same.exit_code == 0
    assert "tiny@1.0.0 → tiny@1.0.0: units of 8 layers × ROIs" in same.stdout
    written = run("compare", "tiny", "tiny", "--by-layer", "--format", "csv")
    assert "# simulated: true" in written.stdout
    cells = table(written)
    assert cells["n_before"].sum() == 112
