"""Tables of units: the accuracies, and their summaries over subjects."""

from __future__ import annotations

import pyarrow as pa

from unitdb.schema.columns import (
    BUILD,
    DECODED,
    NO_P,
    NO_REPEATS,
    NO_SUBJECT,
    OF_BUILD,
    OF_LAYER,
    OF_ROI,
    OF_SUBJECT,
    SUBJECT,
    UNDEFINED_R,
    UNIT,
    count,
    share,
    unit_correlation,
)
from unitdb.schema.following import UNIT_SUMMARY
from unitdb.schema.spec import Column, Table

TABLES = (
    Table(
        name="accuracy",
        row="a unit decoded from an ROI of a subject",
        columns=(
            *DECODED,
            UNIT,
            SUBJECT,
            unit_correlation(
                "r",
                "Decoding accuracy: correlation of predicted and true activation over test images",
                null=UNDEFINED_R,
            ),
            BUILD,
            Column(
                name="reliability",
                type=pa.float32(),
                description="Split-half reliability of the predictions over presentations of the "
                "test images, after Spearman-Brown; r / sqrt(reliability) is the view explainable",
                unit="correlation of predictions",
                null=NO_REPEATS,
                maximum=1.0,
                since="2.1",
            ),
        ),
        primary_key=("dataset", "condition", "model", "layer", "roi", "unit", "subject"),
        foreign_keys=(
            OF_SUBJECT,
            OF_LAYER,
            OF_BUILD,
        ),
        partition_by=("dataset", "condition", "model", "layer"),
    ),
    Table(
        name="unit_summary",
        row="a unit decoded from an ROI, over subjects",
        columns=(
            *DECODED,
            UNIT,
            count("n_subjects", "Subjects in which the unit has an accuracy", unit="subjects"),
            unit_correlation("mean_r", "Mean accuracy over subjects", null=NO_SUBJECT),
            Column(
                name="sd_r",
                type=pa.float32(),
                description="Standard deviation of the accuracy over subjects (ddof = 1)",
                unit="Pearson r",
                null="NULL where the unit has an accuracy in fewer than two subjects",
                minimum=0.0,
                maximum=2.0,
            ),
            unit_correlation("min_r", "Lowest accuracy of any subject", null=NO_SUBJECT),
            unit_correlation("max_r", "Highest accuracy of any subject", null=NO_SUBJECT),
            Column(
                name="rank",
                type=pa.int32(),
                description="Place by mean_r among the decoded units of the layer in this ROI; "
                "ties go to the lower unit, and units without an accuracy come last",
                unit="1 = best",
                minimum=1,
            ),
            Column(
                name="lead_r",
                type=pa.float32(),
                description="mean_r minus the highest mean_r of the unit in another ROI of the "
                "dataset: above 0 where this is the unit's preferred ROI",
                unit="Pearson r",
                null="NULL where the unit has an accuracy in no other ROI, or none in this one",
                minimum=-2.0,
                maximum=2.0,
            ),
            share(
                "p",
                "One-sided p over subjects of an accuracy as high by chance; 0 where it is below "
                "what a float32 holds, 1e-45",
                unit="probability",
                null=NO_P,
                type_=pa.float32(),
            ),
            share(
                "q",
                "Benjamini-Hochberg q of p within dataset, condition, model and ROI, over all "
                "layers of the model",
                unit="false discovery rate",
                null=NO_P,
                type_=pa.float32(),
            ),
        ),
        primary_key=("dataset", "condition", "model", "layer", "roi", "unit"),
        follows=UNIT_SUMMARY,
        # The best come first, so that a search reads no further than it must.
        order=("dataset", "condition", "model", "layer", "roi", "rank"),
        foreign_keys=(
            OF_ROI,
            OF_LAYER,
        ),
        partition_by=("dataset", "condition", "model", "layer"),
    ),
)
