"""The page and the section of identification: chance beside, and what is confused."""

from __future__ import annotations

from dataclasses import fields
from urllib.parse import parse_qsl

import pandas as pd
import pytest

from tests.pipeline.small import lay_out, run
from unitdb.browser import report
from unitdb.browser._identified import confused
from unitdb.matching import Summary
from unitdb.release import Identified, Release, in_order, layer_matrix, open_release

RECIPE = """
predictions: {units: all}
identification: {sets: {own: {kind: own}}, methods: [normalised]}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Release:
    recipe = lay_out(tmp_path_factory.mktemp("identified"))
    with recipe.open("a") as file:
        file.write(RECIPE)
    return open_release(run(recipe))


def test_the_page_shows_curves_numbers_and_what_is_confused(built, visit, monkeypatch):
    monkeypatch.setenv("UNITDB_RELEASE", str(built.path))
    asked = {"subject": "sub-02", "roi": "IT", "layer": "conv", "measure": "specific"}
    app = visit("identification", **asked, among="untrained")
    link = dict(parse_qsl(app.code[-1].value.partition("?")[2]))
    assert asked.items() <= link.items()
    assert link["among"] == "untrained"
    assert [one.value for one in app.subheader] == [
        "Layers and regions",
        "By number of candidates",
        "What is confused",
    ]
    numbers, targets = (one.value for one in app.dataframe)
    assert list(numbers["layer"]) == ["conv", "scores", "*concatenated", "*fisher"]
    stated = built.sql(
        "SELECT rate FROM identification_summary WHERE subject = 'sub-02' AND roi = 'IT' AND "
        "layer = 'conv'"
    )["rate"].item()
    assert targets["rate"].mean() == pytest.approx(stated)
    assert len(targets) == 8


def test_the_page_of_a_name_that_is_not_there_says_so(built, visit, monkeypatch):
    monkeypatch.setenv("UNITDB_RELEASE", str(built.path))
    app = visit("identification", roi="V9")
    assert any("V9" in one.value for one in (*app.warning, *app.error, *app.info))


def test_the_report_has_a_section(built):
    page = report.html(built)
    assert "<h2>Identification</h2>" in page
    assert "among 8 candidates; exchange chance" in page


def test_targets_are_ordered_by_rate():
    rows = pd.DataFrame(
        {
            "target": ["a", "b", "c"],
            "n_false": [4, 4, 0],
            "n_below": [4, 1, 0],
            "n_equal": [0, 1, 0],
            "target_r": [0.5, 0.1, 0.0],
            "best": ["a", "d", "a"],
            "best_r": [0.5, 0.3, 0.1],
            "chance_exchange": [0.5, 0.75, None],
        }
    )
    found = confused(rows)
    assert found["target"].tolist() == ["b", "a"]
    assert found["rate"].tolist() == [0.375, 1.0]
    assert found["chance_exchange"].tolist() == [0.75, 0.5]


def test_layers_are_in_order_and_those_together_last():
    layers = pd.DataFrame({"model": ["m", "m", "n"], "layer": ["z", "a", "b"], "depth": [0, 1, 0]})
    assert in_order(layers, "m", ["a", "*fisher", "z", "*concatenated"]) == [
        "z",
        "a",
        "*concatenated",
        "*fisher",
    ]
    rows = pd.DataFrame({"layer": ["a", "a"], "roi": ["V1", "V1"], "rate": [0.5, 0.7]})
    wide = layer_matrix(rows, "rate", ["z", "a"], ["V1", "IT"])
    assert wide.loc["a", "V1"] == pytest.approx(0.6)
    assert wide.isna().sum().sum() == 3


def test_counts_are_said_without_exponents() -> None:
    numbers = dict.fromkeys([one.name for one in fields(Summary)], 0.12345)
    numbers |= {"n": 12_000, "n_candidates": 50_000, "median_rank": 12_345.5, "p": 2e-05}
    lines = str(Identified(rows=pd.DataFrame(), summary=Summary(**numbers))).splitlines()
    said = dict(line.split() for line in lines)
    assert (said["n"], said["n_candidates"], said["rate"]) == ("12000", "50000", "0.1235")
    assert (said["median_rank"], said["p"]) == ("12346", "2e-05")
