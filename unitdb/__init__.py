"""Units of deep networks that the human visual cortex also computes.

A release holds the decoding accuracy of units: how well a unit's activation is predicted from a
person's fMRI responses to the same pictures.

Examples
--------
>>> import unitdb
>>> release = unitdb.open("sample")  # doctest: +SKIP
>>> units = release.units(roi="V4").where(unitdb.col.min_r > 0.2)  # doctest: +SKIP
>>> units.top(100, by="mean_r").to_pandas()  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from unitdb import reference
from unitdb.errors import UnitdbError
from unitdb.lazily import lazily
from unitdb.query import UnitSet, col
from unitdb.release import (
    Catalogue,
    Comparison,
    Description,
    Release,
    Score,
    compare,
    fetch,
    open_release as open,  # noqa: A004
)

if TYPE_CHECKING:
    from unitdb.pipeline import score

__version__ = "0.1.0"

__all__ = [
    "Catalogue",
    "Comparison",
    "Description",
    "Release",
    "Score",
    "UnitSet",
    "UnitdbError",
    "col",
    "compare",
    "fetch",
    "open",
    "reference",
    "score",
]

# What builds takes its extra, and seconds to import.
__getattr__ = lazily(__name__, {"score": "pipeline"})
