from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from unitdb.cli import LAZY, main
from unitdb.cli.lazy import Commands, Lazy, LazyCommand
from unitdb.extras import install_hint
from unitdb.publish import retract
from unitdb.query import col
from unitdb.release import open_release
from unitdb.schema import TABLES


@pytest.fixture
def run(tiny_release: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("UNITDB_RELEASES", str(tiny_release.parent.parent))

    def run_(*arguments: str) -> Result:
        return CliRunner().invoke(main, list(arguments))

    return run_


def table(result: Result) -> pd.DataFrame:
    assert result.exit_code == 0, result.output
    return pd.read_csv(io.StringIO(result.stdout), comment="#")


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


def test_units_are_those_of_the_python_call(run, tiny_release: Path) -> None:
    result = run(
        *("units", "tiny", "--roi", "V4", "--dataset", "sim-a", "--layer", "fc", "--layer"),
        *("conv1", "--where", "mean_r>0.1", "--where", "unit<12", "--min-subjects", "3"),
        *("--top", "4", "--by", "min_r", "--format", "csv"),
    )
    units = open_release(tiny_release).units(roi="V4", dataset="sim-a", layer=["fc", "conv1"])
    units = units.where(col.mean_r > 0.1, col.unit < 12, min_subjects=3).top(4, by="min_r")
    assert list(table(result)["unit_id"]) == list(units.to_pandas()["unit_id"])
    assert "# simulated: true" in result.stdout
    assert f"# query: {' '.join(units.sql.split())}" in result.stdout
    assert result.stderr.startswith("SIMULATED: tiny 1.0.0")


def test_units_as_a_plain_table(run) -> None:
    result = run("units", "tiny", "--top", "3")
    lines = result.stdout.splitlines()
    assert len(lines) == 4
    assert lines[0].split() == [*TABLES["unit_summary"].column_names, "unit_id"]


def test_a_long_table_says_that_it_is_cut(run, tiny_release: Path) -> None:
    result = run("units", "tiny")
    n_rows = len(open_release(tiny_release).units())
    assert n_rows > 100
    assert len(result.stdout.splitlines()) == 101
    assert f"the first 100 of {n_rows} rows" in result.stderr


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


# --- the group ----------------------------------------------------------------------------------


def test_help_lists_all_commands_without_loading_them() -> None:
    code = (
        "import sys\nfrom unitdb.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'pydantic', 'streamlit', 'duckdb', 'unitdb.pipeline'}\n"
        "heavy |= {'unitdb.recipes', 'unitdb.browser'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, lazy in LAZY.items():
        assert name in done.stdout
        assert lazy.short_help in done.stdout


@pytest.mark.parametrize("room", ["pipeline", "imports", "publish", "verification.recomputed"])
def test_what_runs_no_network_and_decodes_nothing_is_there_at_once(room: str) -> None:
    heavy = {"torch", "numba", "scipy.stats", "sklearn"}
    code = f"import sys, unitdb.{room}; print(*{heavy} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "\n"


@pytest.mark.parametrize("command", sorted(set(main.commands) - set(LAZY)))
def test_help_names_the_python_call(command: str) -> None:
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert "In Python: " in result.stdout
    assert all(
        option.help for option in main.commands[command].params if isinstance(option, click.Option)
    )


def group(command: click.Command) -> Commands:
    return Commands(commands={command.name or "": command})


def test_a_missing_extra_says_what_to_install() -> None:
    lazy = LazyCommand("build", Lazy("no_such_package.commands:build", "build", "Build."))
    result = CliRunner().invoke(group(lazy), ["build", "recipe.yaml"])
    assert result.exit_code == 2
    assert "needs the package 'no_such_package'" in result.stderr
    assert install_hint("build") in result.stderr


def test_a_lazy_command_runs_with_its_own_options() -> None:
    lazy = LazyCommand("app", LAZY["app"])
    result = CliRunner().invoke(group(lazy), ["app", "--help"])
    assert result.exit_code == 0
    assert "[RELEASE]" in result.stdout


def test_an_interrupt_is_exit_code_130() -> None:
    @click.command()
    def wait() -> None:
        raise KeyboardInterrupt

    result = CliRunner().invoke(group(wait), ["wait"])
    assert result.exit_code == 130


def test_a_bug_is_not_dressed_up() -> None:
    @click.command()
    def broken() -> None:
        raise ZeroDivisionError

    result = CliRunner().invoke(group(broken), ["broken"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_a_warning_is_one_line() -> None:
    code = (
        "import click, warnings\nfrom unitdb.cli.lazy import Commands\n"
        "@click.command()\ndef warn(): warnings.warn('old')\n"
        "Commands(commands={'warn': warn})(['warn'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "unitdb: warning: old\n"


def test_a_closed_pipe_is_quiet(tiny_release: Path) -> None:
    head = shutil.which("head")
    assert head is not None
    code = "from unitdb.cli import main; main()"
    query = "SELECT * FROM range(200000)"
    with subprocess.Popen(
        [sys.executable, "-c", code, "sql", str(tiny_release), query, "--format", "csv"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.readline()
        command.stdout.close()
        assert b"Traceback" not in command.stderr.read()
    assert command.returncode in {0, 1}


def test_terminal_tables_show_brackets_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    from unitdb.cli import terminal

    out = io.StringIO()
    monkeypatch.setattr(
        terminal, "Console", lambda: Console(file=out, force_terminal=True, width=60)
    )
    terminal.print_table(["[red]a"], [["[bold]b"]], title="[x] SIMULATED")
    assert all(text in out.getvalue() for text in ("[red]a", "[bold]b", "SIMULATED"))


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


def test_units_by_everything_else(run, tiny_release: Path) -> None:
    release = open_release(tiny_release)
    result = run(
        *("units", "tiny", "--layer", "c*", "--depth", "0-1", "--kind", "ReLU", "--rows", "0-1"),
        *("--channel", "0", "--channel", "1", "--columns", "1", "--every-subject"),
        *("--better-in", "V4", "--than", "V1", "--lead", "0.01", "--format", "csv"),
    )
    units = release.units(layer="c*", depth=(0, 1), kind="ReLU")
    units = units.at(channel=[0, 1], rows=(0, 1), columns=1).where(every_subject=True)
    units = units.better_in("V4", "V1", by=0.01)
    assert list(table(result)["unit_id"]) == list(units.to_pandas()["unit_id"])
    assert len(units) > 0
    result = run(
        *("units", "tiny", "--subject", "S1", "--sample", "6", "--seed", "3", "--per", "roi"),
        *("--top", "5", "--by", "max_r", "--per", "layer", "--format", "csv"),
    )
    units = release.units(subjects=["S1"]).sample(6, seed=3, per=["roi", "layer"])
    units = units.top(5, by="max_r", per=["roi", "layer"])
    assert list(table(result)["unit_id"]) == list(units.to_pandas()["unit_id"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "min_r"], "--by goes with --top"),
        (["--seed", "3"], "--seed goes with --sample"),
        (["--than", "V1"], "--than goes with --better-in"),
        (["--per", "roi"], "--per goes with --top or --sample"),
        (["--depth", "a"], "'a' is not a number or FIRST-LAST"),
        (["--depth", "7"], "depths go from 0 to 1"),
        (["--rows", "4-2"], "is not a number from 0, or a pair"),
        (["--per", "subject", "--top", "3"], "it takes one or several of"),
    ],
)
def test_options_of_units_are_checked(run, arguments: list[str], message: str) -> None:
    result = run("units", "tiny", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_units_as_masks(run, tmp_path: Path, tiny_release: Path) -> None:
    path = tmp_path / "best.npz"
    options = ("--dataset", "sim-a", "--roi", "V4", "--top-channels", "1", "--by", "min_r")
    result = run("units", "tiny", *options, "--masks", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    units = open_release(tiny_release).units(dataset="sim-a", roi="V4").top_channels(1, by="min_r")
    with np.load(path) as masks:
        found = {f"net/{name}/{unit}" for name in masks for unit in np.flatnonzero(masks[name])}
    assert found == set(units.to_pandas()["unit_id"])
    for other in (["--output", str(tmp_path / "rows.csv")], ["--format", "csv"], ["--code"]):
        both = run("units", "tiny", *options, "--masks", str(path), *other)
        assert both.exit_code == 2
        assert other[0] in both.output
        assert "--masks" in both.output
    assert not (tmp_path / "rows.csv").exists()
    wrong = run("units", "tiny", "--masks", str(tmp_path / "best.csv"))
    assert wrong.exit_code == 2
    assert "npz or pt" in wrong.output
    assert run("units", "tiny", "--by", "min_r").exit_code == 2
    reached = run("units", "tiny", "--reaching", "0.2", "--in-subjects", "3", "--code")
    assert ".reaching(0.2, subjects=3)" in reached.output
    assert run("units", "tiny", "--reaching", "0.2").exit_code == 2


def test_the_best_units_few_of_a_channel_as_masks_for_torch(
    run, tmp_path: Path, tiny_release: Path
) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "best.pt"
    options = ["--dataset", "sim-a", "--roi", "V4", "--top", "5", "--per-channel", "1"]
    result = run("units", "tiny", *options, "--masks", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    masks = torch.load(path, weights_only=True)
    rows = open_release(tiny_release).units(dataset="sim-a", roi="V4").sort("mean_r").to_pandas()
    # By hand: fc has channels of one unit, conv1 two of nine.
    channel = [
        (one.layer, one.unit // 9 if one.layer == "conv1" else one.unit)
        for one in rows.itertuples()
    ]
    kept = rows[rows.groupby(pd.Series(channel, index=rows.index)).cumcount() < 1].head(5)
    found = {
        f"net/{name}/{unit}" for name in masks for unit in masks[name].flatten().nonzero().flatten()
    }
    assert found == set(kept["unit_id"])
    assert set(rows.head(5)["unit_id"]) != found  # it does choose
    code = run("units", "tiny", *options, "--code").output
    assert ".top(1, by='mean_r', per='channel').top(5, by='mean_r')" in code.replace("\n", "")
    lone = run("units", "tiny", "--per-channel", "1")
    assert lone.exit_code == 2
    assert "--per-channel goes with --top" in lone.stderr


def test_units_print_their_code_and_sql(run) -> None:
    result = run("units", "tiny", "--roi", "V4", "--where", "min_r>0.1", "--top", "3", "--code")
    assert "unitdb.open('tiny@1.0.0').units(roi='V4').where(col.min_r > 0.1)" in result.stdout
    result = run("units", "tiny", "--roi", "V4", "--explain")
    assert result.stdout.startswith("SELECT ")
    assert "READ_PARQUET" in result.stdout


def test_units_as_arrow(run, tmp_path: Path, tiny_release: Path) -> None:
    import pyarrow as pa

    path = tmp_path / "units.arrow"
    assert run("units", "tiny", "--roi", "V4", "--output", str(path)).exit_code == 0
    with pa.ipc.open_file(path) as file:
        found = file.read_all()
    assert found.schema.metadata[b"unitdb:release"] == b"tiny@1.0.0"
    expected = open_release(tiny_release).units(roi="V4").to_arrow()
    assert found["unit_id"].to_pylist() == expected["unit_id"].to_pylist()
    refused = run("units", "tiny", "--format", "arrow")
    assert refused.exit_code == 2
    assert "arrow is not text" in refused.stderr


def test_values(run) -> None:
    assert run("values", "tiny", "layer").stdout.split() == ["conv1", "fc"]
    refused = run("values", "tiny", "layr")
    assert refused.exit_code == 2
    assert "did you mean 'layer'" in refused.stderr


def test_compare(run) -> None:
    same = run("compare", "tiny", "tiny@1.0.0")
    assert same.exit_code == 0
    assert "tiny@1.0.0 → tiny@1.0.0: units of 8 layers × ROIs" in same.stdout
    written = run("compare", "tiny", "tiny", "--by-layer", "--format", "csv")
    assert "# simulated: true" in written.stdout
    cells = table(written)
    assert cells["n_before"].sum() == 112


def test_a_build_beside_that_fails_is_one_line(tmp_path, capfd):
    from unitdb.cli.building.build import _built_beside

    with (
        pytest.raises(SystemExit) as ended,
        _built_beside(tmp_path, tmp_path / "absent.yaml", replace=True, datasets=()) as wait,
    ):
        wait()
    assert ended.value.code == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "absent.yaml" in line
