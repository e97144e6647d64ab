"""Numbers by row and column: layers and ROIs, pairs of subjects, feature maps, densities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import altair as alt
import numpy as np
import pandas as pd

from unitdb.browser.charts._theme import QUIET, SEQUENTIAL, finished

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DARK", "density", "feature_map", "heat_map", "pair_matrix"]

_ROW = 30  # pixels
_LOW_ROW = 17
_TALL_UP_TO = 12
"""Rows of more are lower, so that a deep network fits a screen."""
_AROUND = 150  # axis above and legend below: Streamlit counts them in the height
_NUMBERS_UP_TO = 10
"""Columns that have room for a number in each cell."""
DARK = 0.11
"""Up to this part of the colours a number in white stands out, and from there on one in black."""


def heat_map(
    matrix: pd.DataFrame,
    *,
    legend: str,
    rows: str = "Layer",
    columns: str = "Region of interest (ROI)",
    details: pd.DataFrame | None = None,
    strong: str | None = None,
    choose: str | None = None,
) -> Any:
    """Draw a number for each layer and ROI, written in its cell; the first row lowest.

    Colours begin at 0: what lies below has the colour of 0.

    Parameters
    ----------
    matrix : DataFrame of shape (n_layers, n_rois)
        From ``Release.layer_by_roi``.
    legend : str
        What the number is, with its unit.
    rows, columns : str
        Titles of the axes.
    details : DataFrame, optional
        ``down``, ``across``, and columns that are shown of a cell, by their titles.
    strong : str, optional
        Column of ``details`` that is True where the number is written in bold.
    choose : str, optional
        Name of the selection of a cell, whose ``down`` and ``across`` Streamlit gives.
    """
    down, across = [str(name) for name in matrix.index], [str(name) for name in matrix.columns]
    values = pd.DataFrame(
        {
            "down": np.repeat(down, len(across)),
            "across": np.tile(across, len(down)),
            "r": matrix.to_numpy(dtype=float).ravel(),
        }
    ).dropna(subset="r")
    more: list[str] = []
    if details is not None:
        values = values.merge(details.astype({"down": str, "across": str}), on=["down", "across"])
        more = [str(name) for name in details if name not in {"down", "across", strong}]
    values = values.assign(bold=values[strong] if strong is not None else False)
    high = max(float(values["r"].max()), 0.01)
    cells = alt.Chart(values).encode(
        x=alt.X(
            "across:N",
            title=columns,
            sort=across,
            scale=alt.Scale(domain=across),
            axis=alt.Axis(labelAngle=-40 if len(across) > _NUMBERS_UP_TO else 0, orient="top"),
        ),
        y=alt.Y(
            "down:N",
            title=rows,
            sort=down[::-1],
            axis=alt.Axis(labelLimit=110, labelOverlap=False),
        ),
        tooltip=[
            alt.Tooltip("down:N", title=rows),
            alt.Tooltip("across:N", title=columns),
            alt.Tooltip("r:Q", title=legend, format=".3f"),
            *(alt.Tooltip(f"{name}:N", title=name) for name in more),
        ],
    )
    colours = alt.Color(
        "r:Q",
        scale=alt.Scale(scheme=alt.SchemeParams(**SEQUENTIAL), domain=[0, high], clamp=True),
        legend=alt.Legend(
            title=legend, orient="bottom", titleLimit=320, gradientLength=200, tickCount=4
        ),
    )
    tiles = cells.mark_rect().encode(color=colours)
    if choose is not None:
        tiles = tiles.mark_rect(cursor="pointer").add_params(
            alt.selection_point(name=choose, fields=["down", "across"])
        )
    chart: Any = tiles
    n_rows = values["down"].nunique()
    row = _ROW if n_rows <= _TALL_UP_TO else _LOW_ROW
    if len(across) <= _NUMBERS_UP_TO:
        # The colours run from dark to light: the number stands out from each by 4.5 to 1.
        ink = alt.when(alt.datum["r"] > DARK * high).then(alt.value("black"))
        weights: tuple[tuple[Literal["bold", "normal"], str], ...] = (
            ("bold", "datum.bold"),
            ("normal", "!datum.bold"),
        )
        there = set(values["bold"])
        for weight, kept in weights:
            if (weight == "bold") not in there:
                continue
            chart += (
                cells.transform_filter(kept)
                .mark_text(fontSize=12 if row == _ROW else 11, fontWeight=weight)
                .encode(text=alt.Text("r:Q", format=".2f"), color=ink.otherwise(alt.value("white")))
            )
    height = row * n_rows + _AROUND
    return finished(chart.properties(height=height), description=f"{legend}, {rows} by {columns}")


def pair_matrix(pairs: pd.DataFrame, subjects: list[str], *, legend: str) -> Any:
    """Draw a number for each pair of subjects, both ways; the diagonal is left empty.

    Parameters
    ----------
    pairs : DataFrame
        ``subject_a``, ``subject_b``, ``r``.
    subjects : list of str
        Order of rows and columns.
    legend : str
        What the number is, with its unit.
    """
    there = pairs.set_index(["subject_a", "subject_b"])["r"].unstack()
    matrix = there.reindex(index=subjects, columns=subjects)
    matrix = matrix.combine_first(matrix.T).reindex(index=subjects[::-1], columns=subjects)
    return heat_map(matrix, legend=legend, rows="Subject", columns="Subject")


def density(
    counts: NDArray[np.int64], edges: NDArray[np.float64], *, across: str, down: str
) -> Any:
    """Draw how many units have an accuracy in one subject and another in a second.

    Parameters
    ----------
    counts : array of shape (n_bins, n_bins)
        Units; the subject of the vertical axis first.
    edges : array of shape (n_bins + 1,)
        Pearson r.
    across, down : str
        Names of the subjects on the horizontal and the vertical axis.
    """
    y, x = np.nonzero(counts)
    bins = pd.DataFrame(
        {
            "x": edges[x],
            "x2": edges[x + 1],
            "y": edges[y],
            "y2": edges[y + 1],
            "n": counts[y, x],
        }
    ).round(4)
    span = [float(edges[0]), float(edges[-1])]
    scale = alt.Scale(domain=span, nice=False, zero=False)
    rects = (
        alt.Chart(bins)
        .mark_rect()
        .encode(
            x=alt.X("x:Q", title=f"Decoding accuracy in {across} (Pearson r)", scale=scale),
            x2="x2:Q",
            y=alt.Y("y:Q", title=f"Decoding accuracy in {down} (Pearson r)", scale=scale),
            y2="y2:Q",
            color=alt.Color(
                "n:Q",
                scale=alt.Scale(scheme=alt.SchemeParams(**SEQUENTIAL), type="log"),
                legend=alt.Legend(title="Units", tickCount=4),
            ),
            tooltip=[
                alt.Tooltip("x:Q", title=across, format=".2f"),
                alt.Tooltip("y:Q", title=down, format=".2f"),
                alt.Tooltip("n:Q", title="units", format=","),
            ],
        )
    )
    ends = pd.DataFrame({"x": span, "y": span})
    line = alt.Chart(ends).mark_line(strokeDash=[4, 4], color=QUIET, strokeWidth=1)
    diagonal = line.encode(x="x:Q", y="y:Q")
    described = f"Number of units by decoding accuracy in {across} and {down}"
    return finished((rects + diagonal).properties(height=380), description=described)


def feature_map(
    places: pd.DataFrame, shape: tuple[int, int], *, legend: str, mark: tuple[int, int] | None
) -> Any:
    """Draw a number for each place of a layer's map, row 0 at the top as in the picture.

    Parameters
    ----------
    places : DataFrame
        ``row``, ``column``, ``mean_r``.
    shape : (int, int)
        Rows and columns of the map.
    legend : str
        What the number is, with its unit.
    mark : (int, int), optional
        Row and column to frame.
    """
    cells = (
        places[["row", "column", "mean_r"]]
        .dropna()
        .assign(row2=lambda frame: frame["row"] + 1, column2=lambda frame: frame["column"] + 1)
    )
    cells["mean_r"] = cells["mean_r"].astype(float).round(4)
    x = alt.X(
        "column:Q",
        title="Column of the map",
        scale=alt.Scale(domain=[0, shape[1]], nice=False),
        axis=alt.Axis(orient="top", tickMinStep=1, grid=False),
    )
    y = alt.Y(
        "row:Q",
        title="Row of the map",
        scale=alt.Scale(domain=[shape[0], 0], nice=False),
        axis=alt.Axis(tickMinStep=1, grid=False),
    )
    chart: Any = (
        alt.Chart(cells)
        .mark_rect()
        .encode(
            x=x,
            x2="column2:Q",
            y=y,
            y2="row2:Q",
            color=alt.Color(
                "mean_r:Q",
                scale=alt.Scale(scheme=alt.SchemeParams(**SEQUENTIAL), zero=False),
                legend=alt.Legend(title=legend, orient="bottom", titleLimit=320),
            ),
            tooltip=[
                alt.Tooltip("row:Q", title="row"),
                alt.Tooltip("column:Q", title="column"),
                alt.Tooltip("mean_r:Q", title=legend, format=".3f"),
            ],
        )
    )
    if mark is not None:
        at = pd.DataFrame(
            {"row": [mark[0]], "column": [mark[1]], "row2": mark[0] + 1, "column2": mark[1] + 1}
        )
        frame = alt.Chart(at).mark_rect(filled=False, stroke="#D55E00", strokeWidth=3)
        chart += frame.encode(x=x, x2="column2:Q", y=y, y2="row2:Q")
    return finished(chart.properties(height=460), description=f"{legend} by place in the map")
