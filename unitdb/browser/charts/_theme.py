"""What all figures share: colours and descriptions."""

from __future__ import annotations

from typing import Any, Literal

__all__ = ["CATEGORIES", "SEQUENTIAL", "categorical", "finished"]

CATEGORIES = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#F0E442",
    "#7F7F7F",
    "#882255",
    "#44AA99",
)
"""Okabe and Ito (2008), Color Universal Design, with grey for black: seen on dark ground too; then
two of Paul Tol's."""
SEQUENTIAL: Literal["cividis"] = "cividis"


def categorical(names: list[str]) -> Any:
    """Scale of colours for names, the same for the same list."""
    import altair as alt

    colours = [CATEGORIES[place % len(CATEGORIES)] for place in range(len(names))]
    return alt.Scale(domain=names, range=colours)


def finished(chart: Any, *, description: str) -> Any:
    """Give a figure its description, for readers who hear it."""
    return chart.properties(description=description)
