"""Tables of candidates: what predictions are identified among."""

from __future__ import annotations

import pyarrow as pa

from unitdb.schema.columns import (
    CONDITION,
    DATASET,
    LAYER,
    MODEL,
    NAME,
    OF_DATASET,
    OF_LAYER,
    OF_MODEL,
    SUBJECT,
    UNIT,
    count,
    name_column,
    sha256,
    text,
)
from unitdb.schema.spec import Column, ForeignKey, Table

__all__ = ["OF_SET", "SET", "TABLES"]

_SINCE = "2.5"

SET = name_column("set", "Name of the candidate set in the recipe")
_CANDIDATE = Column(name="candidate", type=pa.string(), description="Identifier of the candidate")
OF_SET = ForeignKey(columns=("dataset", "condition", "model", "set"), table="candidate_sets")

TABLES = (
    Table(
        name="candidate_sets",
        row="a set of candidates that the predictions of a test set are identified among",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            SET,
            Column(
                name="kind",
                type=NAME,
                description="What the candidates are: own targets alone, or also pictures, files "
                "of features, categories of god, or stimuli of a dataset",
                pattern="own|pictures|features|god|dataset",
            ),
            Column(
                name="targets",
                type=NAME,
                description="Whether the true candidate has the activation that is decoded, or "
                "the features that the set has of it",
                pattern="decoded|set",
            ),
            count("n_candidates", "Candidates", unit="candidates", minimum=2),
            count("n_targets", "Candidates that are the target of a sample", unit="candidates"),
            count("n_trained", "Others that trained the decoder", unit="candidates"),
            text("source", "Where the candidates are from"),
            sha256(
                "sha256",
                "Hash of the set's ids, labels, numbers of pictures, units and features",
                null="NULL where the candidates are the targets alone",
            ),
            sha256(
                "features_sha256",
                "Hash of what predictions are compared with: ids of the candidates of all test "
                "sets, and of each layer the units and their features, as in candidate_features",
            ),
            text("description", "What the candidates are, as the recipe says"),
        ),
        primary_key=("dataset", "condition", "model", "set"),
        foreign_keys=(OF_DATASET, OF_MODEL),
        optional=True,
        measured=True,
        since=_SINCE,
    ),
    Table(
        name="candidates",
        row="a candidate of a set",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            SET,
            _CANDIDATE,
            text("label", "Words for people"),
            Column(
                name="role",
                type=NAME,
                description="target: of a sample of the test set; trained: its picture, or one of "
                "its category, trained the decoder; other. In cross-validation targets train the "
                "decoders of other folds, too: identification.n_false_trained counts them",
                pattern="target|trained|other",
            ),
            text("category", "Category, for rates within and between", null="NULL without one"),
            count(
                "n_pictures",
                "Pictures that its features are the mean over",
                unit="pictures",
                minimum=1,
                null="NULL where it is not known",
            ),
        ),
        primary_key=("dataset", "condition", "model", "set", "candidate"),
        foreign_keys=(OF_SET,),
        optional=True,
        measured=True,
        since=_SINCE,
    ),
    Table(
        name="candidate_training",
        row="a candidate that trained a subject's decoder of a fold, where features are published",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            SET,
            SUBJECT,
            count("fold", "Fold that the decoder is of; 0 without folds", unit="index from 0"),
            _CANDIDATE,
        ),
        primary_key=("dataset", "condition", "model", "set", "subject", "fold", "candidate"),
        foreign_keys=(
            OF_SET,
            ForeignKey(
                columns=("dataset", "condition", "model", "set", "candidate"), table="candidates"
            ),
        ),
        optional=True,
        measured=True,
        since=_SINCE,
    ),
    Table(
        name="candidate_units",
        row="a unit that patterns of candidates are of, as a subject's images that train have it",
        columns=(
            DATASET,
            MODEL,
            LAYER,
            SUBJECT,
            UNIT,
            Column(
                name="mean",
                type=pa.float64(),
                description="Mean activation over the samples that train, of all folds",
                unit="as the network computes it",
            ),
            Column(
                name="sd",
                type=pa.float64(),
                description="Standard deviation likewise (ddof = 1); 0 where the unit answers the "
                "same to all of them, and is left out of normalised patterns",
                unit="as the network computes it",
                minimum=0.0,
            ),
        ),
        primary_key=("dataset", "model", "layer", "subject", "unit"),
        foreign_keys=(OF_LAYER,),
        optional=True,
        measured=True,
        since=_SINCE,
    ),
    Table(
        name="candidate_features",
        row="the features of a candidate in a layer, where the recipe publishes them",
        columns=(
            DATASET,
            MODEL,
            SET,
            LAYER,
            _CANDIDATE,
            Column(
                name="features",
                type=pa.list_(pa.float32()),
                description="Activation of each unit of candidate_units, in their order, raw",
                unit="as the network computes it",
            ),
        ),
        primary_key=("dataset", "model", "set", "layer", "candidate"),
        foreign_keys=(OF_LAYER,),
        row_group=2**9,
        optional=True,
        measured=True,
        since=_SINCE,
    ),
)
