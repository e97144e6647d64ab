"""Releases on disk: opened, described and verified, and the catalogue that lists them."""

from unitdb.release.catalogue import Catalogue
from unitdb.release.citing import Person
from unitdb.release.comparison import Comparison, compare
from unitdb.release.courses import order_words
from unitdb.release.description import Description
from unitdb.release.fetching import fetch
from unitdb.release.identifying import Identified
from unitdb.release.opened import Release
from unitdb.release.opening import open_release
from unitdb.release.pictured import SOURCES, Reconstructions
from unitdb.release.published import PublishedSet
from unitdb.release.scored import Score, score_of
from unitdb.release.signing import check_signed

__all__ = [
    "SOURCES",
    "Catalogue",
    "Comparison",
    "Description",
    "Identified",
    "Person",
    "PublishedSet",
    "Reconstructions",
    "Release",
    "Score",
    "check_signed",
    "compare",
    "fetch",
    "open_release",
    "order_words",
    "score_of",
]
