"""Identification: how often the true candidate is found among n."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from unitdb.browser.charts._theme import QUIET, categorical, finished

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["hit_curves"]


def hit_curves(rows: pd.DataFrame, layers: list[str]) -> Any:
    """Draw a curve for each layer over the number of candidates, chance dashed.

    That of exchanged images is dotted, in the colour of the layer.

    Parameters
    ----------
    rows : DataFrame
        Columns ``layer``, ``n``, ``rate``, ``chance`` and ``chance_exchange``, of the view
        ``identification_curve``.
    layers : list of str
        In their order.
    """
    x = alt.X("n:Q", title="Candidates to choose from", scale=alt.Scale(type="log"))
    y = alt.Y("rate:Q", title="Share identified", scale=alt.Scale(domain=[0, 1]))
    color = alt.Color(
        "layer:N",
        scale=categorical(layers),
        legend=alt.Legend(title="Layer", orient="bottom", columns=5),
    )
    lines = (
        alt.Chart(rows)
        .mark_line(point=alt.OverlayMarkDef(size=30))
        .encode(
            x=x,
            y=y,
            color=color,
            tooltip=[
                alt.Tooltip("layer:N", title="layer"),
                alt.Tooltip("n:Q", title="candidates"),
                alt.Tooltip("rate:Q", title="identified", format=".3f"),
                alt.Tooltip("chance:Q", title="chance", format=".4f"),
                alt.Tooltip("chance_exchange:Q", title="exchanged images", format=".4f"),
            ],
        )
    )
    chance = (
        alt.Chart(rows[["n", "chance"]].drop_duplicates())
        .mark_line(strokeDash=[4, 4], color=QUIET)
        .encode(x=x, y=alt.Y("chance:Q"))
    )
    exchanged = (
        alt.Chart(rows[rows["chance_exchange"].notna()])
        .mark_line(strokeDash=[1, 3])
        .encode(x=x, y=alt.Y("chance_exchange:Q"), color=color)
    )
    chart = (chance + exchanged + lines).properties(height=360)
    return finished(
        chart,
        description="Share identified by number of candidates; dashed: chance, dotted: exchanged",
    )
