"""Courses in time, layer by layer, and how far they are displaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import pandas as pd

from unitdb.browser.charts._theme import QUIET, SEQUENTIAL, finished, if_any
from unitdb.release import LAG_CONTROLS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["course", "lags"]


def _layers(layers: Sequence[str]) -> alt.Color:
    """Layers from dark to light, from the first to the last."""
    return alt.Color(
        "layer:N",
        title="Layer",
        sort=list(layers),
        scale=alt.Scale(domain=list(layers), scheme=alt.SchemeParams(**SEQUENTIAL)),
        legend=alt.Legend(symbolOpacity=1),  # not as faint as the bands are
    )


def course(rows: pd.DataFrame, layers: Sequence[str], *, chance: float, title: str) -> Any:
    """Draw a curve for each layer, with its interval, chance, and the onset.

    Parameters
    ----------
    rows : DataFrame
        ``layer``, ``time``, ``value``, ``low``, ``high``.
    layers : sequence of str
        In the network's order.
    chance : float
        A dashed line.
    title : str
        Of the axis of values.
    """
    base = alt.Chart(rows).encode(
        x=alt.X("time:Q", title="Time from onset (s)"),
        color=_layers(layers),
        tooltip=[
            alt.Tooltip("layer:N", title="layer"),
            alt.Tooltip("time:Q", title="time (s)"),
            alt.Tooltip("value:Q", title="mean", format=".3f"),
            alt.Tooltip("low:Q", title="95 % from", format=".3f"),
            alt.Tooltip("high:Q", title="to", format=".3f"),
        ],
    )
    y = alt.Y("value:Q", title=title, scale=alt.Scale(zero=False))
    known = base.transform_filter("isValid(datum.low) && isValid(datum.high)")
    bands = known.mark_area(opacity=0.12).encode(y=alt.Y("low:Q", title=title), y2="high:Q")
    lines = base.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=30)).encode(y=y)
    level = alt.Chart(pd.DataFrame({"at": [chance]})).mark_rule(strokeDash=[4, 4], color=QUIET)
    onset = alt.Chart(pd.DataFrame({"at": [0.0]})).mark_rule(color=QUIET)
    chart = alt.layer(
        level.encode(y="at:Q"), onset.encode(x="at:Q"), *if_any(rows, "low", bands), lines
    )
    return finished(
        chart.properties(height=340), description="Course in time of each layer, with intervals"
    )


def lags(rows: pd.DataFrame, layers: Sequence[str]) -> Any:
    """Draw the lag of each layer with its interval, and beside it those of controls.

    Parameters
    ----------
    rows : DataFrame
        ``layer``, ``control``, ``lag``, ``low``, ``high``.
    layers : sequence of str
        In the network's order.
    """
    shown = rows.assign(what=rows["control"].map(LAG_CONTROLS))
    kinds = [name for name in LAG_CONTROLS.values() if name in set(shown["what"])]
    base = alt.Chart(shown).encode(
        x=alt.X("layer:N", sort=list(layers), title="Layer", axis=alt.Axis(labelAngle=-40)),
        xOffset=alt.XOffset("what:N", sort=kinds),
        color=alt.Color("what:N", title="Lags", sort=kinds),
        tooltip=[
            alt.Tooltip("layer:N", title="layer"),
            alt.Tooltip("what:N", title="lags"),
            alt.Tooltip("lag:Q", title="lag (s)", format="+.2f"),
            alt.Tooltip("low:Q", title="95 % from", format="+.2f"),
            alt.Tooltip("high:Q", title="to", format="+.2f"),
        ],
    )
    title = "Lag (s); above 0: late"
    known = base.transform_filter("isValid(datum.low) && isValid(datum.high)")
    spans = known.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", title=title), y2="high:Q")
    points = base.mark_point(filled=True, size=60, opacity=1).encode(y=alt.Y("lag:Q", title=title))
    zero = alt.Chart(pd.DataFrame({"at": [0.0]})).mark_rule(strokeDash=[4, 4], color=QUIET)
    chart = alt.layer(zero.encode(y="at:Q"), *if_any(rows, "low", spans), points)
    return finished(chart.properties(height=300), description="Lag of each layer, with intervals")
