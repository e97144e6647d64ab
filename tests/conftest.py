"""Fixtures that several rooms share."""

from __future__ import annotations

import shutil
from pathlib import Path

import hypothesis
import pytest

from tests.tiny import INFO, stage
from unitdb.publish import publish_release

hypothesis.settings.register_profile("unitdb", deadline=None)  # the first call may compile
hypothesis.settings.load_profile("unitdb")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the longest: a second process does the rest while the sample is built."""
    items.sort(key=lambda item: item.path.name != "test_sample.py")


@pytest.fixture(scope="session")
def tiny_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the release tiny 1.0.0, shared by all tests: read only.

    Its catalogue's root, with releases.json, is ``tiny_release.parent.parent``.
    """
    root = tmp_path_factory.mktemp("releases")
    return publish_release(stage(root / ".staging" / "tiny"), root, info=INFO)


@pytest.fixture
def tiny_copy(tiny_release: Path, tmp_path: Path) -> Path:
    """A copy of the tiny release, to damage; its catalogue's root is two folders above."""
    root = tmp_path / "releases"
    shutil.copytree(tiny_release.parent.parent, root)
    return root / tiny_release.parent.name / tiny_release.name
