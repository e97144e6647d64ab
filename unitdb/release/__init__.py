"""Releases on disk: opened, described and verified, and the catalogue that lists them."""

from unitdb.release.catalogue import Catalogue
from unitdb.release.citing import Person
from unitdb.release.comparison import Comparison, compare
from unitdb.release.courses import (
    COURSES,
    LAG_CONTROLS,
    chance_of,
    course_rows,
    lag_points,
    order_words,
)
from unitdb.release.description import Description
from unitdb.release.fetching import fetch
from unitdb.release.fields import ReceptiveField
from unitdb.release.identifying import Identified
from unitdb.release.kept import labelled
from unitdb.release.layered import degraded, in_order, layer_matrix, relative_depth, spaced
from unitdb.release.opened import Release
from unitdb.release.opening import open_release
from unitdb.release.pictured import SOURCES, Reconstructions
from unitdb.release.published import PublishedSet
from unitdb.release.scored import Score, score_of
from unitdb.release.signing import check_signed

__all__ = [
    "COURSES",
    "LAG_CONTROLS",
    "SOURCES",
    "Catalogue",
    "Comparison",
    "Description",
    "Identified",
    "Person",
    "PublishedSet",
    "ReceptiveField",
    "Reconstructions",
    "Release",
    "Score",
    "chance_of",
    "check_signed",
    "compare",
    "course_rows",
    "degraded",
    "fetch",
    "in_order",
    "labelled",
    "lag_points",
    "layer_matrix",
    "open_release",
    "order_words",
    "relative_depth",
    "score_of",
    "spaced",
]
