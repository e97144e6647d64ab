"""Rows of a release that have been chosen, and the ways to read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from numbers import Integral
from typing import TYPE_CHECKING, Any

from unitdb.errors import QueryError
from unitdb.query import _clauses as clauses, export
from unitdb.query._places import channel
from unitdb.query.grouping import binned, facets, summarise
from unitdb.query.paging import Page, cursor, following
from unitdb.query.relation import Relation, written_out
from unitdb.query.sandbox import explain_sql, run_sql, stream_sql
from unitdb.query.source import Source
from unitdb.unitids import UNIT_ID_SQL

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["Selection", "positive"]

_UNIT_ID = f"{UNIT_ID_SQL} AS unit_id"


class Selection:
    """Rows of ``unit_summary``, chosen but not yet read; see ``UnitSet``, which chooses.

    Attributes
    ----------
    source : Source
        The release.
    subjects : sequence of str or None
        Those that rows are summarised over; None for all.
    """

    source: Source
    subjects: Sequence[str] | None
    _relation: Relation
    _steps: tuple[str, ...]
    _sort: tuple[str, bool] | None

    @property
    def sql(self) -> str:
        """The query with its values written out: ``release.sql`` gives the same rows."""
        return written_out(*self._compiled())

    def explain(self) -> str:
        """The SQL, and DuckDB's plan for it: the files, and how many row groups can be left out.

        Returns
        -------
        str
            Text to read; its form is DuckDB's.

        Examples
        --------
        >>> "mean_r" in release.units(roi="V4").explain()
        True
        """
        text, parameters = self._compiled()
        return f"{self.sql}\n\n{explain_sql(self.source.connect(), text, parameters)}"

    def to_arrow(self) -> pa.Table:
        """Read the rows into Arrow; the schema's metadata hold the origin (``unitdb:release`` …).

        Returns
        -------
        pyarrow.Table
            Columns of ``unit_summary`` and ``unit_id``.

        Raises
        ------
        CorruptReleaseError
            Names the file that is not readable.

        Examples
        --------
        >>> release.units(roi="V4").top(3).to_arrow().num_rows
        3
        """
        return self._read(*self._compiled())

    def to_pandas(self) -> pd.DataFrame:
        """Read the rows into pandas; ``attrs`` hold release, query, citation and simulated.

        Returns
        -------
        DataFrame
            Columns of ``unit_summary`` and ``unit_id``.

        Examples
        --------
        >>> units = release.units(roi="V4").top(3).to_pandas()
        >>> units.attrs["release"], len(units)
        ('tiny@1.0.0', 3)
        """
        return as_pandas(self.to_arrow())

    def to_batches(self, size: int = 2**16) -> Iterator[pa.RecordBatch]:
        """Read the rows a batch at a time, in memory that does not grow with their number.

        Rows come in any order, but for a sorted selection (:meth:`top`, :meth:`sort`), which is
        sorted in memory first.

        Parameters
        ----------
        size : int
            Rows of a batch, at the most.

        Returns
        -------
        iterator of pyarrow.RecordBatch
            Batches of at most ``size`` rows.

        Examples
        --------
        >>> sum(batch.num_rows for batch in release.units(roi="V4").top(3).to_batches(2))
        3
        """
        yield from self.to_reader(size)

    def to_reader(self, size: int = 2**16, *, ordered: bool = False) -> pa.RecordBatchReader:
        """Batches as :meth:`to_batches` gives them, with their schema, which holds the origin.

        Parameters
        ----------
        size : int
            Rows of a batch, at the most.
        ordered : bool
            Sort in any case, as :meth:`to_arrow` does.

        Returns
        -------
        pyarrow.RecordBatchReader
            Batches of at most ``size`` rows, read when they are asked for.

        Examples
        --------
        >>> release.units(roi="V4").to_reader().read_all().num_rows
        56
        """
        import pyarrow as pa

        ordered = ordered or self._sort is not None or self._relation.limit is not None
        text, parameters = self._shown(self._relation, ordered=ordered)
        reader = stream_sql(self.source.connect(), text, parameters, size=size)
        query = written_out(text, parameters)
        schema = self._labelled(reader.schema.empty_table(), query).schema
        return pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in reader))

    def to_csv(self, destination: export.Destination) -> None:
        """Write CSV whose first lines, beginning with ``#``, hold the origin.

        ``pandas.read_csv(path, comment="#")`` reads it back.

        Parameters
        ----------
        destination : path or binary file
            A path is written atomically: all rows or no file.

        Examples
        --------
        >>> release.units(roi="V4").top(3).to_csv(folder / "v4.csv")
        """
        self.write(destination, format="csv")

    def write(
        self,
        destination: export.Destination,
        *,
        format: export.Format | None = None,  # noqa: A002
    ) -> None:
        """Write the rows to a file, a batch at a time, with their origin.

        Parameters
        ----------
        destination : path or binary file
            A path is written atomically: all rows or no file.
        format : {"csv", "json", "parquet", "arrow"}, optional
            By default what the path ends in.

        Raises
        ------
        QueryError
            Another format, or a path that ends in none of them.

        Examples
        --------
        >>> release.units(roi="V4").write(folder / "v4.parquet")
        """
        export.writer(destination, format)(self.to_reader(ordered=True), destination)

    def page(self, size: int, *, after: str | None = None) -> Page:
        """Read some rows, and where the next ones begin.

        Parameters
        ----------
        size : int
            Rows at the most.
        after : str, optional
            ``Page.next`` of the page before; the first page where it is not given.

        Returns
        -------
        Page
            ``rows`` as a table of Arrow, and ``next`` for ``after``, None at the end.

        Raises
        ------
        QueryError
            ``size`` is not a positive integer, or ``after`` is not of a selection that is sorted
            like this one.

        Examples
        --------
        >>> page = release.units(roi="V4").sort("mean_r").page(3)
        >>> len(page.rows)
        3
        """
        size = positive(size, "page() takes a positive number of rows")
        rows = self._relation
        if after is not None:
            rows = following(rows, self._sort, after)
        table = self._read(*self._shown(rows.first(size + 1, rows.order)))
        more = table.num_rows > size
        return Page(
            rows=as_pandas(table.slice(0, size)),
            next=cursor(table, size - 1, self._sort) if more else None,
        )

    def count(self) -> int:
        """Number of rows.

        Returns
        -------
        int
            As ``len`` gives it.

        Examples
        --------
        >>> release.units(dataset="sim-a", roi="V1", layer="fc").count()
        10
        """
        return int(self._summary("SELECT count(*) AS n FROM {}")["n"].iloc[0])

    def facets(self, *columns: str) -> dict[str, pd.DataFrame]:
        """Count the rows of each name in a column: what these could be narrowed down to.

        Parameters
        ----------
        *columns : str
            ``dataset``, ``condition``, ``model``, ``layer`` or ``roi``; all by default.

        Returns
        -------
        dict of str to pandas.DataFrame
            For each column, its names (for ``layer``, with their ``model``) and ``n_rows``.

        Examples
        --------
        >>> release.units(roi="V4").facets("layer")["layer"]
          model  layer  n_rows
        0   net  conv1      36
        1   net     fc      20
        """
        return facets(self._summary, columns)

    def histogram(self, by: str = "mean_r") -> pd.DataFrame:
        """Count the rows of each dataset, condition, model, layer and ROI by hundredths.

        Parameters
        ----------
        by : {"mean_r", "min_r", "max_r", "lead_r"}
            Whose hundredths. Rows where it is NULL are left out.

        Returns
        -------
        pandas.DataFrame
            ``bin``, floor(100 r), from -100 to 99 (of ``lead_r`` from -200 to 199), and
            ``n_units``; no empty bins.

        Raises
        ------
        UnknownColumnError
            Another column; names the nearest.
        QueryError
            The column is not known over some subjects alone.

        Examples
        --------
        >>> release.units(roi="V4").histogram().columns.tolist()
        ['dataset', 'condition', 'model', 'layer', 'roi', 'bin', 'n_units']
        """
        self._check_known(by)
        return binned(self._summary, by)

    def by_layer(self) -> pd.DataFrame:
        """Summarise the rows of each dataset, condition, model, layer and ROI.

        Returns
        -------
        pandas.DataFrame
            ``n_units``, and over units: mean, SD (ddof = 1), lowest and highest ``mean_r``.

        Examples
        --------
        >>> release.units(roi="V1", dataset="sim-a").by_layer()[["layer", "n_units"]]
           layer  n_units
        0  conv1       18
        1     fc       10
        """
        return summarise(self._summary)

    def by_channel(self) -> pd.DataFrame:
        """Summarise as :meth:`by_layer` does, for each channel of a layer (feature of tokens).

        Returns
        -------
        DataFrame
            A row for each layer, channel and ROI.

        Raises
        ------
        QueryError
            It is not known which axis of a layer counts channels.

        Examples
        --------
        >>> release.units(dataset="sim-a", roi="V4", layer="conv1").by_channel()["n_units"].tolist()
        [9, 9]
        """
        self._check_axes()
        return summarise(self._summary, channel=channel(self.source))

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        return True  # a selection, whatever the number of rows: asking for that would read

    def __repr__(self) -> str:
        return f"UnitSet({', '.join([self._title(), *self._steps])})"

    def _repr_html_(self) -> str:
        page = self.page(10)
        caption = f"{len(self):,} rows of {', '.join([self._title(), *self._steps])}"
        table = str(page.rows.to_html(index=False, border=0))
        return f"<div><p>{escape(caption)}</p>{table}<p>{escape(self.source.citation)}</p></div>"

    def _check_known(self, column: str) -> None:
        """Raise QueryError for a column that is not computed over some subjects alone."""
        if self.subjects is not None and column in ("rank", "lead_r", "p", "q"):
            raise QueryError(
                f"{column} is known over all subjects, not over {', '.join(self.subjects)}: choose "
                "no subjects, or another column"
            )

    def _compiled(self) -> tuple[str, tuple[Any, ...]]:
        """SQL with a ``?`` for each value, and the values."""
        return self._shown(self._relation)

    def _shown(self, relation: Relation, *, ordered: bool = True) -> tuple[str, tuple[Any, ...]]:
        shown = replace(relation, columns=f"{clauses.COLUMNS}, {_UNIT_ID}")
        text = shown.sql() if ordered else replace(shown, order="").sql()
        return text, relation.parameters

    def _read(self, text: str, parameters: tuple[Any, ...]) -> pa.Table:
        table = run_sql(self.source.connect(), text, parameters)
        return self._labelled(table, written_out(text, parameters))

    def read_over(self, template: str) -> pa.Table:
        """Read a SELECT over the rows, which stand for ``{}`` in it, once.

        Returns
        -------
        pyarrow.Table
            The rows of the SELECT.

        Examples
        --------
        >>> release.units(roi="V4").top(3).read_over("SELECT count(*) AS n FROM ({})").to_pydict()
        {'n': [3]}
        """
        return self._read(self._relation.over(template), self._relation.parameters)

    def _check_axes(self) -> None:
        raise NotImplementedError

    def _summary(self, template: str) -> pd.DataFrame:
        return as_pandas(self.read_over(template))

    def _labelled(self, table: pa.Table, query: str) -> pa.Table:
        source = self.source
        return export.with_provenance(
            table,
            release=source.label,
            query=query,
            citation=source.citation,
            simulated=source.simulated,
        )

    def _title(self) -> str:
        return self.source.label + (" SIMULATED" if self.source.simulated else "")


def as_pandas(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    frame.attrs.update(export.provenance(table))
    return frame


def positive(n: Any, message: str) -> int:
    """Return a positive number as int, or raise QueryError."""
    if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
        raise QueryError(f"{message}, not {n!r}")
    return int(n)
