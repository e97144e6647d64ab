"""Releases on disk: opened, described and verified, and the catalogue that lists them."""

from unitdb.release.catalogue import Catalogue
from unitdb.release.description import Description
from unitdb.release.opening import Release, open_release

__all__ = ["Catalogue", "Description", "Release", "open_release"]
