from __future__ import annotations

import base64
import json
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests.browser.conftest import texts
from tests.tiny import make_older
from unitdb import col
from unitdb.browser import _search
from unitdb.release import Release


def test_filters_give_the_units_of_the_query(shown: Release, visit) -> None:
    app = visit("units")
    app.multiselect(key="roi").select("V4")
    app.multiselect(key="dataset").select("sim-a")
    app.number_input(key="minimum").set_value(0.2).run()
    assert not app.exception
    frame = app.dataframe[0].value
    expected = shown.sql(
        "SELECT model || '/' || layer || '/' || unit AS unit_id FROM unit_summary "
        "WHERE roi = 'V4' AND dataset = 'sim-a' AND mean_r >= 0.2 ORDER BY mean_r DESC"
    )
    assert list(frame["unit_id"]) == list(expected["unit_id"])
    assert f"**{len(expected):,}** rows" in app.markdown[0].value


def test_a_link_gives_the_same_view(shown: Release, visit) -> None:
    app = visit("units", roi="V4", layer=["fc", "conv1"], by="min_r", minimum="0.05")
    assert app.multiselect(key="layer").value == ["conv1", "fc"] or app.multiselect(
        key="layer"
    ).value == ["fc", "conv1"]
    assert app.selectbox(key="by").value == "min_r"
    expected = shown.sql(
        "SELECT model || '/' || layer || '/' || unit AS unit_id FROM unit_summary "
        "WHERE roi = 'V4' AND min_r >= 0.05::FLOAT "
        "ORDER BY min_r DESC, dataset, condition, model, layer, roi, unit"
    )
    assert list(app.dataframe[0].value["unit_id"]) == list(expected["unit_id"])[:50]
    assert f"**{len(expected):,}** rows" in texts(app)


def test_the_code_shown_gives_the_table_shown(
    shown: Release, visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNITDB_RELEASES", str(shown.path.parents[1]))
    app = visit("units", by="min_r", layer="fc", minimum="0.1", preferred="true")
    code, torch = [c.value for c in app.code if c.value.startswith("import unitdb")]
    assert torch.startswith(code)
    scope: dict[str, object] = {}
    exec(code + "\nframe = units.to_pandas()", scope)  # noqa: S102
    frame = scope["frame"]
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["unit_id"])[:50] == list(app.dataframe[0].value["unit_id"])
    (sql,) = [c.value for c in app.code if c.value.startswith("SELECT")]
    assert list(shown.sql(sql)["unit_id"]) == list(frame["unit_id"])


def test_pages_follow_each_other_and_begin_again(shown: Release, visit) -> None:
    app = visit("units", size="25")
    seen = list(app.dataframe[0].value["unit_id"])
    button = next(b for b in app.button if b.label == "Next page")
    button.click().run()
    seen += list(app.dataframe[0].value["unit_id"])
    assert "after" in app.query_params
    everything = shown.units().sort("mean_r").to_pandas()
    assert seen == list(everything["unit_id"])[: len(seen)]
    assert len(seen) == 50
    app.multiselect(key="roi").select("V1").run()
    assert "after" not in app.query_params


