"""Tables of identification: which of many candidates a prediction is of."""

from __future__ import annotations

import pyarrow as pa

from unitdb.schema.candidates import OF_SET, SET
from unitdb.schema.columns import (
    CONDITION,
    DATASET,
    MODEL,
    NAME,
    NAME_PATTERN,
    OF_MODEL,
    OF_ROI,
    ROI,
    count,
    share,
    text,
)
from unitdb.schema.spec import Column, Table

__all__ = ["AMONG", "CURVE_N", "TABLES"]

_SINCE = "2.5"
_NO_SIMILARITY = "NULL where the prediction or the true pattern does not vary over units"
_NO_CATEGORIES = "NULL where the target is of no known category"
_NONE = "NULL where no prediction could be compared"
_ALONE = "NULL where a fold holds out one image alone"
_TOO_FEW = "NULL where there are no more candidates than that"

_LAYERS = Column(
    name="layer",
    type=NAME,
    description="Name of the layer; or all layers together: *concatenated (their units one after "
    "the other, those of a layer normalised and divided by the root of their number) or *fisher "
    "(the mean of the layers' similarities on Fisher's scale)",
    pattern=rf"{NAME_PATTERN}|\*concatenated|\*fisher",
)
_SUBJECTS = Column(
    name="subject",
    type=NAME,
    description="Identifier of the person; * for the mean of all people's predictions",
    pattern=rf"{NAME_PATTERN}|\*",
)
_METHOD = Column(
    name="method",
    type=NAME,
    description="How patterns are compared, by Pearson r over units: normalised by each unit's "
    "mean and SD over the images that train, or raw, as published (horikawa2017)",
    pattern="normalised|horikawa2017",
)
_TRIALS = Column(
    name="trials",
    type=NAME,
    description="Whether single samples are identified, or the means of those of one target",
    pattern="single|means",
)
AMONG = Column(
    name="among",
    type=pa.string(),
    description="Which false candidates are drawn: all, or those that did not train the decoder "
    "(untrained)",
    pattern="all|untrained",
)
CURVE_N = Column(
    name="n",
    type=pa.int64(),
    description="Candidates to choose from, the true one included: 2, 5, 10, 20, 50, … and all "
    "that there are",
    unit="candidates",
    minimum=2,
)
_PLACE = (DATASET, CONDITION, MODEL, _LAYERS, ROI, _SUBJECTS, SET, _METHOD)
_PLACE_NAMES = tuple(column.name for column in _PLACE)


def _similarity(name: str, description: str) -> Column:
    return Column(
        name=name,
        type=pa.float64(),
        description=description,
        unit="Pearson r over units",
        null=_NO_SIMILARITY,
        minimum=-1.0,
        maximum=1.0,
    )


def _counts(ending: str, which: str, null: str | None = None) -> tuple[Column, ...]:
    """How many false candidates of a kind there are, how many below and how many equal."""
    return (
        count(f"n_false{ending}", f"False candidates{which}", unit="candidates", null=null),
        count(
            f"n_below{ending}",
            f"False candidates{which} that are less similar than the true one",
            unit="candidates",
            null=null,
        ),
        count(
            f"n_equal{ending}",
            f"False candidates{which} that are as similar, to within 2⁻⁴⁰",
            unit="candidates",
            null=null,
        ),
    )


def _rate(name: str, description: str, null: str = _NONE) -> Column:
    return share(name, description, unit="share", null=null)


def _difference(name: str, description: str) -> Column:
    return Column(
        name=name,
        type=pa.float64(),
        description=description,
        unit="share",
        null=f"{_ALONE}, or no prediction could be compared",
        minimum=-1.0,
        maximum=1.0,
    )


