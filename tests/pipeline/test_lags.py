"""What the measure finds of a time course whose numbers do not follow from each other."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
import scipy.special

from tests.tiny_course import LAYERS, course_rows
from tests.tiny_tables import MODEL
from unitdb.measures.lags import lag_rows
from unitdb.measures.timecourse import Timecourse, _exchange, _wrong_without
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


@pytest.mark.robust(
    "verification",
    given="a time course with `without` NULL beside its interval, or of other stimuli than it says",
    before="passed: NULL switched the check of r_low and r_high off",
    now="NULL is valid only where the interval is NULL too; else lengths and ends are checked",
)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"without": None}, "r_low is .*, where `without` is NULL"),
        ({"stimuli": None}, "stimuli is NULL, where"),
        ({"mean_r": None}, "mean_r is NULL, where"),
        ({"stimuli": ["n0"]}, "of 1 stimuli"),
        ({"stimuli": ["n0"] * 6}, "twice"),
        ({"n_stimuli": 9}, "n_stimuli is 9"),
        ({"n_stimuli": 4}, "changes for more stimuli than n_stimuli, 4"),
        ({"r_low": None}, "r_low is None"),
    ],
)
def test_null_hides_no_interval(rows, change, message):
    changed = [rows["timecourse"][0] | change, *rows["timecourse"][1:]]
    assert any(re.search(message, problem) for problem in problems(rows, timecourse=changed))


def test_a_stimulus_without_a_volume_changes_nothing(rows):
    first = rows["timecourse"][0]
    changed = first | {
        "without": [first["mean_r"] + 1e-13, *first["without"]],
        "stimuli": ["absent", *first["stimuli"]],
    }
    assert list(_wrong_without(changed)) == []
    nothing = dict.fromkeys(("without", "stimuli", "mean_r", "r_low", "r_high"))
    assert list(_wrong_without(first | nothing)) == []


def seen(course, *, names=None):
    """Rows of another condition; with another name for each subject that has one."""
    rows = [row | {"condition": "perception"} for row in course]
    return [
        row | {"subject": names.get(row["subject"], row["subject"])} if names else row
        for row in rows
    ]


def adjusted(course):
    by = {("sim-a", "imagery"): "perception"}
    lags, orders = lag_rows(course, {MODEL: LAYERS}, by)
    order = [row for row in orders if row["control"] == "adjusted" and row["roi"] == "V4"]
    return [row for row in lags if "adjusted_lag" in row and row["roi"] == "V4"], order


@pytest.mark.robust(
    "numbers",
    given="lags adjusted by those of other subjects, of as many others, or of subjects in another "
    "order; stimuli of other names",
    before="ValueError: operands could not be broadcast; as many others were paired by position",
    now="subjects that have values in both, by name; a stimulus that one of both has not leaves "
    "that one as it is",
)
def test_adjusted_lags_are_of_the_subjects_that_both_have():
    rng = np.random.default_rng(2)
    imagined = course_rows(rng)
    subjects = sorted({row["subject"] for row in imagined})
    imagined += [row | {"subject": "zoe"} for row in imagined if row["subject"] == subjects[0]]
    other = seen(course_rows(rng))
    (lag, _), (order,) = adjusted([*imagined, *other])
    same = [row for row in imagined if row["subject"] != "zoe"]
    (expected, _), (of_same,) = adjusted([*same, *other])
    assert lag["adjusted_lag"] == expected["adjusted_lag"]
    assert order == of_same
    assert order["n_subjects"] == len(subjects)
    # As many subjects, none of whom is one of the others: nothing is adjusted.
    strangers = seen(other, names={name: f"{name}-other" for name in subjects})
    assert adjusted([*same, *strangers]) == ([], [])


def test_stimuli_are_left_out_by_name():
    rng = np.random.default_rng(2)
    imagined, other = course_rows(rng), seen(course_rows(rng))
    turned = [
        row | {"stimuli": row["stimuli"][::-1], "without": row["without"][::-1]} for row in other
    ]
    ends = ("stimuli_low", "stimuli_high")
    ((_, (order,)), (_, (again,))) = (adjusted([*imagined, *rows]) for rows in (other, turned))
    assert [order[end] for end in ends] == pytest.approx([again[end] for end in ends], abs=1e-12)
    # Other stimuli than those imagined: variances add up.
    apart = [row | {"stimuli": [f"p{name}" for name in row["stimuli"]]} for row in other]
    _, (independent,) = adjusted([*imagined, *apart])
    orders = lag_rows([*imagined, *other], {MODEL: LAYERS}, {})[1]
    t = {n: scipy.special.stdtrit(n - 1, 0.975) for n in (6, 12)}
    se = [
        (row["stimuli_high"] - row["stimuli_low"]) / 2 / t[6]
        for row in orders
        if row["roi"] == "V4" and row["control"] == "none"
    ]
    expected = np.sqrt(11 / 12 / (5 / 6)) * np.hypot(*se)
    found = (independent["stimuli_high"] - independent["stimuli_low"]) / 2 / t[12]
    assert found == pytest.approx(expected, rel=0.05)


@pytest.mark.robust(
    "numbers",
    given="a time course in which one subject has no accuracy at all",
    before="lags, intervals and orders of all subjects together were NULL",
    now="those of the subjects that have values, whose number `lag_order` states",
)
def test_a_subject_without_values_does_not_count():
    course = course_rows(np.random.default_rng(0))
    nothing = dict.fromkeys(("mean_r", "matched_r", "shuffled_r", "without", "stimuli"))
    first = course[0]["subject"]
    empty = [row | nothing | {"subject": "zoe"} for row in course if row["subject"] == first]
    expected = lag_rows(course, {MODEL: LAYERS}, {})
    assert repr(lag_rows([*course, *empty], {MODEL: LAYERS}, {})) == repr(expected)  # NaN too
    lags, orders = lag_rows(empty, {MODEL: LAYERS}, {})
    assert np.isnan([row["lag"] for row in lags]).all()
    assert {row["n_subjects"] for row in orders} == {0}


@pytest.mark.robust(
    "numbers",
    given="the control of a time course with its targets exchanged",
    before="some targets could keep their places: of five in 75 of 119 permutations",
    now="none does, by the seed of the recipe",
)
@pytest.mark.parametrize("n", [2, 3, 5, 50])
def test_no_target_keeps_its_place_in_the_control(n):
    for seed in range(40):
        found = _exchange(n, seed)
        assert sorted(found) == list(range(n))
        assert (found != np.arange(n)).all()
        assert found.tolist() == _exchange(n, seed).tolist()
    assert _exchange(1, 0).tolist() == [0]


def test_an_order_that_was_planted_is_found(rows):
    (order,) = (r for r in rows["lag_order"] if r["roi"] == "V4" and r["control"] == "none")
    assert order["slope"] == pytest.approx(-2, abs=0.3)
    assert order["p"] < 0.05
    assert order["stimuli_p"] < 0.05
