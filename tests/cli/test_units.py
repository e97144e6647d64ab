"""Units found from the command line, and what is written of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.conftest import table
from unitdb.query import col
from unitdb.release import open_release
from unitdb.schema import TABLES


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


@pytest.mark.robust(
    "bounds",
    given="`--where` or `--min-subjects` with a number of 400 digits, `--depth`, `--rows` or "
    "`--columns` with one of 5000",
    before="`OverflowError` and `ValueError`, tracebacks",
    now="one line that says what it takes, and exit code 2",
)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--where", "min_r>" + "9" * 400], "'min_r' is compared with a number that is not finite"),
        (["--where", "unit<=-" + "9" * 400], "'unit' is compared with a number that is not finite"),
        (["--min-subjects", "9" * 400], "'n_subjects' is compared with a number"),
        *(([name, "9" * 5000], "is not a number or") for name in ("--depth", "--rows")),
        (["--columns", "0-" + "9" * 5000], "is not a number or"),
    ],
    ids=["where", "unit", "subjects", "depth", "rows", "columns"],
)
def test_numbers_beyond_all_bounds_are_refused(run, options: list[str], message: str) -> None:
    result = run("units", "tiny", *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_long_table_says_that_it_is_cut(run, tiny_release: Path) -> None:
    result = run("units", "tiny")
    n_rows = len(open_release(tiny_release).units())
    assert n_rows > 100
    assert len(result.stdout.splitlines()) == 101
    assert f"the first 100 of {n_rows} rows" in result.stderr


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
