"""A connection to a small ``unit_summary``; the tiny release, and its rows in plain pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import unitdb
from tests.query.summary import LAYERS, ROIS, summary, write
from tests.tiny import accuracies
from tests.tiny_tables import summarise_units
from unitdb.query import Source, connect
from unitdb.query.relation import KEY
from unitdb.release import Release

FLOATS = ["mean_r", "sd_r", "min_r", "max_r", "lead_r"]


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


@pytest.fixture(scope="module")
def release(tiny_release) -> Release:
    return unitdb.open(tiny_release)


@pytest.fixture(scope="module")
def reference() -> pd.DataFrame:
    frame = summarise_units(accuracies()).astype(dict.fromkeys(FLOATS, np.float32))
    return frame.sort_values(list(KEY), ignore_index=True)
