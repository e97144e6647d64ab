"""Units as a gallery: of each the pictures that it likes, its name as a link, its accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from unitdb.browser import _links, _state
from unitdb.browser._images import thumbnail
from unitdb.browser._preferred import preferred

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.release import Release

__all__ = ["GALLERY", "pictured"]

_WIDTH = 140  # pixels
_OF_UNIT = 2
GALLERY = 24
"""Rows of a page of a gallery: each is a link and pictures."""
_WORDS = {"mean_r": "mean r", "min_r": "lowest r", "max_r": "highest r", "lead_r": "lead in r"}


def pictured(release: Release, rows: pd.DataFrame, by: str) -> None:
    """Draw all units of a page, each with the pictures that drive it most.

    Parameters
    ----------
    release : Release
    rows : DataFrame
        Of ``unit_summary``: :data:`GALLERY` at the most.
    by : str
        Column whose number stands below a unit.
    """
    shown = rows.astype({"dataset": str, "condition": str, "roi": str})
    pictures = {
        dataset: preferred(release, str(dataset), sorted(set(of["unit_id"])), _OF_UNIT)
        for dataset, of in shown.groupby("dataset")
    }
    with st.container(horizontal=True, gap="small"):
        for row in shown.to_dict("records"):
            unit, of = str(row["unit_id"]), pictures[row["dataset"]]
            with st.container(width=_WIDTH, gap="xxsmall"):
                own = of[of["unit_id"] == unit]
                images = "".join(thumbnail(one, width=64) for one in own.to_dict("records"))
                st.html(
                    f'<div style="display:flex;gap:4px;min-height:64px">{images or _NONE}</div>'
                )
                asked = {key: row[key] for key in ("dataset", "condition", "roi")}
                named = release.class_name(unit)
                label = unit.partition("/")[2] + (f" · {_state.plain(named)}" if named else "")
                _links.to(st, "unit", label, {"unit": unit, **asked})
                st.caption(f"{_state.code(str(row['roi']))} {_WORDS.get(by, by)} {row[by]:.2f}")


_NONE = (
    '<div style="width:64px;height:64px;border:1px dashed #7F7F7F;font-size:.7rem;display:flex;'
    'align-items:center;text-align:center;box-sizing:border-box">no pictures kept</div>'
)
