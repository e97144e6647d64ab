"""Fixtures that several rooms share."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import hypothesis
import pytest

from tests.tiny import INFO, stage
from unitdb.publish import publish_release

# The first call may compile: no deadline. The same examples whenever and wherever tests run; other
# ones, and more, with --hypothesis-profile=random, as `make test-slow` has it.
hypothesis.settings.register_profile("unitdb", deadline=None, derandomize=True, max_examples=30)
hypothesis.settings.register_profile("random", deadline=None, derandomize=False, print_blob=True)
hypothesis.settings.load_profile("unitdb")

# A shell that starts the tests with & has them ignore Ctrl-C, and so would the programs that tests
# interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SLOW_TIMEOUT = 3600
"""Seconds of a slow or whole test; of the others pyproject.toml says how many."""

LONGEST = (
    "small_samples",
    "sample",
    "algonauts92",
    "consistent",  # before the others that wait for the sample
    "tutorials",
    "memory",
    "fuzz",
    "modulation",
    "identification",
    "browser",
    "browser_history",
    "datasets",
    "every_unit",
    "candidates",
    "hostile_input",
    "provenance",
    "workers",
)
"""Files of tests, without ``test_``."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the longest files, so that no process is left alone with one at the end."""
    place = {f"test_{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))
    for item in items:
        long = item.get_closest_marker("slow") or item.get_closest_marker("whole")
        if long and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT))


@pytest.fixture(scope="session")
def tiny_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the release tiny 1.0.0, shared by all tests: read only.

    Its catalogue's root, with releases.json, is ``tiny_release.parent.parent``.
    """
    root = tmp_path_factory.mktemp("releases")
    return publish_release(stage(root / ".staging" / "tiny"), root, info=INFO)


@pytest.fixture(scope="session")
def tiny_course_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny release with a time course: read only."""
    from tests.tiny_course import publish_with_course

    return publish_with_course(tmp_path_factory.mktemp("course"))


@pytest.fixture
def tiny_copy(tiny_release: Path, tmp_path: Path) -> Path:
    """A copy of the tiny release, to damage; its catalogue's root is two folders above."""
    root = tmp_path / "releases"
    shutil.copytree(tiny_release.parent.parent, root)
    return root / tiny_release.parent.name / tiny_release.name
