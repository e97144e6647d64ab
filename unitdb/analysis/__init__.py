"""What accuracies say: significance, reliability, agreement between people, identification."""

from unitdb.analysis.agreement import (
    Interval,
    PairInterval,
    agreement_intervals,
    agreement_null,
    cross_correlations,
)
from unitdb.analysis.combination import minimum_p, stouffer_p
from unitdb.analysis.fdr import FalseDiscovery, q_values
from unitdb.analysis.identification import (
    Identification,
    MeanProfile,
    pairwise_identification,
    pattern_correlation,
)
from unitdb.analysis.intersubject import PairAgreement, intersubject_correlations
from unitdb.analysis.moments import channel_blocks, tile_blocks
from unitdb.analysis.null import PooledNull, StudentisedNull, empirical_p
from unitdb.analysis.patterns import PatternSimilarity
from unitdb.analysis.permutation import permutation_p, permuted_orders
from unitdb.analysis.ranking import Overlap, leave_one_out_overlap, top_overlap, top_units
from unitdb.analysis.reliability import (
    Explainable,
    explainable_accuracy,
    repeat_reliability,
    spearman_brown,
    subject_reliability,
)
from unitdb.analysis.selectivity import activation_covariates
from unitdb.analysis.significance import accuracy_p
from unitdb.analysis.units import LayerSummary, UnitSummary, summarise_layer, summarise_units

__all__ = [
    "Explainable",
    "FalseDiscovery",
    "Identification",
    "Interval",
    "LayerSummary",
    "MeanProfile",
    "Overlap",
    "PairAgreement",
    "PairInterval",
    "PatternSimilarity",
    "PooledNull",
    "StudentisedNull",
    "UnitSummary",
    "accuracy_p",
    "activation_covariates",
    "agreement_intervals",
    "agreement_null",
    "channel_blocks",
    "cross_correlations",
    "empirical_p",
    "explainable_accuracy",
    "intersubject_correlations",
    "leave_one_out_overlap",
    "minimum_p",
    "pairwise_identification",
    "pattern_correlation",
    "permutation_p",
    "permuted_orders",
    "q_values",
    "repeat_reliability",
    "spearman_brown",
    "stouffer_p",
    "subject_reliability",
    "summarise_layer",
    "summarise_units",
    "tile_blocks",
    "top_overlap",
    "top_units",
]
