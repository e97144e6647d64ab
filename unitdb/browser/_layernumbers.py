"""What a release says of a layer beside single accuracies, region by region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from unitdb.browser import _reads
from unitdb.browser._words import NO_TEST, help_on

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from unitdb.release import Release

__all__ = ["absent", "by_person", "show"]

_KEYS = ("dataset", "condition", "model", "layer")
_TITLES = {
    "roi": "ROI",
    "subject": "person",
    "n_units": "units",
    "mean_r": "mean r",
    "mean_low": "95 % from",
    "mean_high": "to",
    "chance_r": "chance r",
    "n_significant": "significant",
    "pattern_r": "pattern r",
    "pattern_low": "pattern from",
    "pattern_high": "pattern to",
    "pattern_chance": "pattern, chance",
    "identification": "identification",
    "identification_chance": "identification, chance",
    "mean_reliability": "reliability",
    "reliability": "over people",
    "reliability_low": "95 % from",
    "reliability_high": "to",
    "n_subjects": "people",
    "n_voxels": "voxels",
    "kind": "by",
    "method": "method",
}
_HELPS = {
    "mean_r": "accuracy",
    "n_significant": "q",
    "pattern_r": "pattern",
    "identification": "identification",
    "mean_reliability": "ceiling",
    "reliability": "map_reliability",
}
_COUNTS = ("n_units", "n_significant", "n_subjects", "n_voxels")
_PERSON = (
    *("roi", "subject", "n_units", "mean_r", "mean_low", "mean_high", "chance_r", "n_significant"),
    *("pattern_r", "pattern_low", "pattern_high", "pattern_chance"),
    *("identification", "identification_chance", "mean_reliability"),
)
_ABSENT = {
    "n_significant": NO_TEST,
    "chance_r": "There were no controls: chance is taken to be 0.",
    "pattern_r": "There are no pattern correlations: fewer than two test images or units.",
    "mean_reliability": "There is no reliability: test images were shown once.",
}
_ENCODING = """
SELECT roi, subject, count(*) AS n_voxels, avg(r) AS mean_r, max(r) AS highest_r FROM encoding
WHERE dataset = ? AND condition = ? AND model = ? AND layer = ? GROUP BY roi, subject
ORDER BY roi, subject
""".strip()


def show(release: Release, place: Mapping[str, str], rois: Sequence[str]) -> None:
    """Draw the numbers of a layer.

    Parameters
    ----------
    release : Release
    place : mapping
        ``dataset``, ``condition``, ``model``, ``layer``.
    rois : sequence of str
        Their order.
    """
    with st.expander("All its numbers, by region and person", icon=":material/table_rows:"):
        rows = _of(release, "layer_summary", place, rois)
        _draw(by_person(rows), "Numbers of the layer")
        st.caption(" ".join(absent(rows)) or "Intervals are over test images.")
        reliability = _of(release, "layer_reliability", place, rois)
        if len(reliability):
            st.markdown(
                "**Are the same units well decoded in other people?**",
                help=help_on("map_reliability"),
            )
            columns = ["roi", "n_subjects", "reliability", "reliability_low", "reliability_high"]
            _draw(reliability[columns], "Reliability over people")
        best = _of(release, "best_roi", place, rois)
        if len(best):
            st.markdown("**Units by the region that decodes them best**, those of each person")
            shown = best.pivot_table(
                index=["kind", "method"], columns="roi", values="n_units", aggfunc="sum"
            )
            there = [roi for roi in rois if roi in shown]
            _draw(shown[there].reset_index(), "Units by best region")
        if "encoding" in release.tables:
            found = _reads.read_sql(release, _ENCODING, [place[key] for key in _KEYS])
            if len(found):
                st.markdown(
                    "**Encoding**: each voxel predicted from the layer", help=help_on("encoding")
                )
                _draw(_ordered(found, rois), "Encoding accuracies")


def by_person(rows: pd.DataFrame) -> pd.DataFrame:
    """Columns that a row of ``layer_summary`` has a value in, in the order of the page."""
    known = [name for name in _PERSON if name in rows and rows[name].notna().any()]
    return rows[known]


def absent(rows: pd.DataFrame) -> list[str]:
    """Say why columns are left out."""
    return [why for name, why in _ABSENT.items() if name not in rows or rows[name].isna().all()]


def _of(
    release: Release, table: str, place: Mapping[str, str], rois: Sequence[str]
) -> pd.DataFrame:
    rows = _reads.table(release, table)
    for key in _KEYS:
        rows = rows[rows[key] == place[key]] if len(rows) else rows
    return _ordered(rows, rois) if len(rows) else rows


def _ordered(rows: pd.DataFrame, rois: Sequence[str]) -> pd.DataFrame:
    order = {roi: number for number, roi in enumerate(rois)}
    return rows.sort_values("roi", key=lambda names: names.astype(str).map(order), kind="stable")


def _draw(rows: pd.DataFrame, alt: str) -> None:
    config: dict[str, Any] = {}
    for name in rows:
        title = _TITLES.get(str(name), str(name).replace("_", " "))
        word = _HELPS.get(str(name))
        explained = help_on(word) if word else None
        if rows[name].dtype.kind in "iuf":
            whole = name in _COUNTS or (name not in _TITLES and rows[name].dtype.kind in "iu")
            config[str(name)] = st.column_config.NumberColumn(
                title, help=explained, format="%d" if whole else "%.3f"
            )
        else:
            config[str(name)] = st.column_config.TextColumn(title, help=explained)
    height = min(300, 38 + 35 * len(rows))
    st.dataframe(rows, hide_index=True, column_config=config, height=height, alt=alt)
