"""What is decoded when: courses in time of layers, their lags, and whether these have an order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from unitdb.browser import _figure, _links, _reads, _state, charts
from unitdb.browser._choices import chosen_in_turn
from unitdb.browser._columns import numbers
from unitdb.browser._words import help_on
from unitdb.release import COURSES, chance_of, course_rows, lag_points, order_words

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.release import Release

__all__ = ["show"]

_LABELS = {
    "dataset": "Dataset",
    "condition": "Condition",
    "model": "Network",
    "roi": "Region of interest",
}


def show(release: Release) -> None:
    """Draw the page."""
    course = _reads.table(release, "timecourse")
    order = _reads.table(release, "rois").sort_values("place")["roi"].tolist()

    def options(column: str, rows: pd.DataFrame) -> list[str]:
        known: list[str] = rows[column].unique().tolist()
        return sorted(known, key=order.index if column == "roi" else None)

    chosen, course = chosen_in_turn(course, _LABELS, options=options, later={"layer": "layer"})
    depth = _reads.table(release, "layers").sort_values("depth")
    layers = [
        layer
        for layer in depth[depth["model"] == chosen["model"]]["layer"]
        if layer in set(course["layer"])
    ]
    seen = _courses(release, course, layers)
    _lags(release, chosen, layers)
    with st.expander("Link, and the same as SQL", icon=":material/link:"):
        query = _links.query_of(chosen | seen)
        st.code(_links.absolute(release, "timecourse", query), language=None, wrap_lines=True)
        where = " AND ".join(f"{column} = '{name}'" for column, name in chosen.items())
        asked = "SELECT * FROM timecourse WHERE {} ORDER BY layer, subject, time"
        st.code(asked.format(where), "sql")


def _courses(
    release: Release, course: pd.DataFrame, layers: list[str]
) -> dict[str, str | list[str]]:
    """Draw what is decoded when; gives what the reader has chosen of it."""
    st.subheader("What is decoded when", help=help_on("timecourse"))
    left, right = st.columns(2)
    measure = _state.one_of(left, "Measure", "measure", list(COURSES))
    asked = _state.some_of(right, "Layers", "layer", layers, help=help_on("layer"))
    shown = asked or layers
    seen: dict[str, str | list[str]] = {"measure": measure, "layer": asked}
    rows = course_rows(course[course["layer"].isin(shown)], measure)
    if rows.empty:
        st.info("These layers have no value at any time.")
        return seen
    n = course["subject"].nunique()
    over = f"Mean over {n} subjects" if n > 1 else "One subject"
    interval = "over subjects" if n > 1 else "over stimuli"
    st.caption(f"{over}; bands: 95 % interval {interval}. Dashed: chance. 0 s is the onset.")
    title = COURSES[measure][3]
    chart = charts.course(rows, shown, chance=chance_of(course, measure), title=title)
    _figure.draw(release, chart, "course")
    return seen


def _lags(release: Release, chosen: dict[str, str], layers: list[str]) -> None:
    found, orders = (_reads.table(release, name) for name in ("lag", "lag_order"))
    for column, name in chosen.items():
        found, orders = found[found[column] == name], orders[orders[column] == name]
    known = found.dropna(subset="lag")
    if known.empty:
        st.caption("Lags take two layers or more.")
        return
    st.subheader("Which layers are early", help=help_on("lag"))
    _figure.draw(release, charts.lags(lag_points(known), layers), "lags")
    for sentence in order_words(orders):
        st.markdown(f"- {_state.plain(sentence)}")
    st.caption("Single subjects and few layers: see the intervals, not the points.")
    columns = ["layer", "control", "lag", "low", "high", "stimuli_low", "stimuli_high"]
    columns += ["peak_time", "peak_r", "perception_lag", "adjusted_lag"]
    numbers(found[columns], "Lags of layers")
