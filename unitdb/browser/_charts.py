"""Charts in colours that colour-blind readers can tell apart, with axes that say their units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["heat_map"]

_ROW_HEIGHT = 34  # pixels
_AROUND = 170  # axis above and legend below the cells: Streamlit counts them in the height


def heat_map(matrix: pd.DataFrame, *, legend: str) -> alt.LayerChart:
    """Draw a number for each layer and ROI, written in its cell; the first layer lowest.

    Parameters
    ----------
    matrix : DataFrame of shape (n_layers, n_rois)
        From ``Release.layer_by_roi``.
    legend : str
        What the number is, with its unit.
    """
    values = matrix.melt(ignore_index=False, var_name="roi", value_name="r").reset_index()
    values = values.dropna(subset="r")
    middle = float((values["r"].min() + values["r"].max()) / 2)
    layers, rois = matrix.index.tolist(), matrix.columns.tolist()
    cells = alt.Chart(values).encode(
        x=alt.X(
            "roi:N",
            title="Region of interest",
            sort=rois,
            axis=alt.Axis(labelAngle=0, orient="top"),
        ),
        y=alt.Y("layer:N", title="Layer", sort=layers[::-1]),
        tooltip=[
            alt.Tooltip("layer:N", title="Layer"),
            alt.Tooltip("roi:N", title="ROI"),
            alt.Tooltip("r:Q", title=legend, format=".3f"),
        ],
    )
    colours = alt.Color(
        "r:Q",
        scale=alt.Scale(scheme="cividis"),
        legend=alt.Legend(title=legend, orient="bottom", titleLimit=400),
    )
    # Cividis runs from dark to light: the number must stand out from both.
    ink = alt.when(alt.datum["r"] > middle).then(alt.value("black"))
    numbers = cells.mark_text(fontSize=13).encode(
        text=alt.Text("r:Q", format=".2f"), color=ink.otherwise(alt.value("white"))
    )
    chart: alt.LayerChart = cells.mark_rect().encode(color=colours) + numbers
    return chart.properties(height=_ROW_HEIGHT * values["layer"].nunique() + _AROUND)
