"""One layer: how its units are spread, whether people agree on them, its channels and its map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from unitdb.browser import _figure, _layernumbers, _links, _reads, _state, charts
from unitdb.browser._layerview import layer_of, no_place
from unitdb.browser._preferred import of_channel
from unitdb.browser._words import help_on
from unitdb.browser.views.overview import scope

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.browser._layerview import LayerView
    from unitdb.query.layers import Layer
    from unitdb.release import Release

__all__ = ["show"]

_CHANNELS = 200
_PICTURED = 3


def show(release: Release) -> None:
    """Draw the page."""
    later = {"layer": "layer", "roi": "roi", "a": "subject", "b": "subject"}
    chosen = scope(release, _reads.read(release, "describe"), later=later)
    summary = _reads.table(release, "layer_summary")
    for column, name in chosen.items():
        summary = summary[summary[column] == name]
    known = set(summary["layer"])
    model = chosen["model"]
    layers = [one.layer for one in release.layers if one.model == model and one.layer in known]
    first, second = st.columns(2)
    layer = _state.one_of(first, "Layer", "layer", layers, help=help_on("layer"))
    _state.title(f"{model}/{layer} · {release.label}")
    summary = summary[summary["layer"] == layer]
    rois = _reads.table(release, "rois")
    ordered = rois[rois["dataset"] == chosen["dataset"]].sort_values("place")["roi"]
    there = [roi for roi in ordered if roi in set(summary["roi"])]
    this = layer_of(release, model, layer)
    n_units = int(summary["n_units"].max())
    size = " × ".join(map(str, this.shape)) + (f" ({this.axes})" if this.axes else "")
    st.caption(f"{_state.code(f'{model}/{layer}')}: shape {size}; {n_units:,} units decoded")
    _spread(release, chosen, layer, summary, there)
    roi = _state.one_of(second, "Region of interest", "roi", there, help=help_on("roi"))
    where = {key: chosen[key] for key in ("dataset", "condition")}
    view = _reads.layer(release, model, layer, roi, **where)
    left, right = st.columns(2)
    with left:
        people = _pairs(release, view, roi)
    with right:
        _map(release, view, this, roi)
    _channels(release, view, chosen, this, roi)
    _layernumbers.show(release, {**chosen, "layer": layer}, there)
    query = _links.query_of({**chosen, "layer": layer, "roi": roi, **people})
    link, python = st.tabs(["Link", "Python"])
    link.code(_links.absolute(release, "layer", query), language=None, wrap_lines=True)
    named = ", ".join(f"{key}={name!r}" for key, name in where.items())
    python.code(
        f"import unitdb\n\nrelease = unitdb.open({release.label!r})\n"
        f"r = release.accuracies({model!r}, {layer!r}, {roi!r}, {named})  # units × subjects\n"
        f"bins = release.distribution({model!r}, layer={layer!r}, {named})\n"
        f"channels = release.units(model={model!r}, layer={layer!r}, roi={roi!r}, {named})"
        ".by_channel()",
        language="python",
        wrap_lines=True,
    )


def _spread(
    release: Release, chosen: dict[str, str], layer: str, summary: pd.DataFrame, rois: list[str]
) -> None:
    st.subheader("How well its units are decoded", help=help_on("accuracy"))
    left, right = st.columns(2)
    with left:
        st.caption("In each person: the middle half of the units thick, 5 to 95 % thin")
        _figure.draw(
            release,
            charts.quantiles(summary, rois, sorted(summary["subject"].unique())),
            "quantiles",
        )
    with right:
        st.caption("Mean over subjects: the wider, the more units")
        keys = {"dataset": chosen["dataset"], "condition": chosen["condition"], "layer": layer}
        bins: pd.DataFrame = _reads.read(release, "distribution", chosen["model"], **keys)
        if len(bins):
            bins = bins.astype({"roi": str, "layer": str})
            _figure.draw(release, charts.violins(bins, rois), "distributions")


def _pairs(release: Release, view: LayerView, roi: str) -> dict[str, str]:
    """Draw one person against another; gives which the reader has chosen."""
    st.subheader("One person against another", help=help_on("agreement"))
    if not view.density:
        st.info("It takes two subjects or more.")
        return {}
    first, second = st.columns(2)

    def after(one: str) -> list[str]:
        return view.subjects[view.subjects.index(one) + 1 :]

    def left(one: str) -> dict[str, list[str]]:
        given = _state.several("b")
        return {"b": given} if set(given) <= set(after(one)) else {"b": []}

    a = _state.one_of(first, "Across", "a", view.subjects[:-1], drops=left)
    b = _state.one_of(second, "Up", "b", after(a))
    counts = view.density[a, b]
    st.caption(
        f"{int(counts.sum()):,} units in {_state.code(roi)} by accuracy in {_state.code(a)} and "
        f"{_state.code(b)}. Near the dashed diagonal both agree."
    )
    _figure.draw(release, charts.density(counts.T, view.edges, across=a, down=b), "subjects")
    return {"a": a, "b": b}


def _map(release: Release, view: LayerView, layer: Layer, roi: str) -> None:
    st.subheader("Where in the picture", help="Row 0 and column 0 are the upper left corner.")
    size = layer.map_size
    if size is None or view.places.empty:
        st.info(no_place(layer))
        return
    if len(view.places) < size[0] * size[1] / 2:
        st.info(f"The release has units at {len(view.places):,} of {size[0] * size[1]:,} places.")
        return
    st.caption(
        f"Mean accuracy over channels and subjects in {_state.code(roi)}, by place in the map"
    )
    _figure.draw(release, charts.feature_map(view.places, size, legend="Mean r", mark=None), "map")


def _channels(
    release: Release, view: LayerView, chosen: dict[str, str], layer: Layer, roi: str
) -> None:
    if view.channels.empty:
        return
    whole = len(view.channels) == view.n_units
    st.subheader("Its units" if whole else "Its channels", help=help_on("channel"))
    shown = view.channels.head(_CHANNELS).reset_index(drop=True)
    st.caption(
        f"The best {len(shown):,} of {len(view.channels):,} in {_state.code(roi)}, "
        "mean over subjects and units" + _how(shown)
    )
    if shown["shrunk_r"].isna().all() or np.allclose(shown["shrunk_r"], shown["mean_r"]):
        shown = shown.drop(columns="shrunk_r")
    st.dataframe(
        shown,
        hide_index=True,
        height=min(280, 38 + 35 * len(shown)),
        column_config={
            "channel": st.column_config.NumberColumn("channel", format="%d"),
            "n_units": st.column_config.NumberColumn("units", format="%d"),
            "mean_r": st.column_config.ProgressColumn(
                "mean r", help=help_on("mean_r"), format="%.3f", min_value=0.0, max_value=1.0
            ),
            "shrunk_r": st.column_config.NumberColumn(
                "drawn mean", help=help_on("shrunk_r"), format="%.3f"
            ),
        },
        alt="Channels, the best first",
    )
    if len(shown):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            channel = st.selectbox(
                "Channel", shown["channel"].tolist(), key=f"channel of {layer.layer}"
            )
            found = {**chosen, "layer": layer.layer, "roi": roi, "channel": str(channel)}
            _links.to(st, "units", f"Units of channel {channel}", found)
            for unit in of_channel(release, layer, channel)[:_PICTURED]:
                asked = {**chosen, "unit": unit, "roi": roi}
                _links.to(st, "unit", f"Pictures of {unit.partition('/')[2]}", asked)


def _how(channels: pd.DataFrame) -> str:
    """What the order of channels is by, where not all of their units are decoded."""
    if channels["shrunk_r"].isna().all():
        return ". One unit of each is decoded: an order of units, not of channels"
    if np.allclose(channels["shrunk_r"], channels["mean_r"]):
        return ""
    return "; in the order of means drawn to that of all where few of their units are decoded"
