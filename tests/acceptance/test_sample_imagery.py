"""Imagery of the sample: the order that is planted in its simulated brains is found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

import unitdb
from tests.acceptance.conftest import ROOT
from unitdb.pipeline import build
from unitdb.responses import open_dataset

pytestmark = pytest.mark.whole
ROIS = ["V3", "V4", "LOC"]


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imagery")
    return unitdb.open(build(ROOT / "pipelines" / "sample-imagery.yaml", releases=folder))


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
    best = course[(course["layer"] == "block6") & (course["roi"] == "V4")]
    by_time = best.groupby("time")[["mean_r", "identification"]].mean()
    assert by_time.loc[[-3, 0], "mean_r"].abs().max() < 0.05
    assert by_time.loc[[-3, 0], "identification"].between(0.45, 0.55).all()
    assert by_time["mean_r"].idxmax() in (6, 9)
    assert by_time["identification"].max() > 0.7
    assert (course["chance"] == 0.5).all()
