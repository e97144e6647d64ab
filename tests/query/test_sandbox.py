"""SQL from outside reads the release, and does nothing else."""

from __future__ import annotations

import signal
import threading
import time
from hashlib import sha256
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.query.summary import summary, write
from unitdb.errors import (
    CorruptReleaseError,
    QueryError,
)
from unitdb.query import (
    Source,
    connect,
    run_sql,
    sandbox,
)


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


@pytest.mark.robust(
    "numbers",
    given="`SELECT md5_number('b')`: an unsigned integer of 128 bits, 190532336368…",
    before="−149750030552…: from 2¹²⁷ on the bits were read with a sign; in lists and structs too",
    now="an error with the column's name: CAST it AS VARCHAR; 38 digits are read exactly",
)
@pytest.mark.parametrize(
    "value",
    [
        "md5_number('b')",
        "340282366920938463463374607431768211455::UHUGEINT",
        "[1::UHUGEINT, md5_number('b')]",
        "{'a': MAP {'k': md5_number('b')}}",
        "MAP {md5_number('b'): -1::HUGEINT}",
        "170141183460469231731687303715884105727::HUGEINT",
        "-(100000000000000000000000000000000000000::HUGEINT)",
    ],
)
def test_integers_of_more_digits_than_arrow_holds_are_refused(source: Source, value: str) -> None:
    sql = f"SELECT {value} AS x"
    with pytest.raises(QueryError, match="column 'x' holds integers of more than 38 digits: CAST"):
        run_sql(source.connect(), sql)
    with pytest.raises(QueryError, match="column 'x' holds integers of more than 38 digits: CAST"):
        sandbox.stream_sql(source.connect(), sql, size=9).read_all()


def test_integers_of_up_to_38_digits_are_exact(source: Source) -> None:
    sql = (
        f"SELECT {{'a': [{10**38 - 1}::UHUGEINT, 0, NULL], 'b': -({10**38 - 1}::HUGEINT)}} AS x, "
        "sum(1) AS n, -1::DECIMAL(38, 0) AS d, NULL::UHUGEINT AS e, []::UHUGEINT[] AS f"
    )
    [row] = run_sql(source.connect(), sql).to_pylist()
    assert row == {
        "x": {"a": [10**38 - 1, 0, None], "b": -(10**38 - 1)},
        "n": 1,
        "d": -1,
        "e": None,
        "f": [],
    }
    md5 = run_sql(source.connect(), "SELECT md5_number('b')::VARCHAR AS x")["x"].to_pylist()
    assert md5 == ["190532336368564675417118094528692087698"]


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


def test_statements_that_read_are_remembered_and_others_refused_each_time(source: Source) -> None:
    connection = source.connect()
    for _ in range(3):
        assert run_sql(connection, "SELECT 1 AS remembered").num_rows == 1
        with pytest.raises(QueryError, match="only reading is allowed"):
            run_sql(connection, "CREATE TABLE remembered AS SELECT 1")
    assert "SELECT 1 AS remembered" in sandbox._READING
    for number in range(sandbox._REMEMBERED + 3):
        run_sql(connection, f"SELECT {number} AS another")
    assert len(sandbox._READING) == sandbox._REMEMBERED
    assert "SELECT 1 AS remembered" not in sandbox._READING
    assert not any("CREATE" in statement for statement in sandbox._READING)
