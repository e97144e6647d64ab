"""Seen, imagined and blurred pictures of the sample: what is planted in its brains is found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

import unitdb
from unitdb.responses import open_dataset

pytestmark = pytest.mark.slow
ROIS = ["LOC"]


@pytest.fixture(scope="module")
def release(topdown):
    return unitdb.open(topdown)


def test_the_demo_says_what_is_found_in_words(sample, demo):
    for words in ("Identification (rate", "higher layers come first", "Blurred pictures ("):
        assert words in demo
    picture = sample.parents[1] / "sample-topdown.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert f"Picture: {picture}" in demo


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    spec = open_dataset("sample", data=None, cache=tmp_path_factory.mktemp("cache")).spec
    return spec.responses.tests["imagery"].course.lags


def test_higher_layers_come_first_in_every_region(release):
    orders = release.table("lag_order").query("control == 'none'").set_index("roi")
    assert sorted(orders.index) == sorted(ROIS)
    assert (orders["slope"] < 0).all()
    assert (orders["p"] < 0.05).all()
    assert (orders["n_layers"] == 8).all()


def test_lags_go_with_those_that_are_planted(release, planted):
    lags = release.table("lag").query("control == 'none' and peak_r > 0.1")
    for roi, of in lags.groupby("roi", observed=True):
        true = [planted[layer] for layer in of["layer"]]
        assert spearmanr(of["lag"], true).statistic > 0.6, roi
        # Drawn together, as units of neighbouring layers go with the same voxels.
        assert np.ptp(of["lag"]) < 1.2 * np.ptp(true)


def test_nothing_is_decoded_before_onset_and_most_at_the_peak(release):
    course = release.table("timecourse").astype({"layer": str, "roi": str})
    best = course[(course["layer"] == "block12") & (course["roi"] == "LOC")]
    by_time = best.groupby("time")[["mean_r", "identification"]].mean()
    assert by_time.loc[[-3, 0], "mean_r"].abs().max() < 0.05
    assert by_time.loc[[-3, 0], "identification"].between(0.45, 0.55).all()
    assert by_time["mean_r"].idxmax() in (6, 9)
    assert by_time["identification"].max() > 0.7
    assert (course["chance"] == 0.5).all()


def test_pictures_are_identified_beyond_exchange_and_within_photographs(release):
    rows = release.sql(
        "SELECT roi, set, max(rate) AS rate, avg(chance_fold) AS chance, max(n_candidates) AS n, "
        "max(rate_within) AS within FROM identification_summary WHERE subject = '*' GROUP BY ALL"
    )
    assert set(rows["n"]) == {60, 300}
    assert rows["chance"].between(0.4, 0.6).all()
    assert (rows["rate"] > 0.7).all()
    assert (rows["within"] > 0.6).all()


def test_what_is_planted_in_blurred_pictures_is_found_beyond_the_bias(release):
    rows = release.table("modulation_summary").query("level > 0 and control == 'noise'")
    known = rows[rows["excess"].notna()]  # the others are beyond the simulated accuracies
    assert len(known) >= 5
    assert (known["excess"] > 0).all()
    assert (known["sign_p"] <= 1 / 32).mean() > 0.7
