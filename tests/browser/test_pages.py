from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("streamlit", reason="needs unitdb[app]")

from streamlit.testing.v1 import AppTest

import unitdb.browser
from unitdb.release import open_release

TIMEOUT = 30


def overview() -> None:
    from unitdb.browser import _app, _pages

    _app.framed(_pages.overview)


def find_units() -> None:
    from unitdb.browser import _app, _pages

    _app.framed(_pages.find_units)


@pytest.fixture
def shown(tiny_release: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNITDB_RELEASE", str(tiny_release))
    return tiny_release


def ran(page: object) -> AppTest:
    return AppTest.from_function(page, default_timeout=TIMEOUT).run()


def test_the_script_shows_the_overview(shown: Path) -> None:
    script = Path(unitdb.browser.__file__).with_name("_script.py")
    app = AppTest.from_file(str(script), default_timeout=TIMEOUT).run()
    assert not app.exception
    assert app.title[0].value == open_release(shown).title


def test_a_simulated_release_has_a_banner(shown: Path) -> None:
    for page in (overview, find_units):
        app = ran(page)
        assert not app.exception
        assert "**SIMULATED**" in app.error[0].value


def test_the_overview_cites_and_draws(shown: Path) -> None:
    app = ran(overview)
    assert open_release(shown).citation in [code.value for code in app.code]
    assert [s.value for s in app.subheader][-2:] == ["Decoding accuracy", "Agreement of subjects"]
    assert len(app.get("vega_lite_chart")) == 2


def test_one_subject_agrees_with_nobody(shown: Path) -> None:
    app = ran(overview)
    app.selectbox(key="overview-dataset").select("sim-b").run()
    assert not app.exception
    assert len(app.get("vega_lite_chart")) == 1
    assert "two subjects" in app.info[0].value


def test_filters_give_the_units_of_the_query(shown: Path) -> None:
    app = ran(find_units)
    app.multiselect(key="roi").select("V4")
    app.multiselect(key="dataset").select("sim-a")
    app.number_input(key="minimum").set_value(0.2)
    app.number_input(key="rows").set_value(5).run()
    assert not app.exception
    frame = app.dataframe[0].value
    release = open_release(shown)
    expected = release.sql(
        "SELECT model || '/' || layer || '/' || unit AS unit_id FROM unit_summary "
        "WHERE roi = 'V4' AND dataset = 'sim-a' AND mean_r >= 0.2 ORDER BY mean_r DESC LIMIT 5"
    )
    assert list(frame["unit_id"]) == list(expected["unit_id"])
    assert "roi=['V4']" in app.code[0].value


def test_the_code_shown_gives_the_table_shown(shown: Path) -> None:
    app = ran(find_units)
    app.selectbox(key="accuracy").select_index(1)
    app.multiselect(key="layer").select("fc").run()
    scope: dict[str, object] = {}
    code = app.code[0].value.replace("tiny@1.0.0", str(shown))
    code = code.replace("units.to_pandas()", "frame = units.to_pandas()")
    code = code.replace("import unitdb\nfrom unitdb import col", "")
    exec(  # noqa: S102
        "from unitdb.query import col\nimport unitdb.release as unitdb\n"
        + code.replace("unitdb.open(", "unitdb.open_release("),
        scope,
    )
    frame = scope["frame"]
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["unit_id"]) == list(app.dataframe[0].value["unit_id"])


def test_no_unit_is_said_in_words(shown: Path) -> None:
    app = ran(find_units)
    app.number_input(key="minimum").set_value(1.0).run()
    assert not app.exception
    assert "No unit is that accurate" in app.info[0].value
    assert not app.dataframe


def test_the_download_carries_its_origin(shown: Path) -> None:
    from unitdb.browser import _pages

    csv = _pages.as_csv(open_release(shown).units().top(3))
    assert csv.startswith(b"# release: tiny@1.0.0\n# simulated: true\n")
    assert len(pd.read_csv(io.BytesIO(csv), comment="#")) == 3


@pytest.mark.parametrize("reference", ["./nowhere", "nosuch@9.9.9"])
def test_a_missing_release_is_said_in_words(
    reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNITDB_RELEASE", reference)
    monkeypatch.setenv("UNITDB_RELEASES", str(tmp_path))
    app = ran(overview)
    assert not app.exception
    assert "cannot be shown" in app.error[0].value


def test_a_damaged_release_is_said_in_words(
    tiny_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNITDB_RELEASE", str(tiny_copy))
    bad = tiny_copy / "layer_summary.parquet"
    bad.write_bytes(bad.read_bytes()[:200])
    app = ran(overview)
    assert not app.exception
    assert "layer_summary.parquet" in app.error[-1].value


def test_without_a_name_the_reader_picks_from_the_catalogue(
    tiny_release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNITDB_RELEASE", raising=False)
    monkeypatch.setenv("UNITDB_RELEASES", str(tiny_release.parent.parent))
    app = ran(overview)
    assert not app.exception
    assert app.sidebar.selectbox(key="release").options == ["tiny@1.0.0"]
    assert app.title[0].value == open_release(tiny_release).title


def test_an_empty_catalogue_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNITDB_RELEASE", raising=False)
    monkeypatch.setenv("UNITDB_RELEASES", str(tmp_path))
    app = ran(overview)
    assert not app.exception
    assert "UNITDB_RELEASES" in app.info[0].value
