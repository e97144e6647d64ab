"""Damaged releases and bad recipes on the command line: one clear line, exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.conftest import unitdb_command
from tests.pipeline.small import edit, lay_out
from tests.rarely import rarely

CONV = "dataset=sim-a/condition=perception/model=net/layer=conv1/part-0.parquet"


def truncate(release: Path, name: str) -> None:
    path = release / name
    path.write_bytes(path.read_bytes()[:-30])


def overwrite(release: Path, name: str) -> None:
    path = release / name
    content = bytearray(path.read_bytes())
    content[4:64] = bytes(60)
    path.write_bytes(content)


def newer_schema(release: Path, version: str) -> None:
    path = release / "datapackage.json"
    content = json.loads(path.read_text())
    content["unitdb"]["schema"] = version
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("damage", "arguments", "message"),
    [
        (
            lambda r: truncate(r, f"unit_summary/{CONV}"),
            ["units", "{}"],
            f"unit_summary/{CONV}",
        ),
        (
            lambda r: truncate(r, f"accuracy/{CONV}"),
            ["sql", "{}", "SELECT avg(r) FROM accuracy"],
            f"accuracy/{CONV}",
        ),
        (lambda r: truncate(r, "subjects.parquet"), ["describe", "{}"], "subjects.parquet"),
        (lambda r: overwrite(r, f"accuracy/{CONV}"), ["verify", "{}"], f"accuracy/{CONV}"),
        (lambda r: (r / "layers.parquet").unlink(), ["describe", "{}"], "layers.parquet"),
        (lambda r: newer_schema(r, "1.9"), ["describe", "{}"], "no longer reads"),
        (lambda r: newer_schema(r, "2.99"), ["units", "{}"], "schema 2.99"),
    ],
)
def test_a_damaged_release_names_the_file(tiny_copy, damage, arguments, message):
    damage(tiny_copy)
    done = unitdb_command(*[argument.format(tiny_copy) for argument in arguments])
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("SIMULATED")]
    assert len(lines) == 1
    assert lines[0].startswith("unitdb: error: ")
    assert message in lines[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("voxels: 10", "voxel: 10", "did you mean 'voxels'"),
        rarely("mine.yaml", "algonauts29", "did you mean 'algonauts92'"),
        rarely("{name: mynet}", "{name: mynet, layers: [cov]}", "did you mean 'conv'"),
    ],
)
def test_a_bad_recipe_writes_nothing(tmp_path, old, new, message):
    recipe = lay_out(tmp_path / "mine")
    edit(recipe, old, new)
    root = tmp_path / "releases"
    done = unitdb_command("--releases", root, "build", recipe, "--data", recipe.parent)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert message in line
    assert not root.exists()


def test_a_good_one_prints_the_folder_and_no_bars_into_a_pipe(tmp_path):
    recipe = lay_out(tmp_path / "mine")
    root = tmp_path / "releases"
    done = unitdb_command("--releases", root, "build", recipe, "--data", recipe.parent)
    assert done.returncode == 0
    assert done.stdout == f"{root / 'small' / '1.0.0'}\n"
    assert done.stderr == ""
