"""What the release is, and its two figures: the hierarchy and the agreement of subjects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from unitdb.browser import _figure, _links, _reads, _state, charts
from unitdb.browser._answer import best_score, cells, significant
from unitdb.browser._choices import chosen_in_turn
from unitdb.browser._images import thumbnail
from unitdb.browser._preferred import preferred, shown_units
from unitdb.browser._words import NO_TEST, help_on
from unitdb.query import col

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unitdb.release import Description, Release

__all__ = ["show"]

_FIGURES = {
    "accuracy": (
        "The hierarchy",
        "how well a layer's units are decoded",
        "Mean decoding accuracy (Pearson r)",
        "layer_summary",
    ),
    "agreement": (
        "Agreement of people",
        "the same units in two people?",
        "Inter-subject correlation (Pearson r)",
        "intersubject",
    ),
}
_BEST = 6
_SCOPE = {"dataset": "Dataset", "condition": "Condition", "model": "Network"}


def show(release: Release) -> None:
    """Draw the page."""
    held: Description = _reads.read(release, "describe")
    st.markdown(
        "How well can each **unit** of a deep network be read from a person's brain activity while "
        "they see a picture? That is the unit's **decoding accuracy**.",
        help=help_on("accuracy"),
    )
    chosen = scope(release, held)
    _answer(release, chosen)
    for place, measure in zip(st.columns(2), _FIGURES, strict=True):
        with place:
            _matrix(release, measure, chosen)
    st.caption(
        "Colours begin at 0, which is chance where there are no controls. **Bold**: above chance "
        "in everybody, by each person's 95 % interval. Click a cell to open its layer."
    )
    _in_everybody(held, chosen)
    _best_units(release, chosen)
    _next(chosen)
    st.subheader("About this release")
    st.text(held.description)
    _contents(held)
    with st.expander("What it holds", icon=":material/database:"):
        _table(held)
    st.subheader("How to cite")
    st.code(release.citation, language=None, wrap_lines=True)
    st.caption(f"Licence: {_state.plain(held.licence)}")


def scope(
    release: Release,
    held: Description,
    *,
    columns: Sequence[str] = tuple(_SCOPE),
    rows: pd.DataFrame | None = None,
    later: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Let the reader choose dataset, condition and network in turn, where there are several.

    Parameters
    ----------
    release : Release
    held : Description
        Whose order the values are in.
    columns : sequence of str
        What is chosen.
    rows : DataFrame, optional
        Rows of ``layer_summary`` that may be chosen from; all by default.
    later : mapping of str to str, optional
        As of :func:`chosen_in_turn`.

    Raises
    ------
    QueryError
        There is no row.
    """
    order = {
        "dataset": [row["dataset"] for row in held.datasets],
        "condition": held.conditions,
        "model": [row["model"] for row in held.models],
    }

    def options(column: str, left: pd.DataFrame) -> list[str]:
        there = set(left[column])
        return [name for name in order[column] if name in there]

    chosen, _ = chosen_in_turn(
        _reads.table(release, "layer_summary") if rows is None else rows,
        {column: _SCOPE[column] for column in columns},
        options=options,
        helps={"condition": help_on("condition"), "model": help_on("network")},
        later=later,
    )
    return chosen


def _contents(held: Description) -> None:
    rois = {roi for dataset in held.datasets for roi in dataset["rois"]}
    counts = {
        "Datasets": (len(held.datasets), None),
        "Subjects": (sum(len(d["subjects"]) for d in held.datasets), help_on("subject")),
        "ROIs": (len(rois), help_on("roi")),
        "Networks": (len(held.models), help_on("network")),
        "Layers": (sum(len(model["layers"]) for model in held.models), help_on("layer")),
        "Units": (held.n_units, help_on("unit")),
        "Accuracies": (held.n_accuracies, help_on("accuracy")),
    }
    with st.container(horizontal=True, gap="medium"):
        for label, (count, explained) in counts.items():
            st.metric(label, f"{count:,}", help=explained, width="content")


def _here(release: Release, name: str, chosen: dict[str, str]) -> pd.DataFrame:
    rows = _reads.table(release, name)
    for column, value in chosen.items():
        rows = rows[rows[column] == value] if len(rows) else rows
    return rows


def _answer(release: Release, chosen: dict[str, str]) -> None:
    """The numbers that a reader asks for first."""
    score = best_score(_here(release, "hierarchy", chosen))
    found = significant(_here(release, "layer_summary", chosen))
    with st.container(horizontal=True, gap="large"):
        if score is not None:
            with st.container(width="content"):
                st.metric("BH score", score[0], help=help_on("bh"), width="content")
                st.caption(f"{score[1]}  \n{score[2]}")
        with st.container(width="content"):
            label = "Significant units (q < .05)"
            if found is None:
                st.metric(label, "no test", help=NO_TEST, width="content")
            else:
                roi, n, of = found
                st.metric(label, f"{n:,}", help=help_on("q"), width="content")
                st.caption(f"of {of:,}, from {_state.code(roi)}, mean over people")


