"""What accuracies say: summaries over subjects and units, agreement between people."""

from unitdb.analysis.intersubject import PairAgreement, intersubject_correlations
from unitdb.analysis.units import LayerSummary, UnitSummary, summarise_layer, summarise_units

__all__ = [
    "LayerSummary",
    "PairAgreement",
    "UnitSummary",
    "intersubject_correlations",
    "summarise_layer",
    "summarise_units",
]
