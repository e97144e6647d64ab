"""Small releases and a recipe, for all tests of builds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import unitdb
from tests.pipeline.small import edit, lay_out, run
from unitdb.pipeline import build

OUTSIDE = """
decoder: {voxels: all, alpha: 10, folds: 4}
predictions: {units: all}
identification:
  sets:
    own: {kind: own}
    outside: {kind: pictures, folder: others, ending: .png, description: made up}
  features: true
"""


@pytest.fixture(autouse=True)
def _plans_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan times decoders for seconds, to be near; tests ask only what it counts."""
    monkeypatch.setattr("unitdb.pipeline.planning._SECONDS", 0.2)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small release, shared by all tests: read only.

    The recipe stands two folders above ``releases``.
    """
    folder = tmp_path_factory.mktemp("small")
    return build(lay_out(folder), data=folder, releases=folder / "releases")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """The recipe of the small release, with all that it reads."""
    return lay_out(tmp_path)


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> unitdb.Release:
    """Pictures in a cross-validation, among themselves and others."""
    recipe = lay_out(tmp_path_factory.mktemp("folded"))
    folder, rng = recipe.parent, np.random.default_rng(3)
    (folder / "others").mkdir()
    for number in range(5):
        pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "others" / f"other-{number}.png")
    edit(
        folder / "mine.yaml",
        """
  train: {responses: x_train, stimulus_ids: ids_train}
  tests:
    perception: {responses: x_test, stimulus_ids: ids_test}
""",
        """
  cross-validation: {responses: x_train, stimulus_ids: ids_train}
""",
    )
    edit(recipe, "decoder: {voxels: 10, alpha: 10}\n", OUTSIDE)
    return unitdb.open(run(recipe))