def _matrix(release: Release, measure: str, chosen: dict[str, str]) -> None:
    title, caption, legend, table = _FIGURES[measure]
    word = "accuracy" if measure == "accuracy" else "agreement"
    st.markdown(f"**{title}** · {caption}", help=help_on(word))
    matrix: pd.DataFrame = _reads.read(release, "layer_by_roi", measure, **chosen)
    if matrix.isna().to_numpy().all():
        st.info("There is none: it takes two subjects or more.")
        return
    details = _details(cells(_here(release, table, chosen), measure), measure)
    chart = charts.heat_map(matrix, legend=legend, details=details, strong="strong", choose="cell")
    clicked = _figure.draw(release, chart, measure, choose="cell")
    if clicked:
        layer, roi = clicked[-1]["down"], clicked[-1]["across"]
        _links.go("layer", {**chosen, "layer": layer, "roi": roi})


def _details(found: pd.DataFrame, measure: str) -> pd.DataFrame:
    """What is said of a cell beside its number."""
    of = "people" if measure == "accuracy" else "pairs"
    known = found["low"].notna()
    interval = [
        f"{low:.3f} to {high:.3f}" for low, high in zip(found["low"], found["high"], strict=True)
    ]
    above = [
        "unknown" if n != n else f"{n:.0f} of {of_n} {of}"
        for n, of_n in zip(found["n_above"], found["n"], strict=True)
    ]
    return pd.DataFrame(
        {
            "down": found["layer"],
            "across": found["roi"],
            "95 % interval (mean of ends)": pd.Series(interval, found.index).where(known, "none"),
            "chance": found["chance"].map("{:.3f}".format),
            "above chance": above,
            "strong": found["n_above"] == found["n"],
        }
    )


def _in_everybody(held: Description, chosen: dict[str, str]) -> None:
    """Links to the units that a region decodes in everybody."""
    (dataset,) = (row for row in held.datasets if row["dataset"] == chosen["dataset"])
    n = len(dataset["subjects"])
    asked = {**chosen, "people": str(n), "minimum": "0.2", "view": "gallery"}
    who = f"in all {n} people** (r ≥ .2 in each)" if n > 1 else "in the one person** (r ≥ .2)"
    st.markdown(f"**Units decoded {who}, from")
    with st.container(horizontal=True):
        for roi in dataset["rois"]:
            _links.to(st, "units", roi, {**asked, "roi": roi}, icon=":material/search:")


def _best_units(release: Release, chosen: dict[str, str]) -> None:
    """Units kept with pictures that may be shown, of the best of each layer and ROI."""
    there = shown_units(release, chosen["dataset"], chosen["model"])
    if not there:
        return
    scope: dict[str, Any] = dict(chosen)
    best = release.units(**scope).where(col.rank <= _BEST).among(there).sort("mean_r")
    rows = _reads.units(release, best, "to_pandas").drop_duplicates("unit_id")[:_BEST]
    if rows.empty:
        return
    st.markdown(
        "**Well decoded units** · the best of those kept with pictures; of the pictures that may "
        "be shown, the one that drives each most"
    )
    pictures = preferred(release, chosen["dataset"], rows["unit_id"].tolist(), 1)
    of_unit = dict(zip(pictures["unit_id"], pictures.to_dict("records"), strict=True))
    with st.container(horizontal=True, gap="small"):
        for row in rows.to_dict("records"):
            unit, roi = str(row["unit_id"]), str(row["roi"])
            with st.container(width=128, gap="xxsmall"):
                picture = of_unit.get(unit)
                if picture is not None:
                    st.html(thumbnail(picture))
                named = release.class_name(unit)
                name = unit.partition("/")[2] + (f" · {_state.plain(named)}" if named else "")
                _links.to(st, "unit", name, {"unit": unit, **_scope(chosen), "roi": roi})
                st.caption(f"{_state.code(roi)}: r = {row['mean_r']:.2f}")


def _scope(chosen: dict[str, str]) -> dict[str, str]:
    return {key: chosen[key] for key in ("dataset", "condition")}


def _next(chosen: dict[str, str]) -> None:
    with st.container(horizontal=True):
        for page, label, asked in (
            ("units", "Find brain-like units", chosen),
            ("layer", "Look at a layer", chosen),
            ("networks", "Compare networks", _scope(chosen)),
            ("methods", "How it was measured", {}),
        ):
            _links.to(st, page, label, asked, icon=":material/arrow_forward:")


def _table(held: Description) -> None:
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "dataset": row["dataset"],
                    "title": row["title"],
                    "responses": "simulated" if row["simulated"] else "measured",
                    "subjects": ", ".join(row["subjects"]),
                    "ROIs": ", ".join(row["rois"]),
                }
                for row in held.datasets
            ]
        ),
        hide_index=True,
    )
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "network": row["model"],
                    "title": row["title"],
                    "layers": ", ".join(row["layers"]),
                }
                for row in held.models
            ]
        ),
        hide_index=True,
    )
