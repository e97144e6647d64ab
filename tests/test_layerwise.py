from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

import unitdb
from tests.rarely import rarely
from tests.tiny import accuracies, make_older
from tests.tiny_tables import summarise_units
from unitdb.errors import QueryError, UnknownLayerError, UnknownRoiError, UnknownSubjectError
from unitdb.publish import tables
from unitdb.release import Release
from unitdb.release.layerwise import scatter

CELL = {"dataset": "sim-a", "layer": "conv1", "roi": "V4"}


@pytest.fixture(scope="module")
def release(tiny_release: Path) -> Release:
    return unitdb.open(tiny_release)


def cell(**chosen: str) -> pd.DataFrame:
    accuracy = accuracies()
    for column, value in chosen.items():
        accuracy = accuracy[accuracy[column] == value]
    return accuracy


def test_unit(release: Release) -> None:
    found = release.unit("net/conv1/7")
    rows = cell(layer="conv1")
    rows = rows[rows["unit"] == 7]
    assert found.shape == (4, 3)
    for _, row in rows.iterrows():
        value = found.loc[(row["dataset"], row["condition"], row["roi"]), row["subject"]]
        np.testing.assert_array_equal(value, np.float32(row["r"]))
    assert np.isnan(found.loc[("sim-a", "perception", "V1"), "S2"])
    assert found.attrs["release"] == "tiny@1.0.0"
    for bad in ("net/conv1/18", "net/conv1/-1", "conv1/3", "net/conv1/1_0"):
        with pytest.raises(QueryError):
            release.unit(bad)
    with pytest.raises(UnknownLayerError, match="did you mean 'net/conv1'"):
        release.unit("net/conv/3")


def test_explainable_accuracies_of_a_unit(release: Release, tiny_copy: Path) -> None:
    found = release.explainable("net/conv1/7")
    rows = cell(layer="conv1", dataset="sim-a")
    rows = rows[rows["unit"] == 7].sort_values(["roi", "subject"]).reset_index()
    assert found["subject"].tolist() == rows["subject"].tolist() == ["S1", "S2", "S3"] * 2
    r, reliability = (rows[name].astype(float) for name in ("r", "reliability"))
    np.testing.assert_allclose(found["explainable_r"], r / np.sqrt(reliability), rtol=1e-6)
    above = [None if np.isnan(a) else abs(a) > b for a, b in zip(r, reliability**0.5, strict=True)]
    assert [None if pd.isna(flag) else flag for flag in found["above_ceiling"]] == above
    assert release.explainable("net/conv1/0")["explainable_r"].isna().all()  # reliability 0
    with pytest.raises(UnknownLayerError):
        release.explainable("net/conv/3")
    make_older(tiny_copy, "2.0")
    older = unitdb.open(tiny_copy)
    assert older.views == []
    assert older.explainable("net/conv1/7").columns.tolist() == found.columns.tolist()
    assert len(older.explainable("net/conv1/7")) == 0


@pytest.mark.parametrize("subjects", [None, ["S3", "S1"]])
def test_accuracies_of_a_layer(release: Release, subjects: list[str] | None) -> None:
    found = release.accuracies("net", "conv1", "V4", dataset="sim-a", subjects=subjects)
    expected = cell(**CELL).pivot_table(index="unit", columns="subject", values="r", dropna=False)
    expected = expected[subjects or ["S1", "S2", "S3"]]
    assert found.columns.tolist() == expected.columns.tolist()
    assert found.index.tolist() == expected.index.tolist()
    np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy(np.float32))
    assert found.attrs["simulated"] is True


@pytest.mark.parametrize("size", [rarely(1), rarely(4), 7, rarely(54), rarely(60)])
def test_row_groups_do_not_matter(tmp_path: Path, size: int) -> None:
    from tests.tiny import INFO, stage
    from unitdb.publish import publish_release

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "ROW_GROUP_SIZE", size)
        folder = publish_release(stage(tmp_path / "staged"), tmp_path / "releases", info=INFO)
    release = unitdb.open(folder)
    for roi in ("V1", "V4"):
        found = release.accuracies("net", "fc", roi, dataset="sim-a")
        rows = cell(dataset="sim-a", layer="fc", roi=roi)
        expected = rows.pivot_table(index="unit", columns="subject", values="r")
        np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy(np.float32))
    assert release.verify().rows["accuracy"] == len(accuracies())


