"""What a release says of itself: names, how to cite it, and what its catalogue adds."""

from __future__ import annotations

from pathlib import Path

from unitdb.errors import CatalogueError, CorruptReleaseError, FetchError
from unitdb.release.catalogue import CATALOGUE
from unitdb.release.citing import bibtex
from unitdb.release.description import Description, describe
from unitdb.release.entries import Entry, listed_entry, parse_catalogue
from unitdb.release.manifest import MANIFEST, Manifest, check_schema_version, parse_manifest
from unitdb.release.storage import Folder, Remote, Storage, is_address
from unitdb.schema import tables_of, views_of

__all__ = ["Described"]


class Described:
    """A release by its manifest and its catalogue.

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
        self._storage: Storage = (
            Remote(str(path))
            if is_address(path)
            else Folder(
                Path(path).absolute()  # the same release wherever the program goes
            )
        )
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

    def _repr_html_(self) -> str:
        return self.describe()._repr_html_()

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
    def location(self) -> str:
        """Its folder or address."""
        return str(self._storage)

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
    def authors(self) -> list[str]:
        """Who made the release; empty where they are not stated."""
        return list(map(str, self._manifest.authors))

    def bibtex(self) -> str:
        """Entry for a bibliography, in BibTeX; special characters are escaped.

        Returns
        -------
        str
            One entry.

        Examples
        --------
        >>> print(release.bibtex().splitlines()[0])
        @misc{tiny-1.0.0,
        """
        about = self._manifest
        return bibtex(
            name=about.name,
            version=about.version,
            title=about.title,
            citation=about.citation,
            simulated=about.simulated,
            authors=about.authors,
            doi=about.doi,
        )

    @property
    def tables(self) -> list[str]:
        """Names of the tables."""
        return list(self._manifest.files)

    @property
    def views(self) -> list[str]:
        """Names of the views, which :meth:`sql` knows besides the tables."""
        return list(views_of(self.schema_version, self.tables))

    def listed(self) -> Entry | None:
        """Look it up in the catalogue above it: errata and retraction, which may come later.

        Returns
        -------
        Entry or None
            None where there is no catalogue, or it does not list the release. Its path is relative
            to the catalogue.

        Raises
        ------
        CatalogueError
            ``releases.json`` is damaged.

        Examples
        --------
        >>> release.listed().version
        '1.0.0'
        """
        root = self._storage.root()
        if root is None:
            return None
        try:
            text = root.read_text(CATALOGUE)
        except FileNotFoundError:
            return None  # it stands alone
        except ValueError as cause:  # no UTF-8
            raise CatalogueError(f"{root}/{CATALOGUE}: cannot be read: {cause}") from None
        contents = parse_catalogue(text, where=f"{root}/{CATALOGUE}", needed=self.name)
        return listed_entry(contents, self.name, self.version)

    def describe(self) -> Description:
        """Say what the release holds, and what its catalogue says of it.

        Returns
        -------
        Description
            Counts, names and texts; it prints as a table.

        Raises
        ------
        CatalogueError
            ``releases.json`` is damaged.
        CorruptReleaseError
            A file is truncated or damaged; names it.

        Examples
        --------
        >>> release.describe().version
        '1.0.0'
        """
        return describe(self._manifest, self._storage, self.listed())
