"""Fifteen real people: photographs identified among 1,092, as an independent computation found."""

from __future__ import annotations

import subprocess
import sys

import pytest

import unitdb
from tests.acceptance.conftest import ROOT, succeed
from tests.acceptance.test_algonauts92 import _parted

# Own 92 normalised and raw, among 1,092, exchange chance there, top-1 of ten (own, from 1,092),
# mean of all people's predictions (own, among 1,092); of another program on the same data.
INDEPENDENT = {
    ("EVC", "block6"): (0.668, 0.613, 0.725, 0.490, 0.116, 0.476, 0.765, 0.842),
    ("EVC", "block14"): (0.626, 0.602, 0.698, 0.498, 0.098, 0.372, 0.711, 0.834),
    ("IT", "block6"): (0.661, 0.614, 0.699, 0.482, 0.146, 0.459, 0.731, 0.777),
    ("IT", "block14"): (0.751, 0.714, 0.833, 0.480, 0.217, 0.576, 0.847, 0.952),
}


@pytest.fixture(scope="module")
def release(realdata, tmp_path_factory):
    """Built by the shipped recipe."""
    folder = tmp_path_factory.mktemp("identification")
    recipe = ROOT / "pipelines" / "algonauts92-identification.yaml"
    succeed("--releases", folder, "build", recipe, "--data", realdata)
    return unitdb.open("algonauts92-identification", releases=folder)


@pytest.mark.whole
def test_it_is_what_an_independent_computation_found(release):
    summary = release.table("identification_summary").astype({"subject": str})
    curve = release.sql("SELECT * FROM identification_curve WHERE n = 10 AND among = 'all'")

    def mean(table, column, roi, layer, name, method="normalised", people=False):
        rows = table[(table["roi"] == roi) & (table["layer"] == layer) & (table["set"] == name)]
        rows = rows[(rows["method"] == method) & ((rows["subject"] == "*") == people)]
        assert len(rows) == (1 if people else 15)
        return rows[column].mean()

    for place, expected in INDEPENDENT.items():
        found = (
            mean(summary, "rate", *place, "own"),
            mean(summary, "rate", *place, "own", "horikawa2017"),
            mean(summary, "rate", *place, "outside"),
            mean(summary, "chance_exchange", *place, "outside"),
            mean(curve, "rate", *place, "own"),
            mean(curve, "rate", *place, "outside"),
            mean(summary, "rate", *place, "own", people=True),
            mean(summary, "rate", *place, "outside", people=True),
        )
        assert found == pytest.approx(expected, abs=0.02), place
        assert 0.475 < found[3] < 0.505
        # Raw patterns: near 1 whatever was seen, and exchange says so (.91 to .95).
        assert mean(summary, "rate", *place, "outside", "horikawa2017") > 0.94
        assert mean(summary, "chance_exchange", *place, "outside", "horikawa2017") > 0.9
    # Predictions are mixtures of pictures that trained, which beat the truth as candidates.
    whole = release.sql(
        "SELECT avg(rate) AS rate FROM identification_curve WHERE set = 'own' AND n = 92 AND "
        "among = 'all' AND method = 'normalised' AND subject <> '*'"
    )
    assert whole["rate"].item() < 1 / 92


@pytest.mark.whole
def test_the_section_of_results_is_what_is_found(release):
    folder = str(release.path)
    command = [sys.executable, ROOT / "docs" / "results.py", "identification", folder]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    whole = (ROOT / "docs" / "results.md").read_text()
    text, numbers = _parted(printed)
    heading = "## Identification among"
    section = heading + whole.partition(heading)[2].partition("\n## ")[0]
    page, stated = _parted(section)
    assert text == page
    assert numbers == pytest.approx(stated, abs=3e-3, rel=5e-3)
