from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import unitdb
from tests.tiny import INFO, accuracies, stage
from unitdb.errors import QueryError
from unitdb.publish import publish_release


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny release with some accuracies of sim-a changed; read only."""
    tmp_path = tmp_path_factory.mktemp("changed")
    accuracy = accuracies()
    in_a = accuracy["dataset"] == "sim-a"
    cell = in_a & (accuracy["layer"] == "fc") & (accuracy["roi"] == "V1")
    accuracy.loc[cell & (accuracy["unit"] == 3) & (accuracy["subject"] == "S1"), "r"] += 0.25
    accuracy.loc[cell & (accuracy["unit"] == 4), "r"] += np.float32(1e-4)
    accuracy.loc[cell & (accuracy["unit"] == 5) & (accuracy["subject"] == "S2"), "r"] = np.nan
    return publish_release(stage(tmp_path / "staged", accuracy), tmp_path / "releases", info=INFO)


def test_a_release_equals_itself(tiny_release: Path) -> None:
    found = unitdb.compare(tiny_release, unitdb.open(tiny_release))
    assert found.equal
    assert len(found.cells) == 8
    assert found.units.empty
    assert found.cells["largest_difference"].eq(0).all()


def test_changes_are_found(tiny_release: Path, changed: Path) -> None:
    found = unitdb.compare(tiny_release, changed, tolerance=1e-3)
    assert not found.equal
    cells = found.cells[found.cells["n_changed"] > 0]
    assert cells[["dataset", "layer", "roi", "n_changed"]].to_numpy().tolist() == [
        ["sim-a", "fc", "V1", 2]
    ]
    assert cells["largest_difference"].tolist() == pytest.approx([0.25], abs=1e-6)
    assert found.units["unit"].tolist() == [3, 5]
    assert set(found.units["change"]) == {"changed"}
    assert unitdb.compare(tiny_release, changed).cells["n_changed"].sum() == 3
    assert "changed             2" in str(found)
    assert len(unitdb.compare(tiny_release, changed, limit=1).units) == 1


def test_units_and_subjects_come_and_go() -> None:
    from unitdb.release.comparison import _compared

    index = pd.Index([1, 2, 3], name="unit", dtype=np.int32)
    a = pd.DataFrame({"S1": [0.1, 0.2, np.nan], "S2": [0.3, 0.4, 0.5]}, index=index)
    b = pd.DataFrame({"S1": [0.2, np.nan], "S3": [0.0, 0.0]}, index=pd.Index([2, 3], name="unit"))
    cell, units = _compared(a, b, 0.0, 10)
    assert cell == {
        "n_before": 3,
        "n_after": 2,
        "n_added": 0,
        "n_removed": 1,
        "n_changed": 0,
        "largest_difference": 0.0,
        "subjects_added": "S3",
        "subjects_removed": "S2",
    }
    assert units.to_numpy().tolist() == [[1, "removed", pytest.approx(np.nan, nan_ok=True)]]
    cell, units = _compared(b, a, 0.0, 10)
    assert units["change"].tolist() == ["added"]
    assert cell["subjects_added"] == "S2"


def test_tolerance_is_checked(tiny_release: Path) -> None:
    for bad in (-1, np.nan):
        with pytest.raises(QueryError, match="is not a number from 0"):
            unitdb.compare(tiny_release, tiny_release, tolerance=bad)
