from __future__ import annotations

import io
import json
import math
import signal
import threading
import time
from hashlib import sha256
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from unitdb.errors import (
    CorruptReleaseError,
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
    connect,
    export as _export,
    run_sql,
)
from unitdb.schema import TABLES

SUMMARY = TABLES["unit_summary"]
KEY = list(SUMMARY.primary_key)
ROIS = ["V1", "V4"]
LAYERS = {"conv1": 6, "fc'7": 4}  # a quote, to see that names are never pasted into SQL


def summary() -> pd.DataFrame:
    """Rows with ties, NULL and negative accuracies, sorted by the primary key."""
    rng = np.random.default_rng(1)
    rows = []
    for layer, n_units in LAYERS.items():
        for roi in ROIS:
            for unit in range(n_units):
                low, high = sorted(rng.integers(-3, 8, 2) / 10)
                rows.append(
                    {
                        "dataset": "sim",
                        "condition": "perception",
                        "model": "net",
                        "layer": layer,
                        "roi": roi,
                        "unit": unit,
                        "n_subjects": int(rng.integers(1, 6)),
                        "mean_r": (low + high) / 2,
                        "sd_r": 0.1,
                        "min_r": low,
                        "max_r": high,
                        "lead_r": None,
                        "p": 0.25,
                        "q": 0.5,
                    }
                )
                if unit == 2:
                    rows[-1] |= dict.fromkeys(["mean_r", "sd_r", "min_r", "max_r", "p", "q"])
                    rows[-1]["n_subjects"] = 0
    frame = pd.DataFrame(rows).sort_values(KEY, ignore_index=True)
    ranks = frame.groupby(["layer", "roi"])["mean_r"].rank(
        method="first", ascending=False, na_option="bottom"
    )
    return frame.assign(rank=ranks.astype(int))[list(SUMMARY.column_names)]


def write(folder: Path, frame: pd.DataFrame) -> dict[str, list[str]]:
    """One file a layer, as a release has it."""
    schema = SUMMARY.arrow_schema()
    files = []
    for number, (_, rows) in enumerate(frame.groupby("layer")):
        path = folder / f"part {number} [it's].parquet"
        records = [
            {key: None if value != value else value for key, value in row.items()}
            for row in rows.to_dict("records")
        ]
        pq.write_table(pa.Table.from_pylist(records, schema=schema), path)
        files.append(str(path))
    return {"unit_summary": files}


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
    "value", [math.nan, math.inf, -math.inf, 1e39, "0.2", None, True, [0.2], col.min_r]
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


# --- the sandbox --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 AS x",
        "WITH a AS (SELECT 1 AS x) SELECT * FROM a",
        "FROM unit_summary",
        "VALUES (1)",
        "SHOW TABLES",
        "DESCRIBE unit_summary",
        "SUMMARIZE unit_summary",
        "SELECT 1 -- ; DROP",
        "SELECT 1;",
        "SELECT * FROM query_table('unit_summary')",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) FROM n",
        "WITH a AS MATERIALIZED (SELECT 1 UNION SELECT 2) SELECT (SELECT count(*) FROM a)",
        "FROM (PIVOT unit_summary ON roi IN ('V1', 'V4') USING max(mean_r))",
        "SELECT 'COPY_QUERY_NODE' AS \"type\", {'node': {'type': 'query'}} AS query",
        "SELECT " + "+".join(["1"] * 600),
    ],
)
def test_reading_statements_run(source: Source, sql: str) -> None:
    assert run_sql(source.connect(), sql).num_rows > 0


def test_parameters_by_place_and_by_name(source: Source) -> None:
    connection = source.connect()
    assert run_sql(connection, "SELECT ? + ? AS x", [1, 2])["x"].to_pylist() == [3]
    assert run_sql(connection, "SELECT $a AS x", {"a": "b'c"})["x"].to_pylist() == ["b'c"]
    with pytest.raises(QueryError):
        run_sql(connection, "SELECT ?")


def test_columns_of_the_same_name_are_numbered(source: Source) -> None:
    table = run_sql(source.connect(), "SELECT 1 AS a, 2 AS a_1, 3 AS a, 4 AS a")
    assert table.to_pylist() == [{"a": 1, "a_1": 2, "a_2": 3, "a_3": 4}]


OUTSIDE = pa.table({"secret": [1]})  # a Python variable is no table

WRITES = [
    "COPY unit_summary TO '{out}'",
    "COPY unit_summary TO '{own}' (FORMAT parquet, USE_TMP_FILE false)",
    "EXPLAIN ANALYZE COPY unit_summary TO '{out}'",
    "EXPLAIN SELECT 1",
    "ATTACH '{out}'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "PRAGMA database_list",
    "PRAGMA enable_profiling",
    "CALL pragma_version()",
    "EXPORT DATABASE '{out}'",
    "IMPORT DATABASE '{out}'",
    "CREATE TABLE t AS SELECT 1",
    "CREATE MACRO f(x) AS x",
    "DROP VIEW unit_summary",
    "INSERT INTO unit_summary SELECT * FROM unit_summary",
    "PREPARE p AS SELECT 1",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY unit_summary TO '{out}'",
    "CHECKPOINT",
    "BEGIN",
    "USE main",
    "",
    " -- nothing",
]


