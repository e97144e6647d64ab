"""A browser for the tests: a release served, and its pages opened in a real Chromium."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
STARTED_WITHIN = 60  # seconds
SEEN_WITHIN = 120_000  # milliseconds
UNFINISHED = "[data-testid=stStatusWidget], [data-testid=stSkeleton], [data-stale=true]"

PATHS = {
    "overview": "",
    "units": "units?roi=V4&minimum=0.1",
    "unit": "unit?unit=net/conv1/7&dataset=sim-a",
    "unit-names": "unit?unit=net/fc/3&dataset=sim-b",
    "unit-not-kept": "unit?unit=net/conv1/4&dataset=sim-a",
    "layer": "layer?layer=conv1&roi=V4",
    "networks": "networks",
    "subjects": "subjects?layer=fc",
    "compare": "compare?what=units&a=net/conv1/7&b=net/fc/3&dataset=sim-a",
    "compare-layers": "compare?what=layers&a=net/conv1&b=net/fc",
    "collections": "collections?units=net/conv1/1,2;net/fc/3",
    "methods": "methods",
    "sql": "sql?sql=SELECT roi, count(*) AS units FROM unit_summary GROUP BY roi ORDER BY roi",
}
TOPDOWN_PATHS = {
    "identification": "identification?roi=LOC&layer=block9",
    "timecourse": "timecourse?roi=LOC",
    "modulation": "modulation?roi=LOC",
}
PICTURED_PATHS = {
    "reconstruction": "reconstruction?method=inverted",
    "judging": "judging?method=ridge&subject=sub-01",
}
MODES = {"desktop": (1280, "light"), "narrow": (400, "light"), "dark": (1280, "dark")}
"""Width and scheme of screenshots."""


@contextmanager
def chromium_launched() -> Iterator[Browser]:
    """Start Chromium, where playwright is installed."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def served(release: Path | str) -> Iterator[str]:
    """Serve a release with ``unitdb app``; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-c", "from unitdb.cli import main; main()", "app", str(release)],
        env=os.environ | {"STREAMLIT_SERVER_PORT": str(port), "STREAMLIT_SERVER_HEADLESS": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}/_stcore/health", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # the command and the Streamlit that it started
        server.wait(timeout=20)


def wait_until_healthy(health: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTED_WITHIN
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(health, timeout=2) as answer:  # noqa: S310 - own server
                if answer.status == 200:
                    return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    pytest.fail(f"no server after {STARTED_WITHIN} s")


@contextmanager
def visiting(url: str, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Readers, each with a browser of their own; nothing that they ask leaves the machine."""
    asked: list[str] = []
    contexts = []

    def open_page(
        path: str, *, width: int = 1280, scheme: str = "light", height: int = 1300
    ) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
        )
        context.set_default_timeout(SEEN_WITHIN)  # also of clicks and of addresses waited for
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{url}/{path}")
        ready(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [one for one in asked if not one.startswith((url, "data:", "blob:"))] == []


def ready(page: Page) -> None:
    """Wait until the page is drawn to its last line, and no element awaits its script.

    Streamlit loads the script of each kind of element when it first meets one: the last line may
    be there before pictures and charts above it.
    """
    page.get_by_text("read-only: nothing here changes").wait_for()
    page.wait_for_function(
        f"!document.querySelector({UNFINISHED!r}) && "
        "[...document.images].every(image => image.complete)"
    )


def shown_code(page: Page, tab: str) -> str:
    """Code in a tab of the page, such as Python or SQL."""
    page.get_by_role("tab", name=tab, exact=True).click()
    return page.get_by_role("tabpanel").locator("code:visible").first.inner_text()


def photographed(page: Page, path: Path) -> None:
    """Take a picture of a page; it must say that the release is simulated, and fit its width."""
    page.get_by_text("SIMULATED", exact=True).first.wait_for()
    page.wait_for_timeout(700)  # charts fade in
    main = page.get_by_test_id("stMain")
    height = main.evaluate("element => element.scrollHeight")
    assert main.evaluate("element => element.scrollWidth <= element.clientWidth + 1")
    width = page.evaluate("window.innerWidth")
    page.set_viewport_size({"width": width, "height": min(height + 20, 6000)})
    page.wait_for_timeout(300)
    page.screenshot(path=path)
    assert page.get_by_test_id("stException").count() == 0
    assert page.get_by_text("Deploy", exact=True).count() == 0


def judge_as(page: Page, rater: str) -> None:
    """Say who judges, and wait for the first question."""
    page.get_by_label("Who judges", exact=True).fill(rater)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Left").wait_for()
    ready(page)
