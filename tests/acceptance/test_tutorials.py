"""Tutorials print what their pages show."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from tests.acceptance.conftest import ROOT

TUTORIALS = runpy.run_path(str(ROOT / "docs" / "tutorials.py"))
NAMES, SHOWN = TUTORIALS["names"](), TUTORIALS["SHOWN"]
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
PAGE = (ROOT / "docs" / "nn.md").read_text(encoding="utf-8")


def shown(name: str) -> str:
    return (SHOWN / f"{name}.txt").read_text(encoding="utf-8")


def assert_alike(found: str, expected: str) -> None:
    """The same words; numbers but for the rounding of another machine."""
    assert NUMBER.sub("0", found).split() == NUMBER.sub("0", expected).split()
    numbers = [np.array(NUMBER.findall(text), dtype=float) for text in (found, expected)]
    np.testing.assert_allclose(*numbers, rtol=0.03, atol=0.05)


def test_every_tutorial_has_what_it_prints():
    assert {path.stem for path in SHOWN.glob("*.txt")} == set(NAMES)
    assert {path.stem for path in SHOWN.glob("*.png")} == set(TUTORIALS["DRAWN"])


@pytest.mark.slow
@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize("name", NAMES)
def test_it_prints_what_the_page_shows(name: str, sample: Path, tmp_path: Path) -> None:
    assert_alike(TUTORIALS["run"](name, sample.parents[1], tmp_path), shown(name))
    if name in TUTORIALS["DRAWN"]:
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["brain_readout", "reconstruct"])
def test_another_page_shows_the_same(name: str) -> None:
    assert f"```text\n{shown(name)}```" in PAGE


def test_a_network_is_trained_towards_brain_like_units() -> None:
    values = [float(value) for value in re.findall(r"CKA ([\d.]+)", shown("alignment_loss"))]
    assert values[-1] < 0.8 * values[0]


def test_pictures_are_sorted_by_how_they_drive_a_unit() -> None:
    lines = shown("most_exciting_images").splitlines()[2:]
    values = np.array([float(line.split()[-1]) for line in lines]).reshape(4, 2, 3)
    assert (np.diff(values[:, 0], axis=1) <= 0).all()
    assert (np.diff(values[:, 1], axis=1) >= 0).all()
    assert (values[:, 0].min(axis=1) > values[:, 1].max(axis=1)).all()