def contents(folder: Path) -> dict[str, str]:
    return {p.name: sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


@pytest.mark.parametrize("sql", WRITES)
def test_only_reading_is_allowed(files: dict[str, list[str]], sql: str, tmp_path: Path) -> None:
    connection = connect(files)
    out, own = tmp_path / "out.csv", Path(files["unit_summary"][0])
    before = contents(own.parent)
    with pytest.raises(QueryError, match="only reading is allowed: SELECT"):
        run_sql(connection, sql.format(out=out, own=str(own).replace("'", "''")))
    assert not out.exists()
    assert contents(own.parent) == before
    assert run_sql(connection, "FROM unit_summary").num_rows == 20


COPY = "COPY (SELECT 1) TO '{own}' (FORMAT parquet, USE_TMP_FILE false)"
HIDDEN_WRITES = [
    "WITH t AS ({copy}) SELECT 1",
    "WITH t AS MATERIALIZED ({copy}) FROM t",
    "WITH a AS (SELECT 1), t AS ({copy}) FROM unit_summary",
    "WITH t AS (/* ( */ {copy} -- )\n) SELECT 1; -- done",
    "with t as ({copy}) values (1)",
    "WITH t AS ({copy}) SELECT 1 UNION SELECT 2",
    "WITH t AS ({copy}) PIVOT unit_summary ON roi IN ('V1') USING max(unit)",
    "WITH t AS ({copy}) PIVOT unit_summary ON roi USING max(unit)",
    "WITH o AS (WITH t AS ({copy}) SELECT 1) FROM o",
    "SELECT (WITH t AS ({copy}) SELECT 1)",
    "SELECT * FROM (WITH t AS ({copy}) SELECT 1)",
    "SELECT 2 UNION (WITH t AS ({copy}) SELECT 1)",
    "SELECT 1 LIMIT (WITH t AS ({copy}) SELECT 1)",
    "SUMMARIZE WITH t AS ({copy}) SELECT 1",
    "DESCRIBE WITH t AS ({copy}) SELECT 1",
    "FROM (SUMMARIZE (WITH t AS ({copy}) SELECT 1))",
    "WITH t AS (COPY unit_summary TO '{out}') SELECT 1",
    "WITH t AS (INSERT INTO unit_summary VALUES (1) RETURNING *) FROM t",
    "WITH t AS (UPDATE unit_summary SET unit = 1 RETURNING *) FROM t",
    "WITH t AS (DELETE FROM unit_summary RETURNING *) FROM t",
    "WITH t AS (MERGE INTO unit_summary USING (FROM a) ON true WHEN MATCHED THEN DELETE) FROM t",
    "FROM query($$WITH t AS ({copy}) SELECT 1$$)",
    "FROM system.main.\"QUERY\"('CO' || 'PY unit_summary TO $${out}$$')",
    "FROM json_execute_serialized_sql(json_serialize_sql($$WITH t AS ({copy}) SELECT 1$$))",
    "SELECT (SELECT max(x) FROM query('FROM json_execute_' || 'serialized_sql(1)') AS q(x))",
    "FROM query_table($$(WITH t AS ({copy}) SELECT 1)$$)",
    "FROM destroy_external_resource('query', 'SELECT 1')",
]


@pytest.mark.parametrize("sql", HIDDEN_WRITES)
def test_writing_inside_a_select_is_refused(tmp_path: Path, sql: str) -> None:
    (tmp_path / "release").mkdir()
    files = write(tmp_path / "release", summary())
    out, own = tmp_path / "out.csv", Path(files["unit_summary"][0])
    before = contents(own.parent)
    quoted = str(own).replace("'", "''")
    connection = connect(files)
    with pytest.raises(QueryError):
        run_sql(connection, sql.replace("{copy}", COPY).format(out=out, own=quoted))
    assert contents(own.parent) == before
    assert [p.name for p in tmp_path.iterdir()] == ["release"]
    assert run_sql(connection, "FROM unit_summary").num_rows == 20


@pytest.mark.skipif(int(duckdb.__version__.split(".")[0]) < 2, reason="refused by the parser")
def test_a_hidden_write_is_named(source: Source) -> None:
    with pytest.raises(QueryError, match=r"only reading is allowed: .*; found DELETE: 'WITH"):
        run_sql(source.connect(), "WITH t AS (DELETE FROM unit_summary RETURNING *) FROM t")


ENDLESS = "SELECT sum(a.range * b.range) FROM range(1000000000) a, range(1000000000) b"


def test_no_more_rows_are_read_than_asked_for(source: Source) -> None:
    connection = source.connect()
    table = run_sql(connection, "FROM range(1000000) ORDER BY range", limit=3)
    assert table["range"].to_pylist() == [0, 1, 2]
    assert run_sql(connection, "SELECT 1 AS x -- ;", limit=3).to_pylist() == [{"x": 1}]
    assert run_sql(connection, "DESCRIBE unit_summary", limit=2).num_rows == 2


def test_a_query_is_stopped_after_the_timeout(source: Source) -> None:
    connection = source.connect()
    with pytest.raises(QueryError, match=r"took longer than 0\.2 s: 'SELECT sum"):
        run_sql(connection, ENDLESS, timeout=0.2)
    assert run_sql(connection, "SELECT 1 AS x", timeout=60).to_pylist() == [{"x": 1}]


def test_ctrl_c_stops_a_query(files: dict[str, list[str]]) -> None:
    connection = connect(files)
    main = threading.main_thread().ident
    ctrl_c = threading.Timer(0.3, signal.pthread_kill, [main, signal.SIGINT])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        ctrl_c.start()
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            run_sql(connection, ENDLESS, timeout=20)
        assert time.monotonic() - start < 10
    finally:
        ctrl_c.join()
        signal.signal(signal.SIGINT, before)
    assert run_sql(connection, "SELECT 1 AS x").num_rows == 1


@pytest.mark.parametrize("name", ["a?b", "a*b", "**", "a[b]c", "[a-z]", "a[b", "a]b", "a[!x]c"])
def test_a_folder_with_glob_characters_is_taken_literally(tmp_path: Path, name: str) -> None:
    for folder in ["abc", "axb", "a", "b", name]:  # what the name would match
        (tmp_path / folder).mkdir()
        written = write(tmp_path / folder, summary())["unit_summary"]
        plain = [Path(file).with_name(f"{n}.parquet") for n, file in enumerate(written)]
        parts = [str(Path(file).rename(to)) for file, to in zip(written, plain, strict=True)]
    files = {"unit_summary": parts}
    connection = connect(files)
    assert run_sql(connection, "FROM unit_summary").num_rows == 20
    bad = Path(files["unit_summary"][1])
    damage(bad, 4)
    with pytest.raises(CorruptReleaseError) as caught:
        run_sql(connect(files), "FROM unit_summary")
    assert str(bad) in str(caught.value)
    assert run_sql(connection, "SELECT 1 AS x").num_rows == 1


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM read_json('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_parquet('{other}')",
        "SELECT * FROM '{other}'",
        "SELECT * FROM parquet_metadata('{other}')",
        "SELECT * FROM read_parquet('https://example.org/x.parquet')",
        "SELECT * FROM OUTSIDE",
        "SELECT * FROM query_table('/etc/passwd')",
        "SELECT getenv('HOME')",
        "SELEC 1",
        "SELECT mean FROM unit_summary",
        "SELECT CAST('x' AS INTEGER)",
        "SELECT error('mine')",
    ],
)
def test_nothing_else_can_be_read(source: Source, sql: str, tmp_path: Path) -> None:
    assert OUTSIDE.num_rows == 1
    other, out = tmp_path / "other.parquet", tmp_path / "out.csv"
    pq.write_table(OUTSIDE, other)
    with pytest.raises(QueryError) as caught:
        run_sql(source.connect(), sql.format(other=other, out=out))
    assert "only reading" not in str(caught.value)
    assert not out.exists()


