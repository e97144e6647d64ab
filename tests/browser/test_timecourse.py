"""The page Time course, its section of the report, and what verify finds of its numbers."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.browser.conftest import texts
from tests.tiny_course import LAYERS, TIMES
from unitdb.browser import report
from unitdb.release import (
    Release,
    chance_of,
    course_rows,
    lag_points,
    open_release,
    order_words,
)


@pytest.fixture
def shown(tiny_course_release, monkeypatch) -> Release:
    monkeypatch.setenv("UNITDB_RELEASE", str(tiny_course_release))
    return open_release(tiny_course_release)


def test_the_page_shows_courses_lags_and_what_they_tell(shown, visit):
    app = visit("timecourse", roi="V4")
    charts = [json.loads(each.proto.spec) for each in app.get("vega_lite_chart")]
    assert "Course in time of each layer" in charts[0]["description"]
    assert "Lag of each layer" in charts[1]["description"]
    said = texts(app)
    assert "Mean over 3 subjects; bands: 95 % interval over subjects" in said
    assert "higher layers come first; slope" in said
    assert "roi=V4" in said.replace("&amp;", "&")
    lags = app.dataframe[0].value
    assert set(lags["layer"]) == set(LAYERS)
    one = visit("timecourse", roi="V4", measure="accuracy", layer="fc")
    spec = json.loads(one.get("vega_lite_chart")[0].proto.spec)
    assert spec["layer"][0]["encoding"]["y"]["field"] == "at"
    link = "timecourse?dataset=sim-a&condition=imagery&model=net&roi=V4&measure=accuracy&layer=fc"
    assert any(code.value.endswith(link) for code in one.code)


def test_a_release_without_has_no_page(tiny_release, monkeypatch, visit):
    monkeypatch.setenv("UNITDB_RELEASE", str(tiny_release))
    from unitdb.browser.views import PAGES

    (page,) = (page for page in PAGES if page.name == "timecourse")
    assert not page.has_what_it_shows(open_release(tiny_release))


def test_rows_are_means_over_subjects_with_their_interval(shown):
    course = shown.table("timecourse").astype({"layer": str, "subject": str, "roi": str})
    rows = course_rows(course[course["roi"] == "V4"], "accuracy")
    assert len(rows) == 2 * len(TIMES)
    one = course.query("roi == 'V4' and layer == 'fc' and time == 6")["mean_r"]
    row = rows.query("layer == 'fc' and time == 6").iloc[0]
    assert row["value"] == pytest.approx(one.mean())
    assert row["high"] - row["value"] == pytest.approx(4.303 * one.std() / 3**0.5)
    assert chance_of(course, "identification") == 0.5
    single = course_rows(course[(course["roi"] == "V4") & (course["subject"] == "S1")], "accuracy")
    expected = course.query("roi == 'V4' and subject == 'S1' and layer == 'fc' and time == 6")
    row = single.query("layer == 'fc' and time == 6").iloc[0]
    assert row["low"] == expected["r_low"].item()
    points = lag_points(shown.table("lag").astype({"control": str, "layer": str}))
    assert set(points["control"]) == {"none", "matched"}


@pytest.mark.parametrize("n", [2, 5, 11, 12, 15, 16, 40, 1000])
def test_intervals_over_people_are_those_of_students_t(n):
    r = np.random.default_rng(n).normal(size=n)
    course = pd.DataFrame({"subject": range(n), "layer": "fc", "time": 0.0, "mean_r": r})
    row = course_rows(course.assign(r_low=0.0, r_high=0.0), "accuracy").iloc[0]
    low, high = stats.t.interval(0.95, n - 1, loc=r.mean(), scale=stats.sem(r))
    width = high - low
    assert (row["low"], row["high"]) == pytest.approx((low, high), abs=2e-4 * width)


def test_the_report_has_a_section(tiny_course_release):
    text = report.html(open_release(tiny_course_release))
    assert "<h2>Time course</h2>" in text
    assert text.count("<figcaption>Identification at each time from onset") == 2
    assert "higher layers come first" in text


def test_words_say_what_is_not_known():
    nothing = float("nan")
    row = dict.fromkeys(
        ("slope", "low", "high", "p", "stimuli_low", "stimuli_high", "stimuli_p"), nothing
    )
    row |= {"control": "none", "n_subjects": 1}
    assert order_words(pd.DataFrame([row])) == ["As measured: no lag is known."]
    row |= {"slope": -1.0}
    assert "of one subject no test" in order_words(pd.DataFrame([row]))[0]
    row |= {"stimuli_low": -2.0, "stimuli_high": 0.1, "stimuli_p": 0.06}
    (said,) = order_words(pd.DataFrame([row]))
    assert "no order of higher layers first is told" in said
    assert "over stimuli" in said
