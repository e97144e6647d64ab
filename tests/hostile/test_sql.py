"""SQL that was made to harm, or that gives what other programs have no form for."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import unitdb
from unitdb.cli import terminal
from unitdb.errors import QueryError, UnitdbError
from unitdb.query import export
from unitdb.query._results import distinct_names
from unitdb.release.apart import run_apart


@pytest.fixture(scope="module")
def release(tiny_release: Path) -> unitdb.Release:
    return unitdb.open(tiny_release)


@pytest.mark.robust(
    "bounds",
    given="the SQL console on a machine of 24 or 64 cores",
    before="every query `needs more memory than 512MB`: DuckDB starts a thread and four more for "
    "reading for each core, and their stacks (2 GB at 64) counted",
    now="four of each at the most; the same answer whatever the cores",
)
@pytest.mark.parametrize("cores", [2, 24, 64])
def test_the_console_on_machines_of_many_cores(
    tiny_release: Path, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", str(cores))  # which DuckDB takes for the machine's
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_ARENA_MAX"):
        monkeypatch.setenv(name, str(cores))
    query = "SELECT count(*) AS n FROM accuracy a, accuracy b"
    found = run_apart(str(tiny_release), query, memory="128MB", timeout=60)
    assert found.to_pylist() == [{"n": 224**2}]


@pytest.mark.robust(
    "bounds",
    given="a result of 3,000 columns of one name",
    before="still being named after 60 s (1,200: 16 s), past every timeout",
    now="0.01 s; names are numbered in linear time",
)
def test_many_columns_of_one_name(release: unitdb.Release) -> None:
    found = release.sql("SELECT " + ", ".join(["1 AS a"] * 3000))
    assert found.columns[[0, 1, -1]].tolist() == ["a", "a_1", "a_2999"]


def test_names_are_given_in_linear_time() -> None:
    n = 100_000  # in the old way hours
    names = distinct_names(["a"] * n + ["a_5", "b", "a"])
    assert names[:3] == ["a", "a_1", "a_2"]
    assert names[n:] == ["a_5_1", "b", f"a_{n}"]
    assert len(set(names)) == n + 3


@given(st.lists(st.sampled_from(["a", "a_1", "a_2", "b", "a_1_1"]), max_size=12))
def test_names_are_distinct_and_the_first_keeps_its_own(names: list[str]) -> None:
    found = distinct_names(names)
    assert len(set(found)) == len(names)
    assert all(
        one == name or one.startswith(f"{name}_") for one, name in zip(found, names, strict=True)
    )
    if names:
        assert found[0] == names[0]


BEYOND = [
    *("DATE '20000-01-01'", "DATE '-4000-01-01'", "'infinity'::DATE", "[DATE '20000-01-01']"),
    *("TIMESTAMP '20000-01-01'", "TIMESTAMPTZ '20000-01-01 00:00:00+00'", "TIME '24:00:00'"),
    *("{'x': [DATE '20000-01-01']}", "MAP {1: DATE '20000-01-01'}", "TIMESTAMP_S '20000-01-01'"),
    *("union_value(x := 1)", "[union_value(x := 1)]"),
]


@pytest.mark.robust(
    "hostile",
    given="dates of the year 20000 or 4000 BC, `infinity`, 24:00 and unions in results of SQL",
    before="tracebacks (`year 20000 is out of range`); CSV held `<value out of range>`, and 24:00 "
    "was printed as 00:00",
    now="one line that names the column and the cast to text",
)
@pytest.mark.parametrize("value", BEYOND)
def test_values_beyond_those_of_python(release: unitdb.Release, value: str) -> None:
    with pytest.raises(QueryError, match=r"column 'odd' holds .*: CAST it AS VARCHAR"):
        release.sql(f"SELECT 1 AS a, {value} AS odd")
    assert release.sql(f"SELECT CAST({value} AS VARCHAR) AS odd")["odd"][0]


@pytest.mark.parametrize(
    "value",
    [
        *(
            "DATE '9999-12-31'",
            "DATE '0001-01-01'",
            "TIMESTAMP '9999-12-31 23:59:59'",
            "NULL::DATE",
        ),
        *("TIME '23:59:59.999999'", "INTERVAL 1 DAY", "'x'::BLOB", "'1'::BIT", "uuid()", "[NULL]"),
        *("99999999999999999999999999999999999999::HUGEINT", "MAP {1: 2}", "'x'::ENUM('x')"),
        *("TIMESTAMP_NS '2000-01-01 00:00:00.123456789'", "3.14::DECIMAL(4, 2)", "{'a': [1]}"),
    ],
)
def test_values_of_every_kind_can_be_shown_and_written(
    release: unitdb.Release, value: str, tmp_path: Path
) -> None:
    rows = release.sql_arrow(f"SELECT {value} AS odd")
    terminal.cells(rows)
    rows.to_pandas()
    for ending in export.FORMATS:
        path = tmp_path / f"x.{ending}"
        if (ending, value) == ("parquet", "INTERVAL 1 DAY"):
            with pytest.raises(QueryError, match="has no form for this"):
                export.writer(path)(rows, path)
        else:
            export.writer(path)(rows, path)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("UPDATE EXTENSIONS", "only reading is allowed"),
        ("SELECT '\ud800'", "half a character"),
        ("SELECT " + "1," * 600_000 + "1", "characters; there may be"),
        ("SELECT " + "(" * 3000 + "1" + ")" * 3000, ""),
        ("\x00", ""),
        ("SELECT \x00", ""),
        ("SELECT error(repeat('x', 100000))", ""),
    ],
)
def test_statements_that_are_none(release: unitdb.Release, query: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        release.sql(query)
    assert message in str(caught.value)


def test_values_that_duckdb_does_not_take(release: unitdb.Release) -> None:
    for value in (object(), 10**60, "\ud800", {"a": object()}):
        with pytest.raises(UnitdbError):
            release.sql("SELECT $a AS a", {"a": value})


PIECES = st.sampled_from(
    [
        *("SELECT", "FROM", "WITH", "AS", "(", ")", "[", "]", "{", "}", ",", ";", ".", "*", "'"),
        *('"', "$$", "--", "/*", "*/", "NULL", "1", "-1", "1e999", "'x'", "accuracy", "r", "unit"),
        *("COPY", "TO", "ATTACH", "INSTALL", "LOAD", "SET", "PRAGMA", "CALL", "EXPORT", "query("),
        *("read_text(", "glob(", "getenv(", "DATE", "'20000-01-01'", "UNION", "ALL", "PIVOT", "ON"),
        *("LATERAL", "JOIN", "GROUP", "BY", "ORDER", "LIMIT", "OVER", "range(", "unnest(", "SHOW"),
        *("EXPLAIN", "DESCRIBE", "SUMMARIZE", "VALUES", "CREATE", "DROP", "UPDATE", "EXTENSIONS"),
        *("DELETE", "INSERT", "MERGE", "EXECUTE", "CAST", "INTEGER", "VARCHAR", "struct_pack("),
        *("list_value(", "map(", "INTERVAL", "YEAR", "CASE", "WHEN", "THEN", "END"),
    ]
)
SQL = st.lists(PIECES | st.text(max_size=4), max_size=14).map(" ".join)
MANY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def ask(release: unitdb.Release, query: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        line = ""
        try:
            terminal.cells(release.sql_arrow(query, timeout=5, limit=20))
        except UnitdbError as error:
            line = str(error)
        assert "Traceback" not in line


@settings(MANY, max_examples=30)
@given(query=SQL)
def test_any_text_is_answered_or_refused(release: unitdb.Release, query: str) -> None:
    ask(release, query)


@pytest.mark.slow
@settings(MANY, max_examples=3000)
@given(query=SQL)
def test_many_texts_are_answered_or_refused(release: unitdb.Release, query: str) -> None:
    ask(release, query)
