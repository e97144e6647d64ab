"""Tables of networks: the brain hierarchy score and what it rests on."""

from __future__ import annotations

import pyarrow as pa

from unitdb.schema.columns import (
    CONDITION,
    DATASET,
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
    ROI,
    correlation,
    count,
    share,
)
from unitdb.schema.spec import Column, Table

TABLES = (
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
                "layer and of the best ROI, mean over draws of 5 layers",
                unit="Spearman r",
                null=NO_SCORE,
                minimum=-1.0,
                maximum=1.0,
            ),
            correlation("score_low", "Lower end of the 95 % interval of score", null=NO_SCORE),
            correlation("score_high", "Upper end of the 95 % interval of score", null=NO_SCORE),
            Column(
                name="over",
                type=NAME,
                description="What the interval is about: other units (whole channels), or other "
                "units and subjects",
                pattern="units|units and subjects",
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
