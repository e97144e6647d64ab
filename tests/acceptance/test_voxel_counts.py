"""Cards of datasets state the voxels that ``unitdb datasets show --voxels`` counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from unitdb.cli import main

DATASETS = Path(__file__).parents[2] / "datasets"


def counted(dataset, *options):
    given = ["datasets", "show", dataset, "--voxels", *map(str, options)]
    result = CliRunner().invoke(main, given)
    assert result.exit_code == 0, result.output
    lines = [line.rstrip() for line in result.output.splitlines()]
    table = lines[next(i for i, line in enumerate(lines) if line.startswith("voxels ")) :]
    return table[: table.index("")] if "" in table else table


def test_of_measured_voxels(realdata):
    table = "\n".join(counted("digits69", "--data", realdata))
    assert f"```\n{table}\n```" in (DATASETS / "digits69" / "README.md").read_text()


def test_of_virtual_voxels(realdata):
    _, *rows = counted("algonauts92", "--data", realdata)
    assert len(rows) == 15
    assert {tuple(row.split()[1:]) for row in rows} == {("92", "92")}
    assert "92 *virtual voxels*" in (DATASETS / "algonauts92" / "README.md").read_text()


@pytest.mark.slow
def test_of_simulated_voxels():
    table = "\n".join(counted("sample"))
    assert f"```\n{table}\n```" in (DATASETS / "sample" / "README.md").read_text()
