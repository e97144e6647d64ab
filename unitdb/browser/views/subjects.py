"""Whether people agree on which units are well decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from unitdb.browser import _figure, _links, _reads, _state, charts
from unitdb.browser._words import help_on
from unitdb.browser.views.overview import scope

if TYPE_CHECKING:
    from unitdb.release import Release

__all__ = ["show"]

_KINDS = {"pearson_r": "Pearson", "spearman_r": "Spearman (ranks)", "partial_r": "partial"}


def show(release: Release) -> None:
    """Draw the page."""
    later = {"layer": "layer", "roi": "roi"}
    chosen = scope(release, _reads.read(release, "describe"), later=later)
    pairs = _reads.table(release, "intersubject")
    for column, name in chosen.items():
        pairs = pairs[pairs[column] == name]
    if pairs.empty:
        st.info("There is none here: it takes two subjects or more.")
        return
    kinds = [kind for kind in _KINDS if kind in pairs and pairs[kind].notna().any()]
    layers = [one.layer for one in release.layers if one.model == chosen["model"]]
    there = [layer for layer in layers if layer in set(pairs["layer"])]
    table = _reads.table(release, "rois")
    rois = table[table["dataset"] == chosen["dataset"]].sort_values("place")["roi"].tolist()
    rois = [roi for roi in rois if roi in set(pairs["roi"])]
    first, second, third = st.columns(3)
    layer = _state.one_of(first, "Layer", "layer", there, help=help_on("layer"))
    roi = _state.one_of(second, "Region of interest", "roi", rois, help=help_on("roi"))
    kind = _state.one_of(
        third, "Correlation", "kind", kinds or ["pearson_r"], help=help_on("agreement")
    )
    legend = f"Inter-subject correlation ({_KINDS[kind]} r)"
    pairs = pairs.assign(r=pairs[kind])
    here = pairs[(pairs["layer"] == layer) & (pairs["roi"] == roi)]
    subjects = sorted({*here["subject_a"], *here["subject_b"]})
    left, right = st.columns(2)
    with left:
        st.subheader("Every pair", help=help_on("agreement"))
        st.caption(f"{_state.code(layer)} decoded from {_state.code(roi)}")
        if here["r"].notna().any():
            _figure.draw(release, charts.pair_matrix(here, subjects, legend=legend), "pairs")
        else:
            st.info("The correlation does not exist: too few units have an accuracy in both.")
    with right:
        _with_others(release, here, subjects, legend)
    _numbers(here, kind)
    st.subheader("Through the network")
    st.caption("Mean over pairs of subjects")
    means = pairs.groupby(["layer", "roi"])["r"].mean().dropna().reset_index()
    means["depth"] = means["layer"].map({name: place for place, name in enumerate(layers)})
    _figure.draw(
        release,
        charts.profile(
            means,
            x="depth",
            whole=True,
            x_title="Layer (place in the network, from 0)",
            y_title=legend,
            colour="roi",
            colours=rois,
            colour_title="ROI",
        ),
        "others",
    )
    _best_again(release, chosen, roi)
    query = _links.query_of({**chosen, "layer": layer, "roi": roi, "kind": kind})
    link, python = st.tabs(["Link", "Python"])
    link.code(_links.absolute(release, "subjects", query), language=None, wrap_lines=True)
    python.code(
        f"import unitdb\n\nrelease = unitdb.open({release.label!r})\n"
        f'release.table("intersubject")\nrelease.layer_by_roi("agreement", '
        + ", ".join(f"{column}={name!r}" for column, name in chosen.items())
        + ")",
        language="python",
        wrap_lines=True,
    )


def _numbers(pairs: pd.DataFrame, kind: str) -> None:
    """Each pair in numbers: interval, chance, and how alike predictions are."""
    name = kind.removesuffix("_r")
    titles = {
        "subject_a": "person",
        "subject_b": "with",
        kind: "r",
        f"{name}_low": "95 % from",
        f"{name}_high": "to",
        "chance_r": "chance",
        "p": "p",
        "prediction_r": "predictions alike",
        "n_units": "units",
    }
    known = [column for column in titles if column in pairs and pairs[column].notna().any()]
    with st.expander("Every pair in numbers", icon=":material/table_rows:"):
        numbers = st.column_config.NumberColumn
        st.dataframe(
            pairs[known],
            hide_index=True,
            height=min(300, 38 + 35 * len(pairs)),
            column_config={
                column: title
                if column.startswith("subject")
                else numbers(
                    title,
                    format="%d" if column == "n_units" else "%.3f",
                    help=help_on("prediction_r") if column == "prediction_r" else None,
                )
                for column, title in titles.items()
            },
            alt="Agreement of each pair",
        )
        if "p" not in known:
            st.caption(
                "There is no p: it takes controls, with the images of two people shuffled apart. "
                "Chance is then taken to be 0."
            )


def recurrence_rows(table: pd.DataFrame, chosen: dict[str, str], roi: str) -> pd.DataFrame:
    """What the page shows of table ``recurrence``: a row for each comparison within an ROI."""
    found = table[table["roi"] == roi]
    for column, name in chosen.items():
        found = found[found[column] == name]
    among = {
        "others": "mean of the others",
        "halves": "other half of the presentations",
    }
    names = found["other"].astype(str)
    for kind, what in among.items():
        names[found["among"] == kind] = what
    columns = ["k", "n_shared", "n_expected", "n_chance", "p"]
    shown = found[["subject"]].assign(among=names, **{name: found[name] for name in columns})
    return shown.dropna(axis="columns", how="all").reset_index(drop=True)


def _best_again(release: Release, chosen: dict[str, str], roi: str) -> None:
    """How many of the best units of all layers are the best in others, where the release says."""
    if "recurrence" not in release.tables:
        return
    rows = recurrence_rows(_reads.table(release, "recurrence"), chosen, roi)
    if rows.empty:
        return
    st.subheader("The same best units", help=help_on("recurrence"))
    st.caption(f"The best units of all layers, decoded from {_state.code(roi)}")
    numbers = st.column_config.NumberColumn
    st.dataframe(
        rows,
        hide_index=True,
        column_config={
            "among": "among the best of",
            "k": numbers("best units", format="%d"),
            "n_shared": numbers("shared", format="%d"),
            "n_expected": numbers("by chance", format="%.1f", help="Of unrelated rankings: k² / n"),
            "n_chance": numbers("controls", format="%.1f", help="With shuffled images"),
            "p": numbers(format="%.3f"),
        },
        alt="How many of the best units recur",
    )


def leave_one_out(pairs: pd.DataFrame, subjects: list[str]) -> pd.DataFrame:
    """Mean correlation of each subject with the others: ``subject``, ``r``, ``n_others``."""
    rows = []
    for subject in subjects:
        of = pairs[(pairs["subject_a"] == subject) | (pairs["subject_b"] == subject)]["r"].dropna()
        rows.append({"subject": subject, "r": of.mean(), "n_others": len(of)})
    return pd.DataFrame(rows)


def _with_others(release: Release, pairs: pd.DataFrame, subjects: list[str], legend: str) -> None:
    st.subheader(
        "Each against the others",
        help="Mean correlation of a subject with all others. One far below the rest is an outlier.",
    )
    st.caption("Mean over the pairs that a subject is in")
    found = leave_one_out(pairs, subjects)
    if found["r"].notna().any():
        _figure.draw(release, charts.bars(found, legend=legend), "layers")
