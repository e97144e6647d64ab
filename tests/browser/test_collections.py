from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from tests.browser.conftest import texts
from unitdb.browser import _collection
from unitdb.browser._collection import MOST, parsed, written
from unitdb.browser.views.collections import combined
from unitdb.errors import QueryError
from unitdb.release import Release

NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,6}", fullmatch=True)
UNIT = st.builds("{}/{}/{}".format, NAME, NAME, st.integers(0, 10**6))
UNITS = st.lists(UNIT, unique=True, max_size=20)


@given(units=UNITS)
def test_a_collection_survives_link_and_file(units: list[str]) -> None:
    assert sorted(parsed(written(units))) == sorted(units)
    assert parsed("# tiny@1.0.0\n" + "\n".join(units)) == units


@given(mine=UNITS, others=UNITS)
def test_operations_are_those_of_sets(mine: list[str], others: list[str]) -> None:
    for operation, expected in (
        ("add", set(mine) | set(others)),
        ("keep", set(mine) & set(others)),
        ("drop", set(mine) - set(others)),
        ("replace", set(others)),
    ):
        found = combined(mine, others, operation)
        assert set(found) == expected
        assert len(found) == len(expected)


@pytest.mark.parametrize(
    "text", ["x", "a/b", "a/b/", "a/b/-1", "a/b/1,x", "a/b/1e3", "/1", "'; --"]
)
def test_what_is_no_unit_is_refused(text: str) -> None:
    with pytest.raises(QueryError):
        parsed(text)


def test_a_collection_is_bounded() -> None:
    with pytest.raises(QueryError, match="no more"):
        parsed("\n".join(f"a/b/{n}" for n in range(MOST + 1)))


def test_a_link_gives_the_units(shown: Release, visit) -> None:
    app = visit("collections", units="net/conv1/1,2;net/fc/3")
    names = ["net/conv1/1", "net/conv1/2", "net/fc/3"]
    assert "3 units" in app.subheader[0].value
    expected = shown.units().among(names).to_pandas()
    assert set(app.dataframe[0].value["unit_id"]) == set(names)
    assert len(app.dataframe[0].value) == len(expected)
    (torch,) = [code.value for code in app.code if "masks()" in code.value]
    compile(torch, "shown", "exec")


@pytest.mark.parametrize("units", ["net/conv9/1", "net/conv1/999", "rubbish"])
def test_units_that_are_not_there_are_said(units: str, shown: Release, visit) -> None:
    app = visit("collections", units=units)
    assert "cannot be shown" in app.warning[0].value
    assert "empty" in texts(app)


def test_units_are_combined(shown: Release, visit) -> None:
    app = visit("collections", units="net/conv1/1,2;net/fc/3")
    app.text_area(key="other units").set_value("net/fc/3\nnet/fc/4")
    app.radio[0].set_value("keep")
    next(button for button in app.button if button.label == "Do it").click().run()
    assert app.session_state["unitdb collection"] == ("net/fc/3",)
    app.text_area(key="other units").set_value("net/nowhere/4")
    next(button for button in app.button if button.label == "Do it").click().run()
    assert "Nothing was changed" in texts(app)
    assert app.session_state["unitdb collection"] == ("net/fc/3",)
    next(b for b in app.button if b.label == "Empty the collection").click().run()
    assert "The collection is empty" in texts(app)


def test_a_collection_keeps_its_regions(shown: Release, visit) -> None:
    """From where units are found to the table, the files, the link and the code."""
    app = visit("units", dataset="sim-a", roi="V4")
    next(one for one in app.button if one.label.startswith("Add")).click().run()
    (unit,) = app.session_state["unitdb collection"]
    assert app.session_state["unitdb collection regions"] == ("V4",)
    menu = [one.proto for one in app.get("page_link") if "units=" in one.proto.query_string]
    assert any("roi=V4" in one.query_string for one in menu)
    app = visit("collections", units=f"{unit};net/fc/3", roi="V4")
    assert set(app.dataframe[0].value["roi"]) == {"V4"}
    code = [one.value for one in app.code]
    assert any(one.endswith("&roi=V4") for one in code)
    assert sum("roi='V4'" in one for one in code) == 2
    assert any("nn.SelectedActivations(model, units)" in one for one in code)
    app.multiselect(key="roi").unselect("V4").run()
    assert set(app.dataframe[0].value["roi"]) == {"V1", "V4"}
    assert "roi" not in app.query_params


def test_a_file_brings_its_regions_back(shown: Release, visit) -> None:
    text = _collection.file_text("tiny@1.0.0", ["net/fc/3"], ["V4"])
    assert text == "# tiny@1.0.0\n# roi: V4\nnet/fc/3\n"
    assert parsed(text) == ["net/fc/3"]
    assert _collection.parsed_regions(text) == ["V4"]
    app = visit("collections")
    app.text_area(key="other units").set_value(text)
    next(button for button in app.button if button.label == "Do it").click().run()
    assert app.query_params["roi"] in ("V4", ["V4"])
    assert set(app.dataframe[0].value["roi"]) == {"V4"}
    app.text_area(key="other units").set_value("net/fc/4")
    next(button for button in app.button if button.label == "Do it").click().run()
    assert set(app.dataframe[0].value["roi"]) == {"V1", "V4"}  # of some and of all: all
