"""One thing against another, a point for each place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import pandas as pd

from unitdb.browser.charts._theme import QUIET, categorical, finished
from unitdb.browser.charts.points import named

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["against"]

_NAMED = 12
"""Up to so many points have their names beside them."""


def against(rows: pd.DataFrame, rois: Sequence[str], *, a: str, b: str) -> Any:
    """Draw means over people of two things against each other; the diagonal is dashed.

    Parameters
    ----------
    rows : DataFrame
        ``place``, ``roi``, ``a``, ``b``, ``difference``, ``n_higher``, ``n``.
    rois : sequence of str
        Order of the ROIs.
    a, b : str
        What the two are called: across, and up.
    """
    low = float(rows[["a", "b"]].min().min())
    high = float(rows[["a", "b"]].max().max())
    margin = max(0.1 * (high - low), 0.005)
    axis = low - margin, high + margin
    ends = pd.DataFrame({"at": axis})
    span = alt.Scale(domain=axis, nice=False)
    x = alt.X("a:Q", title=f"r, {a}", scale=span)
    y = alt.Y("b:Q", title=f"r, {b}", scale=span)
    shown = rows.assign(
        people=[f"{n:.0f} of {of:.0f}" for n, of in zip(rows["n_higher"], rows["n"], strict=True)]
    )
    colour: Any = alt.Color(
        "roi:N",
        scale=categorical([roi for roi in rois if roi in set(rows["roi"])]),
        legend=alt.Legend(title="ROI", orient="bottom", columns=4),
    )
    base = alt.Chart(shown).encode(x=x, y=y)
    points = base.mark_point(filled=True, size=75, opacity=0.9).encode(
        color=colour,
        tooltip=[
            alt.Tooltip("place:N", title="where"),
            alt.Tooltip("a:Q", title="across", format=".3f"),
            alt.Tooltip("b:Q", title="up", format=".3f"),
            alt.Tooltip("difference:Q", title="difference", format="+.3f"),
            alt.Tooltip("people:N", title="people in whom it is higher"),
        ],
    )
    diagonal = (
        alt.Chart(ends)
        .mark_line(strokeDash=[4, 4], color=QUIET, strokeWidth=1)
        .encode(
            x=alt.X("at:Q", title=f"r, {a}", scale=span),
            y=alt.Y("at:Q", title=f"r, {b}", scale=span),
        )
    )
    parts = [diagonal, points]
    if len(shown) <= _NAMED:
        parts += named(shown, x="a", y="b", name="place", at=(x, y), span=axis)
    return finished(
        alt.layer(*parts).properties(height=400), description=f"Accuracies of {b} against {a}"
    )
