"""Raw images, to read and to spoil."""

from __future__ import annotations

import shutil

import pytest

from tests.responses.raw import write


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Folder of a dataset ``bids``, shared by all tests: read only."""
    folder = tmp_path_factory.mktemp("raw")
    write(folder / "bids")
    return folder


@pytest.fixture
def data(written, tmp_path):
    """A copy that may be spoiled."""
    return shutil.copytree(written, tmp_path, dirs_exist_ok=True)
