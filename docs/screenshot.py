"""Take the picture of the browser that howto/browser.md shows.

python docs/screenshot.py RELEASE 'units?roi=V4&minimum=0.2' docs/browser.png

Needs Chromium on PATH and playwright (extra ``test``).
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

from PIL import Image
from playwright.sync_api import sync_playwright

_WIDTH, _HEIGHT = 1280, 1040
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_COLOURS = 128
"""Colours of the picture's palette: it has few, and becomes a third as large."""


def main(release: str, path: str, picture: Path) -> None:
    """Serve the release, and photograph a page of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-c", "from unitdb.cli import main; main()", "app", release]
    settings = {"STREAMLIT_SERVER_PORT": str(port), "STREAMLIT_SERVER_HEADLESS": "true"}
    server = subprocess.Popen(  # noqa: S603
        command, env=os.environ | settings, stdout=subprocess.DEVNULL
    )
    try:
        _wait(f"{address}/_stcore/health")
        _photograph(f"{address}/{path}", picture)
    finally:
        server.terminate()
        server.wait(timeout=20)


def _wait(health: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(health, timeout=2).close()  # noqa: S310
        except (URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise SystemExit("the server does not answer")


def _photograph(url: str, picture: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT})
        page.goto(url)
        page.get_by_test_id("stDataFrame").first.wait_for(timeout=60_000)
        page.wait_for_timeout(2000)  # charts fade in
        image = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    image.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
