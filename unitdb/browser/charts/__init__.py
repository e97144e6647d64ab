"""Figures in Altair, the same for pages and reports: data frames in, charts out.

Colours can be told apart by colour-blind readers (cividis; Okabe and Ito's palette), and axes say
their units.
"""

from unitdb.browser.charts._theme import finished
from unitdb.browser.charts.course import course, lags
from unitdb.browser.charts.curves import histogram, profile, quantiles, violins
from unitdb.browser.charts.gains import by_level, gains
from unitdb.browser.charts.identified import hit_curves
from unitdb.browser.charts.matrices import density, feature_map, heat_map, pair_matrix
from unitdb.browser.charts.pairs import against
from unitdb.browser.charts.points import bars, intervals, predictions, published_scores, scores

__all__ = [
    "against",
    "bars",
    "by_level",
    "course",
    "density",
    "feature_map",
    "finished",
    "gains",
    "heat_map",
    "histogram",
    "hit_curves",
    "intervals",
    "lags",
    "pair_matrix",
    "predictions",
    "profile",
    "published_scores",
    "quantiles",
    "scores",
    "violins",
]
