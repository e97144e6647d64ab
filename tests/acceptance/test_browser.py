"""The pages in a real Chromium, from the command line to the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.acceptance.pages import (
    CHROMIUM,
    MODES,
    PATHS,
    TOPDOWN_PATHS,
    photographed,
    ready,
    served,
    shown_code,
    visiting,
)
from tests.web import serving
from unitdb import col
from unitdb.release import open_release

pytest.importorskip("streamlit", reason="needs unitdb[app]")
sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on PATH")


@pytest.fixture(scope="module")
def topdown_url(topdown: Path) -> Iterator[str]:
    with served(topdown) as address:
        yield address


def photograph(visitor: Callable[..., Page], name: str, mode: str, folder: Path) -> None:
    width, scheme = MODES[mode]
    page = visitor((PATHS | TOPDOWN_PATHS)[name], width=width, scheme=scheme)
    photographed(page, folder / f"{name}-{mode}.png")


@pytest.mark.parametrize("name", ["overview", "unit", "layer"])
def test_pages_are_drawn(name: str, visitor: Callable[..., Page], screenshots: Path) -> None:
    photograph(visitor, name, "desktop", screenshots)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PATHS)
def test_every_page_is_drawn_wide_narrow_and_dark(
    name: str, mode: str, visitor: Callable[..., Page], screenshots: Path
) -> None:
    photograph(visitor, name, mode, screenshots)


@pytest.mark.slow
@pytest.mark.parametrize("name", TOPDOWN_PATHS)
def test_pages_of_what_is_seen_and_imagined_are_drawn(
    name: str, topdown_url: str, chromium: Browser, screenshots: Path
) -> None:
    with visiting(topdown_url, chromium) as visitor:
        for mode in MODES:
            photograph(visitor, name, mode, screenshots)


def test_a_reader_finds_a_unit_opens_it_and_passes_the_link_on(
    visitor: Callable[..., Page], tiny_release: Path, url: str
) -> None:
    page = visitor("")
    page.get_by_role("link", name="Find units").click()
    ready(page)
    page.get_by_label("Accuracy at least", exact=True).fill("0.2")
    page.keyboard.press("Enter")
    page.get_by_label("ROI", exact=True).click()
    page.get_by_role("option", name="V4").click()
    page.keyboard.press("Escape")
    expected = open_release(tiny_release).units(roi="V4").where(col.mean_r >= 0.2).sort("mean_r")
    page.get_by_text(f"{expected.count()} rows: units").wait_for()
    ready(page)
    assert "roi=V4" in page.url
    assert "minimum=0.2" in page.url
    link = shown_code(page, "Link")

    other = visitor(link.removeprefix(f"{url}/"))
    other.get_by_text(f"{expected.count()} rows: units").wait_for()
    assert shown_code(other, "SQL") == shown_code(page, "SQL")

    best = expected.to_pandas()["unit_id"].iloc[0]
    page.get_by_role("link", name=f"Open {best}").click()
    page.get_by_role("heading", name=best).wait_for()
    ready(page)
    assert f"unit={best}" in page.url.replace("%2F", "/")
    link = shown_code(page, "Link")
    other = visitor(link.removeprefix(f"{url}/"))
    for sentence in ("above chance in", "Units alike", "Its channel"):
        assert other.get_by_text(sentence).first.inner_text() == (
            page.get_by_text(sentence).first.inner_text()
        )


def on_screen(page: Page, *seen: Any) -> None:
    """What is seen without scrolling, at 1280 × 900."""
    assert page.get_by_test_id("stMain").evaluate("element => element.scrollTop") == 0
    for one in seen:
        box = one.bounding_box()
        assert box is not None
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 900


def test_a_reader_of_a_paper_sees_the_answer_at_once(visitor: Callable[..., Page]) -> None:
    """No action: hierarchy, chance, agreement and the score on one screen."""
    page = visitor("", height=900)
    page.wait_for_timeout(700)  # charts fade in
    charts = page.get_by_test_id("stVegaLiteChart")
    assert charts.count() == 2
    on_screen(
        page,
        page.get_by_text("BH score", exact=True).first,
        page.get_by_text("chance 0.00").first,
        charts.nth(0),
        charts.nth(1),
    )


def test_a_neuroscientist_finds_what_a_unit_likes(visitor: Callable[..., Page]) -> None:
    """Two actions: units that V4 decodes in everybody, and the pictures of one."""
    page = visitor("", height=900)
    page.get_by_test_id("stMain").get_by_role("link", name="V4", exact=True).click()  # 1
    page.get_by_text("rows: units").first.wait_for()
    ready(page)
    assert "people=3" in page.url
    unit = page.get_by_role("link", name="fc/3 · zebra", exact=True)
    on_screen(page, unit)
    unit.click()  # 2
    page.get_by_role("heading", name="net/fc/3").wait_for()
    ready(page)
    assert "in 3 of 3 people" in page.get_by_text("above chance in").first.inner_text()
    on_screen(page, *page.locator("figure img").all()[:6])


def test_a_designer_takes_the_best_channels(
    visitor: Callable[..., Page], tiny_release: Path, tmp_path: Path
) -> None:
    """Five actions: the 200 best channels as a file for torch, and the code."""
    page = visitor("")
    page.get_by_role("link", name="Find units").click()  # 1
    page.get_by_text("rows: units").first.wait_for()
    ready(page)
    page.get_by_label("Keep", exact=True).click()  # 2
    page.get_by_role("option", name="the best channels").click()  # 3
    page.wait_for_url("**keep=channels*")
    ready(page)
    code = shown_code(page, "torch")  # 4
    link = page.get_by_role("link", name="Masks for torch").get_attribute("href")
    saved = tmp_path / "units.pt"
    saved.write_bytes(page.request.get(f"{page.url.partition('/units')[0]}/{link}").body())  # 5
    masks = torch.load(saved, weights_only=True)
    expected = open_release(tiny_release).units().top_channels(200).masks()
    assert list(masks) == list(expected)
    assert all(torch.equal(masks[layer], expected[layer]) for layer in masks)
    assert ".top_channels(200, by='mean_r')" in code


def test_files_hold_what_the_query_gives(
    visitor: Callable[..., Page], tiny_release: Path, tmp_path: Path, url: str
) -> None:
    page = visitor("units?roi=V4&dataset=sim-a&minimum=0.1")
    units = open_release(tiny_release).units(roi="V4", dataset="sim-a")
    units = units.where(col.mean_r >= 0.1).sort("mean_r")
    expected = units.to_pandas()
    saved = {}
    for label, ending in (("CSV", "csv"), ("Masks for numpy", "npz")):
        link = page.get_by_role("link", name=label).get_attribute("href")
        answer = page.request.get(f"{url}/{link}")
        assert answer.ok, answer.text()
        named = answer.headers["content-disposition"]
        assert named == f'attachment; filename="tiny-1.0.0-units.{ending}"'
        saved[ending] = tmp_path / f"units.{ending}"
        saved[ending].write_bytes(answer.body())
    assert saved["csv"].read_text().startswith("# release: tiny@1.0.0\n# simulated: true\n")
    csv = pd.read_csv(saved["csv"], comment="#")
    assert csv["unit_id"].tolist() == expected["unit_id"].tolist()
    assert np.array_equal(csv["mean_r"].to_numpy(np.float32), expected["mean_r"].to_numpy())
    with np.load(saved["npz"]) as masks:
        assert masks["conv1"].shape == (2, 3, 3)
        found = {f"net/{name}/{unit}" for name in masks for unit in np.flatnonzero(masks[name])}
    assert found == set(expected["unit_id"])


def test_a_unit_shows_what_drives_it_and_what_is_predicted(
    visitor: Callable[..., Page], tiny_release: Path, url: str
) -> None:
    page = visitor("unit?unit=net/conv1/13&dataset=sim-a&roi=V4")
    stimuli = open_release(tiny_release).stimuli("net/conv1/13", 6, dataset="sim-a")
    expected = [*stimuli["stimulus"][:6], *stimuli["stimulus"][6:][::-1]]
    pictures = page.locator("figure img")
    assert [one.get_attribute("alt") for one in pictures.all()] == expected
    assert all(one.evaluate("image => image.naturalWidth") == 96 for one in pictures.all())
    page.get_by_label("Subject", exact=True).click()
    page.keyboard.type("S2")
    page.get_by_role("option", name="S2").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_function("location.search.includes('subject=S2')")
    ready(page)
    link = shown_code(page, "Link")
    other = visitor(link.removeprefix(f"{url}/"))
    assert "S2" in other.get_by_label("Subject", exact=True).input_value()
    other.get_by_role("button", name="Save figure").nth(2).click()
    with other.expect_download() as download:
        other.get_by_role("button", name="SVG").click()
    assert download.value.suggested_filename == "tiny-1.0.0-predictions.svg"


@pytest.mark.slow
def test_names_of_pictures_run_nothing(visitor: Callable[..., Page], url: str) -> None:
    page = visitor("unit")
    page.on("dialog", lambda _: pytest.fail("a name has run"))
    for dataset in ("sim-a", "sim-b"):
        page.goto(f"{url}/unit?unit=net/conv1/7&dataset={dataset}")
        ready(page)
        page.locator("figcaption", has_text="<img src=x").wait_for()
        assert page.locator('img[src="x"]').count() == 0


@pytest.mark.slow
def test_a_release_on_the_web(tiny_release: Path, chromium: Browser) -> None:
    with (
        serving(tiny_release.parents[1]) as server,
        served(f"{server.address}/tiny/1.0.0") as address,
    ):
        page = chromium.new_page()
        for path, seen in (
            ("", "Mean decoding accuracy"),
            ("units?roi=V4&dataset=sim-a&minimum=0.1", "rows: units"),
            ("unit?unit=net/conv1/13&dataset=sim-a", "Predicted and true activation"),
        ):
            page.goto(f"{address}/{path}")
            ready(page)
            page.get_by_text(seen).first.wait_for()
            assert page.get_by_test_id("stException").count() == 0
            assert page.get_by_text("tiny@1.0.0 · read-only").count() == 1
        assert page.locator("figure img").count() == 12
        page.close()


def test_a_wrong_link_says_what_is_near(visitor: Callable[..., Page]) -> None:
    page = visitor("units?roi=V44&layer=<b>conv</b>")
    page.get_by_text("cannot be chosen here").first.wait_for()
    warnings = " ".join(page.get_by_test_id("stAlert").all_inner_texts())
    assert "V44" in warnings
    assert "V4" in warnings.replace("V44", "")
    assert "<b>conv</b>" in warnings
    assert page.locator("b", has_text="conv").count() == 0
    page = visitor("unit?unit=net/conv9/3")
    page.get_by_text("No such unit").wait_for()


def test_pages_are_reached_by_keyboard(visitor: Callable[..., Page]) -> None:
    page = visitor("")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText") == "Layer":
            break
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Layer", exact=True).wait_for()


def reach(page: Page, name: str, seen: Any) -> None:
    """Press Tab until something has the focus."""
    for _ in range(80):
        if seen.count() and seen.first.evaluate("one => one === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"{name} is not reached by Tab")


@pytest.mark.slow
def test_two_units_are_compared_by_keyboard(visitor: Callable[..., Page]) -> None:
    page = visitor("")
    menu = page.get_by_test_id("stSidebar")
    reach(page, "menu", menu.get_by_role("link", name="Compare", exact=True))
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Compare", exact=True).wait_for()
    ready(page)
    for label, unit in (("Unit", "net/conv1/7"), ("With unit", "net/fc/3")):
        reach(page, label, page.get_by_label(label, exact=True))
        page.keyboard.type(unit)
        page.keyboard.press("Enter")
        page.wait_for_function(f"decodeURIComponent(location.search).includes('{unit}')")
        ready(page)
    page.get_by_text("is decoded better than").wait_for()
    reach(page, "what", page.get_by_role("combobox", name="Compare", exact=True))
    page.keyboard.type("layers")
    page.get_by_role("option", name="two layers").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url("**what=layers*")
    ready(page)
    assert "net%2Ffc" not in page.url  # units are no layers
    page.get_by_text("mean accuracy of the layer").wait_for()


@pytest.mark.slow
def test_figures_are_saved(visitor: Callable[..., Page], tmp_path: Path) -> None:
    page = visitor("")
    page.get_by_role("button", name="Save figure").first.click()
    with page.expect_download() as download:
        page.get_by_role("button", name="SVG").click()
    saved = tmp_path / "figure.svg"
    download.value.save_as(saved)
    assert download.value.suggested_filename == "tiny-1.0.0-accuracy.svg"
    assert saved.read_text().startswith("<svg")
    assert "SIMULATED" in saved.read_text()


def test_a_release_that_cannot_be_read_explains_itself(tiny_copy: Path, chromium: Browser) -> None:
    bad = tiny_copy / "layer_summary.parquet"
    bad.write_bytes(bad.read_bytes()[:200])
    with served(tiny_copy) as address:
        page = chromium.new_page()
        page.goto(address)
        page.get_by_text("This release cannot be shown").wait_for()
        assert "layer_summary.parquet" in page.get_by_test_id("stAlert").inner_text()
        page.close()
