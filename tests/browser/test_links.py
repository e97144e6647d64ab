"""The link of each page: it shows the same again, whatever the names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest

from tests.browser.conftest import texts
from unitdb.imports import DatasetInfo, LayerAccuracies, publish_accuracies
from unitdb.release import Release


def link(app) -> dict[str, list[str]]:
    """Parameters of the link that a page gives to copy."""
    (found,) = (code.value for code in app.code if code.value.startswith("/"))
    return parse_qs(found.partition("?")[2])


@pytest.fixture(scope="module")
def plus_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names with signs that a URL holds only if they are quoted."""
    rng = np.random.default_rng(0)
    layers = [
        LayerAccuracies(model=model, layer=layer, r=np.tanh(rng.normal(0.1, 0.2, (2, 3, 12))))
        for model, layer in (("net+v1", "L+1"), ("net+v1", "L.1"), ("other", "L.1"))
    ]
    rois = {"V1+V2": "early", "V4": "later"}
    dataset = DatasetInfo(name="mine", rois=rois, subjects=["S1", "S2", "S3"], n_test=50)
    root = tmp_path_factory.mktemp("plus")
    words = {"title": "Names", "licence": "CC0-1.0", "citation": "none"}
    return publish_accuracies(
        layers, dataset=dataset, releases=root, name="plus", version="1.0.0", **words
    )


@pytest.mark.robust(
    "datasets",
    given="regions, layers and networks with `+` in their names, such as `V1+V2`",
    before="links to copy from *Compare* and *Networks* asked for `V1 V2`, which is not there",
    now="all names in links are quoted",
)
@pytest.mark.parametrize(
    ("page", "given"),
    [
        ("compare", {"what": "layers", "a": "net+v1/L+1", "b": "net+v1/L.1", "roi": ["V1+V2"]}),
        ("networks", {"model": ["net+v1"], "roi": ["V1+V2"], "score": "decoding"}),
        ("layer", {"model": "net+v1", "layer": "L+1", "roi": "V1+V2", "a": "S2", "b": "S3"}),
        ("units", {"roi": ["V1+V2"], "view": "gallery", "minimum": "0.1"}),
        ("units", {"model": ["net+v1"], "size": "25"}),
        ("unit", {"unit": "net+v1/L+1/3", "roi": "V1+V2"}),
        ("subjects", {"model": "net+v1", "layer": "L+1", "roi": "V1+V2", "kind": "spearman_r"}),
    ],
)
def test_a_link_shows_the_same(
    page: str, given: dict, plus_release: Path, monkeypatch: pytest.MonkeyPatch, visit
) -> None:
    monkeypatch.setenv("UNITDB_RELEASE", str(plus_release))
    app = visit(page, **given)
    found = link(app)
    assert not app.warning
    wanted = {key: value if isinstance(value, list) else [value] for key, value in given.items()}
    assert wanted.items() <= found.items()
    again = visit(page, **found)
    assert not again.warning
    assert link(again) == found


def test_a_link_to_a_unit_of_a_large_layer_searches_it_again(
    shown: Release, monkeypatch: pytest.MonkeyPatch, visit
) -> None:
    monkeypatch.setattr("unitdb.browser.views.unit._SEARCHED", 1)
    assert link(visit("unit", unit="net/fc/3", alike="true"))["alike"] == ["true"]


def test_another_example_replaces_the_query_that_was_run(shown: Release, visit) -> None:
    app = visit("sql", sql="SELECT 1 AS one")
    assert app.text_area[0].value == "SELECT 1 AS one"
    app.selectbox(key="example").set_value("What is in a table").run()
    assert app.text_area[0].value == "DESCRIBE unit_summary"
    assert "sql" not in app.query_params
    assert "SELECT 1" not in texts(app)
