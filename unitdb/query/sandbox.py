"""A DuckDB that can read the Parquet files of one release, and do nothing else."""

from __future__ import annotations

import re
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from unitdb.errors import CorruptReleaseError, FetchError, QueryError, UnitdbError
from unitdb.query._results import check_values, distinct_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import duckdb

__all__ = [
    "connect",
    "explain_sql",
    "literal",
    "memory_bytes",
    "partitioned",
    "pattern",
    "run_sql",
    "stream_sql",
]

# Set before the views exist: from then on nothing but the release's files can be opened, and no
# statement can change that.
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,  # a Python variable is not a table
    "temp_directory": "",  # a query too large for memory fails rather than fill the disk
    # What a query is done with goes back to the system sooner.
    "allocator_flush_threshold": "16MB",
    "allocator_bulk_deallocation_flush_threshold": "16MB",
}
# A file that may be read may be written too, so writing is kept out by the syntax of a statement:
# COPY, INSERT, UPDATE and DELETE inside WITH are nodes of other kinds.
_READING_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
# These run SQL, or a function, that they are given as text, where its syntax is not seen.
_RUN_TEXT = {
    "query",
    "json_execute_serialized_sql",
    "register_external_resource_type",
    "register_external_resource",
    "create_external_resource",
    "destroy_external_resource",
}
# What a file system in Python raised, the only Python that DuckDB calls.
_TRACEBACK = "Traceback (most recent call last)"
_RAISED = re.compile(
    r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)(?:: (.+))?$", re.MULTILINE
)
_LONGEST_SQL = 1_000_000
_SYNTAX = """
WITH parsed AS MATERIALIZED (SELECT json_serialize_sql(?) AS tree)
SELECT tree ->> '$.error',
    tree ->> '$..type',
    tree ->> '$..node.type',
    tree ->> '$..function_name'
FROM parsed
"""


