"""Published figures to set results beside."""

from unitdb.reference._bhscore import (
    CITATION,
    Placement,
    Score,
    bhscore,
    bhscore_correlations,
    bhscore_layers,
    bhscore_properties,
    place,
)

__all__ = [
    "CITATION",
    "Placement",
    "Score",
    "bhscore",
    "bhscore_correlations",
    "bhscore_layers",
    "bhscore_properties",
    "place",
]
