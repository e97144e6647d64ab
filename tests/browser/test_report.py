from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("matplotlib", reason="needs unitdb[plot]")

from unitdb.browser import report
from unitdb.cli import main
from unitdb.release import Release, open_release


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def text(tiny_release: Path) -> str:
    return report.html(open_release(tiny_release))


def test_it_is_one_page_that_fetches_nothing(text: str) -> None:
    page = Page(text)
    assert not {"script", "link", "iframe", "a"} & {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        assert not {"href", "onload", "onerror"} & attributes.keys()
        of_figure = attributes.get("xlink:href", "#")
        assert of_figure.startswith("#" if tag == "use" else ("#", "data:image/png;base64,"))
        assert tag == "img" or "src" not in attributes
        assert tag != "img" or attributes["src"].startswith("data:image/jpeg;base64,")
    identifiers = [found["id"] for _, found in page.tags if found.get("id")]
    assert len(identifiers) == len(set(identifiers))
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(identifiers)
    assert not re.search(r"url\((?!#)|@import", text)


def test_it_says_what_the_release_says(text: str, tiny_release: Path) -> None:
    release = open_release(tiny_release)
    page = Page(text)
    assert "SIMULATED" in page.text
    assert release.citation in page.text
    best = release.units().top(20).to_pandas()
    for unit, r in zip(best["unit_id"], best["mean_r"], strict=True):
        assert unit in page.text
        assert f"{r:.3f}" in page.text
    # Two datasets, of which one has two subjects or more: depth and accuracy twice, agreement once;
    # and predictions of the best unit that is kept.
    assert sum(tag == "svg" for tag, _ in page.tags) == 6
    kept = "net/conv1/7"
    assert f"Image by image: {kept}" in page.text
    names = [attributes["alt"] for tag, attributes in page.tags if tag == "img"]
    stimuli = release.stimuli(kept, 6, dataset="sim-a")["stimulus"].tolist()
    assert names == [*stimuli[:6], *stimuli[6:][::-1]]
    matrix = release.layer_by_roi("accuracy", dataset="sim-a")
    assert f"{matrix.loc['fc', 'V4']:.2f}" in page.text


def test_the_same_release_gives_the_same_bytes(text: str, tiny_release: Path) -> None:
    assert report.html(open_release(tiny_release)) == text


def test_html_in_a_release_is_text(tiny_release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = "<script>alert(1)</script>"
    monkeypatch.setattr(Release, "citation", evil)
    monkeypatch.setattr(Release, "title", f"</title>{evil}")
    found = Page(report.html(open_release(tiny_release)))
    assert "script" not in {tag for tag, _ in found.tags}


STEERING = "\x00\x1b[31mred\x07\x0c\x9b2J\u202eelif\u2066\x7f\ufeff"


@pytest.mark.robust(
    "hostile",
    given="control characters and marks that turn text around in titles, citations, layers and "
    "subjects, in the HTML report and in the first lines of CSV files",
    before="written as they were; an escape in the name of a layer aborted the process, and the "
    "app when a figure was saved",
    now="spelled out, as `\\u001b`, in text, page title and figures",
)
def test_no_character_steers_the_page(tiny_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = tiny_copy / "datapackage.json", Release.layer_by_roi
    content = json.loads(path.read_text(encoding="utf-8"))
    content["title"] = content["description"] = content["unitdb"]["citation"] = STEERING
    path.write_text(json.dumps(content), encoding="utf-8")

    def layers(*args, **kwargs):
        return real(*args, **kwargs).rename(index=lambda name: name + STEERING)

    monkeypatch.setattr(Release, "layer_by_roi", layers)
    release = open_release(tiny_copy)
    found = report.html(release)
    assert not set(found) & (set(STEERING) - set("[31mred2Jelif"))
    assert not set(Page(found).text) & (set(STEERING) - set("[31mred2Jelif"))
    assert re.search(r"<title>.*\\u0000\\u001b\[31mred.*</title>", found)
    assert "conv1\\u0000\\u001b" in found  # in a figure
    release.units().top(1).to_csv(tiny_copy / "x.csv")
    (cited,) = re.findall("# citation: .*", (tiny_copy / "x.csv").read_text(encoding="utf-8"))
    assert not set(cited) & (set(STEERING) - set("[31mred2Jelif"))


def test_the_command_writes_the_page(text: str, tiny_release: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    done = CliRunner().invoke(main, ["report", str(tiny_release), "--html", str(out)])
    assert done.exit_code == 0, done.output
    assert out.read_text() == text


def test_wrong_use_is_one_line(tiny_release: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere" / "out.html"
    done = CliRunner().invoke(main, ["report", str(tiny_release), "--html", str(nowhere)])
    assert done.exit_code == 2
    assert "no such folder" in done.output
    out = tmp_path / "out.html"
    done = CliRunner().invoke(main, ["report", str(tmp_path / "none"), "--html", str(out)])
    assert done.exit_code == 2
    assert not out.exists()


def test_a_report_needs_neither_streamlit_nor_altair() -> None:
    heavy = "{'streamlit', 'altair', 'vl_convert'}"
    code = f"import sys, unitdb.browser.report; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_figure_of_some_regions_says_of_how_many(text: str, regions_release: Path) -> None:
    found = Page(report.html(open_release(regions_release))).text
    assert "Drawn: 4 of 6 regions, from early to late; others by unitdb.plot.depth(" in found
    assert "Drawn:" not in Page(text).text
