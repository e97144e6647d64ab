"""What the measure finds of a time course whose numbers do not follow from each other."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.tiny_course import LAYERS, course_rows
from tests.tiny_tables import MODEL
from unitdb.measures.lags import lag_rows
from unitdb.measures.timecourse import Timecourse
from unitdb.tables import table_of


@pytest.fixture(scope="module")
def rows():
    course = course_rows(np.random.default_rng(0))
    lags, orders = lag_rows(course, {MODEL: LAYERS}, {})
    return {"timecourse": course, "lag": lags, "lag_order": orders}


def problems(rows, **changed):
    tables = {name: table_of(name, changed.get(name, of)) for name, of in rows.items()}
    layers = {"model": [MODEL] * 2, "layer": LAYERS, "depth": [0, 1]}
    return list(Timecourse().check({**tables, "layers": pa.table(layers)}))


def test_nothing_is_wrong_with_what_follows(rows):
    assert problems(rows) == []
    assert list(Timecourse().check({})) == []


@pytest.mark.parametrize(
    ("table", "column", "message"),
    [
        ("timecourse", "mean_r", "timecourse gives"),
        ("timecourse", "matched_r", "timecourse gives"),
        ("timecourse", "r_low", "r_low is"),
        ("lag", "lag", ": lag is"),
        ("lag", "stimuli_low", "stimuli_low is"),
        ("lag", "peak_time", "peak_time is"),
        ("lag_order", "p", ": p is"),
    ],
)
def test_a_number_that_was_changed_is_found(rows, table, column, message):
    changed = [dict(row) for row in rows[table]]
    row = next(row for row in changed if row[column] == row[column] and row[column] is not None)
    row[column] += 0.01
    found = problems(rows, **{table: changed})
    assert any(message in problem for problem in found)


def test_rows_that_are_missing_or_too_many_are_found(rows):
    assert any("is missing" in each for each in problems(rows, lag=rows["lag"][1:]))
    left = [row for row in rows["timecourse"] if row["roi"] == "V1"]
    assert any("follows from no row" in each for each in problems(rows, timecourse=left))


def test_an_order_that_was_planted_is_found(rows):
    (order,) = (r for r in rows["lag_order"] if r["roi"] == "V4" and r["control"] == "none")
    assert order["slope"] == pytest.approx(-2, abs=0.3)
    assert order["p"] < 0.05
    assert order["stimuli_p"] < 0.05