def test_links_into_an_object_store_are_followed(tmp_path: Path) -> None:
    """DataLad keeps the content elsewhere and links to it."""
    (tmp_path / "store").mkdir()
    (tmp_path / "release").mkdir()
    stored = write(tmp_path / "store", summary())["unit_summary"]
    links = [tmp_path / "release" / f"part-{n}.parquet" for n in range(len(stored))]
    for link, target in zip(links, stored, strict=True):
        link.symlink_to(target)
    connection = connect({"unit_summary": [str(link) for link in links]})
    assert run_sql(connection, "FROM unit_summary").num_rows == 20


def damage(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    for index in range(offset, offset + 8):
        content[index] ^= 0x5A
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    "harm",
    [
        truncate,
        lambda path: path.write_bytes(b""),
        lambda path: damage(path, path.stat().st_size - 12),
        lambda path: damage(path, 4),
        lambda path: pq.write_table(OUTSIDE, path),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_damaged_file_is_named(tmp_path: Path, harm: object, place: int) -> None:
    files = write(tmp_path, summary())
    bad = Path(files["unit_summary"][place])
    harm(bad)
    with pytest.raises(CorruptReleaseError) as caught:
        run_sql(connect(files), "FROM unit_summary")
    assert str(bad) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    files = write(tmp_path, summary())
    bad = Path(files["unit_summary"][1])
    bad.unlink()
    with pytest.raises(CorruptReleaseError, match="missing") as caught:
        connect(files)
    assert str(bad) in str(caught.value)
