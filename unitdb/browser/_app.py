"""The frame around the pages: which release, its banner, and errors in plain words."""

from __future__ import annotations

import os
import warnings
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from unitdb.browser import RELEASE_VARIABLE, _pages
from unitdb.errors import UnitdbError
from unitdb.release import Release, open_release
from unitdb.release.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["framed", "show"]


def show() -> None:
    """Show the page that the URL asks for."""
    st.set_page_config(page_title="unitdb", layout="wide")
    pages = [
        st.Page(partial(framed, _pages.overview), title="Overview", url_path="overview"),
        st.Page(partial(framed, _pages.find_units), title="Find units", url_path="units"),
    ]
    st.navigation(pages).run()


def framed(page: Callable[[Release], None]) -> None:
    """Show a page of the chosen release, or say in plain words why it cannot be shown."""
    try:
        reference = os.environ.get(RELEASE_VARIABLE) or _picked()
        if reference is None:
            return
        release = _opened(reference)
        _banner(release)
        page(release)
    except UnitdbError as error:
        st.error(f"This release cannot be shown. {error}")


def _picked() -> str | None:
    catalogue = Catalogue()
    known = [f"{e.name}@{e.version}" for e in catalogue.entries() if e.retracted is None]
    if not known:
        st.info(
            f"There is no release in `{catalogue.root}`. Set `UNITDB_RELEASES` to a folder of "
            "releases, or run `unitdb app RELEASE`."
        )
        return None
    return st.sidebar.selectbox("Release", known, key="release")


def _opened(reference: str) -> Release:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        release = open_release(reference)
    for warning in caught:  # a retraction, with its reason
        st.warning(str(warning.message))
    return release


def _banner(release: Release) -> None:
    st.title(release.title)
    st.caption(f"{release.name} · version {release.version} · schema {release.schema_version}")
    if release.simulated:
        st.error(
            "**SIMULATED** The responses behind these numbers are simulated, not measured in "
            "people. They say nothing about the brain.",
            icon=":material/warning:",
        )
