"""Links from page to page, within the reader's session, and links to copy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import streamlit as st

from unitdb.browser import RELEASE_VARIABLE, _collection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamlit.navigation.page import StreamlitPage

    from unitdb.release import Release

__all__ = [
    "absolute",
    "asked_scope",
    "back_to",
    "chosen_release",
    "download",
    "go",
    "leave_marks",
    "query_of",
    "remember",
    "to",
]

_PAGES = "unitdb pages"
_LEFT = "unitdb left"


def remember(pages: Mapping[str, StreamlitPage]) -> None:
    """Keep the pages that there are, for :func:`to`."""
    st.session_state[_PAGES] = dict(pages)


def leave_marks(release: str, page: str) -> None:
    """Remember what a page of a release shows, for the menu to return to."""
    asked = {key: st.query_params.get_all(key) for key in st.query_params if key != "release"}
    st.session_state.setdefault(_LEFT, {})[release, page] = asked


def back_to(place: Any, page: str, release: str) -> None:
    """Link of the menu: to a page as the reader left it."""
    left = st.session_state.get(_LEFT, {}).get((release, page), {})
    if page == "collections":  # which other pages add to
        units = _collection.short_link(_collection.gathered())
        left = {"units": units, "roi": _collection.regions()} if units else {}
    of = st.session_state[_PAGES][page]
    place.page_link(of, query_params={**chosen_release(), **left})


def to(
    place: Any,
    page: str,
    label: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    icon: str | None = None,
) -> None:
    """Link to a page with parameters; nothing where the release has no such page."""
    known = st.session_state.get(_PAGES, {})
    if page in known:
        asked = {**chosen_release(), **(parameters or {})}
        place.page_link(known[page], label=label, query_params=asked, icon=icon)


def go(page: str, parameters: Mapping[str, Any]) -> None:
    """Show a page instead, where the release has it."""
    known = st.session_state.get(_PAGES, {})
    if page in known:
        st.switch_page(known[page], query_params={**chosen_release(), **parameters})


def chosen_release() -> dict[str, str]:
    """The parameter that names the release, where the reader picked it."""
    picked = st.session_state.get("release")
    return {} if os.environ.get(RELEASE_VARIABLE) or not picked else {"release": str(picked)}


def asked_scope() -> dict[str, str]:
    """Dataset and condition that the URL asks for, each where it is one: for other pages too."""
    given = {key: st.query_params.get_all(key) for key in ("dataset", "condition")}
    return {key: values[0] for key, values in given.items() if len(values) == 1}


def absolute(release: Release, page: str, query: str) -> str:
    """Link that shows the same in a fresh browser: to this server, or to any of this release."""
    base = st.context.url or ""
    root = base.split("?")[0].rstrip("/").removesuffix(f"/{page}")
    extra = query_of({} if os.environ.get(RELEASE_VARIABLE) else {"release": release.label})
    asked = "&".join(part for part in (extra, query) if part)
    return f"{root}/{page}" + (f"?{asked}" if asked else "")


def query_of(parameters: Mapping[str, str | list[str]]) -> str:
    """Parameters as the query of a URL, one that has several values so often; slashes stay."""
    return urlencode(parameters, safe="/@", doseq=True)


def download(release: Release, ending: str, query: str) -> str:
    """Address of a file of results."""
    extra = urlencode({"release": release.label})
    return f"download/units.{ending}?{extra}" + (f"&{query}" if query else "")
