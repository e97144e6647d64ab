"""How accuracies are spread, and how they run through the network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import altair as alt
import pandas as pd

from unitdb.browser.charts._theme import CATEGORIES, by_roi, categorical, dashes, finished

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["histogram", "profile", "quantiles"]

_ACCURACY = "Decoding accuracy (Pearson r)"
_HALF = 0.42
"""Half the width of a violin, where 1 is the distance of two."""
_LETTERS = 24
"""Of labels that stand upright beside each other."""


def histogram(bins: pd.DataFrame, *, threshold: float | None, measure: str = _ACCURACY) -> Any:
    """Draw numbers of units by accuracy, and the least that is asked for.

    Parameters
    ----------
    bins : DataFrame
        ``lower``, edge of the bin of a hundredth, and ``n_units``.
    threshold : float, optional
        Units from here on are drawn in colour.
    measure : str
        Title of the axis.
    """
    shown = bins.assign(
        upper=bins["lower"] + 0.01,
        zero=0,
        kept="kept",
    )
    if threshold is not None:
        kept = shown["lower"] >= threshold - 0.005
        shown["kept"] = kept.map({True: "kept", False: "left out"})
    bars = (
        alt.Chart(shown)
        .mark_rect()
        .encode(
            x=alt.X("lower:Q", title=measure, scale=alt.Scale(zero=False)),
            x2="upper:Q",
            y=alt.Y("n_units:Q", title="Units"),
            y2="zero:Q",
            color=alt.Color(
                "kept:N",
                scale=alt.Scale(domain=["kept", "left out"], range=[CATEGORIES[0], "#9A9A9A"]),
                legend=None,
            ),
            tooltip=[
                alt.Tooltip("lower:Q", title="from", format=".2f"),
                alt.Tooltip("upper:Q", title="to", format=".2f"),
                alt.Tooltip("n_units:Q", title="units", format=","),
            ],
        )
    )
    chart: Any = bars
    if threshold is not None:
        rule = alt.Chart(pd.DataFrame({"at": [threshold]})).mark_rule(
            color=CATEGORIES[5], strokeWidth=2
        )
        chart = bars + rule.encode(x="at:Q", tooltip=[alt.Tooltip("at:Q", title="at least")])
    return finished(chart.properties(height=200), description="Number of units by accuracy")


def _angle(names: Sequence[str]) -> int:
    """Angle of labels: upright where there is room, in half a page's width."""
    return 0 if sum(map(len, names)) <= _LETTERS else -40


def quantiles(rows: pd.DataFrame, rois: Sequence[str], subjects: list[str]) -> Any:
    """Draw how units of a layer are spread: 5 to 95 % thin, 25 to 75 % thick, the median a tick.

    Parameters
    ----------
    rows : DataFrame
        Rows of ``layer_summary`` of one layer.
    rois : sequence of str
        Order of the ROIs.
    subjects : list of str
        Order of the subjects.
    """
    base = by_roi(rows, rois, subjects, angle=_angle(rois)).encode(
        tooltip=[
            alt.Tooltip("roi:N", title="ROI"),
            alt.Tooltip("subject:N"),
            alt.Tooltip("q05_r:Q", title="5 %", format=".3f"),
            alt.Tooltip("q25_r:Q", title="25 %", format=".3f"),
            alt.Tooltip("median_r:Q", title="median", format=".3f"),
            alt.Tooltip("q75_r:Q", title="75 %", format=".3f"),
            alt.Tooltip("q95_r:Q", title="95 %", format=".3f"),
            alt.Tooltip("n_units:Q", title="units", format=","),
        ],
    )
    y = alt.Y("q05_r:Q", title=_ACCURACY, scale=alt.Scale(zero=False))
    wide = base.mark_rule(strokeWidth=1.5).encode(y=y, y2="q95_r:Q")
    # Rules, not bars: Vega places bars of an offset beside lines and points of the same.
    places = max(1, len(rois) * (len(subjects) + 1))
    half = base.mark_rule(strokeWidth=min(14, max(2, 240 / places))).encode(
        y=alt.Y("q25_r:Q", title=_ACCURACY), y2="q75_r:Q"
    )
    middle = base.mark_point(shape="stroke", size=50, strokeWidth=2, filled=False).encode(
        y=alt.Y("median_r:Q", title=_ACCURACY), color=alt.value("black")
    )
    chart = alt.layer(wide, half, middle).properties(height=380)
    return finished(chart, description="Quantiles of the accuracies of units by ROI and subject")


