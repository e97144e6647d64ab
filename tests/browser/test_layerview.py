from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from unitdb.browser import _layerview
from unitdb.browser._layernumbers import absent, by_person
from unitdb.browser._layerview import BINS, channel_map, layer_view
from unitdb.query.layers import Layer
from unitdb.release import Release, open_release, relative_depth, spaced
from unitdb.release.channels import shrunken

ROWS = ("sim-a", "perception")


@pytest.mark.parametrize("layer", ["conv1", "fc"])
@pytest.mark.parametrize("roi", ["V1", "V4"])
def test_a_layer_is_reduced_to_what_pandas_gives(tiny_release: Path, layer: str, roi: str) -> None:
    release = open_release(tiny_release)
    view = layer_view(release, "net", layer, roi, dataset="sim-a", condition="perception")
    r = release.accuracies("net", layer, roi, dataset="sim-a").astype(float)
    mean = r.mean(axis=1)
    plane = 9 if layer == "conv1" else 1
    channels = mean.groupby(r.index // plane).agg(["mean", "count"])
    found = view.channels.set_index("channel").sort_index()
    assert np.allclose(found["mean_r"], channels["mean"])
    assert found["n_units"].tolist() == channels["count"].tolist()
    assert view.channels["mean_r"].is_monotonic_decreasing or layer == "conv1"
    assert view.channels["shrunk_r"].is_monotonic_decreasing
    if layer == "conv1":
        places = mean.groupby([r.index % 9 // 3, r.index % 3]).mean().dropna()
        assert np.allclose(view.places.set_index(["row", "column"])["mean_r"], places)
    else:
        assert view.places.empty
    for (a, b), counts in view.density.items():
        both = r[[a, b]].dropna()
        clipped = both.clip(view.edges[0], view.edges[-1])
        expected, _, _ = np.histogram2d(clipped[a], clipped[b], bins=[view.edges, view.edges])
        assert counts.sum() == len(both)
        # A value on an edge may fall to either side; along each axis no more than that moves.
        for axis in (0, 1):
            moved = np.cumsum(counts.sum(axis=axis)) - np.cumsum(expected.sum(axis=axis))
            assert np.abs(moved).max() <= 1


def test_channels_of_lone_units_do_not_lead() -> None:
    rng = np.random.default_rng(0)
    counts = [1] * 200 + [40] * 10
    units = np.concatenate([c * 49 + np.arange(n) for c, n in enumerate(counts)])
    means = rng.normal(0.1, 0.1, len(units)) + 0.15 * (units // 49 == 205)
    means[0] = np.nan
    layer = Layer(model="net", layer="conv", depth=0, kind="", shape=(210, 7, 7), axes="CHW")
    found = _layerview._channels(units, means, layer)
    frame = pd.DataFrame({"channel": units // 49, "r": means}).dropna().groupby("channel")["r"]
    expected = frame.agg(["size", "mean", "std"]).reset_index()
    expected.columns = ["channel", "n_units", "mean_r", "sd_over_units"]
    expected = shrunken(expected.assign(layer="conv", roi="V1"), {"conv": 49})
    together = found.merge(expected, on="channel", suffixes=("", "_2"))
    assert len(together) == len(found) == 209
    assert np.allclose(together["shrunk_r"], together["shrunk_r_2"])
    assert found["channel"].iloc[0] == 205
    assert found["mean_r"].idxmax() < 200
    lone = _layerview._channels(units[:200], means[:200], layer)
    assert lone["shrunk_r"].isna().all()
    assert lone["mean_r"].is_monotonic_decreasing
    unknown = Layer(model="net", layer="conv", depth=0, kind="", shape=(210, 7, 7))
    assert _layerview._channels(units, means, unknown).empty


@settings(max_examples=60)
@given(
    values=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 40), st.integers(1, 4)),
        elements=st.floats(-1, 1, width=32) | st.just(float("nan")),
    )
)
def test_means_and_bins_of_any_numbers(values: np.ndarray) -> None:
    columns = list(values.T)
    means = _layerview._means(columns)
    expected = pd.DataFrame(values.astype(float)).mean(axis=1)
    assert np.allclose(means, expected, equal_nan=True, atol=1e-12)
    edges = _layerview._edges(columns)
    assert len(edges) == BINS + 1
    assert np.all(np.diff(edges) > 0)
    bins = [_layerview._bins(column, edges) for column in columns]
    counts = _layerview._density(bins[0], bins[-1])
    assert counts.sum() == (np.isfinite(columns[0]) & np.isfinite(columns[-1])).sum()


def test_places_of_a_channel() -> None:
    units = pd.DataFrame({"unit": [12, 13, 23], "mean_r": [0.1, 0.2, 0.3]})
    layer = Layer(model="m", layer="l", depth=0, kind="Conv2d", shape=(2, 3, 4), axes="CHW")
    found = channel_map(units, layer)
    assert found[["row", "column"]].to_numpy().tolist() == [[0, 0], [0, 1], [2, 3]]


def test_depth_is_relative_to_the_layers_decoded() -> None:
    layers = pd.DataFrame(
        {"model": ["a"] * 3 + ["b"], "layer": ["x", "y", "z", "x"], "depth": [0, 4, 9, 2]}
    )
    summary = layers[["model", "layer"]].assign(roi="V1", subject="S", mean_r=[0.1, 0.2, 0.3, 0.4])
    found = relative_depth(pd.concat([summary, summary.assign(mean_r=0.0)]), layers)
    assert found["depth"].tolist() == [0.0, 0.5, 1.0, 0.0]
    assert np.allclose(found["r"], [0.05, 0.1, 0.15, 0.2])


def test_a_few_regions_from_early_to_late() -> None:
    assert spaced(list("ab")) == ["a", "b"]
    assert spaced(list("abcdefghi")) == ["a", "d", "f", "i"]


def test_numbers_of_a_layer_are_the_release_s(shown: Release, visit) -> None:
    """Each column of the table that has a value is on the page; of the others it says why not."""
    frames = {tuple(one.value.columns): one.value for one in visit("layer", layer="fc").dataframe}
    (rows,) = [frame for names, frame in frames.items() if "n_significant" in names]
    table = shown.table("layer_summary").astype({"layer": str, "dataset": str, "roi": str})
    table = table[(table["layer"] == "fc") & (table["dataset"] == "sim-a")]
    assert len(rows) == len(table)
    for name in ("mean_low", "mean_high", "n_significant", "pattern_r", "identification"):
        if table[name].notna().any():
            assert sorted(rows[name].dropna()) == sorted(table[name].dropna())
    assert list(rows["roi"]) == sorted(rows["roi"])
    reliability = shown.table("layer_reliability")
    assert any("reliability_low" in names for names in frames) == bool(len(reliability))
    assert any("kind" in names for names in frames) == bool(len(shown.table("best_roi")))
    assert any("n_voxels" in names for names in frames) == bool(len(shown.table("encoding")))


def test_what_is_absent_is_said() -> None:
    rows = pd.DataFrame({"roi": ["V1"], "mean_r": [0.1], "n_significant": [np.nan]})
    assert by_person(rows).columns.tolist() == ["roi", "mean_r"]
    words = " ".join(absent(rows))
    assert "no p or q" in words
    assert "no controls" in words
    assert absent(rows.assign(n_significant=1, chance_r=0, pattern_r=0, mean_reliability=0)) == []
