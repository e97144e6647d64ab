"""Back, forward, reload and links, in a real Chromium: every page is a place."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from tests.acceptance.pages import (
    CHROMIUM,
    PATHS,
    SEEN_WITHIN,
    ready,
    served,
    shown_code,
    visiting,
)

pytest.importorskip("streamlit", reason="needs unitdb[app]")
pytest.importorskip("playwright.sync_api", reason="needs playwright")

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on PATH"),
]


def test_back_returns_to_what_was_seen(visitor: Callable[..., Page], url: str) -> None:
    """Each choice is a place in the history, and no page leaves its state in another's address."""
    page = visitor("units?dataset=sim-a")
    page.get_by_label("ROI", exact=True).click()
    page.get_by_role("option", name="V4").click()
    page.keyboard.press("Escape")
    page.wait_for_url("**roi=V4*")
    ready(page)
    seen = shown_code(page, "SQL")
    assert page.title() == "Find units · tiny@1.0.0"
    page.get_by_role("link", name="Open net/").first.click()
    page.get_by_role("heading", name="net/").first.wait_for()
    ready(page)
    assert page.get_by_test_id("stAlert").count() == 1  # the banner
    query = page.url.partition("?")[2]
    assert "subject" not in query
    assert "[" not in unquote(query)
    assert "net/" in page.title()
    page.get_by_test_id("stSidebar").get_by_role("link", name="Networks").click()
    page.get_by_role("heading", name="Networks", exact=True).wait_for()
    ready(page)
    assert "?" not in page.url
    kept = page.get_by_test_id("stSidebar").locator('a[href*="roi=V4"]', has_text="Find units")
    kept.click()  # the menu keeps filters
    page.wait_for_url("**/units?*roi=V4*")
    ready(page)
    assert shown_code(page, "SQL") == seen
    for place, title in (
        ("**/networks", "Networks"),
        ("**/unit?*", "net/"),
        ("**/units?*roi=V4*", "Find units"),
    ):
        page.go_back()
        page.wait_for_url(place)
        page.wait_for_function(f"document.title.startsWith('{title}')")  # not the page before
        ready(page)
    assert shown_code(page, "SQL") == seen
    page.go_back()
    page.wait_for_function("!location.search.includes('roi')")
    ready(page)
    assert shown_code(page, "SQL") != seen
    page.go_forward()
    page.wait_for_function("location.search.includes('roi')")
    ready(page)
    assert shown_code(page, "SQL") == seen


FIELDS_AND_PICTURES = """main => [
  ...[...main.querySelectorAll('input')].map(one => one.value),
  ...[...main.querySelectorAll('img[src^=data]')].map(one => one.src),
]"""


def read(page: Page) -> str:
    """All words of a page, its fields and its pictures, without how long a query took.

    Charts draw theirs last. A chart that finds more room adds the new numbers of an axis behind
    those it had, wherever they stand on the axis: numbers of an axis are read in their own order,
    not in that of the document.
    """
    words = ""
    for _ in range(SEEN_WITHIN // 1000):
        ready(page)
        main = page.get_by_test_id("stMain")
        before, words = words, "\n".join([main.inner_text(), *main.evaluate(FIELDS_AND_PICTURES)])
        if words == before:
            return numbers_sorted(re.sub(r"in [0-9.]+ s", "", words))
        page.wait_for_timeout(1000)
    pytest.fail("the page does not come to rest")


def numbers_sorted(words: str) -> str:
    """Lines that are numbers, sorted among their neighbours that are numbers too."""
    return "\n".join(
        line
        for number, lines in groupby(words.split("\n"), key=is_number)
        for line in (sorted(lines, key=float) if number else lines)
    )


def is_number(line: str) -> bool:
    try:
        return not math.isnan(float(line))
    except ValueError:
        return False


def comes_to_show(page: Page, words: str) -> None:
    """Wait for these words: an address changes before the page that was there goes."""
    ends = time.monotonic() + SEEN_WITHIN / 1000
    while (now := read(page)) != words and time.monotonic() < ends:
        page.wait_for_timeout(200)
    assert now == words


def address_of(page: Page) -> str:
    """What the page gives to copy, in a tab or below; where it gives nothing, its own address."""
    if (tab := page.get_by_role("tab", name="Link", exact=True)).count():
        tab.click()
        return page.get_by_role("tabpanel").locator("code:visible").first.inner_text()
    closed = page.get_by_test_id("stExpander").filter(has_text="Link")
    if closed.count():
        closed.locator("summary").click()
        return closed.locator("code:visible").first.inner_text()
    return page.url


def same_again(path: str, visitor: Callable[..., Page], url: str) -> None:
    page = visitor(path)
    seen = read(page)
    link = address_of(page)
    page.reload()
    comes_to_show(page, seen)
    heading = "Data & methods" if path != "methods" else "Networks"
    page.get_by_test_id("stSidebar").get_by_role("link", name=heading).click()
    page.get_by_role("heading", name=heading, exact=True).wait_for()
    other = read(page)
    title = page.title()
    page.go_back()
    page.wait_for_function("title => document.title !== title", arg=title)
    comes_to_show(page, seen)
    page.go_forward()
    page.wait_for_function("title => document.title === title", arg=title)
    comes_to_show(page, other)
    comes_to_show(visitor(link.removeprefix(f"{url}/")), seen)


@pytest.mark.parametrize("name", PATHS)
def test_every_page_is_the_same_again(name: str, visitor: Callable[..., Page], url: str) -> None:
    """Reloaded, come back to, gone forward to, and by its link elsewhere."""
    same_again(PATHS[name], visitor, url)


@pytest.fixture(scope="module")
def address(request: pytest.FixtureRequest) -> Iterator[Callable[[str], str]]:
    """Serves the releases of fixtures, each when it is first asked for."""
    with ExitStack() as servers:
        yield cache(lambda name: servers.enter_context(served(request.getfixturevalue(name))))


OF_MEASURES = [
    ("tiny_course_release", "timecourse?roi=V4&measure=accuracy&layer=fc"),
    ("levelled", "identification?subject=sub-02&roi=IT&layer=scores&measure=specific"),
    ("levelled", "modulation?roi=IT&layer=scores"),
    ("pictured", "reconstruction?method=ridge&subject=sub-01"),
    ("pictured", "judging?method=ridge&subject=sub-01"),
]


@pytest.mark.parametrize(("release", "path"), OF_MEASURES)
def test_every_page_of_a_measure_is_the_same_again(
    release: str, path: str, address: Callable[[str], str], chromium: Browser
) -> None:
    url = address(release)
    with visiting(url, chromium) as visitor:
        same_again(path, visitor, url)
