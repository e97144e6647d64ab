"""A connection to a small ``unit_summary``."""

from __future__ import annotations

import pytest

from tests.query.summary import LAYERS, ROIS, summary, write
from unitdb.query import (
    Source,
    connect,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return write(tmp_path_factory.mktemp("release"), summary())


@pytest.fixture(scope="module")
def source(files: dict[str, list[str]]) -> Source:
    connection = connect(files)
    return Source(
        connect=lambda: connection,
        label="tiny@1.0.0",
        citation="Somebody. A tiny\nrelease.",
        simulated=True,
        known={"dataset": ["sim"], "model": ["net"], "layer": list(LAYERS), "roi": ROIS},
    )
