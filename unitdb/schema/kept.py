"""Tables of single activations, of the few units that a build keeps them of."""

from __future__ import annotations

import pyarrow as pa

from unitdb.schema.columns import (
    CONDITION,
    DATASET,
    LAYER,
    MODEL,
    NAME,
    OF_LAYER,
    OF_STIMULUS,
    OF_SUBJECT,
    ROI,
    SUBJECT,
    UNIT,
    count,
    text,
)
from unitdb.schema.spec import Column, Table

_STIMULUS = Column(name="stimulus", type=NAME, description="Identifier of the stimulus")
_RAW = "as the network computes it"
_ROW_GROUP = 2**14  # a few units

TABLES = (
    Table(
        name="activation",
        row="what a unit that was kept answers to a picture: of the best units of a layer, and "
        "where the recipe keeps channels, of the best of each",
        columns=(
            DATASET,
            MODEL,
            LAYER,
            UNIT,
            _STIMULUS,
            Column(
                name="activation",
                type=pa.float32(),
                description="Activation, raw",
                unit=_RAW,
            ),
        ),
        primary_key=("dataset", "model", "layer", "unit", "stimulus"),
        foreign_keys=(
            OF_STIMULUS,
            OF_LAYER,
        ),
        row_group=_ROW_GROUP,
        since="2.1",
    ),
    Table(
        name="prediction",
        row="what is predicted of a unit that was kept from the responses to a test image",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            LAYER,
            ROI,
            UNIT,
            SUBJECT,
            _STIMULUS,
            count(
                "presentation",
                "Which sample of the stimulus in its test set, from 1: of samples that average "
                "presentations 1, of single ones a number",
                unit="index from 1",
                minimum=1,
                since="2.3",
            ),
            text(
                "target",
                "Stimulus or category of stimuli whose activation is decoded",
                null="NULL where it is the stimulus itself",
                since="2.3",
            ),
            Column(
                name="predicted",
                type=pa.float32(),
                description="Predicted activation, raw; the image, and in cross-validation its "
                "fold, did not train the decoder",
                unit=_RAW,
            ),
        ),
        primary_key=(
            "dataset",
            "condition",
            "model",
            "layer",
            "roi",
            "unit",
            "subject",
            "stimulus",
            "presentation",
        ),
        # All of a unit lies together: it is asked for by unit.
        order=(
            *("dataset", "condition", "model", "layer", "unit", "roi", "subject", "stimulus"),
            "presentation",
        ),
        foreign_keys=(
            OF_SUBJECT,
            OF_STIMULUS,
            OF_LAYER,
        ),
        row_group=_ROW_GROUP,
        since="2.1",
    ),
    Table(
        name="samples",
        row="a held-out sample of a subject, of a dataset whose predictions are published",
        columns=(
            DATASET,
            CONDITION,
            SUBJECT,
            count("sample", "Place among the predictions", unit="index from 0", minimum=0),
            _STIMULUS,
            count(
                "presentation",
                "Which sample of the stimulus in its test set",
                unit="index from 1",
                minimum=1,
            ),
            text(
                "target",
                "Stimulus or category of stimuli whose activation is decoded",
                null="NULL where it is the stimulus itself",
            ),
        ),
        primary_key=("dataset", "condition", "subject", "sample"),
        foreign_keys=(OF_STIMULUS,),
        optional=True,
        since="2.4",
    ),
    Table(
        name="predicted",
        row="what is predicted of a unit from the responses of a subject, all samples together",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            LAYER,
            ROI,
            SUBJECT,
            UNIT,
            Column(
                name="predicted",
                type=pa.list_(pa.float32()),
                description="Predicted activation of each sample, in the order of `samples`, raw; "
                "the sample, and in cross-validation its fold, did not train the decoder",
                unit=_RAW,
            ),
        ),
        primary_key=("dataset", "condition", "model", "layer", "roi", "subject", "unit"),
        foreign_keys=(OF_SUBJECT, OF_LAYER),
        partition_by=("dataset", "condition", "model", "layer"),
        row_group=_ROW_GROUP,
        optional=True,
        since="2.4",
    ),
)
