"""Tables of networks: which units are the best again, and the BH score with what it rests on."""

from __future__ import annotations

import pyarrow as pa

from unitdb.schema.columns import (
    CONDITION,
    DATASET,
    DECODED,
    KIND,
    LAYER,
    METHOD,
    MODEL,
    NAME,
    NO_CONTROLS,
    NO_SCORE,
    OF_DATASET,
    OF_LAYER,
    OF_MODEL,
    OF_ROI,
    OF_SUBJECT,
    ROI,
    SUBJECT,
    correlation,
    count,
    interval,
    name_column,
    share,
    unit_correlation,
)
from unitdb.schema.spec import Column, Table

_MEAN = "; of an average, the mean of both ends, which holds however the two scores go together"

TABLES = (
    Table(
        name="recurrence",
        row="how many of a network's best units in a subject are the best again",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            ROI,
            Column(
                name="among",
                type=NAME,
                description="Among the best units of what they are counted: another subject; the "
                "mean of the others; or halves, those in one half of the presentations of the "
                "test images among those in the other half",
                pattern="subject|others|halves",
            ),
            SUBJECT,
            name_column("other", "The other subject; the same as subject where it is not one"),
            Column(
                name="n_units",
                type=pa.int64(),
                description="Units that are ranked: of all layers, those with an accuracy in every "
                "subject",
                unit="units",
                minimum=0,
            ),
            count(
                "k",
                "Best units looked at: 1,000, or a tenth of n_units where that is fewer",
                unit="units",
            ),
            count("n_shared", "How many are among the best of both", unit="units"),
            Column(
                name="n_expected",
                type=pa.float64(),
                description="How many unrelated rankings share on average: k² / n_units",
                unit="units",
                minimum=0.0,
                null="NULL where no unit is ranked",
            ),
            Column(
                name="n_chance",
                type=pa.float64(),
                description="Mean number shared over controls, in which the images of the two were "
                "shuffled independently",
                unit="units",
                minimum=0.0,
                null=f"{NO_CONTROLS}, and for halves",
            ),
            share(
                "p",
                "One-sided p of n_shared among these controls, not below 1 / (1 + their number)",
                unit="probability",
                null=f"{NO_CONTROLS}, and for halves",
            ),
        ),
        primary_key=("dataset", "condition", "model", "roi", "among", "subject", "other"),
        foreign_keys=(
            OF_SUBJECT,
            OF_MODEL,
        ),
        since="2.1",
    ),
    Table(
        name="encoding",
        row="a voxel predicted from a layer",
        columns=(
            *DECODED,
            SUBJECT,
            count(
                "voxel", "Place among the voxels of the ROI, as they are read", unit="index from 0"
            ),
            unit_correlation(
                "r",
                "Encoding accuracy: correlation of predicted and measured response over test "
                "images",
                null="NULL where the voxel does not vary over the test or the training images",
            ),
        ),
        primary_key=("dataset", "condition", "model", "layer", "roi", "subject", "voxel"),
        foreign_keys=(
            OF_SUBJECT,
            OF_LAYER,
        ),
        since="2.1",
    ),
    Table(
        name="hierarchy",
        row="a brain hierarchy (BH) score of a network",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            KIND,
            METHOD,
            Column(
                name="score",
                type=pa.float64(),
                description="BH score: rank correlation over units (or voxels) of the place of the "
                "layer and of the best ROI, mean over draws of 5 layers (or all, where there are "
                "fewer)",
                unit="Spearman r",
                null=NO_SCORE,
                minimum=-1.0,
                maximum=1.0,
            ),
            *interval("score", f"the 95 % interval of score{_MEAN}", null=NO_SCORE),
            Column(
                name="over",
                type=NAME,
                description="What the interval is about: other units (whole channels; or voxels), "
                "other subjects (with their voxels), or other units and subjects",
                pattern="units|subjects|units and subjects",
            ),
            Column(
                name="n_units",
                type=pa.int64(),
                description="Units (or voxels), those of each subject counted",
                unit="units",
                minimum=1,
            ),
            Column(
                name="n_counted",
                type=pa.int64(),
                description="Those of them with a best ROI (or layer)",
                unit="units",
                minimum=0,
            ),
            correlation("chance_score", "Mean score of the controls", null=NO_CONTROLS),
            share(
                "p",
                "One-sided p of score among the controls, at the least 1 / (1 + their number)",
                unit="probability",
                null=NO_CONTROLS,
            ),
            Column(
                name="rois",
                type=pa.list_(pa.field("element", pa.string())),
                description="The ROIs, from early to late",
            ),
            count("n_stimuli", "Test images of each accuracy", unit="images", minimum=3),
        ),
        primary_key=("dataset", "condition", "model", "kind", "method"),
        foreign_keys=(
            OF_DATASET,
            OF_MODEL,
        ),
    ),
    Table(
        name="best_roi",
        row="the units of a layer whose best ROI it is (or the voxels of an ROI whose best layer)",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            KIND,
            METHOD,
            LAYER,
            ROI,
            Column(
                name="n_units",
                type=pa.int64(),
                description="How many, those of each subject counted",
                unit="units",
                minimum=0,
            ),
        ),
        primary_key=("dataset", "condition", "model", "kind", "method", "layer", "roi"),
        foreign_keys=(
            OF_ROI,
            OF_LAYER,
        ),
    ),
)
