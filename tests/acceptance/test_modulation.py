"""SIMULATED brains that view real photographs, blurred: the stated bias, and what is planted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import unitdb

PUBLISHED_CONTROL = {  # of a brain that is only fed forward, noise 1.5 SD; at 6, 12 and 25 % blur
    "stem": (-0.005, -0.004, -0.006),
    "block3": (-0.038, -0.056, -0.119),
    "block6": (-0.047, -0.080, -0.127),
    "block9": (-0.010, -0.037, -0.065),
    "block12": (0.016, 0.000, -0.034),
    "block14": (0.021, 0.022, -0.012),
    "fc": (-0.027, -0.045, -0.055),
}
LEVELS = (6, 12, 25)
OF_NULL = [("encode-decode", 0.025, 0.1)]


@pytest.fixture(scope="module")
def summary():
    """Table of the release that docs/blurred.py makes in ten minutes; it is not made here."""
    if "UNITDB_BLURRED" not in os.environ:
        pytest.skip("no simulated brains: run docs/blurred.py, set UNITDB_BLURRED to its release")
    release = Path(os.environ["UNITDB_BLURRED"])
    found = unitdb.open(release).table("modulation_summary")
    found = found[(found["level"] > 0) & (found["method"] == "abdelhack2018")]
    return found.astype({"control": str, "roi": str, "layer": str})


@pytest.mark.whole
@pytest.mark.parametrize(("control", "mean", "worst"), [("noise", 0.01, 0.03), *OF_NULL])
def test_a_brain_that_is_only_fed_forward_has_the_stated_bias(summary, control, mean, worst):
    """Gains scatter over brains, those against the encode-decode null three times as much."""
    rows = summary[(summary["roi"] == "forward") & (summary["control"] == control)]
    assert len(rows) == 7 * 3
    assert rows["excess"].notna().all()  # controls are as good as decoding; simulated brains too
    excess = rows["excess"].abs()
    assert excess.mean() < mean
    assert excess.max() < worst, rows.loc[excess.idxmax()]


@pytest.mark.whole
@pytest.mark.parametrize("control", ["noise", "encode-decode"])
@pytest.mark.parametrize("layer", ["block12", "block14", "fc"])
def test_sharpening_of_a_third_is_found_in_late_layers(summary, layer, control):
    rows = summary[(summary["roi"] == "sharpened") & (summary["layer"] == layer)]
    rows = rows[rows["control"] == control]
    assert (rows["excess"] > 0.02).all(), rows
    assert (rows["sign_p"] <= 1 / 32).all()
    assert (rows["p"] <= 1 / 32).all(), rows[["level", "excess", "p"]]


@pytest.mark.whole
def test_the_published_control_is_biased_as_others_have_measured(summary):
    """Other photographs and units: in sign where that is clear, and within .07."""
    rows = summary[(summary["roi"] == "forward") & (summary["control"] == "noise")]
    found = rows.set_index(["layer", "level"])["gain"]
    for layer, expected in PUBLISHED_CONTROL.items():
        for level, gain in zip(LEVELS, expected, strict=True):
            assert found[layer, level] == pytest.approx(gain, abs=0.07), (layer, level)
            if abs(gain) > 0.06:
                assert found[layer, level] * gain > 0