def connect(
    files: Mapping[str, Sequence[str]],
    *,
    views: Mapping[str, str] | None = None,
    filesystem: Any = None,
    memory: str | None = None,
    threads: int | None = None,
) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB with a view for each table of a release.

    The connection reads the files given here and no other, writes nothing, loads no extension,
    sees no Python variable, and its settings are locked.

    Parameters
    ----------
    files : mapping of str to list of str
        For each table, the paths of its Parquet files. They hold all columns of the table; names of
        folders such as ``layer=conv1`` tell which need not be opened.
    views : mapping of str to str, optional
        Queries over these tables, by name.
    filesystem : fsspec filesystem, optional
        What the files are read with, where they are not files of this machine.
    memory : str, optional
        What queries may take together, as in ``512MB``, but for the values that they give; by
        default four fifths of the machine's.
    threads : int, optional
        Threads at the most; by default one for each core.

    Raises
    ------
    QueryError
        ``memory`` is no amount of memory.
    CorruptReleaseError
        Names the file that is missing or is not readable as Parquet.
    """
    import duckdb

    paths = {table: list(files[table]) for table in files}
    if filesystem is None:
        paths = {table: [str(Path(file).absolute()) for file in paths[table]] for table in paths}
    allowed = [file for table in paths for file in paths[table]]
    for file in allowed:
        if filesystem is None and not Path(file).is_file():
            raise CorruptReleaseError(f"{file}: the file is missing")
    limits: dict[str, str | int] = {}
    if threads is not None:
        limits["threads"] = threads
        if int(duckdb.__version__.partition(".")[0]) >= 2:
            limits["async_threads"] = threads  # otherwise four for each core
    if memory is not None:
        limits["memory_limit"] = f"{memory_bytes(memory)}B"
    connection = duckdb.connect(":memory:", config=_CONFIG | limits)
    try:
        if filesystem is not None:
            connection.register_filesystem(filesystem)
        connection.execute(f"SET allowed_paths = {literal({*allowed, *map(pattern, allowed)})}")
        connection.execute("SET GLOBAL parquet_metadata_cache = true")  # for cursors too
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        for table, parts in paths.items():
            connection.execute(
                f"CREATE VIEW {table} AS SELECT * "  # noqa: S608 - names come from the schema
                f"FROM read_parquet({literal(map(pattern, parts))}, {partitioned(parts)})"
            )
        for name, query in (views or {}).items():
            connection.execute(f"CREATE VIEW {name} AS {query}")
    except duckdb.Error as error:
        connection.close()
        raise _translated(error, allowed) from error
    return connection


def run_sql(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    parameters: Sequence[Any] | Mapping[str, Any] | None = None,
    *,
    timeout: float | None = None,
    limit: int | None = None,
) -> pa.Table:
    """Run one reading statement: SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW or SUMMARIZE.

    Nothing in it may write, and ``query()``, which runs text, is not to be had.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        From :func:`connect`. Several threads may use the same one.
    sql : str
        Exactly one statement.
    parameters : sequence or mapping, optional
        Values for ``?``, or by name for ``$name``.
    timeout : float, optional
        Seconds after which the query is stopped; by default it may take for ever.
    limit : int, optional
        Rows to read at the most, the first ones; by default all.

    Raises
    ------
    QueryError
        It is not one reading statement, it took longer than the timeout or needs more memory than
        the connection has, or DuckDB refuses it
        (with DuckDB's own words).
    CorruptReleaseError
        Names the file of the release that is not readable as Parquet.
    """
    import duckdb

    # The query has a thread of its own, so that Ctrl-C is seen here at once, whatever DuckDB does.
    with connection.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        running = pool.submit(_read, cursor, sql, parameters, limit)
        try:
            return running.result(timeout)
        except TimeoutError as error:
            raise QueryError(f"the query took longer than {timeout:g} s: {_shown(sql)}") from error
        except duckdb.Error as error:
            raise _translated(error, _readable_files(cursor)) from error
        finally:
            while not running.done():  # an interrupt that falls between two statements is lost
                cursor.interrupt()
                wait([running], timeout=0.05)


def stream_sql(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    parameters: Sequence[Any] | None = None,
    *,
    size: int,
) -> pa.RecordBatchReader:
    """Run one reading statement as :func:`run_sql` does, and read its rows a batch at a time.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        From :func:`connect`.
    sql : str
        Exactly one statement.
    parameters : sequence, optional
        Values for ``?``.
    size : int
        Rows of a batch.

    Raises
    ------
    QueryError, CorruptReleaseError
        As of :func:`run_sql`, also while batches are read.
    """
    import duckdb

    cursor = connection.cursor()
    try:
        _check_reads(cursor, sql)
        relation = cursor.sql(sql, params=parameters)
        types = relation.types
        reader = relation.to_arrow_reader(size)
    except duckdb.Error as error:
        raise _translated(error, _readable_files(cursor)) from error

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            for batch in reader:
                check_values(batch, types)
                yield batch
        except (duckdb.Error, OSError) as error:  # Arrow gives DuckDB's errors as its own
            raise _translated(duckdb.Error(str(error)), _readable_files(connection)) from error
        finally:
            cursor.close()

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


def explain_sql(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] | None = None
) -> str:
    """DuckDB's plan of a reading statement, which is not run."""
    with connection.cursor() as cursor:
        _check_reads(cursor, sql)
        return str(cursor.sql(sql, params=parameters).explain())


def _read(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    parameters: Sequence[Any] | Mapping[str, Any] | None,
    limit: int | None,
) -> pa.Table:
    _check_reads(connection, sql)
    try:
        relation = connection.sql(sql, params=parameters)
    except (TypeError, ValueError, OverflowError) as cause:  # of the values
        raise QueryError(f"parameters that DuckDB does not take: {_first_line(cause)}") from cause
    if relation is None:
        raise QueryError(f"the statement gives no rows: {_shown(sql)}")
    if limit is not None:
        relation = relation.limit(limit)
    table = relation.to_arrow_table()
    check_values(table, relation.types)
    return table.rename_columns(distinct_names(table.column_names))


def memory_bytes(memory: str) -> int:
    """Bytes of an amount of memory such as ``512MB`` or ``2GB``.

    Raises
    ------
    QueryError
        It is not written so.
    """
    found = re.fullmatch(r"([1-9]\d*) ?(MB|GB)", memory)
    if found is None:
        raise QueryError(f"memory={memory!r}: write it as in 512MB or 2GB")
    return int(found[1]) * {"MB": 10**6, "GB": 10**9}[found[2]]


_READING: OrderedDict[str, None] = OrderedDict()
"""Statements that were found to read, the last ones: looking again takes longer than many queries.
What a statement does follows from its text alone, as no function or macro can be made."""
_REMEMBERED = 256


def _check_reads(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    if sql in _READING:
        return
    _check_syntax(connection, sql)
    _READING[sql] = None
    while len(_READING) > _REMEMBERED:
        _READING.popitem(last=False)


def _check_syntax(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    import duckdb

    if len(sql) > _LONGEST_SQL:
        raise QueryError(f"a statement of {len(sql):,} characters; there may be {_LONGEST_SQL:,}")
    try:
        sql.encode()
    except UnicodeEncodeError:
        raise QueryError(f"half a character, as no text has: {sql[:80]!a}") from None
    statements = connection.extract_statements(sql)
    # EXPLAIN is a type of its own and stays out: EXPLAIN ANALYZE COPY would write a file.
    try:
        kinds = [statement.type for statement in statements]
    except ValueError as cause:  # a kind that DuckDB's Python has no name for: UPDATE EXTENSIONS
        raise QueryError(f"only reading is allowed: {_first_line(cause)}: {_shown(sql)}") from cause
    if kinds != [duckdb.StatementType.SELECT]:
        found = ", ".join(kind.name for kind in kinds) or "no statement"
    else:
        found = ", ".join(_not_reading(connection, sql))
    if found:
        raise QueryError(
            f"only reading is allowed: SELECT … (also WITH, FROM, VALUES, DESCRIBE, SHOW TABLES, "
            f"SUMMARIZE), one statement; found {found}: {_shown(sql)}"
        )


def _not_reading(connection: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    """Parts of a SELECT, at any depth, that do or could do something else than read."""
    [(error, types, roots, functions)] = connection.execute(_SYNTAX, [sql]).fetchall()
    if error != "false" or not roots:
        return ["unknown syntax"]
    nodes = {*roots, *(kind for kind in types if kind.endswith("_NODE"))} - _READING_NODES
    called = {name.lower() for name in functions} & _RUN_TEXT
    return [
        *(kind.removesuffix("_NODE").removesuffix("_QUERY") for kind in sorted(nodes)),
        *(f"{name}()" for name in sorted(called)),
    ]


def _readable_files(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute("SELECT unnest(current_setting('allowed_paths'))").fetchall()
    files = {file for (file,) in rows}
    return sorted(files - {pattern(file) for file in files if pattern(file) != file})


def _translated(error: duckdb.Error, files: Iterable[str]) -> UnitdbError:
    """Say whose fault an error of DuckDB is: the query's, or that of a file of the release."""
    import duckdb

    files = list(files)
    if _TRACEBACK in str(error):
        raised = [found[0] for found in _RAISED.finditer(str(error))]
        return FetchError(_without_class(raised[-1]) if raised else "reading from the web failed")
    message = "\n".join(str(error).strip().splitlines()[:6])
    if isinstance(error, duckdb.OutOfMemoryException) or "Out of Memory Error" in message:
        first = message.partition("\n")[0]
        return QueryError(f"the query needs more memory than it may take: {first}")
    named = [file for file in files if file in message]
    asked = duckdb.ParserException | duckdb.BinderException | duckdb.CatalogException
    if not named and not isinstance(error, asked | duckdb.InvalidInputException):
        # Trouble while decoding is reported without the file's name.
        named = [file for file in files if not _decodes(file)]
    if named:
        return CorruptReleaseError(f"{named[-1]}: not readable as Parquet: {message}")
    return QueryError(message)


def _without_class(line: str) -> str:
    """What an exception says, or its class where it says nothing."""
    name, _, text = line.partition(": ")
    return text or name


def _decodes(file: str) -> bool:
    from pyarrow import parquet

    if "://" in file:
        return True  # on the web: not read anew
    try:
        with parquet.ParquetFile(file) as opened:
            for _ in opened.iter_batches():
                pass
    except (pa.ArrowException, OSError):
        return False
    return True


def pattern(path: str) -> str:
    """The glob pattern that matches this path alone."""
    return re.sub(r"[*?[]", r"[\g<0>]", path)


def partitioned(parts: Sequence[str]) -> str:
    """Whether all the files lie in folders of the same columns, ``layer=conv1``."""
    columns = {tuple(re.findall(r"([^/=]+)=[^/]*/", path)) for path in parts}
    if len(columns) != 1 or columns == {()}:
        return "hive_partitioning = false"
    return "hive_partitioning = true, hive_types_autocast = false"


def literal(paths: Iterable[str]) -> str:
    """A list of paths in SQL."""
    return "[" + ", ".join("'" + path.replace("'", "''") + "'" for path in paths) + "]"


def _first_line(cause: Exception) -> str:
    return str(cause).partition("\n")[0]


def _shown(sql: str) -> str:
    line = " ".join(sql.split())
    return repr(line if len(line) <= 80 else line[:79] + "…")
