"""What the numbers are from: datasets, networks, decoder, versions, how to cite and rebuild."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from unitdb.browser import _reads, _state
from unitdb.browser._words import WORDS, help_on

if TYPE_CHECKING:
    from unitdb.release import Release

__all__ = ["show"]

_GLOSSARY = {
    "decoding accuracy": "accuracy",
    "inter-subject correlation": "agreement",
    "region of interest (ROI)": "roi",
    "unit": "unit",
    "layer": "layer",
    "channel": "channel",
    "BH score": "bh",
    "95 % interval of one accuracy": "interval",
}


def show(release: Release) -> None:
    """Draw the page."""
    st.markdown(
        "For each unit, person and region of interest a linear decoder is trained to predict the "
        "unit's activation from the voxels of the region, and tested on other pictures. The "
        "correlation of predicted and true activation over the test pictures is the unit's "
        "decoding accuracy.",
        help=help_on("accuracy"),
    )
    _errata(release)
    for title, table in (("Datasets", "datasets"), ("Networks", "models")):
        st.subheader(title)
        _cards(_reads.table(release, table))
    st.subheader("Regions and people")
    left, right = st.columns(2)
    left.dataframe(_reads.table(release, "rois"), hide_index=True, alt="Regions of interest")
    people = _reads.table(release, "subjects").drop(columns="responses_sha256")
    right.dataframe(people, hide_index=True, alt="Subjects")
    _builds(release)
    st.subheader("Cite")
    st.code(release.citation, language=None, wrap_lines=True)
    st.code(release.bibtex(), language="latex", wrap_lines=True)
    st.subheader("Build it again, and check it")
    st.code(
        f"unitdb verify {release.label}     # read every file again, compute summaries anew\n"
        "unitdb build recipe.yaml     # the recipe that stands in the release's folder",
        language="bash",
    )
    st.subheader("Words")
    for name, word in _GLOSSARY.items():
        st.markdown(f"**{name}**: {WORDS[word]}")


def _errata(release: Release) -> None:
    """What has been found wrong with it since, from the catalogue that it is listed in."""
    entry = release.listed()  # not kept: errata may come while the page is looked at
    if entry is None:
        return
    for erratum in entry.errata:
        st.warning(f"Erratum: {_state.plain(erratum)}")
    if entry.retracted is not None:
        st.error(f"Retracted: {_state.plain(entry.retracted)}")


def _cards(rows: pd.DataFrame) -> None:
    for row in rows.to_dict("records"):
        fields = {str(key): value for key, value in row.items() if not _missing(value)}
        name = str(next(iter(fields.values())))
        with st.expander(f"{name} · {_state.plain(str(fields.get('title', '')))}"):
            st.text("\n".join(f"{key}: {value}" for key, value in fields.items()))


def _missing(value: Any) -> bool:
    return value is None or bool(pd.isna(value))


def _builds(release: Release) -> None:
    st.subheader("Builds", help="A build is one run of the decoder over a dataset and a network.")
    for row in _reads.table(release, "builds").to_dict("records"):
        with st.expander(f"Build {row['build']} · {row['dataset']} · {row['model']}"):
            st.text(
                f"recipe {row['recipe']} ({row['recipe_sha256']})\n"
                f"unitdb {row['unitdb_version']}, code {row['code_sha256']}"
            )
            for name in ("decoder", "units", "packages"):
                st.caption(name)
                st.json(json.loads(row[name]), expanded=name == "decoder")
    files = _reads.table(release, "inputs")
    if len(files):
        with st.expander(f"Files that the builds have read ({len(files):,})"):
            st.dataframe(files.head(1000), hide_index=True, alt="Input files")
