"""A release as tables: its names and layers, its tables whole, and SQL."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from unitdb.axes import usual_axes
from unitdb.errors import (
    UnknownColumnError,
    UnknownTableError,
)
from unitdb.query import (
    Layer,
    Source,
    connect,
    export,
    run_sql,
)
from unitdb.query.database import write_database
from unitdb.query.sandbox import stream_sql
from unitdb.release.apart import run_apart
from unitdb.release.described import Described
from unitdb.schema import TABLES, views_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import duckdb
    import pandas as pd

    from unitdb.verification import Report

__all__ = ["Tables"]


class Tables(Described):
    """The tables of a release, whole and by SQL.

    Parameters
    ----------
    path : str or Path
        Its folder, or its http or https address.

    Raises
    ------
    CorruptReleaseError
        It is not a release, or files are missing.
    SchemaVersionError
        It follows a newer schema than this version of unitdb reads.
    """

    def table(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read a table, or some of its columns, into pandas.

        ``accuracy`` and ``unit_summary`` can be large: :meth:`units` and :meth:`sql` read parts.

        Parameters
        ----------
        name : str
            One of :attr:`tables`.
        columns : sequence of str, optional
            Columns to read; all where it is not given.

        Returns
        -------
        DataFrame
            All rows of the table.

        Raises
        ------
        UnknownTableError, UnknownColumnError
            No such table or column; names the nearest.
        CorruptReleaseError
            A file is truncated or damaged; names it.

        Examples
        --------
        >>> release.table("layers", ["layer", "n_units"])
           layer  n_units
        0  conv1       18
        1     fc       10
        """
        self._check_table(name)
        known = TABLES[name].at(self.schema_version).column_names
        for column in columns or ():
            if column not in known:
                raise UnknownColumnError(
                    column,
                    known,
                    where=f"table {name!r}",
                    hint=f"unitdb schema {name}",
                )
        parts = [self._storage.rows(file, columns) for file in self._manifest.files[name]]
        # Parts have dictionaries of their own; pandas wants one.
        frame: pd.DataFrame = pa.concat_tables(parts).unify_dictionaries().to_pandas()
        return frame

    def _check_table(self, name: str) -> None:
        if name not in self._manifest.files:
            raise UnknownTableError(
                name,
                [*self.tables, *self.views],
                where=f"release {self.label}",
                hint="unitdb schema",
            )

    def sql(
        self, query: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """Run one SELECT of DuckDB's SQL over the tables; ``attrs`` of the result hold its origin.

        Parameters
        ----------
        query : str
            One reading statement; ``?`` or ``$name`` stand for parameters.
        parameters : sequence or mapping, optional
            Values of the parameters.

        Returns
        -------
        DataFrame
            The rows of the result.

        Raises
        ------
        QueryError
            The statement does not only read, or is not valid.
        CorruptReleaseError
            A file is truncated or damaged; names it.

        Examples
        --------
        >>> rows = release.sql("SELECT DISTINCT roi FROM unit_summary ORDER BY roi")
        >>> list(rows["roi"])
        ['V1', 'V4']
        """
        table = self.sql_arrow(query, parameters)
        frame: pd.DataFrame = table.to_pandas()
        frame.attrs.update(export.provenance(table))
        return frame

    def sql_arrow(
        self,
        query: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        limit: int | None = None,
        memory: str | None = None,
    ) -> pa.Table:
        """Run one SELECT as :meth:`sql` does, into Arrow; the schema's metadata hold its origin.

        Parameters
        ----------
        query, parameters
            As of :meth:`sql`.
        timeout : float, optional
            Seconds after which the query is stopped with a QueryError.
        limit : int, optional
            Rows to read at the most, the first ones.
        memory : str, optional
            What the query may take, as in ``"512MB"``: it runs in a process of its own, and what
            needs more is a QueryError.

        Returns
        -------
        pyarrow.Table
            The rows of the result.

        Examples
        --------
        >>> release.sql_arrow("SELECT DISTINCT roi FROM accuracy").num_rows
        2
        """
        if memory is None:
            found = run_sql(self._connection, query, parameters, timeout=timeout, limit=limit)
        else:
            found = run_apart(
                self.location, query, parameters, timeout=timeout, limit=limit, memory=memory
            )
        return self._labelled(found, query, parameters)

    def _labelled(
        self,
        table: pa.Table,
        query: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
    ) -> pa.Table:
        return export.with_provenance(
            table,
            release=self.label,
            query=query,
            citation=self.citation,
            simulated=self.simulated,
            parameters=parameters,
        )

    def export(
        self,
        table: str,
        destination: export.Destination,
        *,
        format: export.Format | None = None,  # noqa: A002
    ) -> None:
        """Write a whole table to one file, a batch at a time, with its origin.

        Parameters
        ----------
        table : str
            One of :attr:`tables` or :attr:`views`.
        destination : path or binary file
            A path is written atomically: all rows or no file.
        format : {"csv", "json", "parquet", "arrow"}, optional
            By default what the path ends in.

        Raises
        ------
        UnknownTableError
            No such table; names the nearest.
        QueryError
            Another format, or a path that ends in none of them.

        Examples
        --------
        >>> release.export("layers", folder / "layers.csv")
        """
        if table not in self.views:
            self._check_table(table)
        write = export.writer(destination, format)
        query = f"FROM {table}"  # a name of the schema
        reader = stream_sql(self._connection, query, size=2**16)
        schema = self._labelled(reader.schema.empty_table(), query).schema
        batches = (batch.cast(schema) for batch in reader)
        write(pa.RecordBatchReader.from_batches(schema, batches), destination)

    def to_duckdb(self, destination: str | Path) -> None:
        """Write a DuckDB file for this machine: views of the large tables, copies of the small.

        Parameters
        ----------
        destination : str or Path
            The file, replaced if it is there.

        Raises
        ------
        FetchError
            The release is read from the web.

        Examples
        --------
        >>> release.to_duckdb(folder / "release.duckdb")
        """
        files = {
            table: [str(self.path / file) for file in paths]
            for table, paths in self._manifest.files.items()
        }
        mark = " SIMULATED." if self.simulated else ""
        origin = f"Release {self.label}.{mark} Cite as: {self.citation}"
        views = views_of(self.schema_version, self.tables)
        write_database(Path(destination), files, views=views, origin=origin)

    @cached_property
    def _source(self) -> Source:
        columns = ["dataset", "condition", "model", "layer", "roi", "subject"]
        names = self.table("layer_summary", columns).astype(str)
        subjects: dict[str, list[str]] = {}
        for dataset, subject in sorted(set(zip(names["dataset"], names["subject"], strict=True))):
            subjects.setdefault(dataset, []).append(subject)
        return Source(
            connect=lambda: self._connection,
            label=self.label,
            citation=self.citation,
            simulated=self.simulated,
            known={column: sorted(names[column].unique()) for column in columns},
            partitions=sorted(set(names[columns[:4]].itertuples(index=False, name=None))),
            subjects=subjects,
            layers=lambda: self.layers,
        )

    @cached_property
    def layers(self) -> list[Layer]:
        """Layers of all networks, by network, then depth."""
        columns = ["model", "layer", "depth", "kind", "shape"]
        known = TABLES["layers"].at(self.schema_version).column_names
        table = self.table(
            "layers", [name for name in [*columns, "axes", "classes"] if name in known]
        )
        table = table.astype({"model": str, "layer": str}).sort_values(["model", "depth"])
        found: list[Layer] = []
        for row in table.to_dict("records"):
            shape = tuple(row["shape"].tolist())
            # The schema of older releases says (C, H, W) or (N,), and has no such column.
            axes = row.get("axes", usual_axes(shape))
            axes = axes if isinstance(axes, str) else None  # pandas has NULL as NaN
            names: dict[str, Any] = {key: row[key] for key in ("model", "layer", "depth", "kind")}
            classes = row.get("classes")
            classes = () if classes is None or isinstance(classes, float) else tuple(classes)
            found.append(Layer(**names, shape=shape, axes=axes, classes=classes))
        return found

    def verify(
        self, *, quick: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> Report:
        """Read all of the release again and check it (:func:`unitdb.verification.verify`).

        Parameters
        ----------
        quick : bool
            Leave out what takes long: the bootstraps of intervals.
        progress : callable, optional
            Called with the number of partitions done and the number of all.

        Returns
        -------
        Report
            Rows read of each table, and the checks.

        Examples
        --------
        >>> release.verify().n_files > 0
        True
        """
        from unitdb.verification import verify

        return verify(self.path, quick=quick, progress=progress)

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        return self.connect()

    def connect(
        self, *, memory: str | None = None, threads: int | None = None
    ) -> duckdb.DuckDBPyConnection:
        """Open a DuckDB that reads this release and nothing else.

        Parameters
        ----------
        memory : str, optional
            What its queries may take, as in ``"512MB"``.
        threads : int, optional
            How many they use at the most.

        Returns
        -------
        duckdb.DuckDBPyConnection
            A connection with the tables and views; the caller closes it.

        Examples
        --------
        >>> release.connect().execute("SELECT count(*) FROM layers").fetchone()
        (2,)
        """
        return connect(
            {
                table: [self._storage.location(file) for file in files]
                for table, files in self._manifest.files.items()
            },
            views=views_of(self.schema_version, self.tables),
            filesystem=self._storage.filesystem(),
            memory=memory,
            threads=threads,
        )
