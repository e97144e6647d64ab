"""Tables of layers: accuracies over units, agreement between subjects, patterns."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from unitdb.schema.columns import (
    BIN,
    DECODED,
    N_IN_BIN,
    NAME,
    NO_BLOCKS,
    NO_CONTROLS,
    NO_P,
    NO_PATTERN,
    NO_REPEATS,
    NO_UNIT,
    OF_CHANNELS,
    OF_IMAGES,
    OF_LAYER,
    OF_ROI,
    OF_SUBJECT,
    SUBJECT,
    correlation,
    count,
    interval,
    name_column,
    share,
)
from unitdb.schema.following import (
    ACCURACY_HISTOGRAM,
    LAYER_SUMMARY,
    SUMMARY_HISTOGRAM,
    UNIT_HISTOGRAM,
)
from unitdb.schema.spec import Column, Table

_NO_HALVES = (
    "NULL where fewer than two units are common, all are equal in a half, or halves are as good as "
    "opposed"
)
_NO_INTERVAL = f"{_NO_HALVES}, here or at the lower end; or the units are of too few channels"


def _reliability(name: str, description: str, *, null: str) -> Column:
    return Column(
        name=name,
        type=pa.float64(),
        description=description,
        unit="Pearson r",
        null=null,
        maximum=1.0,
    )


TABLES = (
    Table(
        name="layer_summary",
        row="a layer decoded from an ROI of a subject, over units",
        columns=(
            *DECODED,
            SUBJECT,
            count("n_units", "Units decoded", unit="units", minimum=1),
            count("n_undefined", "Units without an accuracy (see accuracy.r)", unit="units"),
            correlation("mean_r", "Mean accuracy over units", null=NO_UNIT),
            Column(
                name="sd_r",
                type=pa.float64(),
                description="Standard deviation of the accuracy over units (ddof = 1)",
                unit="Pearson r",
                null="NULL where fewer than two units have an accuracy",
                minimum=0.0,
                maximum=2.0,
            ),
            correlation("q05_r", "5 % quantile of the accuracy over units (linear)", null=NO_UNIT),
            correlation("q25_r", "25 % quantile of the accuracy over units (linear)", null=NO_UNIT),
            correlation("median_r", "Median accuracy over units", null=NO_UNIT),
            correlation("q75_r", "75 % quantile of the accuracy over units (linear)", null=NO_UNIT),
            correlation("q95_r", "95 % quantile of the accuracy over units (linear)", null=NO_UNIT),
            count(
                "n_significant",
                "Units with an accuracy that is significant in this subject, at q < .05 "
                "(Benjamini-Hochberg within this row)",
                unit="units",
                null=NO_P,
            ),
            *interval("mean", f"mean_r, {OF_IMAGES}", null=NO_PATTERN),
            correlation("chance_r", "Mean accuracy of the controls", null=NO_CONTROLS),
            count(
                "n_pattern_units",
                "Units of the patterns: a sample of the units decoded, or all where they are few",
                unit="units",
                null=NO_PATTERN,
            ),
            count(
                "n_candidates",
                "Patterns that each decoded one is compared with: those of all test images",
                unit="images",
                null=NO_PATTERN,
            ),
            correlation(
                "pattern_r",
                "Pattern correlation: of decoded and true activations over units, mean over test "
                "images",
                null=NO_PATTERN,
            ),
            *interval("pattern", f"pattern_r, {OF_IMAGES}", null=NO_PATTERN),
            correlation(
                "pattern_chance",
                "Mean correlation of decoded patterns with those of the other test images",
                null=NO_PATTERN,
            ),
            share(
                "identification",
                "Pairwise identification: share of false candidates that the decoded pattern is "
                "less like than the true one, mean over test images",
                unit="share",
                null=NO_PATTERN,
            ),
            share(
                "identification_low",
                f"Lower end of identification, {OF_IMAGES}",
                unit="share",
                null=NO_PATTERN,
            ),
            share(
                "identification_high",
                f"Upper end of identification, {OF_IMAGES}",
                unit="share",
                null=NO_PATTERN,
            ),
            share(
                "identification_chance",
                "Identification by chance: that of the controls; without them .5, which holds for "
                "train/test designs",
                unit="share",
                null=f"{NO_PATTERN}; or the images are cross-validated without controls",
            ),
            Column(
                name="mean_reliability",
                type=pa.float64(),
                description="Mean reliability of the predictions over units (accuracy.reliability)",
                unit="correlation of predictions",
                null=NO_REPEATS,
                maximum=1.0,
                since="2.1",
            ),
        ),
        primary_key=("dataset", "condition", "model", "layer", "roi", "subject"),
        follows=LAYER_SUMMARY,
        foreign_keys=(
            OF_SUBJECT,
            OF_LAYER,
        ),
    ),
    Table(
        name="layer_reliability",
        row="a layer decoded from an ROI, over subjects",
        columns=(
            *DECODED,
            count("n_subjects", "Subjects", unit="subjects", minimum=2),
            count("n_units", "Units with an accuracy in every subject", unit="units"),
            _reliability(
                "reliability",
                "Split-half reliability over subjects of the map of mean accuracies, after "
                "Spearman-Brown: how it would correlate with that of as many other people",
                null=_NO_HALVES,
            ),
            _reliability(
                "reliability_low", f"Lower end of reliability, {OF_CHANNELS}", null=_NO_INTERVAL
            ),
            _reliability(
                "reliability_high", f"Upper end of reliability, {OF_CHANNELS}", null=_NO_INTERVAL
            ),
        ),
        primary_key=("dataset", "condition", "model", "layer", "roi"),
        foreign_keys=(
            OF_ROI,
            OF_LAYER,
        ),
        since="2.1",
    ),
    Table(
        name="accuracy_histogram",
        row="a bin of accuracies of a layer, an ROI and a subject",
        columns=(*DECODED, SUBJECT, BIN, N_IN_BIN),
        primary_key=("dataset", "condition", "model", "layer", "roi", "subject", "bin"),
        follows=ACCURACY_HISTOGRAM,
        foreign_keys=(
            OF_SUBJECT,
            OF_LAYER,
        ),
    ),
    Table(
        name="unit_histogram",
        row="a bin of mean accuracies over subjects (unit_summary.mean_r) of a layer and an ROI",
        columns=(*DECODED, BIN, N_IN_BIN),
        primary_key=("dataset", "condition", "model", "layer", "roi", "bin"),
        follows=UNIT_HISTOGRAM,
        foreign_keys=(
            OF_ROI,
            OF_LAYER,
        ),
    ),
    Table(
        name="summary_histogram",
        row="a bin of one of four measures of unit_summary, of a layer and an ROI",
        columns=(
            *DECODED,
            Column(
                name="measure",
                type=NAME,
                description="Column of unit_summary whose values are in the bin",
                pattern="mean_r|min_r|max_r|lead_r",
            ),
            replace(
                BIN,
                description="Lower edge of the bin in hundredths: floor(100 value), from -100 to "
                "99, of lead_r from -200 to 199; a bin that holds no unit has no row",
                minimum=-200,
                maximum=199,
            ),
            N_IN_BIN,
            count("n_complete", "Of these, with an accuracy in every subject", unit="units"),
            count("n_preferred", "Of these, decoded best from this ROI (lead_r > 0)", unit="units"),
            count("n_complete_preferred", "Of these, both", unit="units"),
        ),
        primary_key=("dataset", "condition", "model", "layer", "roi", "measure", "bin"),
        follows=SUMMARY_HISTOGRAM,
        foreign_keys=(
            OF_ROI,
            OF_LAYER,
        ),
        since="2.1",
    ),
    Table(
        name="intersubject",
        row="a pair of subjects whose accuracies agree or not, for a layer and an ROI",
        columns=(
            *DECODED,
            name_column("subject_a", "The first subject of the pair, in code-point order"),
            name_column("subject_b", "The second subject of the pair"),
            count("n_units", "Units with an accuracy in both subjects", unit="units"),
            correlation(
                "pearson_r",
                "Pearson correlation over units of the two subjects' accuracies",
                null="NULL where fewer than two units are common, or all are equal in a subject",
            ),
            correlation(
                "spearman_r",
                "Spearman correlation over units of the two subjects' accuracies",
                null="NULL where fewer than two units are common, or all are equal in a subject",
            ),
            count(
                "n_blocks",
                "Channels that the common units are of",
                unit="channels",
                null="NULL where it was not counted",
            ),
            *interval("pearson", f"pearson_r, {OF_CHANNELS}", null=NO_BLOCKS),
            *interval("spearman", f"spearman_r, {OF_CHANNELS}", null=NO_BLOCKS),
            correlation(
                "partial_r",
                "pearson_r given log variance and sparseness of the units' activations",
                null="NULL where activations are not at hand, or nothing is left to correlate",
            ),
            *interval("partial", f"partial_r, {OF_CHANNELS}", null=NO_BLOCKS),
            correlation(
                "prediction_r",
                "Correlation over test images of the two subjects' predictions of a unit, mean "
                "over the units of the patterns: how alike what chance gives both is",
                null="NULL where predictions are not at hand, or do not vary",
                since="2.1",
            ),
            correlation(
                "chance_r",
                "Mean of pearson_r over controls, in which the images of the two subjects were "
                "shuffled independently",
                null=NO_CONTROLS,
            ),
            share(
                "p",
                "One-sided p of pearson_r among these controls, not below 1 / (1 + their number)",
                unit="probability",
                null=NO_CONTROLS,
            ),
        ),
        primary_key=("dataset", "condition", "model", "layer", "roi", "subject_a", "subject_b"),
        foreign_keys=(
            OF_ROI,
            OF_LAYER,
        ),
    ),
)
