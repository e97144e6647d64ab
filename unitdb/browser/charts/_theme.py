"""What all figures share: colours and descriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = [
    "CATEGORIES",
    "QUIET",
    "SEQUENTIAL",
    "WRITTEN",
    "by_roi",
    "categorical",
    "dashes",
    "finished",
    "if_any",
]

CATEGORIES = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#999933",
    "#7F7F7F",
    "#AA4499",
    "#44AA99",
)
"""Okabe and Ito (2008), Color Universal Design, with grey for black, which a dark ground hides, and
Paul Tol's olive for yellow, which a white one does; then two more of Tol's."""
SEQUENTIAL: Any = {"name": "cividis", "extent": [0.4, 1]}
"""Without its dark end, which stands out from a dark ground by less than 3 to 1."""
_MANY: Any = {"name": "viridis", "extent": [0.4, 1]}
QUIET = "#7F7F7F"
"""Lines that help to read: seen on white and on dark ground."""
WRITTEN = "#666666"
"""Text in figures, on white; no one colour stands out from both grounds, so that pages give such
text their own."""


def categorical(names: list[str]) -> Any:
    """Scale of colours for names, the same for the same list, and no colour twice."""
    import altair as alt

    if len(names) > len(CATEGORIES):
        return alt.Scale(domain=names, scheme=alt.SchemeParams(**_MANY))
    colours = [CATEGORIES[place % len(CATEGORIES)] for place in range(len(names))]
    return alt.Scale(domain=names, range=colours)


def dashes(title: str) -> Any:
    """Legend of kinds of lines, each drawn as a line: by itself a legend has a dot for all."""
    import altair as alt

    return alt.Legend(
        title=title,
        orient="bottom",
        columns=4,
        symbolType="stroke",
        symbolSize=400,
        symbolStrokeColor=QUIET,
        symbolStrokeWidth=2,
    )


def by_roi(rows: pd.DataFrame, rois: Sequence[str], subjects: list[str], *, angle: int) -> Any:
    """Begin a figure of subjects side by side in each ROI; labels of ROIs stand at an angle."""
    import altair as alt

    # More than there are hues: people are told apart by their place, and named in the tooltip.
    colour: Any = alt.value(CATEGORIES[0])
    if len(subjects) <= len(CATEGORIES):
        colour = alt.Color(
            "subject:N",
            scale=categorical(subjects),
            legend=alt.Legend(title="Subject", orient="bottom", columns=4),
        )
    return alt.Chart(rows).encode(
        x=alt.X(
            "roi:N",
            title="Region of interest (ROI)",
            sort=list(rois),
            axis=alt.Axis(labelAngle=angle),
        ),
        xOffset=alt.XOffset("subject:N", sort=subjects),
        color=colour,
    )


def if_any(rows: pd.DataFrame, column: str, part: Any) -> list[Any]:
    """A part of a figure, if anything of it is drawn: screen readers would meet an empty one."""
    return [part] if rows[column].notna().any() else []


def finished(chart: Any, *, description: str) -> Any:
    """Give a figure its description, for readers who hear it."""
    return chart.properties(description=description)
