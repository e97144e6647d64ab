"""Charts in colours that colour-blind readers can tell apart, with axes that say their units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["heat_map"]

_ROW_HEIGHT = 34  # pixels
_AROUND = 170  # axis above and legend below the cells: Streamlit counts them in the height


def heat_map(
    values: pd.DataFrame, *, layers: Sequence[str], column: str, legend: str
) -> alt.LayerChart:
    """Draw a number for each layer and ROI, written in its cell.

    Parameters
    ----------
    values : DataFrame with columns ``layer``, ``roi`` and ``column``
        A row for each cell.
    layers : sequence of str
        All layers, the first one lowest, as in the hierarchy.
    column : str
        The column to draw.
    legend : str
        What the number is, with its unit.
    """
    low, high = float(values[column].min()), float(values[column].max())
    cells = alt.Chart(values).encode(
        x=alt.X("roi:N", title="Region of interest", axis=alt.Axis(labelAngle=0, orient="top")),
        y=alt.Y("layer:N", title="Layer", sort=list(reversed(layers))),
        tooltip=[
            alt.Tooltip("layer:N", title="Layer"),
            alt.Tooltip("roi:N", title="ROI"),
            alt.Tooltip(f"{column}:Q", title=legend, format=".3f"),
        ],
    )
    colours = alt.Color(
        f"{column}:Q",
        scale=alt.Scale(scheme="cividis"),
        legend=alt.Legend(title=legend, orient="bottom", titleLimit=400),
    )
    # Cividis runs from dark to light: the number must stand out from both.
    ink = alt.when(alt.datum[column] > (low + high) / 2).then(alt.value("black"))
    numbers = cells.mark_text(fontSize=13).encode(
        text=alt.Text(f"{column}:Q", format=".2f"), color=ink.otherwise(alt.value("white"))
    )
    chart: alt.LayerChart = cells.mark_rect().encode(color=colours) + numbers
    return chart.properties(height=_ROW_HEIGHT * values["layer"].nunique() + _AROUND)
