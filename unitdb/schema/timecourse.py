"""Tables of time courses: what is decoded at each time of a window, and which layers are early."""

from __future__ import annotations

import pyarrow as pa

from unitdb.schema.columns import (
    CONDITION,
    DATASET,
    DECODED,
    MODEL,
    NAME,
    OF_LAYER,
    OF_MODEL,
    OF_ROI,
    OF_SUBJECT,
    ROI,
    SUBJECT,
    correlation,
    count,
    share,
    text,
)
from unitdb.schema.spec import Column, Table

_NOTHING = "NULL where predictions or targets do not vary"
_NO_LAG = (
    "NULL where the layer is decoded at no time, or there are less than two layers or five times"
)
_ONE_SUBJECT = "NULL of one subject that has values, and where there is no lag"
_FEW_STIMULI = "NULL where `without` is, of the controls matched and shuffled, and without a lag"
_NOT_ADJUSTED = (
    "NULL where the recipe names nothing to adjust by or no subject has values in both, and of "
    "controls"
)
_OF_STIMULI = "95 % interval, jackknife over stimuli"
_OF_SUBJECTS = "95 % interval, jackknife over subjects"

CONTROL = Column(
    name="control",
    type=NAME,
    description="none; matched: noise was added to the predictions of the better layers, so that "
    "their peaks are as high as the weakest; shuffled: stimuli are exchanged by one permutation; "
    "adjusted (of `lag_order`): lags minus those of another test set",
    pattern="none|matched|shuffled|adjusted",
)


def _seconds(name: str, description: str, *, null: str | None = None) -> Column:
    return Column(name=name, type=pa.float64(), description=description, unit="s", null=null)


def _ends(name: str, of: str, *, null: str) -> tuple[Column, Column]:
    return (
        _seconds(f"{name}low", f"Lower end of {of}", null=null),
        _seconds(f"{name}high", f"Upper end of {of}", null=null),
    )


def _beyond(name: str, unit: str, *, of: str | None = None) -> tuple[Column, Column]:
    """Both ends of a jackknife interval, which reach beyond what the estimate itself can be."""
    low, high = (
        Column(
            name=f"{name}_{end}",
            type=pa.float64(),
            description=f"{which} end of {of or name}, {_OF_STIMULI}: an estimate ± t SE, not cut "
            "off at what is possible",
            unit=unit,
            null=_NOTHING,
        )
        for end, which in (("low", "Lower"), ("high", "Upper"))
    )
    return low, high


