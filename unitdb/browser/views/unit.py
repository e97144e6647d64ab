"""One unit: its accuracies, its place in the layer, units alike, where its numbers are from."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from unitdb.browser import _collection, _figure, _links, _reads, _state, _synthetic, charts
from unitdb.browser._columns import ordered, unit_columns
from unitdb.browser._intervals import with_intervals
from unitdb.browser._layerview import channel_map, layer_of, no_place
from unitdb.browser._unitrows import unit_rows
from unitdb.browser._words import NO_TEST, help_on
from unitdb.browser.views import kept
from unitdb.browser.views.overview import scope
from unitdb.errors import UnitdbError, closest
from unitdb.query import col
from unitdb.query.layers import parse_unit
from unitdb.unitids import UnitId

if TYPE_CHECKING:
    from unitdb.query.layers import Layer
    from unitdb.release import Release
    from unitdb.release.trace import Trace

__all__ = ["show"]

_SEARCHED = 200_000
"""Layers up to so many units are searched for units alike at once; larger ones when asked."""
_ALIKE = 10
_FULL = 0.5
"""Share of a map's places that it takes to draw it."""


def show(release: Release) -> None:
    """Draw the page."""
    unit = _asked(release)
    if unit is None:
        return
    _state.title(f"{unit} · {release.label}")
    model, layer, index = UnitId.parse(unit)
    accuracies: pd.DataFrame = _reads.read(release, "unit", unit)
    this = layer_of(release, model, layer)
    named = release.class_name(unit)
    st.markdown(f"### {_state.code(unit)}" + (f" · {_state.plain(named)}" if named else ""))
    st.caption(_place(this, index))
    chosen = _scope(release, model, layer)
    summary = unit_rows(release, unit, accuracies, chosen)
    if summary.empty:
        st.info("This unit was not decoded from the chosen dataset.")
        return
    rois = summary.sort_values("mean_r", ascending=False)["roi"].astype(str).tolist()
    asked = _state.parameter("roi")
    roi = asked if asked in rois else rois[0]
    rows = _rows_of(release, accuracies, chosen)
    st.markdown(verdict(rows, summary, roi, _size(release, summary, roi)), help=help_on("rank"))
    with st.container(horizontal=True):
        _collection.add_button(st, [unit], [roi] if asked else [])
        of_layer = {**chosen, "model": model, "layer": layer, "roi": roi}
        _links.to(st, "layer", f"All of {layer}", of_layer)
        _links.to(st, "compare", "Compare with another", {"what": "units", "a": unit, **chosen})
        _beside(release, summary, roi, chosen)
    left, right = st.columns(2)
    with left:
        kept.likes(release, unit, chosen)
        _synthetic.draw(release, unit, chosen["dataset"])
    with right:
        _accuracies(release, rows, chosen)
    roi = _state.one_of(st, "Region of interest", "roi", rois, help=help_on("roi"))
    _table(release, summary, chosen)
    left, right = st.columns(2)
    with left:
        _map(release, this, roi, index, chosen)
    with right:
        _neighbours(release, unit, this.shape, chosen)
    _ceilings(release, unit, chosen)
    kept.show(release, unit, roi, chosen)
    _provenance(release, unit)
    link, python = st.tabs(["Link", "Python"])
    seen = {key: value for key in (kept.SUBJECT, "alike") if (value := _state.parameter(key))}
    query = _links.query_of({"unit": unit, **chosen, "roi": roi, **seen})
    link.code(_links.absolute(release, "unit", query), language=None, wrap_lines=True)
    python.code(
        f"import unitdb\n\nrelease = unitdb.open({release.label!r})\n"
        f"release.unit({unit!r})\nrelease.trace({unit!r})",
        language="python",
    )


def _scope(release: Release, model: str, layer: str) -> dict[str, str]:
    """Let the reader choose a dataset and condition that the unit's layer was decoded from."""
    rows = _reads.table(release, "layer_summary")
    return scope(
        release,
        _reads.read(release, "describe"),
        columns=("dataset", "condition"),
        rows=rows[(rows["model"] == model) & (rows["layer"] == layer)],
        later={"roi": "roi", kept.SUBJECT: "subject"},
    )


def _asked(release: Release) -> str | None:
    unit = _state.text(
        st,
        "Unit",
        "unit",
        most=300,
        help=help_on("unit"),
        placeholder="network/layer/index",
    )
    layers = [layer.name for layer in release.layers]
    if not unit:
        best = _reads.units(release, release.units().top(1), "to_pandas")
        example, asked = f"{layers[0]}/0", _links.asked_scope()
        for row in best.astype(str).to_dict("records"):
            example = row["unit_id"]
            asked = {key: row[key] for key in ("dataset", "condition", "roi")}
        st.info(f"Type the name of a unit, such as {_state.code(example)}, or find one.")
        with st.container(horizontal=True):
            _links.to(st, "unit", f"Show {example}", {"unit": example, **asked})
            _links.to(st, "units", "Find units", _links.asked_scope())
        return None
    try:
        parse_unit(unit, release.layers, where=f"release {release.label}")
        _reads.read(release, "unit", unit)
    except UnitdbError as error:
        st.warning(f"No such unit. {_state.code(str(error), most=_state.MESSAGE)}")
        near = closest(unit.rpartition("/")[0], layers) or layers[:3]
        with st.container(horizontal=True):
            for layer in near:
                model, _, name = layer.rpartition("/")
                asked = {**_links.asked_scope(), "model": model, "layer": name}
                _links.to(st, "layer", f"Layer {layer}", asked)
        return None
    return unit


