"""Figures of a release, and what notebooks show of it."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt

import unitdb
from unitdb import plot
from unitdb.errors import QueryError

mpl.use("Agg")


@pytest.fixture
def release(tiny_release):
    yield unitdb.open(tiny_release)
    plt.close("all")


def test_a_matrix_has_its_numbers(release):
    axes = plot.layer_by_roi(release, dataset="sim-a")
    values = release.layer_by_roi("accuracy", dataset="sim-a")
    np.testing.assert_array_equal(axes.images[0].get_array(), values)
    assert [text.get_text() for text in axes.texts] == [f"{r:.2f}" for r in values.to_numpy().flat]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["conv1", "fc"]


def test_units_in_two_people_without_those_that_lack_one(release):
    axes = plot.subjects(release, "net", "conv1", "V4", "S1", "S2", dataset="sim-a")
    r = release.accuracies("net", "conv1", "V4", dataset="sim-a", subjects=["S1", "S2"])
    r = r[["S1", "S2"]].dropna()
    assert len(r) < 18
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), r)
    assert f"r = {np.corrcoef(r.T)[0, 1]:.2f} over {len(r)} units" in axes.get_title()


def test_lines_by_depth_from_the_first_layer_to_the_last(release):
    axes = plot.depth(release, dataset="sim-a")
    values = release.layer_by_roi("accuracy", dataset="sim-a")
    assert [line.get_label() for line in axes.lines] == list(values.columns)
    for line, roi in zip(axes.lines, values, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [0, 1])
        np.testing.assert_allclose(line.get_ydata(), values.loc[["conv1", "fc"], roi])
    with pytest.raises(QueryError, match="there are several: choose dataset="):
        plot.depth(release)


def test_predictions_and_their_correlations(release):
    axes = plot.predictions(release, "net/conv1/7", roi="V4", dataset="sim-a")
    rows = release.predictions("net/conv1/7", roi="V4", dataset="sim-a")
    for points, (_, of) in zip(axes.collections, rows.groupby("subject"), strict=True):
        np.testing.assert_array_equal(points.get_offsets(), of[["activation", "predicted"]])
    r = release.unit("net/conv1/7").loc["sim-a", "perception", "V4"]
    told = [text.get_text() for text in axes.get_legend().get_texts()]
    assert told == [f"S1: r = {r['S1']:.2f}", "S2: no r", f"S3: r = {r['S3']:.2f}"]


def test_lags_and_their_controls_side_by_side(tiny_course_release):
    release = unitdb.open(tiny_course_release)
    axes = plot.lags(release, roi="V4", control=("none", "matched"))
    lags = release.table("lag").astype({"roi": str, "control": str}).set_index("control")
    lags = lags[lags["roi"] == "V4"]
    for points, control in zip(axes.collections[1::2], ("none", "matched"), strict=True):
        np.testing.assert_allclose(
            np.sort(points.get_offsets()[:, 1]), np.sort(lags["lag"][control])
        )
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "as measured",
        "peaks of one height",
    ]
    with pytest.raises(QueryError, match="no lag with control='mirrored'"):
        plot.lags(release, roi="V4", control="mirrored")


def test_scores_with_their_intervals(release):
    rows = release.table("hierarchy")
    rows = rows[(rows["method"] == "corrected") & rows["score"].notna()]
    axes = plot.hierarchy(release)
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), rows["score"])
    with pytest.raises(QueryError, match="no BH score by method 'other'"):
        plot.hierarchy(release, method="other")


def test_a_figure_is_drawn_into_given_axes(release):
    _, axes = plt.subplots()
    assert plot.hierarchy(release, ax=axes) is axes


def test_identification_that_is_not_there(release):
    with pytest.raises(QueryError, match="no column 'colour'"):
        plot.identification(release, candidates="own", roi="V1", colour="red")


def test_a_notebook_shows_what_a_release_holds_and_runs_nothing_of_it(release, tiny_copy):
    shown = release._repr_html_()
    assert "SIMULATED" in shown
    assert "subjects S1, S2, S3; ROIs V1, V4" in shown
    page = tiny_copy / "datapackage.json"
    page.write_text(page.read_text().replace("A tiny release", "<script>alert(1)</script>"))
    hostile = unitdb.open(tiny_copy)._repr_html_()
    assert "<script>" not in hostile
    assert "&lt;script&gt;" in hostile
