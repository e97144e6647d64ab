"""What pages read of a release, kept for the next reader of the same.

Keys hold the release's place and version; a published version never changes. What is kept is small
(tables of a page, histograms) and bounded in number. Errata and retraction, which do change, are
asked of ``Release.listed``, not taken from the ``Description`` that is kept here.
"""

from __future__ import annotations

import os
import threading
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from unitdb.browser import RELEASE_VARIABLE
from unitdb.browser._layerview import LayerView, layer_view
from unitdb.browser._search import NAMES
from unitdb.errors import UnknownReleaseError
from unitdb.query import Counted, chosen_bins, narrowed
from unitdb.release import Release, open_release
from unitdb.release.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from unitdb.browser._search import Search
    from unitdb.query import Layer, UnitSet

__all__ = [
    "bins",
    "decoded",
    "found",
    "layer",
    "listed",
    "of_catalogue",
    "opened",
    "read",
    "read_sql",
    "refusal",
    "subjects",
    "table",
    "units",
]

_MOST_CHANNELS = 1000
"""More channels than these are not named one by one."""
_LOOKED_AT = (20, 1000)
"""Rows looked at for each unit that is wanted; the second number where the first gives too few."""
_ONE_LAYER = threading.Lock()
"""The largest layer takes some hundred MB while it is binned: one reader at a time."""


