"""Find a release by its name, folder or address, and open it."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from urllib.parse import urlsplit

from unitdb.release.catalogue import (
    CATALOGUE,
    Catalogue,
    parse_catalogue,
    warn_if_listed_as_retracted,
)
from unitdb.release.opened import Release
from unitdb.release.storage import Remote, is_address

__all__ = ["open_release"]

_log = logging.getLogger(__name__)


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
    if urlsplit(address).path.strip("/").count("/") < 1:
        return  # it is served by itself: nothing is above it
    root = address.rstrip("/").rsplit("/", 2)[0]
    try:
        text = Remote(root).read_text(CATALOGUE)
    except FileNotFoundError:
        return  # it stands alone
    warn_if_listed_as_retracted(
        parse_catalogue(text, where=f"{root}/{CATALOGUE}"), release.name, release.version
    )
