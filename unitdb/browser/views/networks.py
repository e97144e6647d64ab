"""Networks compared: accuracy by depth, brain hierarchy scores, and the published ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from unitdb import reference
from unitdb.browser import _figure, _links, _reads, _state, charts
from unitdb.browser._answer import PUBLISHED_ROIS
from unitdb.browser._words import help_on
from unitdb.browser.views.overview import scope
from unitdb.release import relative_depth, spaced

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.release import Release

__all__ = ["show"]

_MORE = ("n_layers", "depth")
_BY = ("average", "decoding", "encoding")


def show(release: Release) -> None:
    """Draw the page."""
    held = _reads.read(release, "describe")
    later = {"model": "model", "roi": "roi"}
    chosen = scope(release, held, columns=("dataset", "condition"), later=later)
    summary = _reads.table(release, "layer_summary")
    for column, name in chosen.items():
        summary = summary[summary[column] == name]
    there = set(summary["model"])
    models = [row["model"] for row in held.models if row["model"] in there]
    first, second = st.columns(2)
    networks = _state.some_of(first, "Networks", "model", models, help=help_on("network")) or models
    table = _reads.table(release, "rois")
    rois = table[table["dataset"] == chosen["dataset"]].sort_values("place")["roi"].tolist()
    few = spaced(rois)
    regions = _state.some_of(
        second,
        "Regions of interest",
        "roi",
        rois,
        help=help_on("roi"),
        placeholder="all" if few == rois else f"{len(few)} of {len(rois)}, from early to late",
    )
    _by_depth(release, summary, networks, regions or few, of=len(rois))
    _scores(release, chosen, networks)
    kind = _published(release, chosen, networks)
    asked = [] if networks == models else networks
    query = _links.query_of({**chosen, "model": asked, "roi": regions, "score": kind})
    with st.expander("Link", icon=":material/link:"):
        st.code(_links.absolute(release, "networks", query), language=None, wrap_lines=True)


def _by_depth(
    release: Release, summary: pd.DataFrame, networks: list[str], rois: list[str], *, of: int
) -> None:
    st.subheader("Accuracy by depth", help=f"{help_on('accuracy')} {help_on('depth')}")
    rows = relative_depth(summary, _reads.table(release, "layers"))
    rows = rows[rows["model"].isin(networks) & rows["roi"].isin(rois)].dropna(subset="r")
    if rows.empty:
        st.info("These networks were not decoded from the chosen dataset and regions.")
        return
    more = "" if len(rois) == of else f" Drawn: {len(rois)} of {of} regions; choose others above."
    st.caption(
        f"Mean over units, then subjects. A hierarchy shows as early areas peaking left.{more}"
    )
    several = len(networks) > 1
    _figure.draw(
        release,
        charts.profile(
            rows,
            x="depth",
            x_title="Relative depth (0: first layer, 1: last layer)",
            y_title="Mean decoding accuracy (Pearson r)",
            colour="roi",
            colours=rois,
            colour_title="ROI",
            dash="model" if several else None,
            dash_title="Network",
        ),
        "depth",
    )


def _scores(release: Release, chosen: dict[str, str], networks: list[str]) -> None:
    """BH scores, where the release has them."""
    found = _reads.table(release, "hierarchy")
    if found.empty:
        return
    for column, name in chosen.items():
        found = found[found[column] == name]
    found = found[found["model"].isin(networks)].dropna(subset="score")
    if found.empty:
        return
    st.subheader("Brain hierarchy (BH) scores of this release", help=help_on("bh"))
    found = found.astype({"model": str, "kind": str, "method": str})
    _figure.draw(release, charts.scores(found, networks), "scores")
    columns = ["model", "kind", "method", "score", "score_low", "score_high", "over"]
    columns += [name for name in ("chance_score", "p") if found[name].notna().any()]
    shown = found[columns]
    config: dict[str, Any] = {
        name: st.column_config.NumberColumn(format="%.3f")
        for name in ("score", "score_low", "score_high", "chance_score", "p")
    }
    st.dataframe(shown, hide_index=True, column_config=config, alt="BH scores")
    if "p" not in shown:
        st.caption("There is no p: it takes controls. Chance is then taken to be 0.")


def _own(release: Release, chosen: dict[str, str], networks: list[str], kind: str) -> pd.DataFrame:
    """Scores of the release's networks that are comparable: of the same regions and method."""
    rows = _reads.table(release, "hierarchy")
    if rows.empty:
        return rows
    for column, name in chosen.items():
        rows = rows[rows[column] == name]
    rows = rows[(rows["kind"] == kind) & (rows["method"] == "nonaka2021")]
    rows = rows[rows["model"].isin(networks)].dropna(subset="score")
    alike = rows["rois"].map(lambda rois: list(rois) == PUBLISHED_ROIS).astype(bool)
    mark = " (simulated)" if release.simulated else ""
    return rows[alike][["model", "score"]].assign(model=rows["model"] + mark)


def _published(release: Release, chosen: dict[str, str], networks: list[str]) -> str:
    """Draw the published scores; gives the kind that the reader has chosen."""
    published = reference.bhscore()
    st.subheader(f"{len(published)} published networks", help=help_on("bh"))
    st.caption(
        "Measured, not simulated, and not of this release: BH scores as published, to set others "
        "beside. Scores depend on which regions there are, and how many."
    )
    kind = _state.one_of(st, "Score", "score", _BY, help=help_on("bh"))
    by, own = f"bh_{kind}", _own(release, chosen, networks, kind)
    left, right = st.columns(2)
    known = published.dropna(subset="top1")
    bh = [f"bh_{name}" for name in _BY]
    with left:
        _figure.draw(release, charts.published_scores(known, by=by, own=own), "published")
        simulated = " (**simulated**)" if release.simulated else ""
        here = (
            f"Dashed: this release{simulated}; its networks' ImageNet accuracy is not in it."
            if len(own)
            else "This release has no score of the same regions and method to set beside."
        )
        st.caption(f"{len(known)} of them, whose ImageNet accuracy is known from a source. {here}")
    with right:
        st.dataframe(
            published[["rank", "dnn", by, "top1", *_MORE, *(n for n in bh if n != by)]],
            hide_index=True,
            height=440,
            column_config={
                "dnn": st.column_config.TextColumn("network"),
                **{
                    f"bh_{name}": st.column_config.NumberColumn(f"BH {name}", format="%.3f")
                    for name in _BY
                },
                "top1": st.column_config.NumberColumn("ImageNet top-1 (%)", format="%.1f"),
            },
            alt="Published BH scores",
        )
    st.caption(_state.plain(reference.CITATION))
    return kind
