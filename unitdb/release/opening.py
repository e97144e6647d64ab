"""Find a release by its name, folder or address, and open it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from unitdb.release.catalogue import Catalogue, warn_if_lost
from unitdb.release.entries import warn_if_retracted
from unitdb.release.opened import Release
from unitdb.release.storage import is_address

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

    Returns
    -------
    Release
        Tables are read when they are asked for.

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

    Examples
    --------
    >>> unitdb.open(release.path).label
    'tiny@1.0.0'
    """
    if is_address(path_or_name):
        return _warned(Release(path_or_name))
    if isinstance(path_or_name, Path) or "/" in path_or_name or os.sep in path_or_name:
        return _warned(Release(path_or_name))
    release = Release(Catalogue(releases).resolve(path_or_name))
    if path_or_name != release.label:
        _log.info("%s is %s: name the version where results must stay", path_or_name, release.label)
    return release


def _warned(release: Release) -> Release:
    """Warn where the catalogue above a release says that it is retracted, or is lost."""
    entry = release.listed()
    if entry is None and not is_address(release.location):
        warn_if_lost(Path(release.path).resolve().parents[1])
    if entry is not None:
        warn_if_retracted(entry)
    return release
