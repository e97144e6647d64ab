"""The tiny release in the browser's own test harness."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason="needs unitdb[app]")

import streamlit as st
from streamlit.testing.v1 import AppTest

from unitdb.release import Release, open_release

TIMEOUT = 60


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test reads anew, from the release that it names."""
    monkeypatch.delenv("UNITDB_RELEASE", raising=False)
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def shown(tiny_release: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """The release that the pages show."""
    monkeypatch.setenv("UNITDB_RELEASE", str(tiny_release))
    return open_release(tiny_release)


@pytest.fixture
def visit() -> Callable[..., AppTest]:
    """Open a page with parameters of the URL."""

    def opened(page: str, **parameters: str | list[str]) -> AppTest:
        script = f"from unitdb.browser._app import show\nshow({page!r})"
        app = AppTest.from_string(script, default_timeout=TIMEOUT)
        for key, value in parameters.items():
            app.query_params[key] = value
        app.run()
        assert not app.exception, app.exception[0].value
        return app

    return opened


def texts(app: AppTest) -> str:
    """All that a page says."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error")
    found = [element.value for kind in kinds for element in getattr(app, kind)]
    return "\n".join([*found, *(code.value for code in app.code)])
