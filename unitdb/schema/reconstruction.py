"""Tables of reconstruction: pictures made from responses, and what they are worth."""

from __future__ import annotations

import pyarrow as pa

from unitdb.schema.columns import (
    CONDITION,
    DATASET,
    MODEL,
    NAME,
    NAME_PATTERN,
    OF_MODEL,
    OF_STIMULUS,
    TEXT,
    count,
    sha256,
    share,
    text,
)
from unitdb.schema.spec import Column, ForeignKey, Table

_METHOD = Column(
    name="method",
    type=NAME,
    description="Name of the method in the recipe; of a part of its layers, followed by these",
    pattern=NAME_PATTERN,
)
_KIND = Column(
    name="kind",
    type=NAME,
    description="ridge: pixels are decoded as units are; inversion: a picture is sought that "
    "drives the network as is decoded; end-to-end: a network is trained from voxels to pictures",
    pattern="ridge|inversion|end-to-end",
)
_SUBJECT = Column(
    name="subject",
    type=NAME,
    description="The person, or `mean`, all people side by side. Sources that know no brain stand "
    "under the first whose pictures are the same",
    pattern=NAME_PATTERN,
)
_SOURCE = Column(
    name="source",
    type=NAME,
    description="What the picture is made from. brain: decoded responses; shuffled: the same with "
    "the training pictures exchanged; recovery: true features, the ceiling of the inversion; "
    "projection: true features projected onto the span of those that train, the ceiling of "
    "linear decoding. mean, class-mean, nearest-training: the mean training picture, that of the "
    "picture's category, and the training picture that is most like the reconstruction. seen: the "
    "picture itself",
    pattern="brain|shuffled|recovery|projection|mean|class-mean|nearest-training|seen",
)
_CONTROL = count("control", "Number of the shuffled brain, from 1; 0 of others", unit="number")
_STIMULUS = Column(name="stimulus", type=TEXT, description="Identifier of the picture seen")
_METRIC = Column(
    name="metric",
    type=NAME,
    description="pixel_r: Pearson r over pixels with the picture seen; centred_r: less the mean "
    "training picture; ssim: structural similarity of grey levels; identification: share of the "
    "other candidates that it is less like than the true one, by centred_r (_raw: by pixel_r; "
    "_within, _between: among those of its category, and of others; _early, _middle, _late, _last: "
    "by features of a layer of the judge, another network); category_share: share of its own "
    "category among its rivals, all others; top1: whether none of the candidates and training "
    "pictures is more like it; consistency: r of the activations of the picture with what was "
    "decoded",
    pattern=r"pixel_r|centred_r|ssim|identification(_(raw|within|between|early|middle|late|last))?"
    r"|category_share|top1|consistency",
)
_KEY = ("dataset", "condition", "model", "method")


def _score(name: str, description: str, *, null: str) -> Column:
    return Column(
        name=name,
        type=pa.float64(),
        description=description,
        unit="that of the metric",
        null=null,
        minimum=-2.0,
        maximum=2.0,
    )


_NONE = "NULL where no picture has one"
_ONE = f"{_NONE}, or a single one has"