def _place(layer: Layer, index: int) -> str:
    if layer.axes is None or layer.map_size is None:
        return f"Unit {index} of {layer.n_units:,} (from 0)"
    channel, row, column = (
        f"{index // place.step % place.size} of {place.size}"
        for place in (layer.channel, layer.row, layer.column)
    )
    if "W" in layer.axes:
        return (
            f"Channel {channel}, row {row}, column {column} (from 0; the picture's upper left "
            "corner is row 0, column 0)"
        )
    return f"Channel {channel}, token {column} (from 0)"


def _rows_of(release: Release, accuracies: pd.DataFrame, chosen: dict[str, str]) -> pd.DataFrame:
    """Accuracy in each ROI and person, with its interval."""
    rows = accuracies.reset_index().melt(
        id_vars=["dataset", "condition", "roi"], var_name="subject", value_name="r"
    )
    for column in ("dataset", "condition", "roi", "subject"):
        rows[column] = rows[column].astype(str)
    for column, name in chosen.items():
        rows = rows[rows[column] == name]
    sets = _reads.table(release, "test_sets") if "test_sets" in release.tables else None
    return with_intervals(rows.dropna(subset="r"), _reads.table(release, "subjects"), sets)


def verdict(rows: pd.DataFrame, summary: pd.DataFrame, roi: str, of: int) -> str:
    """Say in a sentence how well the unit is decoded from an ROI.

    Parameters
    ----------
    rows : DataFrame
        ``roi``, ``r``, ``low``: a row for each ROI and person with an accuracy.
    summary : DataFrame
        Rows of ``unit_summary`` of the unit.
    roi : str
    of : int
        Units decoded of the layer.
    """
    own = rows[rows["roi"] == roi]
    row = summary[summary["roi"] == roi].iloc[0]
    if own.empty or not np.isfinite(row["mean_r"]):
        return f"No accuracy from {_state.code(roi)}: it answers the same to all test pictures."
    n = len(own)
    people = f"{n} people" if n > 1 else "one person"
    if own["low"].notna().all():
        above = int((own["low"] > 0).sum())
        count = f"{above} of {people}" if n > 1 else f"{above} of 1"
        where = f"above chance in {count} (95 % interval above 0)"
    else:
        where = f"{people}, no interval known"
    q = "" if pd.isna(row["q"]) else f", q = {row['q']:.2g}" if row["q"] else ", q < 1e-45"
    return (
        f"From {_state.code(roi)}: {where}; mean r = {row['mean_r']:.3f}{q}, rank "
        f"{int(row['rank']):,} of {of:,} units of its layer{_best(int(row['rank']), of)}."
    )


def _best(rank: int, of: int) -> str:
    """A rank of the better half in per cent, two digits of it and no exponent."""
    if 2 * rank > of:
        return ""
    return f" (best {Decimal(f'{100 * rank / of:.2g}'):f} %)"


def _accuracies(release: Release, rows: pd.DataFrame, chosen: dict[str, str]) -> None:
    st.subheader("Decoding accuracy", help=help_on("accuracy"))
    people = _reads.table(release, "subjects")
    # Each keeps its colour, with an accuracy or without.
    subjects = sorted(people[people["dataset"] == chosen["dataset"]]["subject"].unique())
    if rows.empty:
        st.info("This unit has no accuracy: it answers the same to all test pictures.")
        return
    _figure.draw(
        release, charts.intervals(rows, _rois(release, chosen["dataset"]), subjects), "unit"
    )
    order = "" if len(subjects) < 2 else f", from {subjects[0]} (left) to {subjects[-1]}"
    st.caption(
        f"Points: one person{_state.plain(order)}. Lines: 95 % intervals. Dashed: chance.",
        help=help_on("interval"),
    )


def _table(release: Release, summary: pd.DataFrame, chosen: dict[str, str]) -> None:
    known = set(summary["roi"])
    there = [roi for roi in _rois(release, chosen["dataset"]) if roi in known]
    shown = summary.set_index("roi").loc[there].reset_index()
    table = ordered(shown).drop(columns="unit_id")
    st.dataframe(table, hide_index=True, column_config=unit_columns(), alt="Unit by ROI")
    if "q" not in table:
        st.caption(NO_TEST)


