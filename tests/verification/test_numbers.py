"""Numbers that do not follow from each other: one changed value each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.verification.editing import (
    FC,
    OTHER,
    OTHER_FC,
    add_roi,
    edit,
    exchange,
    nudge,
    scale,
    set_,
    swap_ranks,
    without,
)
from unitdb.errors import CorruptReleaseError, SchemaError
from unitdb.verification.reading import verify
from unitdb.verification.reading._kept import correlations, rounding


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (f"accuracy/{FC}", set_(3, r=float("nan")), "1 NaN"),
        (f"accuracy/{FC}", set_(3, r=1.01), "above the maximum"),
        (f"accuracy/{FC}", lambda rows: [rows[0], *rows], "stands twice"),
        (f"accuracy/{FC}", lambda rows: rows[::-1], "strictly increasing"),
        (f"unit_summary/{FC}", lambda rows: rows[::-1], "strictly increasing"),
        ("layers.parquet", lambda rows: rows[::-1], "strictly increasing"),
        ("layers.parquet", set_(0, layer="a b"), "does not match"),
    ],
)
def test_rows_that_break_the_schema(tiny_copy: Path, file: str, change, message: str) -> None:
    edit(tiny_copy, file, change)
    with pytest.raises(SchemaError, match=message) as caught:
        verify(tiny_copy)
    assert file in str(caught.value)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        # keys
        (f"accuracy/{FC}", set_(59, build="f" * 12), "not in table 'builds': ffffffffffff"),
        (f"accuracy/{FC}", set_(59, subject="S9"), "not in table 'subjects': sim-a/S9/V4"),
        ("subjects.parquet", lambda rows: rows[:-1], "not in table 'subjects': sim-b/S1/V4"),
        ("layers.parquet", lambda rows: rows[:1], "model, layer not in table 'layers': net/fc"),
        ("models.parquet", set_(0, n_layers=3), "n_layers is 3, but there are 2"),
        ("layers.parquet", set_(1, n_units=9), "n_units is 9, but the shape is"),
        ("layers.parquet", set_(1, n_units=9, shape=[9], classes=None), "unit 9 does not exist"),
        ("datasets.parquet", set_(0, n_subjects=2), "n_subjects is 2, but there are 3"),
        ("datasets.parquet", set_(0, n_stimuli=3), "n_stimuli is 3, but there are 100"),
        ("datasets.parquet", set_(1, n_stimuli=99), "n_stimuli is 99, but there are 100"),
        ("rois.parquet", add_roi, "subjects: sim-a: no row of ROI and subject V9/S1, V9/S2, V9/S3"),
        ("rois.parquet", set_(1, place=0), "rois: sim-a: place 0 stands twice"),
        ("layers.parquet", set_(1, depth=0), "layers: net: depth 0 stands twice"),
        ("layers.parquet", set_(1, shape=[None]), r"but the shape is \[None\]"),
        ("layers.parquet", set_(1, shape=[-2, -5]), r"but the shape is \[-2, -5\]"),
        ("layers.parquet", set_(1, shape=[], n_units=1), r"but the shape is \[\]"),
        (
            "layers.parquet",
            set_(1, classes=["a"]),
            "layers: net/fc: 1 names of classes, and 10 uni",
        ),
        ("layers.parquet", set_(1, classes=["a"] * 9 + [""]), "layers: net/fc: 9 names of classes"),
        (
            "layers.parquet",
            set_(0, field_top=[0, 2]),
            "field_top and field_bottom are not the ends",
        ),
        (
            "layers.parquet",
            set_(0, field_right=[3, 5, 8]),
            "ends of fields of 3 places in 8 pixels",
        ),
        ("layers.parquet", set_(0, field_left=[0, 6, 4]), "field_left and field_right are not the"),
        ("layers.parquet", set_(1, field_top=[0], field_bottom=[0]), "fields of 0 places in 8"),
        ("models.parquet", set_(0, model_sha256="1" * 64), "inputs: model is '0000"),
        ("subjects.parquet", set_(0, responses_sha256="1" * 64), "inputs: responses are not"),
        ("builds.parquet", set_(0, inputs='{"responses":{"S1":[]}}'), "inputs: responses are"),
        ("builds.parquet", set_(0, inputs='{"responses":[]}'), "inputs: responses are not"),
        ("builds.parquet", set_(0, recipe_sha256="1" * 64), "recipe_sha256 is '1111"),
        ("builds.parquet", set_(0, decoder="alpha"), "decoder is not a JSON object: 'alpha'"),
        ("builds.parquet", set_(0, inputs="[]"), "inputs is not a JSON object"),
        ("builds.parquet", set_(0, packages=""), "packages is not a JSON object"),
        ("builds.parquet", set_(0, units="null"), "units is not a JSON object"),
        ("builds.parquet", set_(0, units="{}"), "expected .*sample"),
        ("builds.parquet", set_(0, units='{"sample":0,"seed":0}'), "expected .*sample"),
        ("builds.parquet", set_(0, units='{"sample":9,"seed":0}'), "18 units, but .* selects 9"),
        ("builds.parquet", list.clear, "builds: there is none"),
        ("builds.parquet", lambda rows: rows[:1], "none of dataset sim-b"),
        # units kept image by image
        ("prediction.parquet", set_(0, predicted=9.0), "net/conv1/7, V1, S1: predictions give r"),
        ("activation.parquet", set_(0, activation=9.0), "predictions give r"),
        ("prediction.parquet", lambda rows: rows[1:], "99 test images; the release states 100"),
        ("activation.parquet", lambda rows: rows[100:], "not in table 'activation': 7"),
        ("activation.parquet", lambda rows: rows[1:], "net/conv1/13: pictures are not those of"),
        ("activation.parquet", set_(0, stimulus="other"), "not in table 'stimuli': sim-a/other"),
        # completeness
        (f"accuracy/{FC}", lambda rows: [{**r, "build": OTHER} for r in rows], "is of sim-b/net"),
        (f"accuracy/{FC}", set_(59, build=OTHER), f"of several builds: 0123456789ab, {OTHER}"),
        (f"accuracy/{FC}", lambda rows: rows[:-1], "V4/S3 has 9 units and V1/S1 10"),
        (f"accuracy/{FC}", without("V4", "S3"), "not all ROIs .*: V4/S3"),
        # summaries
        (f"accuracy/{FC}", set_(3, r=0.0), "the accuracies give"),
        (f"accuracy/{FC}", set_(3, r=None), "the accuracies give"),
        (f"unit_summary/{FC}", set_(3, n_subjects=2), r"V1/\d+: n_subjects is 2, but .* give 3"),
        (f"unit_summary/{FC}", nudge("mean_r", 2e-4), r"V1/\d+: mean_r is"),
        (f"unit_summary/{FC}", nudge("sd_r", 2e-4), r"V1/\d+: sd_r is"),
        (f"unit_summary/{FC}", nudge("min_r", -2e-4), r"V1/\d+: min_r is"),
        (f"unit_summary/{FC}", nudge("max_r", 2e-4), r"V1/\d+: max_r is"),
        (f"unit_summary/{FC}", nudge("mean_r", 4e-6), r"V1/\d+: mean_r is"),
        (f"unit_summary/{FC}", nudge("min_r", 2e-7), r"V1/\d+: min_r is"),
        (f"unit_summary/{FC}", nudge("max_r", -2e-7), r"V1/\d+: max_r is"),
        ("layer_summary.parquet", nudge("mean_r", 4e-6), "mean_r is"),
        (f"unit_summary/{FC}", set_(0, sd_r=None), r"V1/\d+: sd_r is NULL"),
        (f"unit_summary/{FC}", swap_ranks, r"V1/\d+: rank is"),
        (f"unit_summary/{FC}", lambda rows: rows[:-1], "V4: units are not those"),
        (f"unit_summary/{FC}", lambda rows: rows[:10], "ROIs are not those"),
        (f"unit_summary/{FC}", nudge("lead_r", 4e-6), r"V1/\d+: lead_r is"),
        ("accuracy_histogram.parquet", lambda rows: rows[1:], r"V1/S1/-?\d+: the row is missing"),
        ("unit_histogram.parquet", nudge("n_units", 1), "n_units is"),
        ("summary_histogram.parquet", nudge("n_units", 1), "summary_histogram: .*: n_units is"),
        ("summary_histogram.parquet", nudge("n_complete", 1), "n_complete is"),
        ("summary_histogram.parquet", nudge("n_preferred", 1), "n_preferred is"),
        ("summary_histogram.parquet", nudge("n_complete_preferred", 1), "_preferred is"),
        ("summary_histogram.parquet", lambda rows: rows[1:], r"V1/lead_r/-?\d+: the row is miss"),
        ("layer_summary.parquet", lambda rows: rows[1:], "layer_summary: .*V1/S1: the row is miss"),
        ("layer_summary.parquet", set_(0, n_undefined=0), "n_undefined is 0, but .* give 1"),
        ("layer_summary.parquet", nudge("median_r", 2e-4), "median_r is"),
        ("layer_summary.parquet", nudge("q05_r", 2e-4), "q05_r is"),
        ("layer_summary.parquet", set_(0, mean_r=None), "mean_r is NULL"),
        ("intersubject.parquet", lambda rows: rows[1:], "V1/S1/S2: the row is missing"),
        ("intersubject.parquet", nudge("n_units", 1), "n_units is 17, but .* give 16"),
        ("intersubject.parquet", nudge("pearson_r", 2e-4), "pearson_r is"),
        ("intersubject.parquet", nudge("spearman_r", -2e-4), "spearman_r is"),
        # significance
        ("intersubject.parquet", nudge("prediction_r", 0.01), "p is .*, but the accuracies and"),
        (
            "builds.parquet",
            set_(0, significance='{"test":"t"}'),
            "p is .*, but the accuracies and builds",
        ),
        (f"unit_summary/{FC}", scale("p", 1.01), "V1/0: p is .*, but the accuracies"),
        (f"unit_summary/{FC}", set_(0, p=None), "V1/0: p is nan, but the accuracies"),
        (f"unit_summary/{FC}", scale("q", 1.001), "sim-a/perception/net/V1: q of p ="),
        (f"unit_summary/{FC}", set_(0, q=None), "sim-a/perception/net/V1: q of p = .* is nan"),
        (f"unit_summary/{OTHER_FC}", set_(0, p=0.5), r"V1/\d+: p is 0.5, but .* give nan"),
        ("layer_summary.parquet", nudge("n_significant", 1), "n_significant is .*, but the acc"),
        ("layer_summary.parquet", set_(0, n_significant=None), "n_significant is None"),
        ("layer_summary.parquet", set_(-1, n_significant=0), "is 0, but .* give None"),
        (
            "layer_summary.parquet",
            set_(0, mean_low=0.1),
            "mean_low is 0.1, but n_candidates is NULL",
        ),
        ("intersubject.parquet", set_(0, pearson_low=0.9, pearson_high=-0.9), "0.9 to -0.9"),
        ("intersubject.parquet", set_(0, pearson_low=0.99, pearson_high=1.0), "interval 0.99 to"),
        ("builds.parquet", set_(0, significance='{"test":"F"}'), "should name the test"),
        ("builds.parquet", set_(0, significance="t"), "should name the test"),
        ("builds.parquet", set_(0, significance=None), "n_significant is .*, but .* give None"),
        ("builds.parquet", set_(0, n_folds=5), "does not hold where images are cross-validated"),
        # hierarchy
        *(
            ("hierarchy.parquet", change, message)
            for row, kind in ((1, "decoding"), (2, "encoding"))  # the average comes first
            for change, message in (
                (nudge("score", 1e-8, row), f"{kind}/.*: score is .*, but table 'best_roi' gives"),
                (set_(row, score=None), f"{kind}/.*: score is nan, but table 'best_roi' gives"),
                (nudge("n_counted", 1, row), f"{kind}/.* units are counted, in the ROIs V1, V4"),
                (set_(row, rois=["V4", "V1"]), f"{kind}/.* score is .*, but table 'best_roi'"),
                (set_(row, score_low=0.1), f"{kind}/.*: score and interval are"),
            )
        ),
        ("hierarchy.parquet", lambda rows: rows[:1] + rows[2:], "best_roi: rows without a score"),
        ("hierarchy.parquet", nudge("score", 1e-8), "average/.* decoding and encoding give"),
        ("hierarchy.parquet", nudge("n_units", 1), "average/.* n_units .* decoding and encoding"),
        ("hierarchy.parquet", nudge("n_units", 1, 2), "table 'encoding' has 240 voxels"),
        ("encoding.parquet", lambda rows: rows[1:], "39 voxels; table 'subjects' has 40"),
        ("encoding.parquet", lambda rows: rows[40:], "layers have other subjects in V1"),
        ("encoding.parquet", set_(0, r=-0.5), "best_roi: .*encoding/.* the accuracies give"),
        # what recurs
        *(
            (
                "recurrence.parquet",
                nudge(column, 1, row),
                f"recurrence: .*{among}/.*accuracies give",
            )
            for row, among in ((0, "halves"), (4, "others"), (6, "subject"))
            for column in ("n_units", "k", "n_shared", "n_expected")
            if (column, among) != ("n_shared", "halves")
        ),
        ("recurrence.parquet", lambda rows: rows[:4] + rows[5:], "missing or of nobody: .*others"),
        ("layer_reliability.parquet", nudge("reliability", 1e-5), "reliability is .* accuracies"),
        ("layer_reliability.parquet", nudge("n_units", 1), "n_units is .* accuracies give"),
        ("layer_reliability.parquet", lambda rows: rows[1:], "layer_reliability: .* is missing"),
        ("layer_reliability.parquet", set_(0, reliability_low=1.0), "has the interval 1.0 to"),
        ("layer_reliability.parquet", set_(0, reliability_high=None), "to None"),
        ("layer_summary.parquet", nudge("mean_reliability", 1e-5), "mean_reliability is"),
        (f"accuracy/{FC}", set_(0, reliability=0.5), "mean_reliability is"),
        ("best_roi.parquet", lambda rows: rows[1:], "table 'best_roi' has others"),
        ("best_roi.parquet", exchange("n_units"), "but table 'best_roi' gives"),
        (
            "intersubject.parquet",
            lambda rows: [*rows, {**rows[-1], "subject_a": "S3", "subject_b": "S2"}],
            "rows without accuracies: .*/S3/S2",
        ),
    ],
)
def test_numbers_that_do_not_follow(tiny_copy: Path, file: str, change, message: str) -> None:
    edit(tiny_copy, file, change)
    if file == "builds.parquet":
        edit(tiny_copy, "inputs.parquet", list.clear)  # which refer to builds
    with pytest.raises((CorruptReleaseError, SchemaError), match=message):
        verify(tiny_copy)


@pytest.mark.robust(
    "verification",
    given="a softmax layer: predictions of a unit lie below 1e-38, where float32 has few digits",
    before="read: after all decoding the build ends: `predictions give r = 0.71610, but accuracy.r "
    "is 0.716086`",
    now="the release: the step of the smallest float32 values is allowed for",
)
@pytest.mark.parametrize("size", [1e-44, 1e-43, 1e-40, 1e-38, 1e-30, 1.0])
def test_rounding_of_predictions_of_any_size_is_allowed_for(size):
    rng = np.random.default_rng(0)
    for _ in range(50):
        true = rng.normal(size=12)
        exact = size * (true + rng.normal(size=12))
        stored = exact.astype(np.float32).astype(np.float64)
        away = abs(correlations(stored, true) - correlations(exact, true))
        assert np.isnan(away) or away <= rounding(stored) * (1 + 1e-6) + 1e-12
        assert rounding(stored) < (np.inf if size < 1e-42 else 1e-3)
