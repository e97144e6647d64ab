"""Selections of units against plain pandas, and what results carry."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.query.summary import KEY, SUMMARY, summary
from unitdb.errors import (
    QueryError,
    UnknownColumnError,
    UnknownLayerError,
    UnknownRoiError,
)
from unitdb.query import (
    Condition,
    Source,
    UnitSet,
    col,
    export as _export,
    run_sql,
)


@pytest.fixture(scope="module")
def reference(source: Source) -> pd.DataFrame:
    """What the Parquet files hold, read without DuckDB."""
    assert source.label
    frame = summary()
    floats = [c.name for c in SUMMARY.columns if pa.types.is_floating(c.type)]
    return frame.astype(dict.fromkeys(floats, np.float32))


def ids(frame: pd.DataFrame) -> list[tuple[object, ...]]:
    return [tuple(row) for row in frame[KEY].itertuples(index=False)]


# --- conditions ---------------------------------------------------------------------------------


def test_comparing_a_column_gives_a_condition() -> None:
    assert (col.mean_r > 0.3) == Condition("mean_r", ">", 0.3)
    assert (col.mean_r >= 0.3) == Condition("mean_r", ">=", 0.3)
    assert (col.unit < 5) == Condition("unit", "<", 5)
    assert (col.unit <= 5) == Condition("unit", "<=", 5)
    assert (col.unit == 5) == Condition("unit", "==", 5)
    assert (col.unit != 5) == Condition("unit", "!=", 5)


@pytest.mark.parametrize("number", [0.25, np.float32(0.25), np.float64(0.25)])
def test_the_number_may_stand_on_the_left(number: float) -> None:
    condition = number < col.mean_r
    assert condition == Condition("mean_r", ">", 0.25)
    assert type(condition.value) is float


def test_conditions_are_immutable_and_numbers_plain() -> None:
    condition = col.unit < np.int64(5)
    assert type(condition.value) is int
    with pytest.raises(AttributeError):
        condition.value = 6


@pytest.mark.parametrize(
    "value",
    [
        *(math.nan, math.inf, -math.inf, 1e39, "0.2", None, True, [0.2], col.min_r),
        pytest.param(10**400, id="400 digits"),
        pytest.param(-(10**5000), id="5000 digits"),
    ],
)
def test_a_condition_takes_finite_numbers_only(value: object) -> None:
    with pytest.raises(QueryError, match=r"'max_r' is compared with .*finite number"):
        col.max_r > value  # noqa: B015


def test_a_condition_has_no_truth_value() -> None:
    with pytest.raises(QueryError, match="neither true nor false"):
        0.1 < col.mean_r < 0.2  # noqa: B015
    with pytest.raises(QueryError, match="neither true nor false"):
        col.mean_r > 0.1 and col.mean_r < 0.2  # noqa: B018
    with pytest.raises(QueryError, match="neither true nor false"):
        not (col.mean_r > 0.1)  # noqa: B018


def test_an_unknown_column_names_the_nearest() -> None:
    with pytest.raises(UnknownColumnError, match=r"'mean_R'.*did you mean 'mean_r'"):
        col.mean_R  # noqa: B018
    with pytest.raises(UnknownColumnError, match="unknown column 'roi'"):
        col.roi  # noqa: B018
    with pytest.raises(UnknownColumnError, match="1; DROP"):
        Condition("1; DROP", ">", 1)


def test_the_columns_offered_are_the_numeric_ones() -> None:
    numeric = {"unit", "n_subjects", "mean_r", "sd_r", "min_r", "max_r", "rank", "lead_r", "p", "q"}
    assert set(dir(col)) == numeric
    assert not hasattr(col, "_repr_html_")


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("min_r>0.2", Condition("min_r", ">", 0.2)),
        (" min_r >= -1e-3 ", Condition("min_r", ">=", -0.001)),
        ("n_subjects=5", Condition("n_subjects", "==", 5)),
        ("unit!=-5", Condition("unit", "!=", -5)),
        ("rank<=+10", Condition("rank", "<=", 10)),
    ],
)
def test_parse(text: str, condition: Condition) -> None:
    assert Condition.parse(text) == condition
    assert Condition.parse(str(condition)) == condition


@pytest.mark.parametrize("text", ["min_r", "min_r>", ">0.2", "min_r>0.2 OR 1", "min_r>x", "a b>1"])
def test_parse_refuses_other_text(text: str) -> None:
    with pytest.raises(QueryError):
        Condition.parse(text)


def test_parse_refuses_other_columns_and_nan() -> None:
    with pytest.raises(UnknownColumnError):
        Condition.parse("mean>0.2")
    with pytest.raises(QueryError, match="finite"):
        Condition.parse("mean_r>nan")


# --- selections ---------------------------------------------------------------------------------


def test_all_rows_are_sorted_and_carry_unit_id(source: Source, reference: pd.DataFrame) -> None:
    frame = UnitSet(source).to_pandas()
    assert list(frame.columns) == [*SUMMARY.column_names, "unit_id"]
    pd.testing.assert_frame_equal(
        frame[list(SUMMARY.column_names)], reference, check_dtype=False, check_exact=True
    )
    assert frame["mean_r"].dtype == np.float32
    assert frame["unit_id"][0] == "net/conv1/0"


def test_filters_keep_names(source: Source, reference: pd.DataFrame) -> None:
    units = UnitSet(source, {"roi": "V4", "layer": ["fc'7"], "model": None})
    kept = reference[(reference["roi"] == "V4") & (reference["layer"] == "fc'7")]
    assert ids(units.to_pandas()) == ids(kept)
    assert len(units) == len(kept) == 4


def test_filters_are_checked(source: Source) -> None:
    with pytest.raises(UnknownRoiError, match=r"'v4' in release tiny@1.0.0; did you mean 'V4'"):
        UnitSet(source, {"roi": ["V1", "v4"]})
    with pytest.raises(UnknownLayerError):
        UnitSet(source, {"layer": "x' OR 1=1 --"})
    with pytest.raises(UnknownColumnError, match=r"unknown column 'rio'.*'roi'"):
        UnitSet(source, {"rio": "V4"})
    for names in ([], [4], 4):
        with pytest.raises((QueryError, TypeError)):
            UnitSet(source, {"roi": names})


NUMBERS = st.integers(-4, 9).map(lambda n: n / 10) | st.floats(-1, 1) | st.integers(0, 6)
CONDITIONS = st.builds(
    Condition,
    st.sampled_from(["mean_r", "min_r", "max_r", "n_subjects", "unit", "rank"]),
    st.sampled_from([">", ">=", "<", "<=", "==", "!="]),
    NUMBERS,
)


def kept_by(frame: pd.DataFrame, condition: Condition) -> pd.DataFrame:
    """Row by row: NULL meets nothing, and float32 is compared with the nearest float32."""
    compare = {
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        "==": lambda a, b: a == b,
        "!=": lambda a, b: a != b,
    }[condition.operator]
    value = condition.value
    if frame[condition.column].dtype == np.float32:
        value = np.float32(value)
    kept = [not math.isnan(x) and bool(compare(x, value)) for x in frame[condition.column]]
    return frame[np.array(kept, dtype=bool)]


def best(frame: pd.DataFrame, n: int, by: str, *, ascending: bool) -> pd.DataFrame:
    frame = frame[frame[by].notna()]
    return frame.sort_values([by, *KEY], ascending=[ascending, *[True] * len(KEY)]).head(n)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    before=st.lists(CONDITIONS, max_size=2),
    top=st.tuples(
        st.integers(1, 25), st.sampled_from(["mean_r", "min_r", "unit", "rank"]), st.booleans()
    )
    | st.none(),
    after=st.lists(CONDITIONS, max_size=2),
)
def test_where_and_top_equal_a_plain_reference(
    source: Source,
    reference: pd.DataFrame,
    before: list[Condition],
    top: tuple[int, str, bool] | None,
    after: list[Condition],
) -> None:
    units, expected = UnitSet(source).where(*before), reference
    for condition in before:
        expected = kept_by(expected, condition)
    if top is not None:
        n, by, ascending = top
        units = units.top(n, by, ascending=ascending)
        expected = best(expected, n, by, ascending=ascending)
    units = units.where(*after)
    for condition in after:
        expected = kept_by(expected, condition)
    frame = units.to_pandas()
    assert ids(frame) == ids(expected)
    assert len(units) == len(expected)
    again = run_sql(source.connect(), units.sql).to_pandas()
    pd.testing.assert_frame_equal(again, frame, check_exact=True)


def test_where_after_top_filters_the_top_rows(source: Source, reference: pd.DataFrame) -> None:
    units = UnitSet(source).top(5).where(col.unit == 0)
    expected = best(reference, 5, "mean_r", ascending=False)
    expected = expected[expected["unit"] == 0]
    assert ids(units.to_pandas()) == ids(expected)
    assert len(units) < len(UnitSet(source).where(col.unit == 0).top(5))


def test_top_of_top(source: Source, reference: pd.DataFrame) -> None:
    units = UnitSet(source).top(6).top(2, by="unit", ascending=True)
    expected = best(best(reference, 6, "mean_r", ascending=False), 2, "unit", ascending=True)
    assert ids(units.to_pandas()) == ids(expected)


def test_min_subjects(source: Source, reference: pd.DataFrame) -> None:
    units = UnitSet(source).where(col.min_r > 0, min_subjects=3)
    expected = reference[(reference["min_r"] > 0) & (reference["n_subjects"] >= 3)]
    assert ids(units.to_pandas()) == ids(expected)
    assert len(expected) > 0


def test_selections_are_immutable(source: Source) -> None:
    units = UnitSet(source)
    before = len(units)
    units.where(col.mean_r > 0.5)
    units.top(1)
    assert len(units) == before
    with pytest.raises(AttributeError):
        units.source = source
    with pytest.raises(TypeError):
        units.filters["roi"] = "V1"


def test_where_and_top_refuse_nonsense(source: Source) -> None:
    units = UnitSet(source)
    with pytest.raises(QueryError, match="where\\(\\) takes conditions"):
        units.where("mean_r > 0.2")
    with pytest.raises(QueryError, match="finite number"):
        units.where(min_subjects=math.nan)
    for n in (0, -1, 2.5, True, "3"):
        with pytest.raises(QueryError, match="positive number of rows"):
            units.top(n)
    with pytest.raises(UnknownColumnError, match="did you mean 'mean_r'"):
        units.top(3, by="meanr")
    with pytest.raises(UnknownColumnError):
        units.top(3, by="roi")


def test_nothing_is_read_before_it_is_asked_for(source: Source) -> None:
    def refuse() -> object:
        raise AssertionError("read too early")

    lazy = Source(connect=refuse, label="x 1.0.0", citation="", simulated=False, known=source.known)
    units = UnitSet(lazy, {"roi": "V4"}).where(col.mean_r > 0.1).top(3)
    assert "LIMIT 3" in units.sql
    assert repr(units) == "UnitSet(x 1.0.0, roi = V4, mean_r > 0.1, top 3 by mean_r)"


# --- what results carry -------------------------------------------------------------------------


def test_results_carry_their_origin(source: Source) -> None:
    units = UnitSet(source, {"roi": "V4"}).where(col.mean_r > 0.1)
    origin = {"release": "tiny@1.0.0", "query": units.sql, "citation": source.citation}
    assert units.to_pandas().attrs == origin | {"simulated": True}
    metadata = units.to_arrow().schema.metadata
    for key, value in (origin | {"simulated": "true"}).items():
        assert metadata[f"unitdb:{key}".encode()] == value.encode()
    assert "SIMULATED" in repr(units)


def test_csv_reads_back_to_equal_numbers(source: Source, tmp_path: Path) -> None:
    units = UnitSet(source, {"layer": "fc'7"})
    path = tmp_path / "units.csv"
    units.to_csv(path)
    frame = units.to_pandas()
    back = pd.read_csv(path, comment="#")
    assert list(back.columns) == list(frame.columns)
    back = back.astype({name: frame[name].dtype for name in frame.columns})
    pd.testing.assert_frame_equal(back, frame, check_exact=True)
    head = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert head[:2] == ["# release: tiny@1.0.0", "# simulated: true"]
    assert head[2] == "# query: " + " ".join(units.sql.split())
    assert head[3] == "# citation: Somebody. A tiny release."
    assert [p.name for p in tmp_path.iterdir()] == ["units.csv"]


def test_csv_to_an_open_file_and_of_nothing(source: Source) -> None:
    buffer = io.BytesIO()
    UnitSet(source).where(col.mean_r > 1).to_csv(buffer)
    assert pd.read_csv(io.BytesIO(buffer.getvalue()), comment="#").empty


def test_json_and_parquet_carry_their_origin(source: Source, tmp_path: Path) -> None:
    table = UnitSet(source).top(3).to_arrow()
    _export.write_json(table, tmp_path / "units.json")
    content = json.loads((tmp_path / "units.json").read_text())
    assert content["simulated"] is True
    assert [np.float32(row["mean_r"]) for row in content["rows"]] == [
        np.float32(value) for value in table["mean_r"].to_pylist()
    ]
    assert len(str(content["rows"][0]["mean_r"])) <= 10
    _export.write_parquet(table, tmp_path / "units.parquet")
    assert pq.read_table(tmp_path / "units.parquet").equals(table, check_metadata=True)


def test_html_shows_a_few_rows_and_escapes(source: Source) -> None:
    html = UnitSet(source)._repr_html_()
    assert "20 rows of tiny@1.0.0 SIMULATED" in html
    assert html.count("<tr") <= 12
    assert "min_r &gt; 0.1" in UnitSet(source).where(col.min_r > 0.1)._repr_html_()


def test_values_of_parameters_are_noted_behind_the_query(source: Source) -> None:
    def noted(sql: str, parameters: object) -> str:
        table = run_sql(source.connect(), sql, parameters)
        origin = {"release": "r", "query": sql, "citation": "c", "simulated": False}
        labelled = _export.with_provenance(table, **origin, parameters=parameters)
        return _export.provenance(labelled)["query"]

    assert noted("SELECT 1", None) == noted("SELECT 1", []) == "SELECT 1"
    text = noted("SELECT ? AS a, ? AS b", ["V4\n'", np.float64(0.5)])
    assert text == 'SELECT ? AS a, ? AS b\n-- parameters: ["V4\\n\'", 0.5]'
    assert run_sql(source.connect(), text, ["V4", 1]).num_rows == 1
    assert noted("SELECT $a AS a;", {"a": 1}) == 'SELECT $a AS a;\n-- parameters: {"a": 1}'
