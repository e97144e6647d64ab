"""Tables of modulation: whether what is decoded is nearer to the original than what was shown."""

from __future__ import annotations

import pyarrow as pa

from unitdb.schema.columns import (
    DECODED,
    NAME,
    OF_LAYER,
    OF_ROI,
    OF_STIMULUS,
    OF_SUBJECT,
    SUBJECT,
    TEXT,
    correlation,
    count,
    share,
    text,
)
from unitdb.schema.spec import Column, Follows, Table

_METHOD = Column(
    name="method",
    type=NAME,
    description="Units centred with their training means, as published (abdelhack2018), or also "
    "divided by their training SDs (normalised)",
    pattern="abdelhack2018|normalised",
)
_CONTROL = Column(
    name="control",
    type=NAME,
    description="What gains are against: true features with noise, as published (noise), or what "
    "the decoder makes of responses that an encoder predicts from what was shown (encode-decode)",
    pattern="noise|encode-decode",
)
_LEVEL = Column(
    name="level",
    type=pa.float64(),
    description="Strength of the manipulation, such as a blur (test_sets.level)",
    unit="as the dataset gives it",
)
_PRIOR = text("prior", "What the subject knew beforehand", null="NULL where nothing is said")
_NO_R = "NULL where predictions or features do not vary over units"
_NO_CONTROL = f"{_NO_R}, or noise could not be matched"
_NO_BIAS = (
    f"{_NO_CONTROL}; or no simulated brain decodes as well, or as badly: noises of brains "
    "(`modulation.noise` of the recipe) that are smaller, or larger, give a bias"
)
_UNTESTED = f"{_NO_BIAS}; or all pictures were shown as they are"


def _difference(
    name: str, description: str, *, null: str, least: float = -4.0, most: float = 4.0
) -> Column:
    return Column(
        name=name,
        type=pa.float64(),
        description=description,
        unit="difference of Pearson r",
        null=null,
        minimum=least,
        maximum=most,
    )


def _free(name: str, description: str, *, null: str, minimum: float | None = None) -> Column:
    """An end of an interval, or a standard error: without a largest value."""
    return Column(
        name=name,
        type=pa.float64(),
        description=description,
        unit="difference of Pearson r",
        null=null,
        minimum=minimum,
    )


_GAINS = Follows(
    template="""
    SELECT {place}, method, roi, subject, stimulus,
        (r_original - r_stimulus) - (noise_r_original - noise_r_stimulus) AS noise_gain,
        (r_original - r_stimulus) - (null_r_original - null_r_stimulus) AS null_gain
    FROM modulation
    """
)

_MEANS = Follows(
    template="""
    WITH long AS (
        SELECT *, noise_r_original AS control_o, noise_r_stimulus AS control_s, noise_gain AS of,
            'noise' AS control
        FROM modulation
        UNION ALL
        SELECT *, null_r_original AS control_o, null_r_stimulus AS control_s, null_gain AS of,
            'encode-decode' AS control
        FROM modulation
    ), means AS (
        SELECT {place}, method, control, roi, subject, avg(r_stimulus) AS s, avg(r_original) AS o,
            avg(control_s) AS cs, avg(control_o) AS co, avg(of) AS g
        FROM long GROUP BY ALL
    ), images AS (
        SELECT {place}, method, control, roi, count(DISTINCT stimulus)::INT AS n_images
        FROM long GROUP BY ALL
    ), subjects_of AS (
        SELECT {place}, method, control, roi, count(*)::INT AS n_subjects, avg(s) AS r_stimulus,
            avg(o) AS r_original, avg(cs) AS control_r_stimulus, avg(co) AS control_r_original,
            avg(g) AS gain
        FROM means GROUP BY ALL
    )
    SELECT {place}, method, control, roi, n_subjects, n_images, r_stimulus, r_original,
        control_r_stimulus, control_r_original, gain
    FROM subjects_of JOIN images USING ({place}, method, control, roi)
    """
)


