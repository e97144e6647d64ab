"""What the release is, and its two figures: the hierarchy and the agreement of subjects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from unitdb.browser import _figure, _links, _reads, _state, charts
from unitdb.browser._words import help_on

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.release import Description, Release

__all__ = ["show"]

_FIGURES = {
    "accuracy": (
        "The hierarchy",
        "How well units of each layer are decoded from each region: mean over units, then subjects",
        "Mean decoding accuracy (Pearson r)",
    ),
    "agreement": (
        "Agreement of subjects",
        "Whether the same units are well decoded in two people: mean over pairs of subjects",
        "Inter-subject correlation (Pearson r)",
    ),
}


def show(release: Release) -> None:
    """Draw the page."""
    held: Description = _reads.read(release, "describe")
    st.markdown(
        "Each **unit** of a deep network computes one number from a picture. This database says "
        "how well that number can be read from a person's brain activity while they see the "
        "picture: "
        "the unit's **decoding accuracy**.",
        help=help_on("accuracy"),
    )
    st.text(held.description)
    _contents(held)
    chosen = scope(release, held)
    for place, measure in zip(st.columns(2), _FIGURES, strict=True):
        with place:
            _matrix(release, measure, chosen)
    _next()
    with st.expander("What it holds", icon=":material/database:"):
        _table(held)
    st.subheader("How to cite")
    st.code(release.citation, language=None, wrap_lines=True)
    st.caption(f"Licence: {_state.plain(held.licence)}")


def scope(release: Release, held: Description, *, model: bool = True) -> dict[str, str]:
    """Let the reader choose dataset, condition and network, where there are several."""
    names = {
        "dataset": [row["dataset"] for row in held.datasets],
        "condition": held.conditions,
    }
    if model:
        names["model"] = [row["model"] for row in held.models]
    known = {column: set(release.values(column)) for column in names}
    names = {column: [n for n in found if n in known[column]] for column, found in names.items()}
    several = [column for column, found in names.items() if len(found) > 1]
    places = dict(zip(several, st.columns(max(1, len(several))), strict=False))
    labels = {"dataset": "Dataset", "condition": "Condition", "model": "Network"}
    helps = {"condition": help_on("condition"), "model": help_on("network")}
    return {
        column: _state.one_of(
            places.get(column, st), labels[column], column, found, help=helps.get(column)
        )
        for column, found in names.items()
    }


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


def _matrix(release: Release, measure: str, chosen: dict[str, str]) -> None:
    title, caption, legend = _FIGURES[measure]
    word = "accuracy" if measure == "accuracy" else "agreement"
    st.subheader(title, help=help_on(word))
    st.caption(caption)
    matrix: pd.DataFrame = _reads.read(release, "layer_by_roi", measure, **chosen)
    if matrix.isna().to_numpy().all():
        st.info("There is none: it takes two subjects or more.")
        return
    _figure.draw(release, charts.heat_map(matrix, legend=legend), measure)


def _next() -> None:
    with st.container(horizontal=True):
        for page, label in (
            ("units", "Find brain-like units"),
            ("layer", "Look at a layer"),
            ("networks", "Compare networks"),
            ("methods", "How it was measured"),
        ):
            _links.to(st, page, label, icon=":material/arrow_forward:")


def _table(held: Description) -> None:
    import pandas as pd

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
