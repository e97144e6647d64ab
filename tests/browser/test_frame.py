from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import unitdb.browser
from tests.browser.conftest import TIMEOUT, texts
from tests.rarely import rarely
from tests.tiny import INFO, MODEL, accuracies, arrow, small_tables, stage
from unitdb.browser import views
from unitdb.publish import publish_release, write_table
from unitdb.release import Release, open_release
from unitdb.schema import TABLES

N_ROWS = 2 * 2 * (18 + 10)
"""Datasets × ROIs × units of the tiny release."""
PAGES = [page.name for page in views.PAGES]


def test_the_script_shows_the_overview(shown: Release) -> None:
    app = AppTest.from_file(str(unitdb.browser.SCRIPT), default_timeout=TIMEOUT).run()
    assert not app.exception
    assert app.header[0].value == "Overview"


@pytest.mark.parametrize("page", PAGES)
def test_every_page_says_that_a_simulated_release_is_simulated(
    page: str, shown: Release, visit
) -> None:
    app = visit(page)
    assert "**SIMULATED**" in app.error[0].value
    assert "read-only" in app.caption[-1].value


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    "hostile",
    ["<script>alert(1)</script>'; DROP TABLE accuracy; --`x` **b** $y$", rarely("9" * 400)],
)
def test_hostile_parameters_do_nothing(page: str, hostile: str, shown: Release, visit) -> None:
    keys = ("dataset", "model", "layer", "roi", "unit", "units", "by", "minimum", "after", "size")
    keys += ("kind", "subject", "channel", "rows", "columns", "everybody", "score", "a", "b", "sql")
    app = visit(page, **dict.fromkeys(keys, hostile))
    assert not any(element.allow_html for element in [*app.markdown, *app.caption])
    assert shown.units().count() == N_ROWS


@pytest.mark.parametrize("reference", ["./nowhere", "nosuch@9.9.9"])
def test_a_missing_release_is_said_in_words(
    reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visit
) -> None:
    monkeypatch.setenv("UNITDB_RELEASE", reference)
    monkeypatch.setenv("UNITDB_RELEASES", str(tmp_path))
    app = visit("overview")
    assert "cannot be shown" in app.error[0].value
    assert "unitdb releases" in app.markdown[0].value


@pytest.mark.parametrize("page", ["overview", "subjects"])
def test_a_damaged_release_is_said_in_words(
    page: str, tiny_copy: Path, monkeypatch: pytest.MonkeyPatch, visit
) -> None:
    monkeypatch.setenv("UNITDB_RELEASE", str(tiny_copy))
    bad = tiny_copy / "layer_summary.parquet"
    bad.write_bytes(bad.read_bytes()[:200])
    app = visit(page)
    assert "layer_summary.parquet" in app.error[-1].value


def test_a_file_that_is_damaged_behind_the_first_page_is_said_in_words(
    tiny_copy: Path, monkeypatch: pytest.MonkeyPatch, visit
) -> None:
    monkeypatch.setenv("UNITDB_RELEASE", str(tiny_copy))
    for bad in (tiny_copy / "unit_summary").rglob("*.parquet"):
        bad.write_bytes(bad.read_bytes()[:200])
    app = visit("units")
    assert "unit_summary" in app.error[-1].value


def test_without_a_name_the_reader_picks_from_the_catalogue(
    tiny_release: Path, monkeypatch: pytest.MonkeyPatch, visit
) -> None:
    monkeypatch.setenv("UNITDB_RELEASES", str(tiny_release.parent.parent))
    app = visit("overview", release="tiny@1.0.0")
    assert "tiny 1.0.0" in app.caption[0].value
    wrong = visit("overview", release="tinny@1.0.0")
    assert "`tinny@1.0.0`" in wrong.warning[0].value
    assert "`tiny@1.0.0`" in wrong.warning[0].value


def test_an_empty_catalogue_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visit
) -> None:
    monkeypatch.setenv("UNITDB_RELEASES", str(tmp_path))
    assert "UNITDB_RELEASES" in visit("overview").info[0].value


@pytest.fixture
def one_subject(tmp_path: Path) -> Path:
    """A release of one person: nobody agrees with anybody."""
    values = accuracies()
    staged = stage(tmp_path / "staged", values[values["dataset"] == "sim-b"])
    for table in ("datasets", "rois", "subjects", "stimuli", "test_sets", "builds", "inputs"):
        rows = small_tables()[table]
        kept = [row for row in rows if row.get("dataset", "sim-b") == "sim-b"]
        builds = {row["build"] for row in small_tables()["builds"] if row["dataset"] == "sim-b"}
        kept = [row for row in kept if row.get("build", next(iter(builds))) in builds]
        write_table(staged, table, arrow(table, kept))
    return publish_release(staged, tmp_path / "releases", info=INFO)


def test_pages_of_tables_without_rows_are_hidden(
    one_subject: Path, tiny_release: Path, monkeypatch: pytest.MonkeyPatch, visit
) -> None:
    hidden = {
        page.name for page in views.PAGES if not page.has_what_it_shows(open_release(one_subject))
    }
    of_optional = {
        page.name for page in views.PAGES if any(TABLES[name].optional for name in page.needs)
    }
    assert hidden == {"subjects", *of_optional}
    whole = open_release(tiny_release)
    shown = {page.name for page in views.PAGES if page.has_what_it_shows(whole)}
    assert shown == set(PAGES) - of_optional
    monkeypatch.setenv("UNITDB_RELEASE", str(one_subject))
    assert "two subjects" in texts(visit("layer"))
    assert "two subjects" in texts(visit("overview"))


def test_pages_of_tables_that_are_not_there_are_hidden(
    tiny_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Older(Release):
        @property
        def tables(self) -> list[str]:
            return [name for name in super().tables if "histogram" not in name]

    older = Older(tiny_copy)
    shown = [page.name for page in views.PAGES if page.has_what_it_shows(older)]
    assert "units" not in shown
    assert {"overview", "unit", "methods", "sql"} <= set(shown)


def test_html_in_what_a_release_says_is_text(
    tiny_copy: Path, monkeypatch: pytest.MonkeyPatch, visit
) -> None:
    manifest = tiny_copy / "datapackage.json"
    found = json.loads(manifest.read_text())
    evil = "<img src=x onerror=alert(1)> [a](javascript:alert(1))"
    found["title"] = found["description"] = evil
    manifest.write_text(json.dumps(found))
    monkeypatch.setenv("UNITDB_RELEASE", str(tiny_copy))
    app = visit("overview")
    caption = app.caption[0]
    assert not caption.allow_html
    assert r"\[a\]\(javascript\:alert\(1\)\)" in caption.value
    assert MODEL in app.dataframe[1].value["network"].tolist()


def test_a_table_that_a_page_needs_and_cannot_be_read_is_said_in_words(
    tiny_copy: Path, monkeypatch: pytest.MonkeyPatch, visit
) -> None:
    monkeypatch.setenv("UNITDB_RELEASE", str(tiny_copy))
    bad = tiny_copy / "intersubject.parquet"
    bad.write_bytes(bad.read_bytes()[:200])
    assert "intersubject.parquet" in visit("overview").error[-1].value
