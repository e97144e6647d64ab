"""Find units by name, place and accuracy, a page of the result at a time."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import streamlit as st

from unitdb.browser import _collection, _figure, _links, _reads, _state, charts
from unitdb.browser._columns import ordered, unit_columns, with_classes
from unitdb.browser._pictured import GALLERY, pictured
from unitdb.browser._search import KEPT, MEASURES, NAMES, Search
from unitdb.browser._words import NO_TEST, help_on
from unitdb.errors import QueryError
from unitdb.query import from_minimum, is_edge, narrowed

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.query import Page, UnitSet
    from unitdb.release import Release

__all__ = ["show"]

_VIEWS = ("table", "gallery")
_SIZES = ("25", "50", "100", "200")
_LABELS = {"dataset": "Dataset", "condition": "Condition", "model": "Network", "layer": "Layer"}
_LABELS |= {"roi": "ROI", "kind": "Kind of layer", "subject": "Subjects"}
_MORE = ("kind", "subject", "channel", "rows", "columns")
_COUNTED = 5
_SEEN = ("view", "size")
"""Parameters of how the rows are shown, which find no others."""
_PAGE = ("after",)
"""Parameters that name a page of the result: another choice begins at the first."""


def show(release: Release) -> None:
    """Draw the page."""
    counts = st.empty()
    chosen = _filters(release)
    search = chosen.resolved(_reads.subjects(release))
    why = _reads.refusal(release, search)
    if search.subject and (search.preferred or search.significant or search.by == "lead_r"):
        why = (
            "Lead, preferred ROI and significance are known over all people: choose no subjects, "
            "or leave these filters out."
        )
    if why is not None:
        st.info(why)
        return
    units = search.units(release)
    rows = _reads.found(release, search)  # the same rows: units are told and downloaded
    bins = _reads.bins(release, search)
    found = _counts(search, rows, bins, release)
    total = int(found["roi"].sum())
    counts.markdown(
        f"**{total:,}** rows: units with an accuracy, each once for every ROI that it is decoded "
        "from",
        help=help_on("unit"),
    )
    if total == 0:
        st.info(_none_left(release, search))
    else:
        _table(release, search, rows, bins)
        models = found["model"][found["model"] > 0].index
        one = str(models[0]) if len(models) == 1 else None
        _download(release, chosen, units, total, one)
    st.subheader("How they are spread")
    _distribution(release, search, bins)
    _facets(found, search)


def _none_left(release: Release, search: Search) -> str:
    if search.significant and not _has_q(release):
        return f"No unit is left. {NO_TEST}"
    return "No unit is left. Lower the minimum, or ask for less."


def _has_q(release: Release) -> bool:
    best = _reads.units(release, release.units().top(1), "to_pandas")
    return bool(best["q"].notna().any())


def _filters(release: Release) -> Search:
    held = _reads.read(release, "describe")
    several = {name: release.values(name) for name in ("dataset", "condition", "model", "roi")}
    several["roi"] = list(dict.fromkeys(roi for row in held.datasets for roi in row["rois"]))
    names: dict[str, list[str]] = {}
    shown = [name for name in ("model", "roi", "dataset", "condition") if len(several[name]) > 1]
    places = st.columns(len(shown) + 1)
    for place, name in zip(places, shown, strict=False):
        names[name] = _names(place, name, several[name], drops=_void(release, name))
    layers = _layers(release, names.get("model") or [])
    names["layer"] = _names(places[-1], "layer", layers)
    n_subjects, whose = _people(release, names.get("dataset", []))
    first, second, third, fourth = st.columns([2, 2, 3, 3], vertical_alignment="bottom")
    minimum = _state.number(
        first,
        "Accuracy at least",
        "minimum",
        -0.99,
        1.0,
        None,
        0.05,
        drops=_PAGE,
        help=help_on("accuracy"),
        placeholder="any",
    )
    people = _state.one_of(
        second,
        "In how many people",
        "people",
        ["", *map(str, range(n_subjects, 0, -1))],
        drops=_PAGE,
        help=help_on("people"),
        format_func=lambda k: f"at least {k} of {whose}" if k else "on average",
    )
    by = "mean_r"
    if people:
        what = "with an accuracy" if minimum is None else "that reach it"
        third.caption(f"Units {what} in {people} of {whose} people or more")
    else:
        by = _state.one_of(
            third,
            "Ranked by",
            "by",
            list(MEASURES),
            drops=_PAGE,
            help=" ".join(help_on(name) for name in MEASURES),
            format_func=MEASURES.__getitem__,
        )
    significant = _state.switch(
        fourth, "Significant (q ≤ .05)", "significant", drops=_PAGE, help=help_on("q")
    )
    preferred = _state.switch(
        fourth,
        "Preferred ROI only",
        "preferred",
        drops=_PAGE,
        help="Only the ROI that decodes the unit best.",
    )
    everybody = _has_everybody(fourth)
    keep, n, each = _kept()
    asked = any(_state.parameter(name) for name in _MORE)  # nobody should miss what is asked
    label = "More: kind of layer, subjects, place in the map"
    with st.expander(label, icon=":material/tune:", expanded=asked):
        more = st.columns([3, 3, 2, 2, 2])
        names["kind"] = _names(more[0], "kind", release.values("kind"))
        names["subject"] = _names(
            more[1],
            "subject",
            release.values("subject"),
            help="Summarise over these subjects alone, and count people among them.",
            drops=(*_PAGE, "people"),
        )
        place_of = {
            key: _state.text(
                place, label, key, drops=_PAGE, placeholder="all", help=f"{what} 3 or 3-5"
            )
            for place, label, key, what in (
                (more[2], "Channel", "channel", help_on("channel")),
                (more[3], "Map row", "rows", "Rows from the top, from 0:"),
                (more[4], "Map column", "columns", "Columns from the left, from 0:"),
            )
        }
    chosen: dict[str, Any] = {name: tuple(kept) for name, kept in names.items()} | place_of
    return Search(
        **chosen,
        by=by,
        minimum=None if minimum is None else round(float(minimum), 2),
        people=int(people) if people else None,
        significant=significant,
        everybody=everybody,
        keep=keep,
        n=n,
        each=each,
        preferred=preferred,
    )


def _has_everybody(place: Any) -> bool:
    """A filter of older links, shown where a link asks for it: what is asked for is not lost."""
    if (_state.parameter("everybody") or "").lower() in {"", "false"}:
        return False
    return _state.switch(
        place,
        "With an accuracy in everybody",
        "everybody",
        drops=_PAGE,
        help="Of an older link: units without an accuracy in some person are left out. How high "
        "accuracies are, and in how many people, says *In how many people*.",
    )


def _names(
    place: Any,
    name: str,
    known: list[str],
    *,
    help: str | None = None,  # noqa: A002
    drops: _state.Drops = _PAGE,
) -> list[str]:
    word = {"roi": "roi", "model": "network", "layer": "layer", "condition": "condition"}
    explained = help or (help_on(word[name]) if name in word else None)
    return _state.some_of(place, _LABELS[name], name, known, drops=drops, help=explained)


def _void(release: Release, name: str) -> _state.Drops:
    """What another choice of a name leaves of the choices that are among what it has."""

    def of_models(chosen: list[str]) -> dict[str, list[str]]:
        there = set(_layers(release, chosen))
        return {"after": [], "layer": [one for one in _state.several("layer") if one in there]}

    def of_datasets(chosen: list[str]) -> dict[str, list[str]]:
        n, _ = _people(release, chosen)
        known = [str(k) for k in range(1, n + 1)]
        return {"after": [], "people": [k for k in _state.several("people") if k in known]}

    return {"model": of_models, "dataset": of_datasets}.get(name, _PAGE)


def _kept() -> tuple[str, int, int | None]:
    """Whether all units are kept, or the best ones or channels, and how many."""
    first, second, third, _ = st.columns([2, 2, 3, 3], vertical_alignment="bottom")
    keep = _state.one_of(
        first,
        "Keep",
        "keep",
        list(KEPT),
        drops=_PAGE,
        help=help_on("channel"),
        format_func=KEPT.__getitem__,
    )
    n, each = Search.n, None
    if keep != "all":
        n = _state.number(second, "How many", "n", 1, 100_000, Search.n, 1, drops=_PAGE)
    if keep == "units":
        each = _state.number(
            third,
            "At most of each channel",
            "each",
            1,
            100_000,
            None,
            1,
            drops=_PAGE,
            placeholder="any number",
        )
    return keep, n, each


def _people(release: Release, datasets: list[str]) -> tuple[int, str]:
    """How many people units are summarised over, at the most, and the same in words."""
    known = release.values("subject")
    chosen = [name for name in _state.several("subject") if name in known]
    asked = Search(dataset=tuple(datasets), subject=tuple(chosen))
    n = max(asked.n_people(_reads.subjects(release)).values(), default=0)
    return n, f"{n} chosen" if chosen else str(n)


def _layers(release: Release, models: list[str]) -> list[str]:
    """Names of the layers of the models (of all where none is given), first layers first."""
    layers = _reads.table(release, "layers")
    if models:
        layers = layers[layers["model"].isin(models)]
    return list(dict.fromkeys(layers.sort_values(["depth", "model"])["layer"]))


def _rewind() -> None:
    _state.write({"after": None})


def _distribution(release: Release, search: Search, bins: pd.DataFrame) -> None:
    """Draw how all units that are searched through are spread."""
    if bins.empty:
        return
    counts = bins.groupby("bin")["n_units"].sum().reset_index()
    counts = counts.assign(lower=counts["bin"] / 100)
    measure = f"Decoding accuracy{_measure(search)} (Pearson r)"
    chart = charts.histogram(counts, threshold=search.least, measure=measure)
    _figure.draw(release, chart, "accuracies")


def _measure(search: Search) -> str:
    """Which accuracy a search is by, after the word."""
    what = f", {MEASURES[search.by]}"
    if search.subject:
        what = f" in {search.subject[0]}" if len(search.subject) == 1 else f"{what} chosen"
    return what


def _counts(
    search: Search, units: UnitSet, bins: pd.DataFrame, release: Release
) -> dict[str, pd.Series[int]]:
    """Rows of each dataset, condition, model, layer and ROI."""
    if is_edge(search.least):
        # A row without an accuracy is in no bin, and sorting leaves it out as well.
        kept = from_minimum(bins, search.least)
        return {name: kept.groupby(name, observed=True)["n_units"].sum() for name in NAMES}
    facets: dict[str, pd.DataFrame] = _reads.units(release, units, "facets")
    return {name: facets[name].groupby(name, observed=True)["n_rows"].sum() for name in NAMES}


def _facets(found: dict[str, pd.Series[int]], search: Search) -> None:
    """Say how many rows there are of each name."""
    lines = []
    for name in ("model", "roi", "layer", "dataset", "condition"):
        counts = found[name].sort_values(ascending=False)
        counts = counts[counts > 0]
        if len(counts) < 2 and not getattr(search, name):
            continue
        shown = [f"{_state.code(str(one))} {n:,}" for one, n in counts.head(_COUNTED).items()]
        more = f" · {len(counts) - _COUNTED} more" if len(counts) > _COUNTED else ""
        lines.append(f"{_LABELS[name]}: {' · '.join(shown)}{more}")
    if lines:
        st.caption("  \n".join(lines))


def _table(release: Release, search: Search, units: UnitSet, bins: pd.DataFrame) -> None:
    table = st.container()
    turn = st.container(horizontal=True, vertical_alignment="bottom")
    buttons = turn.container(horizontal=True, width="content")
    view = _state.one_of(turn, "Show", "view", _VIEWS, format_func=str.capitalize)
    size = GALLERY
    if view == "table":
        asked = _state.one_of(turn, "Rows of a page", "size", _SIZES, default="50", drops=_PAGE)
        size = int(asked)
    page, after = _page(release, search, units, bins, size)
    rows = with_classes(release, ordered(page.rows))
    if search.subject:  # of some subjects there is no rank, p or lead
        rows = rows.dropna(axis="columns", how="all")
    places = list(
        page.rows[["unit_id", "dataset", "condition", "roi"]].astype(str).to_dict("records")
    )
    selected: list[dict[Any, Any]] = []
    table.caption(f"The highest first: {_state.plain(f'accuracy{_measure(search)}')}.")
    if view == "table":
        event: Any = table.dataframe(
            rows,
            hide_index=True,
            column_config=unit_columns(),
            height=min(420, 38 + 35 * len(rows)),
            on_select="rerun",
            selection_mode="multi-row",
            key=f"rows {after}",
            alt="Units found, the best first",
        )
        selected = [places[row] for row in event.selection.rows if row < len(rows)]
        if "q" not in rows and not search.subject:
            st.caption(NO_TEST)
    else:
        with table:
            pictured(release, page.rows, search.by)
            more = "; *Next page* has more" if page.next is not None else ""
            st.caption(f"{len(page.rows)} rows on this page{more}.")
    if after is not None:
        buttons.button("First page", icon=":material/first_page:", on_click=_rewind)
    if page.next is not None:
        buttons.button(
            "Next page", icon=":material/chevron_right:", on_click=_turn, args=(page.next,)
        )
    # The row that is ticked is the one that is opened; the first where none is.
    opened = (selected or places)[0]
    _links.to(
        turn,
        "unit",
        f"Open {opened['unit_id']}",
        {
            "unit": opened["unit_id"],
            **{key: opened[key] for key in ("dataset", "condition", "roi")},
        },
        icon=":material/open_in_new:",
    )
    names = [str(one["unit_id"]) for one in selected or [opened]]
    _collection.add_button(turn, list(dict.fromkeys(names)), search.roi)
    if rows["unit_id"].duplicated().any():
        st.caption("A unit stands once for each dataset, condition and ROI.")


def _page(
    release: Release, search: Search, units: UnitSet, bins: pd.DataFrame, size: int
) -> tuple[Page, str | None]:
    """The page that the URL asks for, or the first, and what it begins after."""
    after = _state.parameter("after")
    if after is not None:
        try:
            some = narrowed(units, bins, size, by=search.by, minimum=search.least, after=after)
        except QueryError:
            page = None
        else:
            page = _reads.units(release, some, "page", size, after=after)
        if page is not None and len(page.rows):
            return page, after
        st.warning("This link names no page of this result; here is the first one.")
        _rewind()
    some = narrowed(units, bins, size, by=search.by, minimum=search.least)
    return _reads.units(release, some, "page", size, after=None), None


def _turn(after: str) -> None:
    _state.write({"after": after})


def _download(
    release: Release, chosen: Search, units: UnitSet, total: int, one: str | None
) -> None:
    st.subheader("Download")
    query = chosen.parameters()
    files = {"csv": "CSV", "parquet": "Parquet", "npz": "Masks for numpy (.npz)"}
    if importlib.util.find_spec("torch") is not None:
        files["pt"] = "Masks for torch (.pt)"
    if one is None:
        files = {ending: label for ending, label in files.items() if ending not in {"npz", "pt"}}
    with st.container(horizontal=True):
        for ending, label in files.items():
            st.link_button(
                label, _links.download(release, ending, query), icon=":material/download:"
            )
    st.caption(
        f"All {total:,} rows, with release, query and citation inside (CSV, Parquet); masks are "
        + (
            "one boolean array a layer, in the layer's shape."
            if one is not None
            else "of one network: choose one."
        )
    )
    link, python, torch, sql, bibtex = st.tabs(["Link", "Python", "torch", "SQL", "BibTeX"])
    torch.code(_torch_code(release, units), language="python", wrap_lines=True)
    seen = {key: value for key in _SEEN if (value := _state.parameter(key))}
    shown = "&".join(part for part in (query, _links.query_of(seen)) if part)
    link.code(_links.absolute(release, "units", shown), language=None, wrap_lines=True)
    python.code(units.code(), language="python", wrap_lines=True)
    sql.code(units.sql, language="sql", wrap_lines=True)
    bibtex.code(release.bibtex(), language="latex", wrap_lines=True)


def _torch_code(release: Release, units: UnitSet) -> str:
    """Python that takes the units to a network."""
    file = f"{release.name}-{release.version}-units.pt"
    return (
        f"{units.code()}\n"
        f"masks = units.masks()  # layer: bool tensor; the same as torch.load({file!r})\n\n"
        "from unitdb import nn\n\n"
        "model = ...  # your network, with the release's weights\n"
        "chosen = nn.SelectedActivations(model, units)  # their activations in one pass\n"
    )
