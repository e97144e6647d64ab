"""The pages in a real Chromium, from the command line to the screen."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

import pytest

pytest.importorskip("streamlit", reason="needs unitdb[app]")
sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")

if TYPE_CHECKING:
    from playwright.sync_api import Page

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
SEEN_WITHIN = 60_000  # milliseconds

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on PATH")


@pytest.fixture(scope="module")
def url(tiny_release: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-c", "from unitdb.cli import main; main()", "app", str(tiny_release)],
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


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_page(viewport={"width": 1280, "height": 1300})
        browser.close()


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("UNITDB_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_a_reader_sees_the_release_and_finds_units(url: str, page: Page, screenshots: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto(url)
    page.get_by_text("SIMULATED", exact=True).first.wait_for(timeout=SEEN_WITHIN)
    page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").nth(
        1
    ).wait_for(timeout=SEEN_WITHIN)
    page.wait_for_timeout(500)  # charts fade in
    assert page.get_by_text("Deploy", exact=True).count() == 0
    page.screenshot(path=screenshots / "overview.png", full_page=True)

    page.get_by_role("link", name="Find units").click()
    page.get_by_test_id("stDataFrame").wait_for(timeout=SEEN_WITHIN)
    page.get_by_text("SIMULATED", exact=True).first.wait_for(timeout=SEEN_WITHIN)
    page.wait_for_timeout(500)
    page.screenshot(path=screenshots / "units.png", full_page=True)
    assert page.url.endswith("/units")

    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").get_by_role("button").click()
    saved = screenshots / "units.csv"
    download.value.save_as(saved)
    assert saved.read_text().startswith("# release: tiny@1.0.0\n# simulated: true\n")

    elsewhere = [u for u in asked if not u.startswith((url, "data:", "blob:"))]
    assert elsewhere == []
