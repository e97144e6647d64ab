"""The pages: each takes a release and shows one thing about it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import streamlit as st

from unitdb.browser import _charts
from unitdb.query import Condition
from unitdb.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from unitdb.query import UnitSet
    from unitdb.release import Description, Release

__all__ = ["as_csv", "find_units", "overview"]

_MOST_ROWS = 1000
_SUMMARY = TABLES["unit_summary"]
_ACCURACIES = {
    "mean over subjects (mean_r)": "mean_r",
    "lowest of any subject (min_r)": "min_r",
}


def overview(release: Release) -> None:
    """Show what the release holds, and its two figures: accuracy and agreement of subjects."""
    _contents(release.describe())
    st.subheader("How to cite")
    st.code(release.citation, language=None, wrap_lines=True)
    columns = ("dataset", "condition", "model")
    names = release.table("layer_summary", columns=columns)
    chosen = {column: _one_of(column, names[column]) for column in columns}
    left, right = st.columns(2)
    with left:
        st.subheader("Decoding accuracy")
        st.caption("Mean over units, then over subjects")
        accuracy = release.layer_by_roi("accuracy", **chosen)
        _heat_map(accuracy, "Mean decoding accuracy (Pearson r)")
    with right:
        st.subheader("Agreement of subjects")
        st.caption("Correlation over units of two subjects' accuracies")
        agreement = release.layer_by_roi("agreement", **chosen)
        _heat_map(agreement, "Inter-subject correlation (Pearson r), mean over pairs")


def find_units(release: Release) -> None:
    """Let the reader choose units by name and accuracy, and take them away as CSV."""
    cells = release.table(
        "layer_summary", columns=["dataset", "condition", "model", "layer", "roi"]
    )
    names: dict[str, list[str]] = {}
    columns = st.columns(5)
    for place, column in zip(columns, ("dataset", "condition", "model", "roi"), strict=False):
        names[column] = _some_of(place, column, _distinct(cells[column]))
    names["layer"] = _some_of(columns[4], "layer", _layers(release, names["model"]))
    first, second, third = st.columns(3)
    label = first.selectbox("Accuracy", list(_ACCURACIES), key="accuracy")
    minimum = second.number_input(
        "At least (Pearson r)", -1.0, 1.0, 0.0, 0.05, key="minimum", format="%.2f"
    )
    n_rows = third.number_input("Rows at the most", 1, _MOST_ROWS, 100, key="rows")
    by = _ACCURACIES[label]
    filters: dict[str, Any] = {column: kept for column, kept in names.items() if kept}
    units = release.units(**filters).where(Condition(by, ">=", minimum)).top(int(n_rows), by=by)
    _results(release, units, _code(release, filters, by, minimum, int(n_rows)))


def _contents(held: Description) -> None:
    st.text(held.description)
    rois = {roi for dataset in held.datasets for roi in dataset["rois"]}
    counts = {
        "Datasets": len(held.datasets),
        "Subjects": sum(len(dataset["subjects"]) for dataset in held.datasets),
        "ROIs": len(rois),
        "Networks": len(held.models),
        "Layers": sum(len(model["layers"]) for model in held.models),
        "Units": held.n_units,
        "Accuracies": held.n_accuracies,
    }
    for place, (label, count) in zip(st.columns(len(counts)), counts.items(), strict=True):
        place.metric(label, f"{count:,}")


def as_csv(units: UnitSet) -> bytes:
    """CSV of a selection, its origin in the first lines."""
    csv = io.BytesIO()
    units.to_csv(csv)
    return csv.getvalue()


def _results(release: Release, units: UnitSet, code: str) -> None:
    frame = units.to_pandas()
    if frame.empty:
        st.info("No unit is that accurate. Lower the minimum or choose more names.")
    else:
        st.dataframe(_ordered(frame), hide_index=True, column_config=_column_config(), height=420)
        st.download_button(
            f"Download {len(frame):,} rows as CSV",
            as_csv(units),
            file_name=f"{release.name}-{release.version}-units.csv",
            mime="text/csv",
        )
    st.caption("The same in Python")
    st.code(code, language="python")
    st.caption(f"Cite: {release.citation}")


def _heat_map(matrix: pd.DataFrame, legend: str) -> None:
    if matrix.isna().to_numpy().all():
        st.info("There is none: it takes two subjects or more.")
        return
    st.altair_chart(_charts.heat_map(matrix, legend=legend))


def _one_of(column: str, values: pd.Series[Any]) -> str:
    known = _distinct(values)
    if len(known) == 1:
        return known[0]
    return str(st.selectbox(column.capitalize(), known, key=f"overview-{column}"))


def _some_of(place: Any, column: str, known: list[str]) -> list[str]:
    label = "ROI" if column == "roi" else column.capitalize()
    return list(place.multiselect(label, known, key=column, placeholder="all"))


def _layers(release: Release, models: Sequence[str]) -> list[str]:
    """Names of the layers of the models (of all where none is given), first layers first."""
    layers = release.table("layers", columns=["model", "layer", "depth"])
    if models:
        layers = layers[layers["model"].isin(models)]
    return list(dict.fromkeys(layers.sort_values(["depth", "model"])["layer"].astype(str)))


def _distinct(values: pd.Series[Any]) -> list[str]:
    return sorted(map(str, values.unique()))


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    first = ["unit_id", "roi", "mean_r", "min_r", "max_r", "sd_r", "n_subjects", "rank"]
    return frame[[*first, "dataset", "condition"]]


def _column_config() -> dict[str, Any]:
    config: dict[str, Any] = {"unit_id": st.column_config.TextColumn("unit", width="medium")}
    for name in ("mean_r", "min_r", "max_r", "sd_r"):
        config[name] = st.column_config.NumberColumn(
            f"{name.removesuffix('_r')} r", help=_SUMMARY[name].description, format="%.3f"
        )
    config["n_subjects"] = st.column_config.NumberColumn("subjects")
    config["rank"] = st.column_config.NumberColumn(
        "rank in layer", help=_SUMMARY["rank"].description
    )
    return config


def _code(
    release: Release, filters: dict[str, list[str]], by: str, minimum: float, n_rows: int
) -> str:
    names = ", ".join(f"{column}={kept!r}" for column, kept in filters.items())
    return (
        "import unitdb\n"
        "from unitdb import col\n\n"
        f'release = unitdb.open("{release.name}@{release.version}")\n'
        f"units = release.units({names}).where(col.{by} >= {minimum:g}).top({n_rows}, by={by!r})\n"
        "units.to_pandas()"
    )
