"""Two units, layers, networks, conditions or releases side by side."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from unitdb.browser import _compared, _figure, _links, _reads, _state, charts
from unitdb.browser._words import help_on
from unitdb.browser.views import kept
from unitdb.browser.views.overview import scope
from unitdb.errors import UnitdbError

if TYPE_CHECKING:
    from unitdb.release import Description, Release

__all__ = ["show"]

_WHAT = {
    "units": "two units",
    "layers": "two layers",
    "networks": "two networks",
    "conditions": "two conditions",
    "releases": "two releases",
}
_OTHERS = ("a", "b", "roi")
"""Parameters that another choice of what is compared makes void."""
_POINT = {"units": "region", "layers": "region", "networks": "region, by its best layer"}
_NAMED = {"layers": "name", "networks": "model", "conditions": "condition"}
"""Columns that hold the names of both, where these are chosen from a list."""
_SCORES = ["kind", "method", "score", "score_low", "score_high", "chance_score", "rois"]


def show(release: Release) -> None:
    """Draw the page."""
    held: Description = _reads.read(release, "describe")
    there = _there(release, held)
    what = _state.one_of(st, "Compare", "what", there, drops=_OTHERS, format_func=_WHAT.__getitem__)
    if "what" not in st.query_params and len(there) == 1:
        st.caption(f"Compare {_WHAT[what]}")
    rows = _reads.table(release, "layer_summary")
    rows = rows.assign(name=rows["model"] + "/" + rows["layer"])
    where = _where(release, held, what, rows)
    a, b, sides, code = _sides(release, what, where, rows)
    if not sides:
        return
    table = _reads.table(release, "rois")
    rois = table[table["dataset"] == where["dataset"]].sort_values("place")["roi"].tolist()
    asked = _state.some_of(st, "Regions of interest", "roi", rois, help=help_on("roi")) or rois
    pairs = _compared.paired(sides[0], sides[1], asked)
    if pairs.empty:
        st.info(
            "There is nothing that both have: no region and person in which both have an accuracy."
        )
    else:
        _state.title(f"{a} and {b} · {release.label}")
        _numbers(release, pairs, asked, what, a, b)
    if what == "units":
        _pictures(release, a, b, where)
    if what == "networks":
        _scores(release, where, a, b)
    regions = [] if asked == rois else asked
    query = _links.query_of({"what": what, **where, "a": a, "b": b, "roi": regions})
    link, python = st.tabs(["Link", "Python"])
    link.code(_links.absolute(release, "compare", query), language=None, wrap_lines=True)
    python.code(code, language="python", wrap_lines=True)


def _where(release: Release, held: Description, what: str, rows: pd.DataFrame) -> dict[str, str]:
    """Let the reader choose what both sides are of."""
    columns = ["dataset", *["condition"] * (what != "conditions")]
    columns += ["model"] * (what in {"conditions", "releases"})
    later = {"roi": "roi"}
    if what in _NAMED:
        later |= {"a": _NAMED[what], "b": _NAMED[what]}
    return scope(release, held, columns=columns, rows=rows, later=later)


def _there(release: Release, held: Description) -> list[str]:
    """What there are two of."""
    there = ["units"]
    if len(release.layers) > 1:
        there.append("layers")
    there += ["networks"] * (len(held.models) > 1) + ["conditions"] * (len(held.conditions) > 1)
    return there + ["releases"] * bool(_other_releases(release))


def _other_releases(release: Release) -> list[str]:
    return [one for one in _reads.listed() if one != release.label]


def _sides(
    release: Release, what: str, where: dict[str, str], rows: pd.DataFrame
) -> tuple[str, str, list[pd.DataFrame], str]:
    """Names of the two, their accuracies, and Python that gives them; none where one is missing."""
    first, second = st.columns(2)
    if what == "units":
        return _units(release, where, first, second)
    places = ", ".join(f"{key}={name!r}" for key, name in where.items())
    opened = f"import unitdb\n\nrelease = unitdb.open({release.label!r})\n"
    summary = f'{opened}rows = release.table("layer_summary")  # of {places}\n'
    if what == "releases":
        b = _state.one_of(second, "With release", "b", _other_releases(release))
        first.caption(f"Release {_state.code(release.label)}")
        other, _ = _reads.opened(_reads.of_catalogue(b), os.environ.get("UNITDB_RELEASES"))
        code = f"import unitdb\n\nprint(unitdb.compare({release.label!r}, {b!r}))\n"
        sides = [_compared.of_layers(one, where) for one in (release, other)]
        return release.label, b, sides, code
    for column, name in where.items():
        rows = rows[rows[column] == name]
    known = set(rows[_NAMED[what]])
    names = {
        "layers": [layer.name for layer in release.layers],
        "networks": list(dict.fromkeys(layer.model for layer in release.layers)),
        "conditions": list(release.values("condition")),
    }[what]
    names = [name for name in names if name in known]
    if len(names) < 2:
        st.info(f"There are no {_WHAT[what]} here: choose another dataset, condition or network.")
        return "", "", [], ""
    label = _WHAT[what].removeprefix("two ").removesuffix("s").capitalize()
    a = _state.one_of(first, label, "a", names)
    b = _state.one_of(second, "With", "b", names, default=next(n for n in names if n != a))
    return a, b, [_side(release, what, where, one) for one in (a, b)], summary


def _side(release: Release, what: str, where: dict[str, str], name: str) -> pd.DataFrame:
    if what == "networks":
        return _compared.of_network(release, where | {"model": name})
    if what == "conditions":
        return _compared.of_layers(release, where | {"condition": name})
    (one,) = (layer for layer in release.layers if layer.name == name)
    rows = _compared.of_layers(release, where | {"model": one.model, "layer": one.layer})
    return rows.assign(place=rows["roi"])


def _units(
    release: Release, where: dict[str, str], first: Any, second: Any
) -> tuple[str, str, list[pd.DataFrame], str]:
    names, sides = [], []
    for place, key, label in ((first, "a", "Unit"), (second, "b", "With unit")):
        name = _state.text(
            place, label, key, most=300, help=help_on("unit"), placeholder="network/layer/index"
        )
        names.append(name)
        if name:
            try:
                sides.append(_compared.of_unit(release, name, where))
            except UnitdbError as error:
                place.warning(f"No such unit. {_state.code(str(error), most=_state.MESSAGE)}")
    if len(sides) < 2:
        _suggest(release, where, names)
        return "", "", [], ""
    code = f"import unitdb\n\nrelease = unitdb.open({release.label!r})\n" + "".join(
        f"{key} = release.unit({name!r})  # ROIs × people\n"
        for key, name in zip("ab", names, strict=True)
    )
    return names[0], names[1], sides, code


def _suggest(release: Release, where: dict[str, str], names: list[str]) -> None:
    """Link to a comparison of units that there are."""
    few = release.units(dataset=where["dataset"], condition=where["condition"]).top(20)
    best = dict.fromkeys(_reads.units(release, few, "to_pandas")["unit_id"])
    others = [str(unit) for unit in best if unit not in names][:2]
    if len(others) < 2:
        return
    st.info("Type the names of two units, or add units from the pages *Find units* and *Unit*.")
    a, b = (name or other for name, other in zip(names, others, strict=True))
    if not all(names):
        asked = {"what": "units", **where, "a": a, "b": b}
        _links.to(st, "compare", f"Compare {a} with {b}", asked)


def _numbers(
    release: Release, pairs: pd.DataFrame, rois: list[str], what: str, a: str, b: str
) -> None:
    found = _compared.summarised(pairs)
    short_a, short_b = _short(a, b)
    of = {"units": "the unit's accuracy", "networks": "mean accuracy of the region's best layer"}
    higher = int((found["difference"] > 0).sum())
    unit = "regions" if what in _POINT else "layers and regions"
    st.markdown(
        f"{_state.code(b)} is decoded better than {_state.code(a)} in **{higher} of {len(found)}** "
        f"{unit}, mean over people ({of.get(what, 'mean accuracy of the layer')}).",
        help=help_on("accuracy"),
    )
    left, right = st.columns(2)
    with left:
        st.caption(
            f"Each point: a {_POINT.get(what, 'layer in a region')}, mean over people. Above the "
            "dashed line the second is higher."
        )
        _figure.draw(release, charts.against(found, rois, a=short_a, b=short_b), "compared")
    with right:
        st.caption("People: in how many the second is higher")
        people = [f"{n} of {of}" for n, of in zip(found["n_higher"], found["n"], strict=True)]
        st.dataframe(
            found[["place", "a", "b", "difference"]].assign(people=people),
            hide_index=True,
            height=min(440, 38 + 35 * len(found)),
            column_config={
                "place": st.column_config.TextColumn("where", pinned=True),
                "a": st.column_config.NumberColumn(short_a, format="%.3f"),
                "b": st.column_config.NumberColumn(short_b, format="%.3f"),
                "difference": st.column_config.NumberColumn("difference", format="%+.3f"),
            },
            alt="The two, place by place",
        )


def _short(a: str, b: str) -> tuple[str, str]:
    """Names without the network, where both are of one."""
    (model, _, one), (other, _, two) = a.partition("/"), b.partition("/")
    return (one, two) if model == other and one and two else (a, b)


def _pictures(release: Release, a: str, b: str, where: dict[str, str]) -> None:
    for place, unit in zip(st.columns(2), (a, b), strict=True):
        with place:
            _links.to(st, "unit", unit, {"unit": unit, **where})
            kept.likes(release, unit, where)


def _scores(release: Release, where: dict[str, str], a: str, b: str) -> None:
    """BH scores of both networks, where the release has them."""
    rows = _reads.table(release, "hierarchy")
    for column, name in where.items():
        rows = rows[rows[column] == name] if len(rows) else rows
    rows = rows[rows["model"].isin([a, b])].dropna(subset="score") if len(rows) else rows
    if rows.empty:
        return
    st.subheader("Brain hierarchy (BH) scores", help=help_on("bh"))
    known = [name for name in _SCORES if name in rows and rows[name].notna().any()]
    st.dataframe(rows[["model", *known]], hide_index=True, alt="BH scores")