def cursor_of(*values: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


KEY = ("sim-a", "perception", "net", "fc", "V4", 1)


@pytest.mark.parametrize(
    "after",
    [
        "bm9wZQ",
        cursor_of("mean_r falling", 10**400, *KEY),  # no float holds it
        cursor_of("mean_r falling", 0.1, *KEY[:5], 2**40),  # nor int32 that
        cursor_of("mean_r falling", -5, *KEY),  # behind the last row
        cursor_of("min_r falling", 0.1, *KEY),  # of another order
        base64.urlsafe_b64encode(b"[" * 6000).decode(),
    ],
)
def test_a_page_that_is_none_is_the_first(shown: Release, visit, after: str) -> None:
    app = visit("units", after=after)
    assert "names no page" in app.warning[0].value
    first = shown.units().sort("mean_r").page(50).rows
    assert list(app.dataframe[0].value["unit_id"]) == list(first["unit_id"])


@pytest.mark.parametrize("size", ["1000000", "-1", "x"])
def test_pages_are_bounded(size: str, shown: Release, visit) -> None:
    app = visit("units", size=size)
    assert len(app.dataframe[0].value) <= 50
    assert "Rows of a page" in app.warning[0].value


def test_no_unit_is_said_in_words(shown: Release, visit) -> None:
    app = visit("units", minimum="1")
    assert "No unit is left" in app.info[0].value
    assert not app.dataframe


def test_counts_of_names_are_those_of_the_facets(shown: Release, visit) -> None:
    app = visit("units", by="min_r", minimum="0.1")
    counts = shown.sql(
        "SELECT roi, count(*) AS n FROM unit_summary WHERE min_r >= 0.1 GROUP BY roi"
    )
    shown_counts = next(c.value for c in app.caption if c.value.startswith(("Network", "ROI", "L")))
    for roi, n in counts.itertuples(index=False):
        assert f"`{roi}` {n}" in shown_counts


def test_the_figure_is_of_what_is_searched_for(
    shown: Release, visit, tiny_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def title(app: AppTest) -> str:
        return app.get("vega_lite_chart")[0].proto.spec

    assert "lowest of any person" in title(visit("units", by="min_r", minimum="0.1"))
    assert "mean over people" in title(visit("units"))
    assert "lead over other ROIs" in title(visit("units", by="lead_r"))
    assert "Decoding accuracy in S2" in title(visit("units", subject="S2"))
    several = visit("units", subject=["S1", "S2"], by="max_r")
    assert "highest of any person chosen" in title(several)
    make_older(tiny_copy, "2.0")
    monkeypatch.setenv("UNITDB_RELEASE", str(tiny_copy))
    app = visit("units", by="min_r", minimum="0.1")
    assert "lowest of any person" in title(app)
    (n,) = shown.sql("SELECT count(*) AS n FROM unit_summary WHERE min_r >= 0.1")["n"]
    assert f"**{n:,}** rows" in texts(app)


def test_a_range_that_is_none_is_said(shown: Release, visit) -> None:
    app = visit("units", rows="5-3")
    assert "the range falls" in app.error[-1].value


def test_units_go_to_the_collection(shown: Release, visit) -> None:
    app = visit("units")
    unit = app.dataframe[0].value["unit_id"].iloc[0]
    next(b for b in app.button if b.label.startswith("Add")).click().run()
    assert app.session_state["unitdb collection"] == (unit,)


def test_some_subjects_are_summarised_alone(shown: Release, visit) -> None:
    app = visit("units", subject=["S1", "S3"], roi="V4", minimum="0.1")
    expected = shown.units(roi="V4", subjects=["S1", "S3"]).where(col.mean_r >= 0.1).sort("mean_r")
    frame = app.dataframe[0].value
    assert list(frame["unit_id"]) == list(expected.to_pandas()["unit_id"])[:50]
    assert f"**{expected.count():,}** rows" in texts(app)
    assert not {"rank", "p", "q", "lead_r"} & set(frame.columns)  # there is none over some subjects
    assert app.expander[0].proto.expanded
    assert not visit("units").expander[0].proto.expanded


def test_what_would_take_long_says_what_to_choose(
    shown: Release, visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    for what in _search.MOST:
        monkeypatch.setitem(_search.MOST, what, 40)
    for asked in ({"subject": ["S1", "S2"]}, {"channel": "0"}, {"rows": "1", "subject": "S2"}):
        app = visit("units", **asked)
        assert "Choose a layer, an ROI, or both" in app.info[0].value
        assert not app.dataframe
        assert app.multiselect(key="layer").options  # to choose from
        assert len(visit("units", **asked, layer="conv1", roi="V4", dataset="sim-a").dataframe) == 1
    assert len(visit("units", subject="S1").dataframe) == 1


def test_there_is_no_lead_over_some_subjects(shown: Release, visit) -> None:
    for asked in ({"by": "lead_r"}, {"preferred": "true"}, {"significant": "true"}):
        app = visit("units", subject="S1", **asked)
        assert "are known over all people" in app.info[0].value
        assert not app.dataframe


def test_a_minimum_goes_by_hundredths(shown: Release, visit) -> None:
    n = shown.units().where(col.mean_r >= 0.12).count()
    assert f"**{n:,}** rows" in texts(visit("units", minimum="0.123"))


def test_reached_by_so_many_people(shown: Release, visit) -> None:
    app = visit("units", dataset="sim-a", roi="V4", minimum="0.2", people="2")
    frame = app.dataframe[0].value
    r = shown.sql(
        "SELECT model || '/' || layer || '/' || unit AS unit_id, count(*) AS n FROM accuracy "
        "WHERE dataset = 'sim-a' AND roi = 'V4' AND r >= 0.2 GROUP BY ALL HAVING n >= 2"
    )
    assert set(frame["unit_id"]) == set(r["unit_id"])
    assert frame["mean_r"].is_monotonic_decreasing
    assert f"**{len(r):,}** rows" in texts(app)
    assert "people=2" in texts(app)  # of the link
    everybody = visit("units", dataset="sim-a", roi="V4", minimum="0.2", people="3")
    assert (everybody.dataframe[0].value["min_r"] >= 0.2).all()
    assert not any(box.key == "by" for box in everybody.selectbox)


def test_significant_units_and_releases_without_a_test(
    shown: Release, visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = visit("units", dataset="sim-a", significant="true")
    frame = app.dataframe[0].value
    (n,) = shown.sql("SELECT count(*) AS n FROM unit_summary WHERE dataset='sim-a' AND q <= .05")[
        "n"
    ]
    assert f"**{n:,}** rows" in texts(app)
    assert (frame["q"] <= 0.05).all()
    cross_validated = visit("units", dataset="sim-b")
    assert "q" not in cross_validated.dataframe[0].value
    assert "no p or q here" in texts(cross_validated)


def test_a_gallery_shows_what_units_like(shown: Release, visit) -> None:
    app = visit("units", dataset="sim-a", roi="V4", view="gallery")
    rows = shown.units(dataset="sim-a", roi="V4").sort("mean_r").page(24).rows
    links = [one.proto for one in app.get("page_link") if "unit=net" in one.proto.query_string]
    names = [link.label for link in links if not link.label.startswith("Open")]
    assert [name.partition(" · ")[0] for name in names] == [
        unit.partition("/")[2] for unit in rows["unit_id"]
    ]
    assert "fc/3 · zebra" in names
    assert all("roi=V4" in link.query_string for link in links)
    bodies = [one.proto.body for one in app.get("html") if "display:flex" in one.proto.body]
    kept = {"net/conv1/7", "net/conv1/13", "net/fc/3"}
    for unit, body in zip(rows["unit_id"], bodies, strict=True):
        assert body.count("<img") == (2 if unit in kept else 0)
    assert not app.dataframe


def test_the_row_that_is_ticked_is_opened(shown: Release, visit) -> None:
    app = visit("units", dataset="sim-a", roi="V4", keep="units", n="3", each="1")
    frame = app.dataframe[0].value
    assert len(frame) == 3
    assert "**3** rows" in texts(app)
    (opened,) = [one.proto for one in app.get("page_link") if one.proto.label.startswith("Open")]
    assert opened.label == f"Open {frame['unit_id'].iloc[0]}"
    assert "dataset=sim-a" in opened.query_string
    assert ".top(1, by='mean_r', per='channel').top(3, by='mean_r')" in texts(app)


@pytest.mark.parametrize("more", [{}, {"subject": ["S1", "S2"]}, {"people": "2", "minimum": "0"}])
def test_the_best_channels_are_those_of_the_api(shown: Release, visit, more) -> None:
    app = visit("units", dataset="sim-a", keep="channels", n="4", size="200", **more)
    units = shown.units(dataset="sim-a", subjects=more.get("subject"))
    if "people" in more:
        units = units.reaching(0.0, subjects=2)
    expected = units.top_channels(4)
    rows = expected.page(200).rows
    assert f"**{expected.count():,}** rows" in texts(app)
    assert app.dataframe[0].value["unit_id"].tolist() == rows["unit_id"].tolist()
    assert ".top_channels(4, by='mean_r')" in texts(app)


def test_people_are_counted_among_those_chosen(shown: Release, visit) -> None:
    asked = {"dataset": "sim-a", "roi": "V4", "minimum": "0.2", "subject": ["S1", "S3"]}
    app = visit("units", **asked, people="1")
    box = app.selectbox(key="people")
    assert box.options == ["on average", "at least 2 of 2 chosen", "at least 1 of 2 chosen"]
    assert "in 1 of 2 chosen people or more" in texts(app)
    r = shown.sql(
        "SELECT DISTINCT model || '/' || layer || '/' || unit AS unit_id FROM accuracy WHERE "
        "dataset = 'sim-a' AND roi = 'V4' AND subject IN ('S1', 'S3') AND r >= 0.2"
    )
    assert f"**{len(r):,}** rows" in texts(app)
    assert set(app.dataframe[0].value["unit_id"]) == set(r["unit_id"])
    assert "at least 3 of 3" in visit("units", dataset="sim-a").selectbox(key="people").options
    wrong = visit("units", **asked, people="3")
    assert "`3` cannot be chosen here; there is: `2`, `1`" in texts(wrong)
    app.multiselect(key="subject").select("S2").run()
    assert "people" not in app.query_params


def test_older_links_keep_what_they_ask_for(shown: Release, visit) -> None:
    """A filter that is no longer offered is shown where a link has it."""
    app = visit("units", dataset="sim-a", roi="V4", layer="conv1", everybody="true")
    found = shown.units(dataset="sim-a", roi="V4", layer="conv1").where(every_subject=True)
    assert f"**{found.count():,}** rows" in texts(app)
    assert found.count() == 16
    assert "every_subject=True" in texts(app)
    app.toggle(key="everybody").set_value(False).run()
    assert "everybody" not in app.query_params
    assert not any(one.key == "everybody" for one in visit("units").toggle)


def test_a_gallery_shows_all_of_its_page(shown: Release, visit) -> None:
    app = visit("units", view="gallery", size="200")
    seen = []
    for _ in range(2):
        bodies = [one for one in app.get("html") if "display:flex" in one.proto.body]
        links = [one.proto for one in app.get("page_link") if "unit=net" in one.proto.query_string]
        labels = [one.label.partition(" · ")[0] for one in links]
        seen += [label for label in labels if not label.startswith("Open")]
        assert len(bodies) == 24
        assert "24 rows on this page; *Next page* has more" in texts(app)
        next(b for b in app.button if b.label == "Next page").click().run()
    rows = shown.units().sort("mean_r").page(48).rows
    assert seen == [unit.partition("/")[2] for unit in rows["unit_id"]]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, ", mean over people"),
        ({"people": "3", "dataset": "sim-a"}, ", lowest of any person"),
        ({"people": "2", "dataset": "sim-a"}, ", mean over people"),
        ({"people": "1", "dataset": "sim-a"}, ", highest of any person"),
        ({"subject": "S2"}, " in S2"),
        ({"by": "lead_r", "view": "gallery"}, ", lead over other ROIs"),
    ],
)
def test_the_order_of_what_is_found_is_said(given: dict, said: str, shown: Release, visit) -> None:
    assert f"The highest first: accuracy{said}." in texts(visit("units", **given))
