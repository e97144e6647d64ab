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
