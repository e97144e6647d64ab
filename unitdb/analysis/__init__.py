"""What accuracies say: significance, reliability, agreement between people, identification."""

from unitdb.extras import need

need("numba", "scipy", by="unitdb.analysis", extra="build")

from unitdb.analysis.agreement import (
    PairInterval,
    agreement_intervals,
    agreement_null,
    cross_correlations,
)
from unitdb.analysis.amplitude import Amplitude, Scaling, true_amplitude
from unitdb.analysis.best import BHMethod, best_rois
from unitdb.analysis.combination import minimum_p, stouffer_p
from unitdb.analysis.contingency import spearman_of_counts
from unitdb.analysis.dependence import prediction_correlations
from unitdb.analysis.fdr import FalseDiscovery, q_values
from unitdb.analysis.feedforward import (
    Encoded,
    encode_responses,
    group_halves,
    mixed_responses,
    resampled_noise,
)
from unitdb.analysis.hierarchy import BHScore, average_bh_score, bh_score, encoding_bh_score
from unitdb.analysis.hierarchy_interval import BestTally, Over, bh_interval, tally_intervals
from unitdb.analysis.identification import (
    Identification,
    MeanProfile,
    pairwise_identification,
    pattern_correlation,
)
from unitdb.analysis.intersubject import PairAgreement, intersubject_correlations
from unitdb.analysis.intervals import Interval
from unitdb.analysis.lag import (
    Lags,
    Order,
    adjusted_lags,
    course_lags,
    jackknife_interval,
    lag_order,
    peaks,
    template_lags,
)
from unitdb.analysis.modulation import (
    MatchedControl,
    feature_gain,
    noise_control,
    null_control,
    pattern_r,
)
from unitdb.analysis.moments import Blocks, channel_blocks, tile_blocks
from unitdb.analysis.null import PooledNull, StudentisedNull, empirical_p
from unitdb.analysis.over_images import mean_over_images
from unitdb.analysis.patterns import PatternSimilarity
from unitdb.analysis.permutation import permutation_p, permuted_orders
from unitdb.analysis.pictures import (
    PictureIdentification,
    grey_levels,
    identify_pictures,
    nearest,
    picture_correlation,
    project,
    structural_similarity,
)
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
from unitdb.analysis.timecourse import NOISES, CoursePoint, course_point, matched_curves
from unitdb.analysis.two_way import TwoWay, sign_flip_p, two_way_difference, two_way_mean
from unitdb.analysis.units import (
    LayerSummary,
    UnitSummary,
    best_in_groups,
    best_units,
    histogram,
    lead_over_others,
    mean_over_subjects,
    summarise_layer,
    summarise_units,
)

__all__ = [
    "NOISES",
    "Amplitude",
    "BHMethod",
    "BHScore",
    "BestTally",
    "Blocks",
    "CoursePoint",
    "Encoded",
    "Explainable",
    "FalseDiscovery",
    "Identification",
    "Interval",
    "Lags",
    "LayerSummary",
    "MatchedControl",
    "MeanProfile",
    "Order",
    "Over",
    "Overlap",
    "PairAgreement",
    "PairInterval",
    "PatternSimilarity",
    "PictureIdentification",
    "PooledNull",
    "Scaling",
    "StudentisedNull",
    "TopUnits",
    "TwoWay",
    "UnitSummary",
    "accuracy_p",
    "activation_covariates",
    "adjusted_lags",
    "agreement_intervals",
    "agreement_null",
    "average_bh_score",
    "best_in_groups",
    "best_rois",
    "best_units",
    "bh_interval",
    "bh_score",
    "channel_blocks",
    "combined_accuracy_p",
    "course_lags",
    "course_point",
    "cross_correlations",
    "empirical_p",
    "encode_responses",
    "encoding_bh_score",
    "explainable_accuracy",
    "feature_gain",
    "grey_levels",
    "group_halves",
    "histogram",
    "identify_pictures",
    "intersubject_correlations",
    "jackknife_interval",
    "lag_order",
    "lead_over_others",
    "leave_one_out_overlap",
    "matched_curves",
    "mean_of_others",
    "mean_over_images",
    "mean_over_subjects",
    "minimum_p",
    "mixed_responses",
    "n_shared",
    "nearest",
    "noise_control",
    "null_control",
    "overlap",
    "pairwise_identification",
    "pattern_correlation",
    "pattern_r",
    "peaks",
    "permutation_p",
    "permuted_orders",
    "picture_correlation",
    "prediction_correlations",
    "project",
    "q_values",
    "repeat_reliability",
    "resampled_noise",
    "sign_flip_p",
    "spearman_brown",
    "spearman_of_counts",
    "stouffer_p",
    "structural_similarity",
    "subject_reliability",
    "subject_reliability_interval",
    "summarise_layer",
    "summarise_units",
    "tally_intervals",
    "template_lags",
    "tile_blocks",
    "top_overlap",
    "top_units",
    "true_amplitude",
    "two_way_difference",
    "two_way_mean",
]
