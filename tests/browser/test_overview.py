from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tests.browser.conftest import texts
from unitdb import reference
from unitdb.browser import charts
from unitdb.browser._answer import PUBLISHED_ROIS, best_score, cells, significant
from unitdb.release import Release


def test_it_cites_counts_and_draws(shown: Release, visit) -> None:
    app = visit("overview")
    assert shown.citation in [code.value for code in app.code]
    held = shown.describe()
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Units"] == f"{held.n_units:,}"
    assert metrics["Accuracies"] == f"{held.n_accuracies:,}"
    assert len(app.get("vega_lite_chart")) == 2


def test_one_subject_agrees_with_nobody(shown: Release, visit) -> None:
    app = visit("overview", dataset="sim-b")
    assert app.selectbox(key="dataset").value == "sim-b"
    assert len(app.get("vega_lite_chart")) == 1
    assert "two subjects" in app.info[0].value


def test_a_wrong_name_gets_the_nearest(shown: Release, visit) -> None:
    app = visit("overview", dataset="sim-bb")
    assert "`sim-bb` cannot be chosen here" in app.warning[0].value
    assert "`sim-b`" in app.warning[0].value
    assert "Overview" in texts(app)
    app.selectbox(key="dataset").select("sim-b").run()
    assert not app.warning
    assert app.query_params["dataset"] == "sim-b"


def test_cells_stand_beside_chance_and_intervals() -> None:
    rows = pd.DataFrame(
        {
            "layer": ["a"] * 4,
            "roi": ["V1", "V1", "V4", "V4"],
            "mean_r": [0.2, 0.4, 0.1, 0.3],
            "mean_low": [0.1, 0.3, -0.1, np.nan],
            "mean_high": [0.3, 0.5, 0.3, np.nan],
            "chance_r": [0.15, 0.05, np.nan, np.nan],
        }
    )
    v1, v4 = cells(rows, "accuracy").to_dict("records")
    assert (v1["r"], v1["low"], v1["high"]) == pytest.approx((0.3, 0.2, 0.4))
    assert v1["chance"] == pytest.approx(0.1)
    assert (v1["n_above"], v1["n"]) == (1, 2)  # the first is not above its own chance
    assert v4["chance"] == 0
    assert np.isnan(v4["n_above"])  # of one person there is no interval


def test_colours_begin_at_0_and_what_is_above_chance_is_bold() -> None:
    matrix = pd.DataFrame({"V1": [-0.1, 0.3]}, index=["a", "b"])
    details = pd.DataFrame(
        {"down": ["a", "b"], "across": "V1", "chance": "0.000", "strong": [False, True]}
    )
    chart = charts.heat_map(matrix, legend="r", details=details, strong="strong", choose="cell")
    drawn = chart.to_dict()
    assert drawn["layer"][0]["encoding"]["color"]["scale"]["domain"] == [0, 0.3]
    assert "chance" in json.dumps(drawn["layer"][0]["encoding"]["tooltip"])
    (values,) = drawn["datasets"].values()
    assert [value["bold"] for value in values] == [False, True]


def test_scores_are_placed_among_published_ones_of_the_same_regions() -> None:
    row = {"kind": "decoding", "method": "nonaka2021", "score": 0.4, "chance_score": np.nan}
    row |= {"score_low": 0.3, "score_high": 0.5, "rois": PUBLISHED_ROIS}
    rows = pd.DataFrame([row, {**row, "kind": "average", "score": np.nan}])
    score, interval, beside = best_score(rows)
    assert score == "0.40"
    assert interval == "95 %: 0.30 to 0.50; decoding, chance 0.00"
    rank = reference.place(0.4, by="bh_decoding").rank
    assert beside == f"place {rank} beside 29 published networks"
    assert "not comparable" in best_score(pd.DataFrame([{**row, "rois": ["EVC", "IT"]}]))[2]
    assert best_score(rows[1:]) is None
    assert best_score(pd.DataFrame()) is None


def test_significant_units_are_counted_where_there_are_most(shown: Release, visit) -> None:
    rows = shown.table("layer_summary").astype({"roi": str, "subject": str})
    rows = rows[rows["dataset"] == "sim-a"]
    means = rows.groupby(["roi", "subject"])["n_significant"].sum().groupby("roi").mean()
    roi, n, of = significant(rows)
    assert (roi, n, of) == (means.idxmax(), round(means.max()), 28)
    metrics = {metric.label: metric.value for metric in visit("overview").metric}
    assert metrics["Significant units (q < .05)"] == f"{n:,}"
    assert "BH score" in metrics
    assert significant(rows.assign(n_significant=np.nan)) is None


def test_the_best_units_are_shown_and_linked(shown: Release, visit) -> None:
    app = visit("overview", dataset="sim-a")
    pictures = [one.proto.body for one in app.get("html") if "<img" in one.proto.body]
    links = [link.proto for link in app.get("page_link")]
    of_units = [link for link in links if "unit=net" in link.query_string]
    assert len(pictures) == len(of_units) > 0
    assert all("roi=V" in link.query_string for link in of_units)
    everybody = [link for link in links if "people=3" in link.query_string]
    assert [link.label for link in everybody] == ["V1", "V4"]


def test_people_are_counted_where_there_are_several(shown: Release, visit) -> None:
    said = texts(visit("overview", dataset="sim-b"))
    assert "**Units decoded in the one person** (r ≥ .2), from" in said
    assert "in all 3 people** (r ≥ .2 in each)" in texts(visit("overview", dataset="sim-a"))
