"""The README, followed to the letter."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.acceptance.conftest import ROOT

README = (ROOT / "README.md").read_text()


def run(code_or_file: list[str], cwd, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *code_or_file],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ten_lines_of_python(sample, tmp_path):
    (code,) = re.findall(r"## In Python\n\n```python\n(.*?)```", README, re.DOTALL)
    printed = run(["-c", code], tmp_path, UNITDB_RELEASES=str(sample[0].parents[1]))
    assert "SIMULATED" in printed
    assert "efficientnet-lite0/" in printed
    assert (tmp_path / "v4.csv").read_text().startswith("# release: sample@1.0.0\n")


def test_commands_on_the_sample(sample, tmp_path):
    (commands,) = re.findall(r"docs/commands.md\)\):\n\n```\n(.*?)```", README, re.DOTALL)
    lines = [line for line in commands.splitlines() if not line.startswith("unitdb app")]
    assert len(lines) == 6
    unitdb = f'"{sys.executable}" -c "from unitdb.cli import main; main()" "$@"'
    script = f"set -e\nunitdb() {{ {unitdb}; }}\n"
    done = subprocess.run(
        ["bash", "-c", script + "\n".join(lines)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"UNITDB_RELEASES": str(sample[0].parents[1])},
    )
    assert done.returncode == 0, done.stderr
    assert "sample@1.0.0 is sound" in done.stdout or "sample 1.0.0 is sound" in done.stdout
    assert (tmp_path / "v4.csv").exists()


def test_your_own_network_and_responses(tmp_path):
    files = re.findall(r"`(mine/[\w.]+)`:\n\n```\w+\n(.*?)```", README, re.DOTALL)
    assert [name for name, _ in files] == [
        "mine/make_data.py",
        "mine/dataset.yaml",
        "mine/network.py",
        "mine/recipe.yaml",
    ]
    for name, text in files:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (commands,) = re.findall(r"\nThen\n\n```\n(.*?)```", README, re.DOTALL)
    first, build, units = commands.splitlines()
    run(first.split()[1:], tmp_path)
    start = ["-c", "from unitdb.cli import main; main()"]
    run([*start, *build.split()[1:]], tmp_path)
    printed = run([*start, *units.split()[1:]], tmp_path)
    assert len(printed.splitlines()) == 11
    assert "mynet/" in printed


@pytest.mark.parametrize("command", re.findall(r"^make ([\w-]+)", README, re.MULTILINE))
def test_make_targets_exist(command):
    assert f"\n{command}:" in (ROOT / "Makefile").read_text()
