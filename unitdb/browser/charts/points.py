"""Single numbers, with intervals where there are any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import pandas as pd

from unitdb.browser.charts._theme import (
    CATEGORIES,
    QUIET,
    WRITTEN,
    by_roi,
    categorical,
    finished,
    if_any,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["apart", "bars", "intervals", "predictions", "published_scores", "scores"]


def intervals(rows: pd.DataFrame, rois: Sequence[str], subjects: list[str]) -> Any:
    """Draw a unit's accuracy in each ROI and subject, with its interval.

    Parameters
    ----------
    rows : DataFrame
        ``roi``, ``subject``, ``r``, ``low``, ``high``.
    rois : sequence of str
        Order of the ROIs.
    subjects : list of str
        Order of the subjects.
    """
    title = "Decoding accuracy (Pearson r)"
    base = by_roi(rows, rois, subjects, angle=0 if len(rois) <= 10 else -40).encode(
        tooltip=[
            alt.Tooltip("roi:N", title="ROI"),
            alt.Tooltip("subject:N", title="subject"),
            alt.Tooltip("r:Q", title="r", format=".3f"),
            alt.Tooltip("low:Q", title="95 % from", format=".3f"),
            alt.Tooltip("high:Q", title="to", format=".3f"),
            alt.Tooltip("n_test:Q", title="test images"),
        ],
    )
    spans = base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", title=title), y2="high:Q")
    points = base.mark_point(filled=True, size=55, opacity=1).encode(y=alt.Y("r:Q", title=title))
    chance = alt.Chart(pd.DataFrame({"at": [0.0]})).mark_rule(strokeDash=[4, 4], color=QUIET)
    spanned = if_any(rows, "low", spans)
    chart = alt.layer(chance.encode(y="at:Q"), *spanned, points).properties(
        height=300 if len(subjects) > len(CATEGORIES) else 360
    )
    return finished(chart, description="Accuracy of the unit by ROI and subject, with intervals")


def predictions(rows: pd.DataFrame, subjects: list[str]) -> Any:
    """Draw predicted against true activation, a point for each test image and subject.

    Parameters
    ----------
    rows : DataFrame
        ``activation``, ``predicted``, ``subject`` (as the legend writes it, with its r),
        ``stimulus``.
    subjects : list of str
        Order of the subjects, all that have a colour.
    """
    across, down = "True activation (raw, as the network computes it)", "Predicted activation (raw)"
    points = (
        alt.Chart(rows)
        .mark_circle(size=45, opacity=0.85)
        .encode(
            x=alt.X("activation:Q", title=across, scale=alt.Scale(zero=False)),
            y=alt.Y("predicted:Q", title=down, scale=alt.Scale(zero=False)),
            color=alt.Color(
                "subject:N",
                scale=categorical(subjects),
                legend=alt.Legend(
                    title="Subject", orient="bottom", columns=2, values=_occurring(rows, subjects)
                ),
            ),
            tooltip=[
                alt.Tooltip("stimulus:N", title="picture"),
                alt.Tooltip("subject:N", title="subject"),
                alt.Tooltip("activation:Q", title="true", format=".4g"),
                alt.Tooltip("predicted:Q", title="predicted", format=".4g"),
            ],
        )
    )
    low, high = float(rows["activation"].min()), float(rows["activation"].max())
    ends = pd.DataFrame({"x": [low, high], "y": [low, high]})
    line = alt.Chart(ends).mark_line(strokeDash=[4, 4], color=QUIET, strokeWidth=1)
    chart = line.encode(x="x:Q", y="y:Q") + points
    return finished(chart.properties(height=480), description=f"{down} against {across}")


def _occurring(rows: pd.DataFrame, subjects: list[str]) -> list[str]:
    present = set(rows["subject"])
    return [subject for subject in subjects if subject in present]


def published_scores(rows: pd.DataFrame, *, by: str, own: pd.DataFrame | None = None) -> Any:
    """Draw BH scores of networks against their ImageNet accuracy.

    Parameters
    ----------
    rows : DataFrame
        ``dnn``, ``top1`` and the column ``by``.
    by : str
        A kind of score.
    own : DataFrame, optional
        ``model`` and ``score`` of networks whose ImageNet accuracy is not known: dashed lines.
    """
    chart = (
        alt.Chart(rows)
        .mark_point(filled=True, size=70, opacity=0.9, color=CATEGORIES[0])
        .encode(
            x=alt.X("top1:Q", title="ImageNet top-1 accuracy (%)", scale=alt.Scale(zero=False)),
            y=alt.Y(f"{by}:Q", title="BH score (Spearman r)", scale=alt.Scale(zero=False)),
            tooltip=[
                alt.Tooltip("dnn:N", title="network"),
                alt.Tooltip("top1:Q", title="top-1 (%)"),
                alt.Tooltip(f"{by}:Q", title="BH score", format=".3f"),
            ],
        )
    )
    named = alt.Chart(rows[apart(rows["top1"], rows[by])])
    names = named.mark_text(align="left", dx=7, fontSize=11, color=WRITTEN).encode(
        x="top1:Q", y=f"{by}:Q", text="dnn:N"
    )
    described = "Published BH scores of networks against ImageNet accuracy"
    drawn: Any = chart + names
    if own is not None and len(own):
        lines = alt.Chart(own).encode(
            y="score:Q",
            tooltip=[
                alt.Tooltip("model:N", title="network of this release"),
                alt.Tooltip("score:Q", title="BH score", format=".3f"),
            ],
        )
        colour = CATEGORIES[5]
        drawn += lines.mark_rule(strokeDash=[6, 3], strokeWidth=2, color=colour)
        high = float(rows[by].max() - rows[by].min()) or 1.0
        named = own[apart(own["score"] * 0, own["score"], wide=1.0, high=high / 25)]
        drawn += (
            alt.Chart(named)
            .mark_text(align="right", baseline="bottom", dy=-3, fontSize=11, color=WRITTEN)
            .encode(x=alt.value("width"), y="score:Q", text="model:N")
        )
    return finished(drawn.properties(height=420), description=described)


def apart(
    x: pd.Series[Any], y: pd.Series[Any], *, wide: float | None = None, high: float | None = None
) -> list[bool]:
    """Whether each point's name has room: no name before it is near.

    Parameters
    ----------
    x, y : Series
        Where the points are.
    wide, high : float, optional
        Room that a name takes; by default a fourth of all across, and a 25th up.
    """
    kept: list[tuple[float, float]] = []
    found = []
    wide = float(x.max() - x.min()) / 4 if wide is None else wide
    high = float(y.max() - y.min()) / 25 if high is None else high
    for one in zip(x.astype(float), y.astype(float), strict=True):
        room = all(abs(one[0] - a) > wide or abs(one[1] - b) > high for a, b in kept)
        kept += [one] if room else []
        found.append(room)
    return found


def bars(rows: pd.DataFrame, *, legend: str) -> Any:
    """Draw a number for each subject.

    Parameters
    ----------
    rows : DataFrame
        ``subject``, ``r``.
    legend : str
        What the number is, with its unit.
    """
    base = alt.Chart(rows).encode(
        y=alt.Y("subject:N", title="Subject", sort=None),
        x=alt.X("r:Q", title=legend),
        tooltip=[
            alt.Tooltip("subject:N", title="subject"),
            alt.Tooltip("r:Q", title=legend, format=".3f"),
        ],
    )
    numbers = base.mark_text(align="left", dx=4, color=WRITTEN).encode(
        text=alt.Text("r:Q", format=".2f")
    )
    chart = base.mark_bar(color=CATEGORIES[0]) + numbers
    return finished(
        chart.properties(height=60 + 30 * len(rows)), description=f"{legend} by subject"
    )


def scores(rows: pd.DataFrame, models: list[str]) -> Any:
    """Draw BH scores of the release's networks, with their intervals.

    Parameters
    ----------
    rows : DataFrame
        ``model``, ``kind``, ``method``, ``score``, ``score_low``, ``score_high``.
    models : list of str
        Order of the networks.
    """
    kinds = [kind for kind in ("decoding", "encoding", "average") if kind in set(rows["kind"])]
    several = len(kinds) > 1
    # A row of the figure for each network and kind; the methods lie side by side in it.
    lines = [f"{model}, {kind}" if several else model for model in models for kind in kinds]
    rows = rows.assign(line=rows["model"] + (", " + rows["kind"] if several else ""))
    base = alt.Chart(rows).encode(
        y=alt.Y(
            "line:N",
            title="Network" + (", score" if several else ""),
            sort=lines,
            axis=alt.Axis(labelLimit=240),
        ),
        yOffset=alt.YOffset("method:N"),
        color=alt.Color(
            "method:N",
            scale=categorical(sorted(rows["method"].unique())),
            legend=alt.Legend(title="Method", orient="bottom"),
        ),
        tooltip=[
            alt.Tooltip("model:N", title="network"),
            alt.Tooltip("kind:N", title="score"),
            alt.Tooltip("method:N", title="method"),
            alt.Tooltip("score:Q", title="BH score", format=".3f"),
            alt.Tooltip("score_low:Q", title="95 % from", format=".3f"),
            alt.Tooltip("score_high:Q", title="to", format=".3f"),
        ],
    )
    spans = base.mark_rule(strokeWidth=1.5).encode(
        x=alt.X("score_low:Q", title="BH score (Spearman r)"), x2="score_high:Q"
    )
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        x=alt.X("score:Q", title="BH score (Spearman r)")
    )
    chart = alt.layer(*if_any(rows, "score_low", spans), points).properties(
        height=150 + 40 * len(lines)
    )
    return finished(chart, description="BH scores of networks with intervals")
