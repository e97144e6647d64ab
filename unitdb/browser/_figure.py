"""A figure on a page, and the buttons that save it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from unitdb.browser import _render

if TYPE_CHECKING:
    from unitdb.release import Release

__all__ = ["draw"]


def draw(
    release: Release, chart: Any, name: str, *, choose: str | None = None
) -> list[dict[str, Any]]:
    """Draw a figure.

    Parameters
    ----------
    release : Release
        Whose numbers it shows.
    chart : altair chart
        From ``unitdb.browser.charts``.
    name : str
        What its files are called; different for each figure of a page.
    choose : str, optional
        A selection of the chart that readers make.

    Returns
    -------
    list of dict
        What they have selected.
    """
    event: Any = None
    if choose is None:
        st.altair_chart(chart)
    else:
        event = st.altair_chart(
            chart, on_select="rerun", selection_mode=choose, key=f"{name} chosen"
        )
    file = f"{release.name}-{release.version}-{name}"
    with st.popover("Save figure", type="tertiary", icon=":material/download:"):
        st.download_button(
            "SVG",
            lambda: _render.svg(chart, release).encode(),
            file_name=f"{file}.svg",
            mime="image/svg+xml",
            on_click="ignore",
            key=f"{name} svg",
        )
        st.download_button(
            "PNG",
            lambda: _render.png(chart, release),
            file_name=f"{file}.png",
            mime="image/png",
            on_click="ignore",
            key=f"{name} png",
        )
    chosen: list[dict[str, Any]] = event.selection.get(choose, []) if event else []
    return chosen
