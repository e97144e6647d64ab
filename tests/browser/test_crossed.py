"""A release whose datasets share no test set and no network: what goes together, on every page."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest
import streamlit as st

from tests.browser.conftest import asked, texts
from unitdb.browser import _state, views
from unitdb.errors import QueryError
from unitdb.release import Release


@pytest.mark.parametrize("page", [page.name for page in views.PAGES])
@pytest.mark.parametrize("dataset", ["sim-a", "sim-b"])
def test_every_page_shows_what_goes_together(page: str, dataset: str, crossed, visit) -> None:
    unit = f"{'net' if dataset == 'sim-a' else 'other'}/conv1/7"
    app = visit(page, dataset=dataset, **({"unit": unit} if page == "unit" else {}))
    said = texts(app)
    assert not app.warning
    assert len(app.error) == 1  # the banner: simulated
    for wrong in ("not decoded from the chosen", "nothing that both have"):
        assert wrong not in said
    assert dataset == "sim-b" or "it takes two subjects" not in said.lower()  # sim-b is of one


@pytest.mark.robust(
    "datasets",
    given="a release of two datasets, each with a test set and a network of its own",
    before="the page of a layer ended in an IndexError, others said that there are no numbers",
    now="dataset, condition and network are chosen in turn, each among what those before it have",
)
def test_a_layer_is_of_a_dataset_that_has_it(crossed: Release, visit) -> None:
    app = visit("layer")
    assert {one.label: one.value for one in app.selectbox}["Dataset"] == "sim-a"
    assert "`net/conv1`: shape 2 × 3 × 3" in texts(app)


def test_the_page_of_a_unit_begins_with_a_dataset_that_has_it(crossed: Release, visit) -> None:
    app = visit("unit", unit="other/conv1/7")
    assert "From `" in texts(app)
    assert not app.warning
    wrong = visit("unit", unit="other/conv1/7", dataset="sim-a")
    assert "`sim-a` cannot be chosen here; the nearest: `sim-b`" in wrong.warning[0].value


@pytest.mark.parametrize(
    ("page", "of_a"),
    [
        ("layer", {"layer": "fc", "roi": "V4", "a": "S2", "b": "S3"}),
        ("networks", {"roi": ["V1", "V4"], "model": ["net"]}),
        ("subjects", {"layer": "fc", "roi": "V4"}),
        ("compare", {"what": "layers", "a": "net/conv1", "b": "net/fc", "roi": "V4"}),
        ("units", {"people": "3"}),
    ],
)
def test_another_dataset_leaves_what_it_has_and_nothing_warns(
    page: str, of_a: dict, crossed: Release, visit
) -> None:
    app = visit(page, dataset="sim-a", **of_a)
    assert not app.warning
    if page == "units":
        app.multiselect(key="dataset").set_value(["sim-b"]).run()
    else:
        app.selectbox(key="dataset").set_value("sim-b").run()
    assert not app.exception
    assert not app.warning, app.warning[0].value
    left = asked(app)
    assert left.pop("dataset") == "sim-b"
    assert (
        left
        == {
            "layer": {"layer": "fc"},
            "networks": {"roi": "V1"},
            "subjects": {"layer": "fc"},
            "compare": {"what": "layers"},
            "units": {},
        }[page]
    )


def test_of_what_there_is_one_alone_no_two_are_compared(crossed: Release, visit) -> None:
    app = visit("compare", what="networks")
    assert "There are no two networks here" in texts(app)
    assert "There are no two conditions here" in texts(visit("compare", what="conditions"))


def test_another_across_leaves_those_above_it(shown: Release, visit) -> None:
    app = visit("layer", dataset="sim-a", layer="fc", a="S1", b="S2")
    app.selectbox(key="a").set_value("S2").run()
    assert not app.warning
    assert "`S2` and `S3`" in texts(app)
    assert asked(app) == {"dataset": "sim-a", "layer": "fc", "a": "S2"}


def test_without_anything_to_choose_from_it_says_so(shown: Release) -> None:
    with pytest.raises(QueryError, match="Layer: this release has none here; choose another"):
        _state.one_of(st, "Layer", "layer", [])


def links(app) -> dict[str, dict[str, list[str]]]:
    """Parameters of the links of a page, by their labels."""
    return {
        one.proto.label: parse_qs(one.proto.query_string)
        for one in app.get("page_link")
        if one.proto.label
    }


@pytest.mark.robust(
    "datasets",
    given="a link on a page of a release's second dataset: to the layer, the next unit, and others",
    before="it led to the first dataset, and said nothing of that",
    now="links keep dataset and condition",
)
@pytest.mark.parametrize(
    ("page", "given", "labels"),
    [
        ("unit", {"unit": "net/conv1/4"}, ("All of conv1", "Open net/", "Kept of its channel")),
        ("unit", {"unit": "net/conv9/4"}, ("Layer net/conv1",)),
        ("compare", {"what": "units"}, ("Compare net/",)),
        ("overview", {}, ("Find brain-like", "Look at a layer", "Compare networks", "V1")),
    ],
)
def test_links_keep_the_dataset(
    page: str, given: dict, labels: tuple[str, ...], shown: Release, visit
) -> None:
    found = links(visit(page, dataset="sim-b", condition="perception", **given))
    for label in labels:
        asked = [of for name, of in found.items() if name.startswith(label)]
        assert asked
        for of in asked:
            assert (of["dataset"], of["condition"]) == (["sim-b"], ["perception"])


def test_an_example_is_of_the_dataset_that_it_is_the_best_of(shown: Release, visit) -> None:
    (best,) = shown.units().top(1).to_pandas().astype(str).to_dict("records")
    of = links(visit("unit"))[f"Show {best['unit_id']}"]
    assert {key: of[key] for key in ("dataset", "roi")} == {
        key: [best[key]] for key in ("dataset", "roi")
    }


def test_what_is_searched_for_is_shown_of_the_same_dataset(shown: Release, visit) -> None:
    app = visit("overview", dataset="sim-b")
    app.sidebar.text_input[0].set_value("conv1").run()
    assert links(app)["Layer net/conv1"]["dataset"] == ["sim-b"]
