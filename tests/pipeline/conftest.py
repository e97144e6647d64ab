"""The small release and its recipe, for all tests of builds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.small import lay_out
from unitdb.pipeline import build


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
