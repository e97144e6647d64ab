"""Choices that narrow a table: what another choice leaves, and what it makes void."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.browser.conftest import asked, texts

PAGE = """
import pandas as pd, streamlit as st
from unitdb.browser._choices import chosen_in_turn, mean_first
rows = pd.DataFrame(
    [
        ("ridge", "sub-01", "V1"), ("ridge", "sub-02", "V1"), ("ridge", "mean", "V4"),
        ("inverted", "sub-01", "V4"), ("inverted", "mean", "V1"), ("other", "mean", "V1"),
    ],
    columns=["method", "subject", "roi"],
).assign(dataset="one")
labels = {"dataset": "Dataset", "method": "Method", "subject": "Person", "roi": "Region"}
chosen, left = chosen_in_turn(rows, labels, options=mean_first)
st.code(" ".join(chosen.values()) + f" {len(left)}")
"""


@pytest.fixture
def app() -> AppTest:
    return AppTest.from_string(PAGE, default_timeout=60)


def chosen(app: AppTest) -> str:
    assert not app.exception
    return app.code[0].value


def test_what_is_alone_is_not_asked_for(app):
    app.run()
    assert [one.label for one in app.selectbox] == ["Method", "Person"]
    assert app.selectbox[1].options == ["mean", "sub-01"]
    assert chosen(app) == "one inverted mean V1 1"


def test_another_choice_leaves_those_after_it_where_they_exist(app):
    app.query_params.update({"method": "ridge", "subject": "sub-01"})
    app.run()
    assert chosen(app) == "one ridge sub-01 V1 1"
    app.selectbox[0].set_value("inverted").run()
    assert chosen(app) == "one inverted sub-01 V4 1"
    assert asked(app) == {"subject": "sub-01"}


@pytest.mark.parametrize("place", ["V1", "V4", None])
def test_what_does_not_exist_with_another_choice_leaves_the_url_and_nothing_warns(app, place):
    given = {"method": "ridge", "subject": "sub-02"} | ({"roi": place} if place else {})
    app.query_params.update(given)
    app.run()
    assert len(app.warning) == (place == "V4")  # what the URL itself asks for and is not there
    app.selectbox[0].set_value("other").run()
    assert chosen(app) == "one other mean V1 1"
    assert asked(app) == {"method": "other"} | ({"roi": "V1"} if place == "V1" else {})
    assert "cannot be chosen here" not in texts(app)
