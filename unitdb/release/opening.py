"""Open a release: what it holds, its tables, its units."""

from __future__ import annotations

import logging
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from unitdb.errors import (
    CorruptReleaseError,
    FetchError,
    UnknownColumnError,
    UnknownTableError,
)
from unitdb.query import Source, UnitSet, connect, run_sql
from unitdb.query.export import provenance, with_provenance
from unitdb.release.catalogue import (
    CATALOGUE,
    Catalogue,
    parse_catalogue,
    warn_if_listed_as_retracted,
)
from unitdb.release.description import Description, describe
from unitdb.release.manifest import MANIFEST, Manifest, check_schema_version, parse_manifest
from unitdb.release.matrix import layer_by_roi
from unitdb.release.storage import Folder, Remote, Storage, is_address
from unitdb.schema import TABLES, tables_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import duckdb
    import pandas as pd
    import pyarrow as pa

    from unitdb.release.trace import Trace
    from unitdb.release.verification import Report

__all__ = ["Description", "Release", "open_release"]

_log = logging.getLogger(__name__)

_Names = str | list[str] | None


def open_release(path_or_name: str | Path, *, releases: str | Path | None = None) -> Release:
    """Open a release; reads its ``datapackage.json``, and warns if it is retracted.

    Parameters
    ----------
    path_or_name : str or Path
        ``"sample"``, ``"sample@1.0.0"`` or ``"sample@latest"`` from the catalogue, or the folder
        of a release: a Path, or text with a slash; or its http or https address, where only what a
        query needs is read.
    releases : str or Path, optional
        Folder of the catalogue; by default the environment variable UNITDB_RELEASES, else
        ``releases`` in the current folder.

    Raises
    ------
    UnknownReleaseError
        No such release; gives the nearest.
    CorruptReleaseError
        It is not a release, or files are missing.
    SchemaVersionError
        It follows a newer schema than this version of unitdb reads.
    CatalogueError
        ``releases.json`` is damaged.
    """
    if is_address(path_or_name):
        release = Release(path_or_name)
        _warn_if_retracted_there(release, str(path_or_name))
        return release
    if isinstance(path_or_name, Path) or "/" in path_or_name or os.sep in path_or_name:
        release = Release(path_or_name)
        root = release.path.resolve().parents[1]
        if (root / CATALOGUE).exists():
            Catalogue(root).warn_if_retracted(release.name, release.version)
        return release
    release = Release(Catalogue(releases).resolve(path_or_name))
    if path_or_name != release.label:
        _log.info("%s is %s: name the version where results must stay", path_or_name, release.label)
    return release


def _warn_if_retracted_there(release: Release, address: str) -> None:
    """Warn where the catalogue beside a release on the web says that it is retracted."""
    root = address.rstrip("/").rsplit("/", 2)[0]
    try:
        text = Remote(root).read_text(CATALOGUE)
    except FileNotFoundError:
        return  # it stands alone
    warn_if_listed_as_retracted(
        parse_catalogue(text, where=f"{root}/{CATALOGUE}"), release.name, release.version
    )


