"""Pages for beginners, followed to the letter; with the sample in test_sample.py."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.acceptance.conftest import README, ROOT, START

HOWTO = ROOT / "docs" / "howto"


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


def test_your_own_network_and_responses(tmp_path):
    page = (HOWTO / "own-network.md").read_text()
    files = re.findall(r"`(mine/[\w.]+)`:\n\n```\w+\n(.*?)```", page, re.DOTALL)
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
    (commands,) = re.findall(r"\nThen\n\n```\n(.*?)```", page, re.DOTALL)
    first, build, units = commands.splitlines()
    run(first.split()[1:], tmp_path)
    start = ["-c", "from unitdb.cli import main; main()"]
    run([*start, *build.split()[1:]], tmp_path)
    printed = run([*start, *units.split()[1:]], tmp_path)
    assert len(printed.splitlines()) == 11
    assert "mynet/" in printed


def test_accuracies_become_a_release_in_ten_lines(tmp_path):
    page = (HOWTO / "accuracies.md").read_text()
    (code,) = re.findall(r"## Ten lines.*?```python\n(.*?)```", page, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 10
    run(["-c", code], tmp_path)
    start = ["-c", "from unitdb.cli import main; main()"]
    assert "mynet/conv1/" in run([*start, "units", "mine", "--roi", "V1", "--top", "3"], tmp_path)
    assert "tables" in run([*start, "verify", "mine"], tmp_path)


@pytest.mark.parametrize("command", re.findall(r"^make ([\w-]+)", README + START, re.MULTILINE))
def test_make_targets_exist(command):
    assert f"\n{command}:" in (ROOT / "Makefile").read_text()