def test_accuracies_are_asked_for_by_name(release: Release) -> None:
    with pytest.raises(QueryError, match="several values of dataset"):
        release.accuracies("net", "fc", "V1")
    with pytest.raises(UnknownRoiError, match="did you mean 'V1'"):
        release.accuracies("net", "fc", "v1", dataset="sim-a")
    with pytest.raises(UnknownSubjectError):
        release.accuracies("net", "fc", "V1", dataset="sim-a", subjects=["S9"])
    with pytest.raises(UnknownLayerError):
        release.accuracies("net", "fc7", "V1", dataset="sim-a")


def test_distribution(release: Release) -> None:
    found = release.distribution("net", dataset="sim-a", layer="conv*", per_subject=True)
    rows = found[(found["roi"] == "V4") & (found["subject"] == "S2")]
    values = cell(**CELL, subject="S2")["r"].dropna()
    expected = Counter(np.floor(values.astype(float) * 100) / 100)
    assert dict(zip(rows["lower"], rows["n_units"], strict=True)) == pytest.approx(expected)
    means = release.distribution("net", dataset="sim-a")
    summary = summarise_units(accuracies())
    kept = summary[(summary["dataset"] == "sim-a") & summary["mean_r"].notna()]
    assert means["n_units"].sum() == len(kept)
    assert set(means["layer"]) == {"conv1", "fc"}


def test_names_are_completed(release: Release) -> None:
    assert release._ipython_key_completions_() == ["net", "net/conv1", "net/fc"]
    assert len(release["net/fc"]) == len(release.units(layer="fc"))
    assert len(release["net"]) == len(release.units())


def test_similar_units_are_the_nearest_over_rois(release: Release) -> None:
    for unit in (0, 7, 13):
        found = release.similar(f"net/conv1/{unit}", 5, dataset="sim-a")
        wide = (
            release.units(dataset="sim-a", layer="conv1")
            .to_pandas()
            .astype({"mean_r": float})
            .pivot_table(index="unit", columns="roi", values="mean_r", observed=True)
        )
        distance = ((wide - wide.loc[unit]) ** 2).mean(axis=1, skipna=False) ** 0.5
        expected = distance.drop(unit).dropna().sort_values(kind="stable").head(5)
        assert found["unit_id"].tolist() == [f"net/conv1/{other}" for other in expected.index]
        assert np.allclose(found["distance"], expected)


def test_a_unit_without_accuracy_is_like_none(release: Release) -> None:
    assert release.similar("net/conv1/5", dataset="sim-a").empty


@pytest.mark.parametrize("n", [0, -1, True, 1.5])
def test_similar_takes_a_positive_number(release: Release, n) -> None:
    with pytest.raises(QueryError, match="positive number"):
        release.similar("net/conv1/0", n, dataset="sim-a")


def test_layers_are_in_the_order_of_depth(release: Release) -> None:
    assert [layer.name for layer in release.layers] == ["net/conv1", "net/fc"]


@given(
    r=arrays(
        np.float32,
        st.tuples(st.integers(0, 40), st.just(2)),
        elements=st.floats(-1, 1, width=32) | st.just(np.nan),
    ),
    bins=st.integers(1, 12),
)
def test_scatter_counts_each_pair_once(r: np.ndarray, bins: int) -> None:
    counts, edges = scatter(r[:, 0], r[:, 1], bins=bins)
    expected = np.zeros((bins, bins), int)
    whole = r[~np.isnan(r).any(axis=1)].astype(float)
    for pair in whole:
        place = [min(int((v - edges[0]) * (bins / (edges[-1] - edges[0]))), bins - 1) for v in pair]
        expected[tuple(place)] += 1
    np.testing.assert_array_equal(counts, expected)
    if len(whole):
        assert edges[0] == whole.min()


def test_scatter_is_a_histogram(release: Release) -> None:
    counts, edges = release.scatter("net", "conv1", "V4", "S1", "S3", dataset="sim-a", bins=9)
    r = release.accuracies("net", "conv1", "V4", dataset="sim-a", subjects=["S1", "S3"]).dropna()
    expected, _, _ = np.histogram2d(r["S1"], r["S3"], bins=[edges, edges])
    np.testing.assert_array_equal(counts, expected)
    for bins in (0, -1, 5000, 2.0):
        with pytest.raises(QueryError, match="is not a number from 1 to 4096"):
            release.scatter("net", "conv1", "V4", "S1", "S3", dataset="sim-a", bins=bins)
