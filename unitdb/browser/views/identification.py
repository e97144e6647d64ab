"""Identification: which of many candidates is decoded, chance beside, and what is confused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from unitdb.browser import _figure, _links, _reads, _state, charts
from unitdb.browser._choices import chosen_in_turn
from unitdb.browser._columns import numbers
from unitdb.browser._identified import confused
from unitdb.browser._images import PICTURES, strip
from unitdb.browser._words import help_on
from unitdb.release import in_order, layer_matrix

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.release import Release

__all__ = ["show"]

_LABELS = {
    "dataset": "Dataset",
    "condition": "Condition",
    "model": "Network",
    "set": "Candidates",
    "method": "Method",
    "trials": "Trials",
    "subject": "Subject (*: mean of all)",
}
_MEASURES = {
    "rate": "Pairwise identification",
    "specific": "Image-specific: rate less exchange chance",
    "chance_fold": "Exchange chance, within folds",
    "chance_exchange": "Exchange chance, of all images",
    "top1": "Top-1 among candidates that did not train",
    "exchange_top1": "The same of exchanged images",
    "rate_untrained": "Pairwise, among candidates that did not train",
}
_NUMBERS = (
    *("layer", "rate", "rate_low", "rate_high", "chance_fold", "specific", "specific_low"),
    *("specific_high", "rate_untrained", "exchange_untrained", "top1", "exchange_top1"),
    *("median_rank", "rate_within", "exchange_within", "rate_between", "exchange_between"),
    *("chance_category", "p", "q", "n_predictions", "n_candidates", "n_units"),
)
_CURVE = (
    "SELECT layer, n, rate, chance, chance_exchange FROM identification_curve WHERE dataset = ? "
    "AND condition = ? AND model = ? AND set = ? AND method = ? AND trials = ? AND subject = ? "
    "AND roi = ? AND among = ? ORDER BY layer, n"
)
_ROWS = (
    "SELECT target, n_false, n_below, n_equal, target_r, best, best_r, chance_exchange FROM "
    "identification WHERE dataset = ? AND condition = ? AND model = ? AND set = ? AND method = ? "
    "AND (trial = 0) = (? = 'means') AND subject = ? AND roi = ? AND layer = ?"
)


def show(release: Release) -> None:
    """Draw the page."""
    summary = _reads.table(release, "identification_summary")
    chosen, summary = chosen_in_turn(summary, _LABELS, later={"roi": "roi", "layer": "layer"})
    st.markdown(
        "How often is what was seen or imagined told from other candidates by what is decoded?",
        help=help_on("identification"),
    )
    layers = in_order(_reads.table(release, "layers"), chosen["model"], summary["layer"].tolist())
    table = _reads.table(release, "rois")
    table = table[table["dataset"] == chosen["dataset"]].sort_values("place")
    rois = [roi for roi in table["roi"] if roi in set(summary["roi"])]
    seen = _matrix(release, summary, layers, rois)
    roi = _state.one_of(st, "Region of interest", "roi", rois, help=help_on("roi"))
    place_of = [*chosen.values(), roi]
    seen |= _curves(release, place_of, layers)
    _numbers(summary[summary["roi"] == roi], layers)
    layer = _state.one_of(st, "Layer", "layer", layers, help=help_on("layer"))
    _confused(release, [*place_of, layer], chosen["dataset"])
    with st.expander("Link", icon=":material/link:"):
        query = _links.query_of({**chosen, "roi": roi, "layer": layer, **seen})
        st.code(_links.absolute(release, "identification", query), language=None, wrap_lines=True)


def _matrix(
    release: Release, summary: pd.DataFrame, layers: list[str], rois: list[str]
) -> dict[str, str]:
    """Draw layers by regions; gives what the reader has chosen of it."""
    st.subheader("Layers and regions")
    names = [name for name in _MEASURES if summary[name].notna().any()]
    if not names:
        st.info("No prediction could be compared with the candidates.")
        return {}
    measure = _state.one_of(st, "Measure", "measure", names, help=help_on("identification"))
    chart = charts.heat_map(layer_matrix(summary, measure, layers, rois), legend=_MEASURES[measure])
    _figure.draw(release, chart, "identification")
    st.caption("Exchange chance: one image's prediction with the target of another of its fold.")
    return {"measure": measure}


def _curves(release: Release, place: list[str], layers: list[str]) -> dict[str, str]:
    """Draw rates by number of candidates; gives what the reader has chosen of it."""
    st.subheader("By number of candidates", help=help_on("identification"))
    among = _state.one_of(st, "Drawn from", "among", ["all", "untrained"])
    rows = _reads.read(release, "sql", _CURVE, (*place, among)).astype({"layer": str})
    if rows.empty:
        st.info("There are no such candidates.")
        return {"among": among}
    _figure.draw(release, charts.hit_curves(rows, layers), "curves")
    st.caption(
        "Exact, not drawn. Dashed: 1 of n; dotted: exchanged images. In a cross-validation the "
        "other pictures have trained the decoder, and top-1 among all of them is below chance: "
        "choose `untrained`."
    )
    return {"among": among}


def _numbers(rows: pd.DataFrame, layers: list[str]) -> None:
    order = {layer: place for place, layer in enumerate(layers)}
    shown = rows[list(_NUMBERS)].sort_values("layer", key=lambda of: of.map(order))
    numbers(shown, "Identification by layer")


def _confused(release: Release, place: list[str], dataset: str) -> None:
    st.subheader("What is confused")
    rows = confused(_reads.read(release, "sql", _ROWS, tuple(place)))
    if rows.empty:
        st.info("No prediction could be compared with the candidates.")
        return
    stimuli = _reads.table(release, "stimuli")
    pictures = stimuli[stimuli["dataset"] == dataset].set_index("stimulus")["thumbnail"].to_dict()
    datasets = _reads.table(release, "datasets").set_index("dataset")
    shown = isinstance(datasets["pictures"][dataset], str)
    for words, part in (("best", rows[::-1][:PICTURES]), ("worst", rows[:PICTURES])):
        st.caption(f"Identified {words}, with the rate of each, and below what is nearest to it.")
        for column, value in (("target", "rate"), ("best", "best_r")):
            thumbnails: list[Any] = [pictures.get(name) for name in part[column]]
            found = part.assign(stimulus=part[column], activation=part[value], thumbnail=thumbnails)
            st.html(strip(found, shown=shown))
    if shown:
        st.caption(_state.plain(f"Pictures: {datasets['pictures'][dataset]}"))
    numbers(rows, "Targets by rate")
