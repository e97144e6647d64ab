"""Degraded pictures: whether what is decoded leads to their originals, beyond what it must."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from unitdb.browser import _figure, _links, _reads, _state, charts
from unitdb.browser._choices import chosen_in_turn
from unitdb.browser._columns import numbers
from unitdb.browser._words import help_on
from unitdb.release import degraded, in_order

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.release import Release

__all__ = ["by_level", "show"]

_LABELS = {
    "dataset": "Dataset",
    "model": "Network",
    "roi": "Region of interest",
    "method": "Method",
}
_SHOWN = (
    *("layer", "roi", "condition", "control", "gain", "gain_low", "gain_high", "bias", "bias_se"),
    *("excess", "excess_low", "excess_high", "p", "q", "sign_p", "n_subjects", "n_images"),
)
_PRIOR = (
    *("layer", "control", "condition", "prior_effect", "prior_low", "prior_high", "prior_p"),
    "prior_q",
)
_ORDER = (
    "A gain is to be read beside the bias (red tick): what brains without any top-down effect "
    "have, simulated with the same network, pictures, decoder and number of voxels; there is none "
    "where no simulated brain decodes as well. Where blur "
    "always falls, certainty and time go with it: compare sets of the same level, not levels."
)


def show(release: Release) -> None:
    """Draw the page."""
    summary = _reads.table(release, "modulation_summary")
    if summary.empty:
        st.info("This release has no gains.")
        return
    helps = {"model": help_on("network"), "roi": help_on("roi"), "method": help_on("gain")}
    chosen, summary = chosen_in_turn(
        summary, _LABELS, helps=helps, later={"layer": "layer", "condition": "condition"}
    )
    st.markdown(
        "From a degraded picture, is what is decoded nearer to the **original** than a brain that "
        "is only fed forward would make it?",
        help=help_on("gain"),
    )
    layers = in_order(_reads.table(release, "layers"), chosen["model"], summary["layer"])
    layer = _state.one_of(st, "Layer", "layer", layers, help=help_on("layer"))
    _levels(release, summary[summary["layer"] == layer], layer)
    seen = _gains(release, summary, layers)
    _prior(summary)
    with st.expander("Link", icon=":material/link:"):
        query = _links.query_of({**chosen, "layer": layer, **seen})
        st.code(_links.absolute(release, "modulation", query), language=None, wrap_lines=True)


def by_level(rows: pd.DataFrame) -> pd.DataFrame:
    """Correlations of a layer by level, a row each, for :func:`charts.by_level`.

    Parameters
    ----------
    rows : DataFrame
        Of ``modulation_summary``, of one layer, ROI and method; means over priors.
    """
    import pandas as pd

    sides = {"stimulus": "what was shown", "original": "its original"}
    parts = [
        rows.assign(side=words, of=of, r=rows[f"{prefix}r_{name}"])[rows["control"] == control]
        for name, words in sides.items()
        for of, prefix, control in (
            ("decoded", "", "noise"),
            ("noise", "control_", "noise"),
            ("encode-decode", "control_", "encode-decode"),
        )
    ]
    found = pd.concat(parts)[["level", "side", "of", "r"]].dropna()
    return found.groupby(["level", "side", "of"])["r"].mean().reset_index()


def _levels(release: Release, rows: pd.DataFrame, layer: str) -> None:
    st.subheader("By level", help=help_on("gain"))
    found = by_level(rows)
    if found.empty:
        st.info("Nothing was decoded from this region.")
        return
    _figure.draw(release, charts.by_level(found), "levels")
    st.caption(
        f"Layer {_state.code(layer)}; mean over pictures, then subjects. Both controls are as good "
        "as decoding is of pictures shown as they are."
    )


def _gains(release: Release, summary: pd.DataFrame, layers: list[str]) -> dict[str, str]:
    """Draw the gains of a test set; gives which the reader has chosen."""
    st.subheader("Gains", help=help_on("gain"))
    st.caption(_ORDER)
    tested = degraded(summary)
    conditions = tested["condition"].unique().tolist()
    if not conditions:
        st.info("All pictures were shown as they are.")
        return {}
    condition = _state.one_of(st, "Test set", "condition", conditions, help=help_on("condition"))
    rows = tested[tested["condition"] == condition]
    _figure.draw(release, charts.gains(rows, layers), "gains")
    order = {layer: place for place, layer in enumerate(layers)}
    rows = rows.sort_values(["control", "layer"], key=lambda of: of.map(lambda x: order.get(x, x)))
    numbers(rows[list(_SHOWN)], "Gains")
    return {"condition": condition}


def _prior(summary: pd.DataFrame) -> None:
    rows = summary.dropna(subset=["prior_effect"])
    if rows.empty:
        return
    st.subheader("What was known beforehand")
    st.caption(
        "Gain less that of the set of the same level of which nothing was known. The pictures "
        "differ: intervals are over both sets of them."
    )
    numbers(rows[list(_PRIOR)], "Prior effects")