TABLES = (
    Table(
        name="identification",
        row="a prediction that is compared with all candidates of a set",
        columns=(
            *_PLACE,
            text("stimulus", "Stimulus of the sample; of means what is decoded"),
            count(
                "trial",
                "Which sample of the stimulus, from 1; 0 for the mean of all samples of a target",
                unit="index",
            ),
            text("target", "The true candidate"),
            count(
                "fold",
                "Fold that held the sample out; of means the first sample",
                unit="index from 0",
                null="NULL where there are no folds",
            ),
            count("n_units", "Units compared", unit="units"),
            _similarity("target_r", "Similarity with the true candidate"),
            *_counts("", ""),
            *_counts("_trained", " that trained the decoder of this prediction"),
            *_counts("_within", " of the target's category", _NO_CATEGORIES),
            *_counts("_between", " of other categories", _NO_CATEGORIES),
            text(
                "best",
                "The most similar candidate, the true one included",
                null="NULL where no pattern varies",
            ),
            _similarity("best_r", "Its similarity"),
            _rate(
                "chance_exchange",
                "Share of false candidates that predictions of other images are less like than "
                "this target, mean over them: above .5 for a target that many are like",
                "NULL where there is no other image that can be compared",
            ),
        ),
        primary_key=(*_PLACE_NAMES, "stimulus", "trial", "target"),
        foreign_keys=(OF_ROI, OF_MODEL, OF_SET),
        row_group=2**15,
        optional=True,
        measured=True,
        since=_SINCE,
    ),
    Table(
        name="identification_summary",
        row="identification from a layer, or all together, in an ROI of a subject",
        columns=(
            *_PLACE,
            _TRIALS,
            count("n_predictions", "Predictions that could be compared", unit="predictions"),
            count("n_images", "Different targets of these", unit="images"),
            count("n_candidates", "Candidates", unit="candidates", minimum=2),
            count("n_units", "Units compared", unit="units"),
            _rate(
                "rate",
                "Pairwise identification: share of false candidates that a prediction is less "
                "like than the true one, ties ½, mean over predictions",
            ),
            _rate("rate_low", "Lower end of rate, 95 % interval over test images"),
            _rate("rate_high", "Upper end of rate, 95 % interval over test images"),
            _rate(
                "chance_exchange",
                "Rate of exchanged images: target of one, prediction of another, mean over pairs",
                "NULL where all predictions are of one image",
            ),
            _rate(
                "chance_fold",
                "The same of images that one fold holds out: the rate of predictions that say "
                "nothing of their image, also in cross-validation; without folds chance_exchange",
                _ALONE,
            ),
            _difference("specific", "Image-specific rate: rate less chance_fold"),
            _difference("specific_low", "Lower end of specific, 95 % interval over test images"),
            _difference("specific_high", "Upper end of specific, 95 % interval over test images"),
            _rate(
                "rate_untrained",
                "Rate among candidates that did not train the decoder",
                "NULL where all false candidates did",
            ),
            _rate(
                "exchange_untrained",
                "The same of exchanged images of a fold, none of which trained",
                f"{_ALONE}, or all false candidates trained",
            ),
            Column(
                name="n_untrained",
                type=pa.float64(),
                description="Candidates that did not train the decoder, the true one included: "
                "mean over predictions",
                unit="candidates",
                null=_NONE,
                minimum=1.0,
            ),
            *(
                _rate(
                    f"top{k}",
                    f"Share of predictions whose true candidate is among the {k} most similar, of "
                    "those that did not train the decoder",
                    f"{_TOO_FEW}, or no prediction could be compared",
                )
                for k in (1, 5, 10, 50)
            ),
            _rate("chance_top1", "1 over the number of candidates that did not train, their mean"),
            *(
                _rate(
                    f"exchange_top{k}",
                    f"top{k} of exchanged images of a fold: who knows what they have in common, "
                    "such as being photographs",
                    f"{_ALONE}, {_TOO_FEW.removeprefix('NULL ')}",
                )
                for k in (1, 5, 10, 50)
            ),
            Column(
                name="median_rank",
                type=pa.float64(),
                description="Median place of the true candidate among all, 1 the best",
                unit="place",
                null=_NONE,
                minimum=1.0,
            ),
            _rate(
                "rate_within",
                "Rate among candidates of the target's category",
                "NULL where there is none",
            ),
            _rate(
                "rate_between",
                "Rate among candidates of other categories",
                "NULL where there is none",
            ),
            *(
                _rate(
                    f"exchange_{of}",
                    f"rate_{of} of exchanged images of a fold",
                    f"{_ALONE}, or there are no such candidates",
                )
                for of in ("within", "between")
            ),
            _rate(
                "chance_category",
                "Rate of predictions that know the category alone: s/2 + (1 - s) rate_between, s "
                "the share of the target's category among the false candidates",
                "NULL where any candidate is of no known category",
            ),
            share(
                "p",
                "One-sided p of rate among 10,000 exchanges of images within folds",
                unit="probability",
                null=f"{_ALONE}, or there is only one image",
            ),
            share(
                "q",
                "Benjamini-Hochberg q of p, over layers and ROIs of a subject, set, method and "
                "kind of trials; layers together are a family of their own",
                unit="share",
                null=_NONE,
            ),
        ),
        primary_key=(*_PLACE_NAMES, "trials"),
        foreign_keys=(OF_ROI, OF_MODEL, OF_SET),
        optional=True,
        measured=True,
        since=_SINCE,
    ),
    Table(
        name="identification_exchange",
        row="a number of candidates, and how often exchanged images are the most similar of them",
        columns=(
            *_PLACE,
            _TRIALS,
            AMONG,
            CURVE_N,
            _rate(
                "chance",
                "Rate of exchanged images of a fold among n: the target of one, the prediction of "
                "another; beside identification_curve.rate",
                f"{_ALONE}, or none of those exchanged has so many candidates",
            ),
        ),
        primary_key=(*_PLACE_NAMES, "trials", "among", "n"),
        foreign_keys=(OF_ROI, OF_MODEL, OF_SET),
        optional=True,
        measured=True,
        since=_SINCE,
    ),
)
