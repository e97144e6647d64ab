"""Every page of the documentation site, opened from files in a real Chromium."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag

import pytest

from tests.acceptance.conftest import ROOT
from tests.acceptance.pages import CHROMIUM

pytest.importorskip("mkdocs", reason="needs unitdb[docs]")

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on PATH"),
]

LOOK = """() => ({
    title: document.title,
    headings: document.querySelectorAll('h1').length,
    broken: [...document.images].filter(one => !one.naturalWidth).map(one => one.src),
    beyond: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    links: [...document.links].map(one => one.href),
    anchors: [...document.querySelectorAll('[id]')].map(one => one.id),
})"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", folder]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    """A tab without a network."""
    context = chromium.new_context(offline=True)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def seen(site: Path, page: Page) -> dict[str, Any]:
    """Of each page, by its address: what is there at each width, and what the browser said."""
    said: list[str] = []
    page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda one: said.append(one.url) if leaves(one.url) else None)
    looks: dict[str, Any] = {}
    for path in sorted(site.rglob("*.html")):
        if path == site / "404.html":
            continue  # only a server shows it
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(path.as_uri())
        looks[path.as_uri()] = {"said": said, 1280: page.evaluate(LOOK)}
        page.set_viewport_size({"width": 400, "height": 900})
        looks[path.as_uri()][400] = page.evaluate(LOOK)
        said = []
    return looks


def leaves(url: str) -> bool:
    return not url.startswith(("file:", "data:", "blob:"))


def test_nothing_fails_and_nothing_is_asked_of_others(seen: dict[str, Any]) -> None:
    assert {url: one["said"] for url, one in seen.items() if one["said"]} == {}


@pytest.mark.parametrize("width", [1280, 400])
def test_every_page_is_whole(width: int, seen: dict[str, Any]) -> None:
    wrong = {url: wrong_with(one[width]) for url, one in seen.items()}
    assert {url: found for url, found in wrong.items() if found} == {}


def wrong_with(look: dict[str, Any]) -> dict[str, Any]:
    found = {
        "no title": not look["title"].strip(),
        "level-one headings": look["headings"] != 1 and look["headings"],
        "pictures that fail": look["broken"],
        "pixels beyond the edge": max(look["beyond"], 0),
    }
    return {what: value for what, value in found.items() if value}


def test_links_and_anchors_lead_somewhere(seen: dict[str, Any]) -> None:
    broken = {
        url: [link for link in one[1280]["links"] if not leads_somewhere(link, seen)]
        for url, one in seen.items()
    }
    assert {url: links for url, links in broken.items() if links} == {}


def leads_somewhere(link: str, seen: dict[str, Any]) -> bool:
    """Whether a link within the site leads to a file, and its anchor to an element there."""
    address, anchor = urldefrag(link)
    if not address.startswith("file:"):
        return True  # elsewhere
    if address in seen:
        return not anchor or unquote(anchor) in seen[address][1280]["anchors"]
    return Path(unquote(address.removeprefix("file://"))).is_file()


@pytest.mark.parametrize(
    ("words", "width"), [("identification", 1280), ("top_channels", 400), ("noise ceiling", 1280)]
)
def test_search_finds(words: str, width: int, site: Path, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("/")
    asked = page.get_by_role("textbox", name="Search")
    asked.fill(words)  # at once: no result is of the first letters alone
    asked.press("End")
    links = page.locator(".md-search-result__link")
    links.first.wait_for()
    assert len({link.get_attribute("href").partition("?")[0] for link in links.all()}) > 1
    page.goto(links.first.evaluate("link => link.href"))
    assert words in page.locator("article").inner_text().lower()
