"""Reconstructions in a real Chromium: pictures beside shuffled brains, and people's judgement."""

from __future__ import annotations

import re
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from tests.acceptance.conftest import succeed
from tests.acceptance.pages import (
    CHROMIUM,
    MODES,
    PICTURED_PATHS,
    SEEN_WITHIN,
    judge_as,
    photographed,
    ready,
    served,
    visiting,
)
from unitdb.release import Release, open_release

pytest.importorskip("streamlit", reason="needs unitdb[app]")
pytest.importorskip("playwright.sync_api", reason="needs playwright")

from unitdb.browser._judging import Question, questions

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on PATH"),
]

NAMES = [f"picture-{number}" for number in range(14, 22)]
WORDS = {
    "seen": "seen",
    "reconstructed": "brain",
    "shuffled brain": "shuffled",
    "ceiling": "recovery",
}
PNG = "data:image/png;base64,"
RATER = "the first reader"


@pytest.fixture(scope="module")
def url(pictured: Path) -> Iterator[str]:
    with served(pictured) as address:
        yield address


@pytest.fixture(scope="module")
def release(pictured: Path) -> Release:
    return open_release(pictured)


def expected_pictures(release: Release, method: str, subject: str) -> dict[str, bytes]:
    """PNG by what a reader hears of it: of a person, or of nobody where no brain is known."""
    found = release.sql(
        "SELECT stimulus, source, subject, control, png FROM reconstruction "
        "WHERE method = ? AND png IS NOT NULL",
        [method],
    ).astype({"stimulus": str, "source": str, "subject": str})
    return {
        f"{word}: {row.stimulus}": bytes(row.png)
        for word, source in WORDS.items()
        for row in found[found["source"] == source].itertuples()
        if row.control <= 1 and (row.subject == subject or source in {"seen", "recovery"})
    }


def pictures_of(page: Page, within: str) -> list[tuple[str, bytes]]:
    """What a reader hears of each picture, and its PNG: read at once, as pages change."""
    found = page.evaluate(
        "within => [...document.querySelectorAll(within)].map(one => [one.alt, one.src])", within
    )
    assert all(source.startswith(PNG) for _, source in found)
    return [(alt, b64decode(source.removeprefix(PNG))) for alt, source in found]


def shown_pictures(page: Page) -> dict[str, bytes]:
    return dict(pictures_of(page, "figure img"))