def _beside(release: Release, summary: pd.DataFrame, roi: str, chosen: dict[str, str]) -> None:
    """Links to the units of the layer that are decoded next better and next worse."""
    row = summary[summary["roi"] == roi].iloc[0]
    rank = int(row["rank"])
    where: dict[str, Any] = {**chosen, "model": row["model"], "layer": row["layer"], "roi": roi}
    near = release.units(**where).where(col.rank >= rank - 1, col.rank <= rank + 1)
    found = _reads.units(release, near, "to_pandas").set_index("rank")["unit_id"]
    for place, label, icon in (
        (rank - 1, "Next better", ":material/chevron_left:"),
        (rank + 1, "Next worse", ":material/chevron_right:"),
    ):
        if place in found.index:
            _links.to(st, "unit", label, {"unit": found[place], **chosen, "roi": roi}, icon=icon)


def _ceilings(release: Release, unit: str, chosen: dict[str, str]) -> None:
    """Accuracy in parts of its noise ceiling, where the release knows that."""
    rows: pd.DataFrame = _reads.read(release, "explainable", unit)
    for column, name in chosen.items():
        rows = rows[rows[column] == name]
    if rows.empty:
        return
    with st.expander("Noise ceiling", icon=":material/vertical_align_top:"):
        st.caption("Of each person; above 1 is possible, and marked.", help=help_on("ceiling"))
        numbers = {
            "r": "r",
            "reliability": "reliability",
            "ceiling": "ceiling",
            "explainable_r": "r / ceiling",
        }
        st.dataframe(
            rows[["roi", "subject", *numbers, "above_ceiling"]],
            hide_index=True,
            column_config={
                "above_ceiling": st.column_config.CheckboxColumn("above its ceiling"),
                **{
                    name: st.column_config.NumberColumn(label, format="%.3f")
                    for name, label in numbers.items()
                },
            },
            alt="Accuracy and noise ceiling",
        )


def _rois(release: Release, dataset: str) -> list[str]:
    rois = _reads.table(release, "rois")
    return list(rois[rois["dataset"] == dataset].sort_values("place")["roi"])


def _size(release: Release, summary: pd.DataFrame, roi: str) -> int:
    """Units of the layer that are decoded from an ROI."""
    rows = _reads.table(release, "layer_summary")
    own = summary[summary["roi"] == roi].iloc[0]
    for key in ("dataset", "condition", "model", "layer", "roi"):
        rows = rows[rows[key] == str(own[key])]
    return int(rows["n_units"].max())


def _map(
    release: Release,
    layer: Layer,
    roi: str,
    index: int,
    chosen: dict[str, str],
) -> None:
    st.subheader("Its channel", help=help_on("channel"))
    size = layer.map_size
    if size is None:
        st.info(no_place(layer))
        return
    where: dict[str, Any] = dict(chosen)
    asked = release.units(model=layer.model, layer=layer.layer, roi=roi, **where)
    step = layer.channel.step
    channel = index // step % layer.channel.size
    if step * layer.channel.size == layer.n_units:  # faster than at(channel=…)
        asked = asked.where(col.unit >= channel * step, col.unit < (channel + 1) * step)
    else:
        asked = asked.at(channel=channel)
    units: pd.DataFrame = _reads.units(release, asked, "to_pandas")
    places = channel_map(units, layer)
    if len(places) < _FULL * size[0] * size[1]:
        st.info(
            f"Of the {size[0] * size[1]:,} units of this channel the release has {len(places):,}: "
            "too few for a map."
        )
        return
    row, column = (index // one.step % one.size for one in (layer.row, layer.column))
    st.caption(
        f"Mean accuracy of {len(places):,} units of channel {channel} in "
        f"{_state.code(roi)}, by place in the map; this unit is framed"
    )
    _figure.draw(
        release, charts.feature_map(places, size, legend="Mean r", mark=(row, column)), "channel"
    )


def _neighbours(
    release: Release, unit: str, shape: tuple[int, ...], chosen: dict[str, str]
) -> None:
    st.subheader(
        "Units alike",
        help="Units of the same layer whose mean accuracies over ROIs are most like this unit's. "
        "Distance: root mean square of the differences, in Pearson r.",
    )
    if int(np.prod(shape)) > _SEARCHED:
        asked = _state.switch(st, "Search the layer", "alike", help="Takes some seconds.")
        if not asked:
            st.caption(f"The layer has {int(np.prod(shape)):,} units.")
            return
    found: pd.DataFrame = _reads.read(release, "similar", unit, _ALIKE, **chosen)
    if found.empty:
        st.info("There is none: the unit has no accuracy, or is alone in its layer.")
        return
    st.dataframe(
        found,
        hide_index=True,
        column_config={
            "unit_id": st.column_config.TextColumn("unit"),
            "distance": st.column_config.NumberColumn("distance (Pearson r)", format="%.4f"),
        },
        alt="Units alike, the nearest first",
    )
    other = st.selectbox("Unit alike", list(found["unit_id"]), key=f"alike of {unit}")
    _links.to(st, "unit", f"Open {other}", {"unit": other, **chosen}, icon=":material/open_in_new:")


def _provenance(release: Release, unit: str) -> None:
    with st.expander("Where these numbers are from", icon=":material/account_tree:"):
        trace: Trace = _reads.read(release, "trace", unit)
        st.caption(
            "Network, accuracies, the builds that computed them, and the files that these read; "
            f"the same as `unitdb trace {release.label} {unit}`"
        )
        st.code(str(trace), language=None)
