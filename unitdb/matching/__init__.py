"""Which candidate a prediction is of: similarities, ranks, curves, and what chance gives.

Functions of arrays with numpy alone: builds identify with them, and so do readers of a release.
"""

from unitdb.matching._chance import (
    category_chance,
    exchange_chance,
    exchange_p,
    fold_chance,
    image_intervals,
    per_target,
)
from unitdb.matching._counts import Matches, match
from unitdb.matching._curve import hit_rate, pairwise_rate, rank, sizes, top_rate
from unitdb.matching._identify import (
    COMBINED,
    METHODS,
    Compared,
    Method,
    Question,
    identify,
)
from unitdb.matching._judged import Judged, judged_rate
from unitdb.matching._patterns import Concatenated, Patterns, fisher_mean, patterns, similarity
from unitdb.matching._summary import AMONG, TOPS, Summary, chance_curve, of_counts, summarise

__all__ = [
    "AMONG",
    "COMBINED",
    "METHODS",
    "TOPS",
    "Compared",
    "Concatenated",
    "Judged",
    "Matches",
    "Method",
    "Patterns",
    "Question",
    "Summary",
    "category_chance",
    "chance_curve",
    "exchange_chance",
    "exchange_p",
    "fisher_mean",
    "fold_chance",
    "hit_rate",
    "identify",
    "image_intervals",
    "judged_rate",
    "match",
    "of_counts",
    "pairwise_rate",
    "patterns",
    "per_target",
    "rank",
    "similarity",
    "sizes",
    "summarise",
    "top_rate",
]
