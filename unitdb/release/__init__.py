"""Releases on disk: opened, described and verified, and the catalogue that lists them."""

from unitdb.release.catalogue import Catalogue
from unitdb.release.description import Description
from unitdb.release.fetching import fetch
from unitdb.release.opening import Release, open_release

__all__ = ["Catalogue", "Description", "Release", "fetch", "open_release"]
