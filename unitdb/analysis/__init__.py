"""What accuracies say: significance, reliability, agreement between people, identification."""

from unitdb.extras import need

need("numba", "scipy", by="unitdb.analysis", extra="build")

from unitdb.analysis.agreement import (
    PairInterval,
    agreement_intervals,
    agreement_null,
    cross_correlations,
)
from unitdb.analysis.best import BHMethod, best_rois
from unitdb.analysis.combination import minimum_p, stouffer_p
from unitdb.analysis.contingency import spearman_of_counts
from unitdb.analysis.dependence import prediction_correlations
from unitdb.analysis.fdr import FalseDiscovery, q_values
from unitdb.analysis.hierarchy import BHScore, average_bh_score, bh_score, encoding_bh_score
from unitdb.analysis.hierarchy_interval import BestTally, Over, bh_interval
from unitdb.analysis.identification import (
    Identification,
    MeanProfile,
    pairwise_identification,
    pattern_correlation,
)
from unitdb.analysis.intersubject import PairAgreement, intersubject_correlations
from unitdb.analysis.intervals import Interval
from unitdb.analysis.moments import Blocks, channel_blocks, tile_blocks
from unitdb.analysis.null import PooledNull, StudentisedNull, empirical_p
from unitdb.analysis.patterns import PatternSimilarity
from unitdb.analysis.permutation import permutation_p, permuted_orders
from unitdb.analysis.ranking import (
    Overlap,
    TopUnits,
    leave_one_out_overlap,
    mean_of_others,
    n_shared,
    overlap,
    top_overlap,
    top_units,
)
from unitdb.analysis.reliability import (
    Explainable,
    explainable_accuracy,
    repeat_reliability,
    spearman_brown,
    subject_reliability,
    subject_reliability_interval,
)
from unitdb.analysis.selectivity import activation_covariates
from unitdb.analysis.significance import accuracy_p, combined_accuracy_p
from unitdb.analysis.units import (
    LayerSummary,
    UnitSummary,
    best_units,
    histogram,
    lead_over_others,
    mean_over_subjects,
    summarise_layer,
    summarise_units,
)

__all__ = [
    "BHMethod",
    "BHScore",
    "BestTally",
    "Blocks",
    "Explainable",
    "FalseDiscovery",
    "Identification",
    "Interval",
    "LayerSummary",
    "MeanProfile",
    "Over",
    "Overlap",
    "PairAgreement",
    "PairInterval",
    "PatternSimilarity",
    "PooledNull",
    "StudentisedNull",
    "TopUnits",
    "UnitSummary",
    "accuracy_p",
    "activation_covariates",
    "agreement_intervals",
    "agreement_null",
    "average_bh_score",
    "best_rois",
    "best_units",
    "bh_interval",
    "bh_score",
    "channel_blocks",
    "combined_accuracy_p",
    "cross_correlations",
    "empirical_p",
    "encoding_bh_score",
    "explainable_accuracy",
    "histogram",
    "intersubject_correlations",
    "lead_over_others",
    "leave_one_out_overlap",
    "mean_of_others",
    "mean_over_subjects",
    "minimum_p",
    "n_shared",
    "overlap",
    "pairwise_identification",
    "pattern_correlation",
    "permutation_p",
    "permuted_orders",
    "prediction_correlations",
    "q_values",
    "repeat_reliability",
    "spearman_brown",
    "spearman_of_counts",
    "stouffer_p",
    "subject_reliability",
    "subject_reliability_interval",
    "summarise_layer",
    "summarise_units",
    "tile_blocks",
    "top_overlap",
    "top_units",
]
