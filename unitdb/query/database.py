"""A DuckDB file of a release, for programs that speak DuckDB: its tables, and what they mean."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from unitdb.errors import QueryError
from unitdb.files import replacing
from unitdb.query.export import check_folder
from unitdb.query.sandbox import literal, partitioned, pattern
from unitdb.schema import TABLES, VIEWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from unitdb.schema import Table, View

__all__ = ["write_database"]


def write_database(
    destination: Path,
    files: Mapping[str, Sequence[str]],
    *,
    views: Mapping[str, str],
    origin: str,
) -> None:
    """Write a DuckDB file: small tables as they are, large ones as views of their Parquet files.

    Tables and columns have their meaning as comments (``duckdb_tables()``, ``duckdb_columns()``).
    The file is for this machine: views name the folders of the release, and DuckDB does not write
    the same bytes twice. What is published is Parquet.

    Parameters
    ----------
    destination : Path
        The file, replaced if it is there.
    files : mapping of str to list of str
        For each table, the paths of its Parquet files.
    views : mapping of str to str
        Queries over these tables, by name.
    origin : str
        Which release it is of, and how to cite it: the comment of table ``datasets``.

    Raises
    ------
    QueryError
        Its folder is not there, or DuckDB cannot write it.
    """
    import duckdb

    check_folder(destination)
    # DuckDB writes its log beside the file: both lie in a folder that goes, whatever happens.
    with (
        replacing(destination) as final,
        TemporaryDirectory(prefix=f"{final.name}.", dir=final.parent) as folder,
    ):
        temporary = Path(folder) / final.name
        try:
            _fill(temporary, files, views=views, origin=origin)
        except duckdb.Error as error:
            first_line = str(error).partition("\n")[0]
            raise QueryError(f"{destination}: cannot be written: {first_line}") from error
        temporary.rename(final)


def _fill(
    path: Path, files: Mapping[str, Sequence[str]], *, views: Mapping[str, str], origin: str
) -> None:
    import duckdb

    with duckdb.connect(str(path)) as connection:
        for table, parts in files.items():
            paths = [str(Path(part).absolute()) for part in parts]
            spec = TABLES[table]
            kind = "VIEW" if spec.partition_by else "TABLE"
            listed = literal(map(pattern, paths))
            connection.execute(
                f"CREATE {kind} {table} AS SELECT * FROM read_parquet({listed}, "
                f"{partitioned(paths)})"
            )
            note = f" {origin}" if table == "datasets" else ""
            _comment(connection, kind, spec, note)
        for name, query in views.items():
            connection.execute(f"CREATE VIEW {name} AS {query}")
            _comment(connection, "VIEW", VIEWS[name])


def _comment(
    connection: duckdb.DuckDBPyConnection, kind: str, spec: Table | View, note: str = ""
) -> None:
    meaning = _text(f"A row is {spec.row}.{note}")
    connection.execute(f"COMMENT ON {kind} {spec.name} IS {meaning}")
    for column in spec.columns:
        meaning = _text(". ".join(filter(None, [column.description, column.null])))
        connection.execute(f"COMMENT ON COLUMN {spec.name}.{column.name} IS {meaning}")


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