def _snr(name: str, of: str) -> Column:
    return Column(
        name=name,
        type=pa.float64(),
        description=f"Signal-to-noise ratio at which {of}; -100 is noise alone",
        unit="dB",
        null=f"{_NO_R}, or even with the least noise the control is not as good as decoding",
        minimum=-100.0,
        maximum=40.0,
    )


_EXCESS = Follows(
    template="SELECT {place}, method, control, roi, gain - bias AS excess FROM modulation_summary"
)

_KEY = ("dataset", "condition", "model", "layer", "method")

TABLES = (
    Table(
        name="modulation",
        row="what is decoded from a subject's responses to a picture of a test set with a level",
        columns=(
            *DECODED[:-1],
            _METHOD,
            DECODED[-1],
            SUBJECT,
            Column(name="stimulus", type=TEXT, description="Identifier of the picture shown"),
            _LEVEL,
            _PRIOR,
            correlation(
                "r_stimulus",
                "Correlation over units of what is decoded with the features of what was shown; "
                "mean over its samples",
                null=_NO_R,
            ),
            correlation(
                "r_original",
                "The same with the features of the original, which is decoded",
                null=_NO_R,
            ),
            _snr(
                "noise_snr", "features with noise are as good as decoding, of pictures as they are"
            ),
            correlation(
                "noise_r_stimulus",
                "r_stimulus of the control of true features with noise",
                null=_NO_CONTROL,
            ),
            correlation("noise_r_original", "Its r_original", null=_NO_CONTROL),
            _difference(
                "noise_gain",
                "Gain against it: (r_original - r_stimulus) less that of the control",
                null=_NO_CONTROL,
            ),
            _snr(
                "null_snr",
                "the encode-decode null is, against its noiseless predictions; mean of both halves",
            ),
            correlation(
                "null_r_stimulus", "r_stimulus of the encode-decode null", null=_NO_CONTROL
            ),
            correlation("null_r_original", "Its r_original", null=_NO_CONTROL),
            _difference("null_gain", "Gain against it", null=_NO_CONTROL),
            Column(
                name="certain",
                type=pa.float64(),
                description="Share of its samples of which the subject said to be certain",
                unit="share",
                null="NULL where the dataset does not say",
                minimum=0.0,
                maximum=1.0,
            ),
        ),
        primary_key=(*_KEY, "roi", "subject", "stimulus"),
        foreign_keys=(OF_SUBJECT, OF_STIMULUS, OF_LAYER),
        follows=(_GAINS,),
        optional=True,
        measured=True,
        since="2.5",
    ),
    Table(
        name="modulation_simulated",
        row="a simulated brain that is only fed forward, in a test set with a level: what the bias "
        "is read off",
        columns=(
            *DECODED[:-1],
            _METHOD,
            DECODED[-1],
            Column(
                name="noise",
                type=pa.float64(),
                description="SD of its noise, in parts of that of a voxel's signal",
                unit="SD of the signal",
                minimum=0.0,
            ),
            count(
                "brain", "Number of the brain; ROIs of the same size share theirs", unit="number"
            ),
            correlation(
                "r_original",
                "Mean r_original of the pictures shown as they are, of all sets together",
                null=_NO_R,
            ),
            _difference("noise_gain", "Mean gain against noise", null=_NO_CONTROL),
            _difference("null_gain", "Mean gain against encode-decode", null=_NO_CONTROL),
        ),
        primary_key=(*_KEY, "roi", "noise", "brain"),
        foreign_keys=(OF_ROI, OF_LAYER),
        optional=True,
        measured=True,
        since="2.5",
    ),
    Table(
        name="modulation_summary",
        row="gains of a test set with a level, over pictures and subjects, against a control",
        columns=(
            *DECODED[:-1],
            _METHOD,
            _CONTROL,
            DECODED[-1],
            _LEVEL,
            _PRIOR,
            count("n_subjects", "Subjects", unit="subjects", minimum=1),
            count("n_images", "Different pictures shown", unit="images", minimum=1),
            correlation("r_stimulus", "Mean of modulation.r_stimulus", null=_NO_R),
            correlation("r_original", "Mean of modulation.r_original", null=_NO_R),
            correlation("control_r_stimulus", "Mean r_stimulus of the control", null=_NO_CONTROL),
            correlation("control_r_original", "Mean r_original of the control", null=_NO_CONTROL),
            _difference(
                "gain",
                "Mean gain; to be read beside `bias`, which a brain without any top-down effect "
                "has",
                null=_NO_CONTROL,
            ),
            _free(
                "gain_low",
                "Lower end of gain, 95 % interval over pictures and subjects",
                null=f"{_NO_CONTROL}, or of a single value",
            ),
            _free(
                "gain_high",
                "Upper end of gain, 95 % interval over pictures and subjects",
                null=f"{_NO_CONTROL}, or of a single value",
            ),
            _difference(
                "bias",
                "Mean gain of simulated brains that are only fed forward: the same network, "
                "pictures, decoder and number of voxels, and noise that makes r_original of the "
                "pictures shown as they are the same (modulation_simulated)",
                null=_NO_BIAS,
            ),
            _free(
                "bias_se",
                "Standard error of bias over simulated brains",
                null=f"{_NO_BIAS}; or of too few",
                minimum=0.0,
            ),
            _difference("excess", "gain - bias", null=_NO_BIAS, least=-8.0, most=8.0),
            *(
                _free(
                    f"excess_{end}",
                    f"{word} end of excess, 95 % interval over pictures and subjects, with the "
                    "error of bias",
                    null=f"{_NO_BIAS}, or of a single value",
                )
                for end, word in (("low", "Lower"), ("high", "Upper"))
            ),
            share(
                "p",
                "One-sided p of excess, by t over pictures and subjects, with the error of bias",
                unit="probability",
                null=_UNTESTED,
            ),
            share(
                "q",
                "Benjamini-Hochberg q of p over layers, ROIs and test sets of a dataset, network, "
                "method and control",
                unit="probability",
                null="NULL where p is",
            ),
            share(
                "sign_p",
                "One-sided p of these pictures alone, bias taken as known: signs of the subjects' "
                "excess are flipped; not below 2⁻ⁿ of n subjects. It says nothing of others",
                unit="probability",
                null=_UNTESTED,
            ),
            _difference(
                "prior_effect",
                "Gain less that of the test set of the same level without a prior; of other "
                "pictures",
                null="NULL where nothing was known beforehand, or there is no one such set",
                least=-8.0,
                most=8.0,
            ),
            _free(
                "prior_low",
                "Lower end of prior_effect, 95 % interval over pictures (not paired) and subjects",
                null="NULL where prior_effect is, or of a single value",
            ),
            _free(
                "prior_high",
                "Upper end of prior_effect, 95 % interval over pictures (not paired) and subjects",
                null="NULL where prior_effect is, or of a single value",
            ),
            share(
                "prior_p",
                "One-sided p of prior_effect, by t over pictures (not paired) and subjects",
                unit="probability",
                null="NULL where prior_effect is, or of a single value",
            ),
            share(
                "prior_q",
                "Its q, as that of p",
                unit="probability",
                null="NULL where prior_p is",
            ),
            share(
                "prior_sign_p",
                "One-sided p of prior_effect of these pictures alone: signs of the subjects' are "
                "flipped",
                unit="probability",
                null="NULL where prior_effect is",
            ),
        ),
        primary_key=(*_KEY, "control", "roi"),
        foreign_keys=(OF_ROI, OF_LAYER),
        follows=(_MEANS, _EXCESS),
        optional=True,
        measured=True,
        since="2.5",
    ),
)
