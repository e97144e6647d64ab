"""Columns of tables, of units above all, as readers see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from unitdb.browser._words import WORDS
from unitdb.schema import TABLES

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.release import Release

__all__ = ["numbers", "ordered", "unit_columns", "with_classes"]

_FIRST = ("unit_id", "roi", "mean_r", "min_r", "max_r", "sd_r", "lead_r", "n_subjects", "rank")
_TITLES = {
    "mean_r": "mean r",
    "min_r": "lowest r",
    "max_r": "highest r",
    "sd_r": "SD of r",
    "lead_r": "lead",
    "n_subjects": "subjects",
    "rank": "rank in layer",
    "roi": "ROI",
    "p": "p",
    "q": "q (FDR)",
}
_SMALLEST = "0.00e+0 is what no longer differs from 0 in float32, below 1e-45"


def numbers(rows: pd.DataFrame, alt: str) -> None:
    """Draw a table in which numbers that are not whole have three places.

    Parameters
    ----------
    rows : DataFrame
    alt : str
        What it shows, for those who do not see it.
    """
    config: dict[str, Any] = {
        str(name): st.column_config.NumberColumn(format="%.3f")
        for name, kind in rows.dtypes.items()
        if kind.kind == "f"
    }
    st.dataframe(rows, hide_index=True, column_config=config, alt=alt)


def ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """Name, ROI and accuracies first; model, layer and index are in the name.

    There is no p and q where no row has one.
    """
    extra = [name for name in ("p", "q") if name in rows and rows[name].notna().any()]
    several = [name for name in ("dataset", "condition") if rows[name].nunique() > 1]
    return rows[[*_FIRST, *extra, *several]]


def with_classes(release: Release, rows: pd.DataFrame) -> pd.DataFrame:
    """Class beside the name of each unit, where any scores one."""
    names = [release.class_name(str(unit)) for unit in rows["unit_id"]]
    if not any(names):
        return rows
    found = rows.copy()
    found.insert(1, "class", names)
    return found


def unit_columns() -> dict[str, Any]:
    """Titles, explanations and formats, for ``st.dataframe``."""
    config: dict[str, Any] = {
        "unit_id": st.column_config.TextColumn(
            "unit", help=WORDS["unit"], width="medium", pinned=True
        ),
        "roi": st.column_config.TextColumn("ROI", help=WORDS["roi"]),
    }
    known = TABLES["unit_summary"].column_names
    for name, title in _TITLES.items():
        if name in known and name != "roi":
            more = f". {_SMALLEST}" if name in {"p", "q"} else ""
            number = "%d" if name in {"rank", "n_subjects"} else "%.3f"
            config[name] = st.column_config.NumberColumn(
                title,
                help=(WORDS.get(name) or TABLES["unit_summary"][name].description) + more,
                format="%.2e" if name in {"p", "q"} else number,
            )
    return config
