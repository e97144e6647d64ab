"""Reconstructions: pictures beside shuffled brains, and what they are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from unitdb.browser import _links, _reads, _state
from unitdb.browser._choices import chosen_in_turn, mean_first
from unitdb.browser._columns import numbers
from unitdb.browser._gallery import CAPTION, LABELS, PLACE, gallery, score_table

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.release import Release

__all__ = ["show"]

_WITH = ("source", "metric", "value", "low", "high", "chance", "control_mean", "p")
_MORE = ("category_chance", "over_ridge", "over_ridge_low", "over_ridge_high", "n_images")


def show(release: Release) -> None:
    """Draw the page."""
    scores = _reads.table(release, "reconstruction_score")
    if scores.empty:
        st.info("This release has no reconstructions.")
        return
    chosen, scores = chosen_in_turn(scores, LABELS, options=mean_first)
    _said(release, chosen)
    numbers(score_table(scores), "Scores by source, and chance")
    st.html(gallery(release, [chosen[key] for key in PLACE], chosen["subject"]))
    st.caption(CAPTION)
    with st.expander("Intervals, chance and p", icon=":material/table:"):
        numbers(scores[[*_WITH, *_MORE]], "Intervals, chance and p of each score")
    with st.expander("Link", icon=":material/link:"):
        query = _links.query_of(chosen)
        st.code(_links.absolute(release, "reconstruction", query), language=None, wrap_lines=True)


def _said(release: Release, chosen: dict[str, str]) -> None:
    methods = _reads.table(release, "reconstruction_method")
    for key in PLACE:
        methods = methods[methods[key] == chosen[key]]
    own: pd.Series = methods.iloc[0]
    told = f"{own['n_units']:,} units ({_state.plain(str(own['unit_choice']))})"
    if own["kind"] == "ridge":
        told = "pixels, decoded as units are"
    st.markdown(f"Made from {told}; {own['n_candidates']} pictures to choose from.")
    if own["invertible"] is not None and not own["invertible"]:
        st.warning(
            "These units cannot be inverted: pictures from their true features are identified by "
            f"{own['recovery_identification']:.2f} alone (.95 are asked for)."
        )