def numbers(page: Page) -> dict[str, list[str]]:
    """First table of a page as screen readers have it, by its first column."""
    table = page.get_by_test_id("stDataFrame").first.locator("table")
    table.locator("td", has_text="chance").wait_for(state="attached")
    cells = table.evaluate(
        "table => [...table.rows].map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return {row[0]: row[1:] for row in cells}


def place(image: Locator) -> tuple[float, float]:
    box = image.bounding_box()
    assert box is not None
    return box["x"], box["y"]


def test_all_pictures_stand_below_each_other_in_the_order_of_ids(
    release: Release, visitor: Callable[..., Page]
) -> None:
    page = visitor(PICTURED_PATHS["reconstruction"])
    assert "SIMULATED" in page.get_by_test_id("stAlert").first.inner_text()
    figures = page.locator("figure")
    assert figures.locator("figcaption").all_inner_texts() == NAMES
    expected = expected_pictures(release, "inverted", "mean")
    assert len(expected) == 8 * 3 + 4  # control_images
    assert shown_pictures(page) == expected
    for figure, name in zip(figures.all(), NAMES, strict=True):
        held = [word for word in WORDS if f"{word}: {name}" in expected]
        images = figure.locator("img").all()
        assert [image.get_attribute("alt") for image in images] == [f"{w}: {name}" for w in held]
        assert all(image.evaluate("one => one.naturalWidth") == 8 for image in images)
        places = [place(image) for image in images]
        assert len({x for x, _ in places}) == 1
        assert [y for _, y in places] == sorted({y for _, y in places})
        said = figure.inner_text().split("\n")
        none = [] if "shuffled brain" in held else ["none was made"]
        assert said == ["seen", "reconstructed", "shuffled brain", *none, "ceiling", name]
    seen = [place(page.get_by_alt_text(f"seen: {name}", exact=True)) for name in NAMES]
    assert seen == sorted(seen)
    assert len({y for _, y in seen}) == 1


def test_scores_stand_beside_chance(release: Release, visitor: Callable[..., Page]) -> None:
    shown = numbers(visitor("reconstruction?method=ridge&subject=sub-01"))
    scores = release.reconstructions("ridge", subject="sub-01").scores
    scores = scores.astype({"source": str, "metric": str})
    columns = {
        "identification": "identification",
        "within category": "identification_within",
        "judge, late": "identification_late",
        "centred r": "centred_r",
        "pixel r": "pixel_r",
        "top 1": "top1",
    }
    assert shown["source"] == ["pictures", *columns]
    value = scores.set_index(["source", "metric"])["value"]
    for source in ("brain", "shuffled", "nearest-training"):
        expected = [8, *(value[source, metric] for metric in columns.values())]
        assert [float(one) for one in shown[source]] == pytest.approx(expected)
    # Of 8 candidates and 14 training pictures one is right; no chance is known of pixel r.
    assert [*map(float, shown["chance"][1:5])] == [0.5, 0.5, 0.5, 0.0]
    assert shown["chance"][0] == shown["chance"][5] == ""
    assert float(shown["chance"][6]) == pytest.approx(1 / 22)


def choose(page: Page, label: str, option: str, key: str) -> None:
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()
    page.wait_for_function(
        "([key, option]) => (new URLSearchParams(location.search).get(key) ?? '') === option",
        arg=[key, option],
    )
    ready(page)


def comes_to_show(page: Page, expected: dict[str, bytes]) -> None:
    ends = time.monotonic() + SEEN_WITHIN / 1000
    while (shown := shown_pictures(page)) != expected and time.monotonic() < ends:
        page.wait_for_timeout(200)
    assert shown == expected


def test_method_and_person_are_chosen_and_stay_where_they_can(
    release: Release, visitor: Callable[..., Page]
) -> None:
    page = visitor("reconstruction")
    comes_to_show(page, expected_pictures(release, "inverted", "mean"))  # first by name
    choose(page, "Method", "ridge", "method")
    comes_to_show(page, expected_pictures(release, "ridge", "mean"))
    choose(page, "Person", "sub-01", "subject")
    single = expected_pictures(release, "ridge", "sub-01")
    assert single != expected_pictures(release, "ridge", "mean")
    comes_to_show(page, single)
    page.get_by_label("Method", exact=True).click()
    page.get_by_role("option", name="inverted", exact=True).click()  # of the mean alone
    page.wait_for_function("!location.search")
    comes_to_show(page, expected_pictures(release, "inverted", "mean"))
    ready(page)
    assert "cannot be chosen here" not in page.get_by_test_id("stMain").inner_text()
    page.go_back()
    page.wait_for_url("**subject=sub-01*")
    comes_to_show(page, single)


def laid_out(page: Page) -> str:
    """The document but for pixels, and for what Streamlit numbers."""
    whole = page.get_by_test_id("stMain").inner_html()
    for changing in (r"(?<=base64,)[^\"]+", r"judge-\d+", r"\d+ of \d+", r"react-aria[\d:\w-]+"):
        whole = re.sub(changing, "", whole)
    return re.sub(r":r\w+:", "", whole)


def chunks(png: bytes) -> list[bytes]:
    """Names of the parts of a PNG file, each once."""
    found, at = [], 8
    while at < len(png):
        found.append(png[at + 4 : at + 8])
        at += 12 + int.from_bytes(png[at : at + 4])
    return list(dict.fromkeys(found))


def is_blind(page: Page, question: Question) -> None:
    """The three pictures, and no word of what they are."""
    alts, shown = zip(*pictures_of(page, "[data-testid=stMain] img"), strict=True)
    assert alts == ("reconstruction", "left", "right")
    assert shown == (question.made, *(png for _, png in question.shown))
    assert all(chunks(png) == [b"IHDR", b"IDAT", b"IEND"] for png in shown)
    made, left, right = map(place, page.get_by_test_id("stMain").locator("img").all())
    assert left[0] < made[0] < right[0]
    assert made[1] < left[1] == right[1]
    document = page.content()
    assert not [name for name in NAMES if name in document]


def press(page: Page, word: str, *, key: bool, then: str) -> None:
    """Choose a side; the next question follows, or the end."""
    if key:
        page.keyboard.press(f"Arrow{word}")
    else:
        page.get_by_role("button", name=word).click()
    page.get_by_text(then, exact=True).wait_for()
    ready(page)


def test_people_judge_blind_and_their_file_becomes_a_rate(
    release: Release, visitor: Callable[..., Page], tmp_path: Path
) -> None:
    page = visitor("judging?subject=sub-01&method=ridge")
    frames: list[bytes] = []

    def keep(frame: bytes | str) -> None:
        frames.append(frame.encode() if isinstance(frame, str) else frame)

    page.on("websocket", lambda socket: socket.on("framereceived", keep))
    page.reload()
    ready(page)
    judge_as(page, RATER)
    dataset = ["mine", "perception", "mynet", "ridge"]
    asked = questions(release, dataset, "sub-01", RATER)
    assert {question.source for question in asked} == {"brain", "shuffled"}
    assert len({question.shown[0][0] == question.stimulus for question in asked}) == 2
    right, documents = {"brain": 0, "shuffled": 0}, set()
    for number, question in enumerate(asked):
        is_blind(page, question)
        if number:  # then choices can be downloaded
            documents.add(laid_out(page))
        chosen = question.other if number in {2, 5} else question.stimulus
        word = "Left" if question.shown[0][0] == chosen else "Right"
        right[question.source] += chosen == question.stimulus
        then = f"{number + 2} of 16" if number < 15 else "All are judged."
        press(page, word, key=number > 3, then=then)
    assert len(documents) == 1  # of brains and of shuffled ones, of left and right
    assert not page.get_by_test_id("stMain").locator("img").count()
    sent = b"".join(frames)
    assert b64encode(question.made)[:100] in sent
    assert not [name for name in NAMES if name.encode() in sent]

    with page.expect_download() as download:
        page.get_by_role("button", name="Download choices").click()
    saved = tmp_path / "FILE.csv"
    download.value.save_as(saved)
    rows = pd.read_csv(saved)
    assert rows["stimulus"].tolist() == [question.stimulus for question in asked]
    assert set(rows["rater"]) == {RATER}
    header, *lines = (re.split(r"\s{2,}", line) for line in succeed("judge", saved).splitlines())
    for line in lines:
        of = dict(zip(header, line, strict=True))
        n = sum(question.source == of["source"] for question in asked)
        assert of["rate"] == f"{right[of['source']] / n:.3f}"
        assert of["chance"] == "0.500"
        assert of["subject"] == "sub-01"
    assert len(lines) == 2


def test_two_quick_presses_answer_one_question(visitor: Callable[..., Page]) -> None:
    page = visitor(PICTURED_PATHS["judging"])
    judge_as(page, RATER)
    page.keyboard.press("ArrowLeft")  # the name is still being typed
    page.get_by_role("button", name="Left").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.get_by_text("2 of 16", exact=True).wait_for()
    page.wait_for_timeout(1500)
    assert page.get_by_text("2 of 16", exact=True).count() == 1


PICTURED_MODES = MODES | {"narrow-dark": (400, "dark")}


@pytest.mark.parametrize("name", PICTURED_PATHS)
def test_pages_of_reconstructions_are_drawn(
    name: str, url: str, chromium: Browser, screenshots: Path
) -> None:
    with visiting(url, chromium) as visitor:
        for mode, (width, scheme) in PICTURED_MODES.items():
            page = visitor(PICTURED_PATHS[name], width=width, scheme=scheme)
            if name == "judging":
                judge_as(page, RATER)
            photographed(page, screenshots / f"{name}-{mode}.png")