def violins(bins: pd.DataFrame, rois: Sequence[str]) -> Any:
    """Draw the whole distribution of units in each ROI, each as wide as its fullest bin.

    Parameters
    ----------
    bins : DataFrame
        ``roi``, ``lower`` and ``n_units``.
    rois : sequence of str
        Order of the ROIs.
    """
    place = {roi: number for number, roi in enumerate(rois)}
    shown = bins[bins["roi"].isin(rois)]
    half = shown["n_units"] / shown.groupby("roi")["n_units"].transform("max") * _HALF
    centre = shown["roi"].map(place).astype(float)
    shown = shown.assign(
        left=centre - half, right=centre + half, lower=shown["lower"].astype(float)
    )
    shown = shown.assign(upper=shown["lower"] + 0.01)
    axis = alt.Axis(
        values=list(place.values()),
        labelExpr=f"{json.dumps(list(rois))}[datum.value]",
        labelAngle=_angle(rois),
        grid=False,
    )
    chart = (
        alt.Chart(shown)
        .mark_rect(color=CATEGORIES[0])
        .encode(
            x=alt.X(
                "left:Q",
                title="Region of interest (ROI)",
                scale=alt.Scale(domain=[-0.5, len(rois) - 0.5], nice=False),
                axis=axis,
            ),
            x2="right:Q",
            y=alt.Y("lower:Q", title=_ACCURACY, scale=alt.Scale(zero=False)),
            y2="upper:Q",
            tooltip=[
                alt.Tooltip("roi:N", title="ROI"),
                alt.Tooltip("lower:Q", title="from", format=".2f"),
                alt.Tooltip("upper:Q", title="to", format=".2f"),
                alt.Tooltip("n_units:Q", title="units", format=","),
            ],
        )
        .properties(height=380)
    )
    return finished(chart, description="Distribution of mean accuracies of units in each ROI")


def profile(
    rows: pd.DataFrame,
    *,
    x: str,
    x_title: str,
    y_title: str,
    colour: str,
    colours: list[str],
    colour_title: str,
    dash: str | None = None,
    dash_title: str = "",
    whole: bool = False,
) -> Any:
    """Draw lines through layers: one for each ROI, or network.

    Parameters
    ----------
    rows : DataFrame
        Columns ``x``, ``r``, ``colour``, (``dash``) and ``layer``.
    x, colour, dash : str
        Columns that place, colour and dash a point.
    x_title, y_title, colour_title, dash_title : str
        Titles of axes and legends.
    colours : list of str
        Order of what has a colour.
    whole : bool
        Whether places are whole numbers.
    """
    encoded: dict[str, Any] = {
        "x": alt.X(f"{x}:Q", title=x_title, axis=alt.Axis(tickMinStep=1) if whole else alt.Axis()),
        "y": alt.Y("r:Q", title=y_title, scale=alt.Scale(zero=False)),
        "color": alt.Color(
            f"{colour}:N",
            scale=categorical(colours),
            legend=alt.Legend(title=colour_title, orient="bottom", columns=5),
        ),
        "tooltip": [
            alt.Tooltip(f"{colour}:N", title=colour_title),
            alt.Tooltip("layer:N", title="layer"),
            alt.Tooltip("r:Q", title=y_title, format=".3f"),
        ],
    }
    if dash is not None:
        encoded["tooltip"].insert(0, alt.Tooltip(f"{dash}:N", title=dash_title))
    base = alt.Chart(rows).encode(**encoded)
    lines, points = base.mark_line(), base.mark_point(filled=True, size=45, opacity=1)
    if dash is not None:
        lines = lines.encode(strokeDash=alt.StrokeDash(f"{dash}:N", legend=dashes(dash_title)))
        points = points.encode(shape=alt.Shape(f"{dash}:N", legend=None))
    chart = alt.layer(lines, points).properties(height=380)
    return finished(chart, description=f"{y_title} by {x_title}")