@st.cache_resource(max_entries=8, ttl=600, show_spinner=False)
def opened(reference: str, root: str | None) -> tuple[Release, list[str]]:
    """Open a release, with the warnings that this gives: a retraction, with its reason.

    Parameters
    ----------
    reference : str
        As :func:`unitdb.open` takes it.
    root : str, optional
        Value of UNITDB_RELEASES, where the reference is looked up.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        release = open_release(reference, releases=root)
        release.describe()  # an unreadable release says so now
    return release, [str(warning.message) for warning in caught]


def other_release(release: Release, asked: str) -> str:
    """Say what is wrong where a URL names another release than the one that is shown."""
    if asked in ("", release.name, release.label) or not os.environ.get(RELEASE_VARIABLE):
        return ""
    return f"Release: {asked!r} is not the one that is served here, {release.label}"


def listed() -> list[str]:
    """Releases of the catalogue that a reader may pick: ``name@version``, none retracted."""
    found = [e for e in Catalogue().entries() if e.retracted is None and e.path.exists()]
    return [f"{e.name}@{e.version}" for e in found]


def of_catalogue(reference: str) -> str:
    """Give the reference that a URL has, if it is a release of the catalogue: never an address.

    Raises
    ------
    UnknownReleaseError
        It is not; gives the nearest.
    """
    known = listed()
    if reference not in known:
        raise UnknownReleaseError(reference[:80], known, where="the catalogue")
    return reference


def read(release: Release, method: str, /, *args: Any, **kwargs: Any) -> Any:
    """Call a reading method of a release, or take what it gave before."""
    return _read(_key(release), method, args, tuple(sorted(kwargs.items())), release)


def read_sql(release: Release, query: str, values: list[Any]) -> Any:
    """Run a query of ours with its values, or take what it gave before."""
    texts = tuple(tuple(one) if isinstance(one, list) else one for one in values)
    return _sql(_key(release), query, texts, release)


def decoded(release: Release, layer: Layer, units_: Sequence[int]) -> list[int]:
    """Of some units of a layer those that the release has."""
    asked = release.units(model=layer.model, layer=layer.layer)
    asked = asked.among([f"{layer.name}/{unit}" for unit in units_])
    return sorted(set(units(release, asked, "to_pandas")["unit"]))


def table(release: Release, name: str) -> pd.DataFrame:
    """A small table, names as plain text; empty where the release does not have it."""
    import pandas as pd

    if name not in release.tables:
        return pd.DataFrame()
    found: pd.DataFrame = read(release, "table", name)
    names = {column: str for column, kind in found.dtypes.items() if kind == "category"}
    return found.astype(names)


def units(release: Release, selection: UnitSet, method: str, /, *args: Any, **kwargs: Any) -> Any:
    """Call a reading method of a selection, or take what it gave before."""
    asked = (selection.sql, method, args, tuple(sorted(kwargs.items())))
    return _units(_key(release), asked, selection)


def bins(release: Release, search: Search) -> pd.DataFrame:
    """Bins that count the units of a search, whatever its minimum."""
    counted = search.counted(release.tables)
    if counted is None:
        # What is counted above a minimum is not known from bins of all: there it stays.
        plain = (
            found(release, search)
            if search.is_own
            else replace(search, minimum=None).units(release, ordered=False)
        )
        binned: pd.DataFrame = units(release, plain, "histogram", search.by)
        return binned
    return _chosen(release, search, counted)


def found(release: Release, search: Search) -> UnitSet:
    """Rows of a search, the best first: the same as ``search.units``, for several questions.

    The best channels are looked for once, not again by each question; the best units of each
    channel among those above an accuracy that the release has counted, where these are enough.
    """
    if search.keep == "channels" and search.n <= _MOST_CHANNELS:
        return _of_best_channels(release, search)
    if search.keep == "units" and search.each is not None:
        return _of_best_units(release, search)
    return search.units(release)


def _of_best_channels(release: Release, search: Search) -> UnitSet:
    every = replace(search, keep="all").units(release, ordered=False)
    best = units(release, every, "best_channels", search.n, search.by)
    if best.empty:
        return search.units(release)
    of_layer: dict[str, list[int]] = {}
    for model, layer_, channel in best[["model", "layer", "channel"]].itertuples(index=False):
        of_layer.setdefault(f"{model}/{layer_}", []).append(int(channel))
    return every.at(channel=of_layer).sort(search.by)


def _of_best_units(release: Release, search: Search) -> UnitSet:
    every = replace(search, keep="all")
    counted = every.counted(release.tables)
    if counted is not None:
        bins_, rows = _chosen(release, every, counted), every.units(release)
        for many in _LOOKED_AT:
            some = narrowed(rows, bins_, many * search.n, by=search.by, minimum=every.least)
            if some is rows:
                break
            # If so many are found here, no other unit is better.
            best = search.best(some, release)
            # They are counted as the page asks again, in bins.
            if units(release, best, "histogram", search.by)["n_units"].sum() == search.n:
                return best
    return search.units(release)


def refusal(release: Release, search: Search) -> str | None:
    """Say why a search of the release would take too long; None where it does not."""
    counted = search.counted(release.tables) is not None
    n = int(_chosen(release, search, Counted("unit_histogram"))["n_units"].sum())
    people = search.n_people(subjects(release)).values()
    return search.refusal(n, counted=counted, n_subjects=max(people, default=0))


def subjects(release: Release) -> dict[str, list[str]]:
    """Subjects of each dataset."""
    held = read(release, "describe")
    return {str(row["dataset"]): list(row["subjects"]) for row in held.datasets}


def _chosen(release: Release, search: Search, counted: Counted) -> pd.DataFrame:
    names = {column: getattr(search, column) for column in NAMES}
    layers = release.layers if search.kind else ()
    return chosen_bins(
        _bins(_key(release), counted, release), names, kinds=search.kind, layers=layers
    )


def layer(release: Release, model: str, name: str, roi: str, **where: str) -> LayerView:
    """A layer in one ROI, binned."""
    return _layer(_key(release), (model, name, roi), tuple(sorted(where.items())), release)


def _key(release: Release) -> tuple[str, str]:
    return release.location, release.label


@st.cache_data(max_entries=128, show_spinner=False)
def _read(
    key: tuple[str, str],  # noqa: ARG001 - the key of the cache
    method: str,
    args: tuple[Any, ...],
    kwargs: tuple[tuple[str, Any], ...],
    _release: Release,
) -> Any:
    return getattr(_release, method)(*args, **dict(kwargs))


@st.cache_data(max_entries=64, show_spinner=False)
def _sql(
    key: tuple[str, str],  # noqa: ARG001
    query: str,
    values: tuple[Any, ...],
    _release: Release,
) -> Any:
    return _release.sql(query, [list(one) if isinstance(one, tuple) else one for one in values])


@st.cache_data(max_entries=128, show_spinner=False)
def _units(
    key: tuple[str, str],  # noqa: ARG001
    asked: tuple[str, str, tuple[Any, ...], tuple[tuple[str, Any], ...]],
    _selection: UnitSet,
) -> Any:
    _, method, args, kwargs = asked
    return getattr(_selection, method)(*args, **dict(kwargs))


@st.cache_data(max_entries=32, show_spinner=False)
def _bins(
    key: tuple[str, str],  # noqa: ARG001
    counted: Counted,
    _release: Release,
) -> pd.DataFrame:
    return counted.bins(_release.table(counted.table, counted.columns))


@st.cache_data(max_entries=64, show_spinner=False)
def _layer(
    key: tuple[str, str],  # noqa: ARG001
    names: tuple[str, str, str],
    where: tuple[tuple[str, str], ...],
    _release: Release,
) -> LayerView:
    with _ONE_LAYER:
        return layer_view(_release, *names, **dict(where))
