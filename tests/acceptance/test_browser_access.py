"""Pages and report are for everybody: axe-core finds nothing, in light and in dark.

axe-core is no part of the project (MPL-2.0, .7 MB): `.ci/run` installs it in `build`, by npm.
UNITDB_AXE names another file axe.min.js.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.pages import (
    CHROMIUM,
    PATHS,
    PICTURED_PATHS,
    TOPDOWN_PATHS,
    judge_as,
    ready,
    served,
    visiting,
)
from unitdb.release import open_release

pytest.importorskip("playwright.sync_api", reason="needs playwright")
report = pytest.importorskip("unitdb.browser.report", reason="needs unitdb[plot]")

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

INSTALLED = Path(__file__).parents[2] / "build" / "node_modules" / "axe-core" / "axe.min.js"
AXE = Path(os.environ.get("UNITDB_AXE") or INSTALLED)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on PATH"),
    pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: npm i --prefix build axe-core"),
]

MORE_PATHS = {
    "gallery": "units?view=gallery&roi=V4",
    "unit-none": "unit",
    "wrong": "units?roi=V44&minimum=0.99",
}
SCHEMES = ("light", "dark")


def violations(page: Page) -> list[str]:
    """What axe finds: rule, element and what is to be done."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert found["testEngine"]["name"] == "axe-core"
    assert found["url"] == page.url
    return [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def faint(page: Page) -> list[tuple[str, float]]:
    """Texts of figures that stand out from the page by less than 4.5 to 1."""
    found: list[tuple[str, float]] = page.evaluate(
        """() => {
      const linear = v => v / 255 <= .03928 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4;
      const light = c => .2126 * linear(c[0]) + .7152 * linear(c[1]) + .0722 * linear(c[2]);
      const numbers = text => text.match(/[0-9.]+/g).map(Number);
      const ground = numbers(getComputedStyle(document.querySelector('.stApp')).backgroundColor);
      const contrast = c => {
        const [a, b] = [light(c), light(ground)].sort((x, y) => y - x);
        return (a + .05) / (b + .05);
      };
      return [...document.querySelectorAll('[data-testid=stVegaLiteChart] text')]
        .filter(text => text.textContent && getComputedStyle(text).opacity !== '0'
                && !['black', 'white'].includes(text.getAttribute('fill')))
        .map(text => {
          const style = getComputedStyle(text);
          const [r, g, b, a = 1] = numbers(style.fill);
          const part = a * Number(style.opacity) * Number(style.fillOpacity);
          const seen = [r, g, b].map((v, i) => part * v + (1 - part) * ground[i]);
          return [text.textContent, contrast(seen)];
        })
        .filter(([, ratio]) => ratio < 4.5);
    }"""
    )
    return found


def check(url: str, chromium: Browser, paths: dict[str, str]) -> None:
    wrong: dict[str, Any] = {}
    with visiting(url, chromium) as open_page:
        for scheme in SCHEMES:
            page = open_page("", scheme=scheme)
            for name, path in paths.items():
                page.goto(f"{url}/{path}")
                ready(page)
                if name == "judging":
                    judge_as(page, "me")
                page.wait_for_timeout(500)  # charts fade in
                found = [*violations(page), *faint(page)]
                if found:
                    wrong[f"{name}, {scheme}"] = found
    assert wrong == {}


def test_pages_have_no_violation(tiny_release: Path, chromium: Browser) -> None:
    with served(tiny_release) as url:
        check(url, chromium, PATHS | MORE_PATHS)


def test_pages_of_what_is_seen_and_imagined_have_no_violation(
    topdown: Path, chromium: Browser
) -> None:
    with served(topdown) as url:
        check(url, chromium, TOPDOWN_PATHS)


def test_pages_of_reconstructions_have_no_violation(pictured: Path, chromium: Browser) -> None:
    with served(pictured) as url:
        check(url, chromium, PICTURED_PATHS)


@pytest.mark.parametrize("width", [1280, 400])
def test_the_report_has_no_violation(
    topdown: Path, tmp_path: Path, chromium: Browser, width: int
) -> None:
    path = tmp_path / "report.html"
    report.write(open_release(topdown), path)
    for scheme in SCHEMES:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        page = context.new_page()
        page.goto(path.as_uri())
        assert violations(page) == []
        context.close()