TABLES = (
    Table(
        name="timecourse",
        row="what is decoded of a layer from an ROI of a subject at a time from onset",
        columns=(
            *DECODED,
            SUBJECT,
            _seconds("time", "Time of the volumes, from the onset of the presentation"),
            count("n_samples", "Samples that are decoded", unit="samples", minimum=3),
            count("n_stimuli", "Different targets of these", unit="stimuli", minimum=1),
            count("n_units", "Units of the layer that mean_r is over: a sample", unit="units"),
            correlation(
                "mean_r", "Accuracy: correlation over samples, mean over units", null=_NOTHING
            ),
            *_beyond("r", "Pearson r", of="mean_r"),
            share(
                "p",
                "How often the mean accuracy is as high with targets permuted among samples; of "
                "this time alone, not corrected for their number",
                unit="probability",
                null=_NOTHING,
            ),
            correlation(
                "shuffled_r",
                "Control: mean_r with targets exchanged by one permutation",
                null=_NOTHING,
            ),
            correlation(
                "matched_r",
                "Control: mean_r with noise added, so that all layers have peaks of one height",
                null="NULL where noise brings the peak no lower, or it does not exist",
            ),
            correlation(
                "pattern_r",
                "Correlation over units of predicted and true pattern, mean over samples",
                null=_NOTHING,
            ),
            *_beyond("pattern", "Pearson r", of="pattern_r"),
            correlation("pattern_chance", "The same with other targets", null=_NOTHING),
            share(
                "identification",
                "Pairwise identification: share of the other targets that the predicted pattern is "
                "less like than its own, mean over samples",
                unit="share",
                null=_NOTHING,
            ),
            *_beyond("identification", "share"),
            share(
                "chance",
                "Identification where each sample has each sample's target in turn",
                unit="share",
                null=_NOTHING,
            ),
            Column(
                name="without",
                type=pa.list_(pa.float64()),
                description="mean_r without each stimulus of the window in turn, in the order of "
                "their ids: what jackknives over stimuli are made of",
                unit="Pearson r",
                null="NULL where predictions or targets do not vary, or not without one of these",
            ),
            Column(
                name="stimuli",
                type=pa.list_(pa.string()),
                description="Ids of the stimuli or categories that `without` leaves out",
                null="NULL where `without` is",
            ),
        ),
        primary_key=(*("dataset", "condition", "model", "layer", "roi", "subject", "time"),),
        foreign_keys=(OF_SUBJECT, OF_LAYER),
        optional=True,
        measured=True,
        since="2.5",
    ),
    Table(
        name="lag",
        row="how far a layer's course in time is displaced from that of all layers, in an ROI",
        columns=(
            *DECODED,
            CONTROL,
            _seconds(
                "lag",
                "Displacement from the mean over layers and subjects, above 0 where the layer is "
                "late: a template's, which does not depend on how well it is decoded",
                null=_NO_LAG,
            ),
            *_ends("", f"lag, {_OF_SUBJECTS}", null=_ONE_SUBJECT),
            *_ends("stimuli_", f"lag, {_OF_STIMULI}", null=_FEW_STIMULI),
            _seconds(
                "peak_time",
                "Time of the highest mean over subjects, for comparison: it depends on how well a "
                "layer is decoded",
                null=_NOTHING,
            ),
            correlation("peak_r", "The highest mean over subjects", null=_NOTHING),
            text("adjusted_by", "Test set whose lags are taken away", null=_NOT_ADJUSTED),
            _seconds(
                "perception_lag",
                "Lag of that test set, of the subjects that have values in both",
                null=_NOT_ADJUSTED,
            ),
            _seconds(
                "adjusted_lag",
                "lag − perception_lag, both of the subjects that have values in both",
                null=_NOT_ADJUSTED,
            ),
            *_ends("adjusted_", f"adjusted_lag, {_OF_SUBJECTS}", null=_NOT_ADJUSTED),
        ),
        primary_key=(*("dataset", "condition", "model", "layer", "roi"), "control"),
        foreign_keys=(OF_ROI, OF_LAYER),
        optional=True,
        measured=True,
        since="2.5",
    ),
    Table(
        name="lag_order",
        row="whether higher layers come first in an ROI",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            ROI,
            CONTROL,
            count("n_layers", "Layers that have a lag", unit="layers"),
            count("n_subjects", "Subjects that have values", unit="subjects"),
            _seconds(
                "slope",
                "Slope of lag on depth, from the first layer to the last; below 0 where higher "
                "layers come first",
                null=_NO_LAG,
            ),
            *_ends("", f"slope, {_OF_SUBJECTS}", null=_ONE_SUBJECT),
            share(
                "p",
                "One-sided, by Student's t of slope and its jackknife error over subjects: how "
                "often it is as low where there is no order",
                unit="probability",
                null=_ONE_SUBJECT,
            ),
            *_ends("stimuli_", f"slope, {_OF_STIMULI}", null=_FEW_STIMULI),
            share(
                "stimuli_p",
                "The same by the jackknife over stimuli",
                unit="probability",
                null=_FEW_STIMULI,
            ),
        ),
        primary_key=("dataset", "condition", "model", "roi", "control"),
        foreign_keys=(OF_ROI, OF_MODEL),
        optional=True,
        measured=True,
        since="2.5",
    ),
)
