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

__all__ = ["bars", "intervals", "named", "placed", "predictions", "published_scores", "scores"]

_LETTER, _LINE, _GAP = 0.022, 0.05, 0.02
"""Room of a letter across, of a line up, and beside a point, in parts of half a page's figure."""


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
    across, down = "True activation (raw)", "Predicted activation (raw)"
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
    described = "Published BH scores of networks against ImageNet accuracy"
    highest = float(own["score"].max()) if own is not None and len(own) else -1.0
    at = ("top1:Q", f"{by}:Q")
    names = named(rows, x="top1", y=by, name="dnn", at=at, highest=highest)
    drawn: Any = alt.layer(chart, *names)
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
        # The highest of the release is named; the others in the tooltip.
        drawn += (
            alt.Chart(own.nlargest(1, "score"))
            .mark_text(align="right", baseline="bottom", dy=-3, fontSize=11, color=WRITTEN)
            .encode(x=alt.value("width"), y="score:Q", text="model:N")
        )
    return finished(drawn.properties(height=420), description=described)


def placed(x: Sequence[float], y: Sequence[float], names: Sequence[str]) -> list[str]:
    """Where each point's name has room: right of it, left of it, or (an empty text) nowhere.

    Parameters
    ----------
    x, y : sequence of float
        Where the points are, in parts of the figure: 0 to 1.
    names : sequence of str
        Their names; the first have room before others.
    """
    boxes: list[tuple[float, float]] = []  # across, up: of names that are placed
    heights: list[float] = []
    found = []
    for at, up, name in zip(x, y, names, strict=True):
        wide, side = _LETTER * len(name), ""
        for where, low in (("right", at + _GAP), ("left", at - _GAP - wide)):
            points = (
                low - _GAP < other < low + wide + _GAP and abs(up - height) < _LINE / 2
                for other, height in zip(x, y, strict=True)
                if (other, height) != (at, up)
            )
            others = (
                low < end and start < low + wide and abs(up - height) < _LINE
                for (start, end), height in zip(boxes, heights, strict=True)
            )
            if low < -_GAP or low + wide > 1 + _GAP or any(points) or any(others):
                continue
            side = where
            boxes.append((low, low + wide))
            heights.append(up)
            break
        found.append(side)
    return found


def named(
    rows: pd.DataFrame,
    *,
    x: str,
    y: str,
    name: str,
    at: Sequence[Any],
    highest: float = -1.0,
    span: tuple[float, float] | None = None,
) -> list[Any]:
    """Names of points that have room, on either side of them.

    Parameters
    ----------
    rows : DataFrame
        Columns ``x``, ``y`` and ``name``.
    x, y, name : str
        Columns.
    at : sequence of channels
        The encoding of ``x`` and of ``y``.
    highest : float
        Of ``y`` of anything else that is drawn.
    span : tuple of float, optional
        Ends of both axes; those of the values by default.
    """
    ends = [(float(rows[column].min()), float(rows[column].max())) for column in (x, y)]
    ends[1] = (ends[1][0], max(ends[1][1], highest))
    across, up = (
        _parts(rows[column], *(span or own)) for column, own in zip((x, y), ends, strict=True)
    )
    sides = placed(across, up, list(rows[name].astype(str)))
    parts: list[Any] = []
    styles: dict[str, Any] = {
        "right": {"align": "left", "dx": 7},
        "left": {"align": "right", "dx": -7},
    }
    for side, style in styles.items():
        here = rows[[one == side for one in sides]]
        if len(here):
            mark: Any = alt.Chart(here).mark_text(**style, fontSize=11, color=WRITTEN)
            parts.append(mark.encode(x=at[0], y=at[1], text=f"{name}:N"))
    return parts


def _parts(values: pd.Series[Any], lowest: float, highest: float) -> list[float]:
    return [(float(one) - lowest) / ((highest - lowest) or 1.0) for one in values]


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
