"""The frame around the pages: which release, its banner, and errors in plain words.

Streamlit runs this file for each reader.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from unitdb.browser import RELEASE_VARIABLE, _finder, _links, _preferred, _reads, _state, views
from unitdb.errors import UnitdbError
from unitdb.release.catalogue import default_root

if TYPE_CHECKING:
    from unitdb.release import Release

__all__ = ["show"]


# Results on the first screen; captions, and text of figures but for numbers on colours, that stand
# out from their ground by 4.5 to 1 and more.
_STYLE = """
<style>
[data-testid=stMainBlockContainer] { padding: 3.75rem 2.5rem 2rem; }
[data-testid=stMain] [data-testid=stVerticalBlock] { gap: .75rem; }
[data-testid=stMain] h2 { padding: .25rem 0; font-size: 1.6rem; }
[data-testid=stMain] h3 { padding: .5rem 0 .4rem; font-size: 1.2rem; line-height: 1.4; }
[data-testid=stMetricValue] { font-size: 1.5rem; }
[data-testid=stCaptionContainer], [data-testid=stCaptionContainer] * { color: inherit; }
[data-testid=stCaptionContainer] { opacity: .82; }
[data-testid=stVegaLiteChart] text:not([fill=black]):not([fill=white]) { fill: currentColor; }
</style>
"""


_TYPED, _SEEN = "unitdb typed", "unitdb seen"


def show(first: str = "overview") -> None:
    """Show the page that the URL asks for, or the first."""
    st.set_page_config(page_title="unitdb", layout="wide")
    release: Release | None = None
    warnings: list[str] = []
    message, there = "", list(views.PAGES)
    try:
        reference = os.environ.get(RELEASE_VARIABLE) or _picked()
        if reference is not None:
            release, warnings = _reads.opened(reference, os.environ.get("UNITDB_RELEASES"))
            asked = st.query_params.get("release", "")
            if problem := _reads.other_release(release, asked):
                warnings = [*warnings, problem]
            there = [page for page in there if page.has_what_it_shows(release)]
    except UnitdbError as error:
        message = str(error)
    # Pages have no icons: Streamlit would fetch them from the web for the browser's tab.
    chosen = {
        page.name: st.Page(
            partial(_framed, page, release, warnings, message),
            title=page.title,
            url_path=page.name,
            default=page.name == first,
        )
        for page in there
    }
    st.html(_STYLE)
    _links.remember(chosen)
    page = st.navigation(list(chosen.values()), position="hidden")
    with st.sidebar:
        if release is not None:
            here = next(name for name, one in chosen.items() if one is page)
            _links.leave_marks(release.label, here)
            _search_box(release, here)
        for name in chosen:
            _links.back_to(st, name, "" if release is None else release.label)
    page.run()


def _search_box(release: Release, here: str) -> None:
    """Let the reader type what is looked for; what is found is linked."""
    if st.session_state.get(_SEEN) != here:  # what was looked for has been found
        st.session_state[_TYPED] = ""
    st.session_state[_SEEN] = here
    typed = st.text_input(
        "Search", key=_TYPED, max_chars=200, placeholder="unit, channel, layer, class, region"
    )
    found = _finder.places(
        typed,
        release.layers,
        release.values("roi"),
        kept=partial(_preferred.of_channel, release),
        decoded=partial(_reads.decoded, release),
    )
    for label, page, parameters in found:
        asked = {**_links.asked_scope(), **parameters}
        _links.to(st, page, label, asked, icon=":material/arrow_forward:")
    if typed and not found:
        st.caption("Nothing of that name. Try a layer and a number, such as a layer/0.")


def _framed(page: views.Page, release: Release | None, warnings: list[str], message: str) -> None:
    """Show a page of the chosen release, or say in plain words why it cannot be shown."""
    if message:
        st.title("unitdb")
        st.error(f"This release cannot be shown. {_state.code(message, most=_state.MESSAGE)}")
        st.markdown(
            "Run `unitdb verify RELEASE` to see which files are missing or damaged, and "
            "`unitdb releases` to see which releases there are."
        )
    elif release is not None:
        _state.title(f"{page.title} · {release.label}")
        try:
            _banner(release, warnings)
            st.header(page.title)
            page.show(release)
        except UnitdbError as error:
            st.error(_state.code(str(error), most=_state.MESSAGE))
        st.divider()
        st.caption(
            f"{release.label} · read-only: nothing here changes the release · "
            "unitdb runs on this machine and asks nothing of any other"
        )


def _picked() -> str | None:
    known = _reads.listed()
    if not known:
        st.info(
            f"There is no release in {_state.code(str(default_root()))}. Set `UNITDB_RELEASES` to "
            "a folder of releases, or run `unitdb app RELEASE`."
        )
        return None
    return _state.one_of(st.sidebar, "Release", "release", known)


def _banner(release: Release, warnings: list[str]) -> None:
    st.caption(
        f"**{_state.plain(release.title)}** · {release.name} {release.version} · "
        f"schema {release.schema_version}"
    )
    if release.simulated:
        st.error(
            "**SIMULATED** The responses behind these numbers are simulated, not measured in "
            "people. They say nothing about the brain.",
            icon=":material/warning:",
        )
    for warning in warnings:  # a retraction, with its reason
        st.warning(_state.code(warning, most=_state.MESSAGE))


if __name__ == "__main__":
    show()