class Release:
    """A published release, opened for reading.

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

    def __init__(self, path: str | Path) -> None:
        self._storage: Storage = Remote(str(path)) if is_address(path) else Folder(Path(path))
        self._manifest: Manifest = parse_manifest(
            lambda: self._storage.read_text(MANIFEST), str(self._storage)
        )
        check_schema_version(self._manifest, where=str(self._storage))
        files = [file for paths in self._manifest.files.values() for file in paths]
        missing = self._storage.missing(files)
        of_schema = tables_of(self._manifest.schema)
        missing += [table for table in of_schema if table not in self._manifest.files]
        if missing:
            more = f", … ({len(missing)} in all)" if len(missing) > 5 else ""
            raise CorruptReleaseError(f"{self._storage}: missing: {', '.join(missing[:5])}{more}")

    def __repr__(self) -> str:
        mark = ", simulated" if self.simulated else ""
        return f"<Release {self.label}{mark}: {self._manifest.n_accuracies:,} accuracies>"

    @property
    def path(self) -> Path:
        """Its folder.

        Raises
        ------
        FetchError
            It is read from the web.
        """
        if not isinstance(self._storage, Folder):
            raise FetchError(f"{self._storage}: has no folder here; unitdb fetch makes one")
        return self._storage.path

    @property
    def name(self) -> str:
        """Name in the catalogue."""
        return self._manifest.name

    @property
    def version(self) -> str:
        """MAJOR.MINOR.PATCH."""
        return self._manifest.version

    @property
    def label(self) -> str:
        """``name@version``: what opens exactly this release."""
        return f"{self.name}@{self.version}"

    @property
    def title(self) -> str:
        """Title in one line."""
        return self._manifest.title

    @property
    def simulated(self) -> bool:
        """True where any of the responses are simulated, not measured."""
        return self._manifest.simulated

    @property
    def schema_version(self) -> str:
        """Schema that the tables follow, MAJOR.MINOR."""
        return self._manifest.schema

    @property
    def citation(self) -> str:
        """How to cite the release."""
        return self._manifest.citation

    @property
    def tables(self) -> list[str]:
        """Names of the tables."""
        return list(self._manifest.files)

    def table(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read a table, or some of its columns, into pandas.

        ``accuracy`` and ``unit_summary`` can be large: :meth:`units` and :meth:`sql` read parts.

        Parameters
        ----------
        name : str
            One of :attr:`tables`.
        columns : sequence of str, optional
            Columns to read; all where it is not given.

        Raises
        ------
        UnknownTableError, UnknownColumnError
            No such table or column; names the nearest.
        CorruptReleaseError
            A file is truncated or damaged; names it.
        """
        import pyarrow as pa

        if name not in self._manifest.files:
            raise UnknownTableError(
                name, self.tables, where=f"release {self.label}", hint="unitdb schema"
            )
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

    def describe(self) -> Description:
        """Say what the release holds.

        Raises
        ------
        CorruptReleaseError
            A file is truncated or damaged; names it.
        """
        return describe(self._manifest, self._storage)

    def layer_by_roi(
        self,
        measure: Literal["accuracy", "agreement"] = "accuracy",
        *,
        dataset: str | None = None,
        condition: str | None = None,
        model: str | None = None,
    ) -> pd.DataFrame:
        """Layer × ROI matrix of a network: how well each layer decodes from each region.

        Parameters
        ----------
        measure : {'accuracy', 'agreement'}
            Mean accuracy over units, then subjects; or the correlation over units of two subjects'
            accuracies, mean over pairs (inter-subject correlation). Both are Pearson r.
        dataset, condition, model : str, optional
            Which, where the release has several.

        Returns
        -------
        pandas.DataFrame of shape (n_layers, n_rois)
            Layers in the order of depth, ROIs in the dataset's own order; NaN where there is none.

        Raises
        ------
        QueryError
            The release has several and none is named, or there is no such measure.
        UnknownDatasetError, UnknownConditionError, UnknownModelError
            No such name in the release; gives the nearest.
        """
        return layer_by_roi(
            self.table, measure, self._source, dataset=dataset, condition=condition, model=model
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

        Raises
        ------
        QueryError
            The statement does not only read, or is not valid.
        CorruptReleaseError
            A file is truncated or damaged; names it.
        """
        table = self.sql_arrow(query, parameters)
        frame: pd.DataFrame = table.to_pandas()
        frame.attrs.update(provenance(table))
        return frame

    def sql_arrow(
        self, query: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None
    ) -> pa.Table:
        """Run one SELECT as :meth:`sql` does, into Arrow; the schema's metadata hold its origin."""
        return with_provenance(
            run_sql(self._connection, query, parameters),
            release=self.label,
            query=query,
            citation=self.citation,
            simulated=self.simulated,
            parameters=parameters,
        )

    def units(
        self,
        *,
        dataset: _Names = None,
        condition: _Names = None,
        model: _Names = None,
        layer: _Names = None,
        roi: _Names = None,
    ) -> UnitSet:
        """Select units by name; nothing is read until the selection is used.

        Parameters
        ----------
        dataset, condition, model, layer, roi : str or list of str, optional
            Names to keep; all where they are not given.

        Raises
        ------
        UnknownDatasetError, UnknownConditionError, UnknownModelError, UnknownLayerError, \
UnknownRoiError
            No such name in the release; gives the nearest.
        """
        chosen = {
            "dataset": dataset,
            "condition": condition,
            "model": model,
            "layer": layer,
            "roi": roi,
        }
        return UnitSet(self._source, chosen)

    def trace(self, unit: str, *, roi: str | None = None, subject: str | None = None) -> Trace:
        """Follow a unit's accuracies back to the input files (:mod:`unitdb.release.trace`)."""
        from unitdb.release.trace import trace

        return trace(self, unit, roi=roi, subject=subject)

    def verify(self, *, progress: Callable[[int, int], None] | None = None) -> Report:
        """Read all of the release again and check it (:mod:`unitdb.release.verification`)."""
        from unitdb.release.verification import verify

        return verify(self.path, progress=progress)

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        return connect(
            {
                table: [self._storage.location(file) for file in files]
                for table, files in self._manifest.files.items()
            },
            filesystem=self._storage.filesystem(),
        )

    @cached_property
    def _source(self) -> Source:
        names = self.table("layer_summary", ["dataset", "condition", "model", "layer", "roi"])
        return Source(
            connect=lambda: self._connection,
            label=self.label,
            citation=self.citation,
            simulated=self.simulated,
            known={str(column): sorted(names[column].unique()) for column in names},
        )