TABLES = (
    Table(
        name="reconstruction_method",
        row="a way from responses to pictures of a test set",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            _METHOD,
            _KIND,
            text("rois", "ROIs whose voxels stand side by side, JSON list"),
            text("layers", "Layers whose units are decoded, or compared by the loss, JSON list"),
            count(
                "n_units",
                "Units that are decoded and pictures made from; without any, pixels",
                unit="units",
            ),
            text("unit_choice", "all, random, or top or bottom and by what they are chosen"),
            text(
                "units_from",
                "Release whose accuracies chose the units",
                null="NULL where none did",
            ),
            text("settings", "The recipe's own words, all defaults said, JSON"),
            text("judge", "Network of identification_early to _last", null="NULL without a judge"),
            sha256("judge_sha256", "Identity of the judge", null="NULL without a judge"),
            text("judge_layers", "Its layers, JSON list", null="NULL without a judge"),
            count("width", "Width of the pictures", unit="pixels", minimum=1),
            count("height", "Height of the pictures", unit="pixels", minimum=1),
            count("scored_at", "Side at which pixels are compared", unit="pixels", minimum=1),
            count("n_candidates", "Pictures to choose from", unit="pictures", minimum=1),
            count(
                "n_training",
                "Training pictures beside these, which top1 is among too",
                unit="pictures",
            ),
            share(
                "recovery_identification",
                "identification of pictures from true features (`ceiling_images` of them)",
                unit="share",
                null="NULL where nothing is inverted",
            ),
            Column(
                name="invertible",
                type=pa.bool_(),
                description="Whether that is .95 or more: whether these units can be inverted",
                null="NULL where nothing is inverted",
            ),
        ),
        primary_key=_KEY,
        foreign_keys=(OF_MODEL,),
        optional=True,
        measured=True,
        since="2.5",
    ),
    Table(
        name="reconstruction",
        row="a picture: reconstructed, of a control, or one to set beside",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            _METHOD,
            _KIND,
            _SUBJECT,
            _SOURCE,
            _CONTROL,
            _STIMULUS,
            Column(
                name="png",
                type=pa.binary(),
                description="The picture, PNG; scores are of these very bytes",
                null="NULL of what would show a picture that may not be shown (sources that do not "
                "come from a brain), of shuffled brains after the second, and where `problem` is",
            ),
            count("width", "Width", unit="pixels", minimum=1),
            count("height", "Height", unit="pixels", minimum=1),
            Column(
                name="loss",
                type=pa.float64(),
                description="Loss after the last step; compares pictures of one method alone",
                null="NULL where nothing was sought, or found",
                minimum=0.0,
            ),
            text(
                "problem",
                "Why no picture was found; it has no scores either",
                null="NULL where there is one",
            ),
        ),
        primary_key=(*_KEY, "subject", "source", "control", "stimulus"),
        foreign_keys=(OF_STIMULUS, ForeignKey(columns=_KEY, table="reconstruction_method")),
        optional=True,
        measured=True,
        since="2.5",
    ),
    Table(
        name="reconstruction_value",
        row="a score of a picture",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            _METHOD,
            _SUBJECT,
            _SOURCE,
            _CONTROL,
            _STIMULUS,
            _METRIC,
            _score(
                "value",
                "The score",
                null="NULL where a picture does not vary, has no rival, or was not found; of "
                "category_share also where a candidate has no category",
            ),
        ),
        primary_key=(*_KEY, "subject", "source", "control", "stimulus", "metric"),
        foreign_keys=(OF_STIMULUS, ForeignKey(columns=_KEY, table="reconstruction_method")),
        optional=True,
        measured=True,
        since="2.5",
    ),
    Table(
        name="reconstruction_score",
        row="a score over all pictures of a source",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            _METHOD,
            _KIND,
            _SUBJECT,
            _SOURCE,
            _METRIC,
            _score("value", "Mean over images; of shuffled brains over these too", null=_NONE),
            _score("low", "Lower end, 95 % interval over images", null=_ONE),
            _score("high", "Upper end, 95 % interval over images", null=_ONE),
            _score(
                "chance",
                "What a picture that knows nothing has",
                null="NULL where that depends on the pictures: see source mean, and shuffled",
            ),
            _score(
                "control_mean",
                "Mean over shuffled brains",
                null="NULL of sources other than brain",
            ),
            share(
                "p",
                "One-sided: (1 + shuffled brains that are as good) / (1 + all), on the pictures of "
                "these",
                unit="probability",
                null="NULL of sources other than brain",
            ),
            share(
                "category_chance",
                "What knows the category alone would be identified by: ½ s + (1 − s) b, s the mean "
                "of category_share and b identification_between",
                unit="share",
                null="NULL where a candidate has no category, and of other metrics than "
                "identification",
            ),
            _score(
                "over_ridge",
                "Mean difference from the first method of kind ridge, on the same pictures",
                null="NULL of that method, where there is none, and of sources other than brain",
            ),
            _score("over_ridge_low", "Its lower end, paired", null="NULL where over_ridge is"),
            _score("over_ridge_high", "Its upper end, paired", null="NULL where over_ridge is"),
            count("n_images", "Pictures that have a value, which the mean is over", unit="images"),
            count("n_controls", "Shuffled brains", unit="brains"),
        ),
        primary_key=(*_KEY, "subject", "source", "metric"),
        foreign_keys=(ForeignKey(columns=_KEY, table="reconstruction_method"),),
        optional=True,
        measured=True,
        since="2.5",
    ),
)
