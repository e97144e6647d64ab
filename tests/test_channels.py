"""Channels compared by means of few units each: those of one unit do not lead by chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from unitdb.release.channels import shrunken


def sampled(counts, truth, spread, seed=0, layer="conv") -> pd.DataFrame:
    """Mean and SD of some units of each channel."""
    rng = np.random.default_rng(seed)
    drawn = [rng.normal(m, spread, n) for m, n in zip(truth, counts, strict=True)]
    return pd.DataFrame({
        "layer": layer,
        "channel": range(len(counts)),
        "roi": "V1",
        "n_units": counts,
        "mean_r": [each.mean() for each in drawn],
        "sd_over_units": [each.std(ddof=1) if len(each) > 1 else np.nan for each in drawn],
    })  # fmt: skip


@pytest.mark.robust(
    "numbers",
    given="`unitdb score` of a network, of some layers of which one unit a channel is decoded",
    before='"most brain-like channels" were single units, the best of a thousand',
    now="means are drawn towards that of all channels, the more the fewer units they are of",
)
def test_channels_of_one_unit_do_not_lead_by_chance():
    counts = np.array([1] * 200 + [40] * 10)
    truth = np.r_[np.full(200, 0.1), np.full(10, 0.1)]
    truth[205] = 0.25
    rows = sampled(counts, truth, 0.1)
    assert rows["mean_r"].idxmax() < 200
    found = shrunken(rows, {"conv": 49})
    assert found["shrunk_r"].idxmax() == 205
    errors = [((found[name] - truth) ** 2).mean() for name in ("shrunk_r", "mean_r")]
    assert errors[0] < errors[1] / 2


def test_what_is_decoded_whole_stays():
    rows = sampled([9] * 6, np.linspace(0, 0.5, 6), 0.1)
    assert np.allclose(shrunken(rows, {"conv": 9})["shrunk_r"], rows["mean_r"])


def test_formula():
    rows = sampled([4, 2, 3], [0.1, 0.4, 0.6], 0.05)
    n, means, sd = (rows[name].to_numpy() for name in ("n_units", "mean_r", "sd_over_units"))
    within = (3 * sd[0] ** 2 + sd[1] ** 2 + 2 * sd[2] ** 2) / 6
    error = within / n * (1 - n / 16)
    w = 1 / error
    q = (w * (means - (w * means).sum() / w.sum()) ** 2).sum()
    between = (q - 2) / (w.sum() - (w**2).sum() / w.sum())
    assert between > 0
    w = 1 / (between + error)
    centre = (w * means).sum() / w.sum()
    expected = centre + (means - centre) * between / (between + error)
    assert np.allclose(shrunken(rows, {"conv": 16})["shrunk_r"], expected)


def test_units_and_layers_of_single_units_are_no_channels():
    rows = pd.concat([
        sampled([1] * 5, [0.1] * 5, 0.1, layer="fc"),
        sampled([1] * 5, [0.1] * 5, 0.1, layer="late"),
        sampled([2] * 5, [0.1] * 5, 0.1, layer="conv"),
    ], ignore_index=True)  # fmt: skip
    assert set(shrunken(rows, {"late": 49, "conv": 49})["layer"]) == {"conv"}
