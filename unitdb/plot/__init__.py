"""The published figures, as axes of matplotlib: of a release in, an axes out.

Imported explicitly, ``from unitdb import plot``, with the extra ``plot``.
"""

from unitdb.extras import need

need("matplotlib", "PIL", by="unitdb.plot", extra="plot")

from unitdb.plot._accuracies import depth, hierarchy, layer_by_roi, predictions, subjects
from unitdb.plot._brains import (
    identification,
    identified,
    identified_by_roi,
    lags,
    modulation,
    timecourse,
)
from unitdb.plot._overview import overview
from unitdb.plot._pictures import gallery

__all__ = [
    "depth",
    "gallery",
    "hierarchy",
    "identification",
    "identified",
    "identified_by_roi",
    "lags",
    "layer_by_roi",
    "modulation",
    "overview",
    "predictions",
    "subjects",
    "timecourse",
]
