"""Selections of the tiny release against plain pandas."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

import unitdb
from tests.query.rows import keys, place
from tests.tiny import ROIS, SHAPES, SUBJECTS, accuracies
from tests.tiny_tables import summarise_units
from unitdb import UnitSet, col
from unitdb.errors import (
    QueryError,
    UnknownColumnError,
    UnknownLayerError,
    UnknownNameError,
    UnknownSubjectError,
)
from unitdb.query.relation import KEY
from unitdb.release import Release

# --- which layers ---------------------------------------------------------------------------------


def test_layers_by_pattern_kind_and_depth(release: Release) -> None:
    def layers(**chosen: object) -> set[str]:
        return set(release.units(**chosen).to_pandas()["layer"])

    assert layers(layer="c*") == {"conv1"}
    assert layers(layer=["f?", "conv1"]) == {"conv1", "fc"}
    assert layers(depth=1) == layers(depth=(1, 7)) == {"fc"}
    assert layers(kind="ReLU", depth=(0, 1)) == {"conv1", "fc"}
    with pytest.raises(UnknownLayerError, match=r"'x\*'"):
        release.units(layer="x*")
    with pytest.raises(UnknownNameError, match="did you mean 'ReLU'"):
        release.units(kind="Relu6")
    with pytest.raises(QueryError, match="depths go from 0 to 1"):
        release.units(depth=2)
    for depth in (-1, (1, 0), "0", (0, 1, 2), 1.0, True):
        with pytest.raises(QueryError, match="is not a number from 0"):
            release.units(depth=depth)


def test_values(release: Release) -> None:
    assert release.values("layer") == ["conv1", "fc"]
    assert release.values("subject") == ["S1", "S2", "S3"]
    assert release.values("kind") == ["ReLU"]
    with pytest.raises(UnknownColumnError, match="did you mean 'layer'"):
        release.values("layr")


# --- places ---------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    channel=st.none() | st.integers(0, 3) | st.lists(st.integers(0, 9), min_size=1, max_size=3),
    rows=st.none() | st.integers(0, 3) | st.tuples(st.integers(0, 1), st.integers(1, 3)),
    columns=st.none() | st.integers(0, 3) | st.tuples(st.integers(0, 1), st.integers(1, 3)),
)
def test_places_equal_a_loop(release: Release, reference, channel, rows, columns) -> None:
    def inside(value: int, wanted: object) -> bool:
        if wanted is None or isinstance(wanted, int):
            return wanted is None or value == wanted
        return value in wanted if isinstance(wanted, list) else wanted[0] <= value <= wanted[1]

    kept = [
        all(map(inside, place(row), (channel, rows, columns))) for _, row in reference.iterrows()
    ]
    found = release.units().at(channel=channel, rows=rows, columns=columns)
    assert keys(found.to_pandas()) == keys(reference[kept])


def test_places_are_checked(release: Release) -> None:
    for bad in ({"channel": -1}, {"channel": ["a"]}, {"rows": (2, 1)}, {"columns": 0.5}):
        with pytest.raises(QueryError, match="is not a number from 0"):
            release.units().at(**bad)


def test_among(release: Release, reference: pd.DataFrame) -> None:
    found = release.units(roi="V1").among(["net/fc/3", "net/conv1/17", "net/fc/3"]).to_pandas()
    named = reference["layer"] + "/" + reference["unit"].astype(str)
    expected = reference[named.isin(["fc/3", "conv1/17"]) & (reference["roi"] == "V1")]
    assert keys(found) == keys(expected)
    with pytest.raises(QueryError, match=r"has 10 units, 0 to 9"):
        release.units().among(["net/fc/10"])
    with pytest.raises(QueryError, match="is not MODEL/LAYER/UNIT, such as net/conv1/0"):
        release.units().among(["net/fc/x"])
    with pytest.raises(UnknownLayerError, match="did you mean 'net/fc'"):
        release.units().among(["net/fcc/1"])
    with pytest.raises(QueryError, match="at least one"):
        release.units().among([])


def test_histogram(release: Release, reference: pd.DataFrame) -> None:
    units = release.units(roi="V4").where(col.n_subjects > 1)
    found = units.histogram("max_r")
    some = reference[(reference["roi"] == "V4") & (reference["n_subjects"] > 1)]
    bins = np.floor(some["max_r"].astype(np.float64) * 100).astype(int)
    expected = some.assign(bin=bins).groupby(["dataset", "layer", "bin"]).size()
    assert found.set_index(["dataset", "layer", "bin"])["n_units"].to_dict() == expected.to_dict()
    assert found.attrs["release"] == "tiny@1.0.0"
    with pytest.raises(UnknownColumnError, match="did you mean 'mean_r'"):
        units.histogram("mean")


# --- subjects -------------------------------------------------------------------------------------


@pytest.mark.parametrize("subjects", [["S1"], ["S2", "S3"], ["S3", "S1", "S2"]])
def test_some_subjects(release: Release, subjects: list[str]) -> None:
    accuracy = accuracies()
    expected = summarise_units(accuracy[accuracy["subject"].isin(subjects)])
    expected = expected.sort_values(list(KEY), ignore_index=True)
    found = release.units(subjects=subjects).to_pandas()
    assert keys(found) == keys(expected)
    for column in ("n_subjects", "mean_r", "sd_r", "min_r", "max_r"):
        np.testing.assert_allclose(
            found[column].astype(float), expected[column].astype(float), atol=1e-6
        )
    assert found[["rank", "lead_r"]].isna().all(axis=None)
    of_some = release.units(subjects=subjects)
    for ask in (
        lambda: of_some.where(col.p < 0.05),
        lambda: of_some.where(col.lead_r > 0),
        lambda: of_some.sort("rank"),
        lambda: of_some.top(3, by="q"),
        lambda: of_some.histogram("lead_r"),
    ):
        with pytest.raises(QueryError, match="known over all subjects, not over S"):
            ask()
    best = release.units(subjects=subjects, roi="V4", layer="fc").top(3)
    chosen = expected[(expected["roi"] == "V4") & (expected["layer"] == "fc")]
    assert best.to_pandas()["unit"].tolist() == (
        chosen.astype({"mean_r": np.float32})
        .sort_values(["mean_r", *KEY], ascending=[False] + [True] * 6)["unit"]
        .head(3)
        .tolist()
    )


def test_subjects_are_checked(release: Release) -> None:
    with pytest.raises(UnknownSubjectError, match="did you mean 'S1'"):
        release.units(subjects="S11")
    with pytest.raises(QueryError, match="none of S2 is a subject of what is selected"):
        release.units(subjects="S2", dataset="sim-b")
    with pytest.raises(QueryError, match="over all subjects"):
        release.units(subjects="S2").better_in("V1")


def test_every_subject(release: Release, reference: pd.DataFrame) -> None:
    n = {dataset: len(subjects) for dataset, subjects in SUBJECTS.items()}
    expected = reference[reference["n_subjects"] == reference["dataset"].map(n)]
    found = release.units().where(every_subject=True)
    assert keys(found.to_pandas()) == keys(expected)
    assert 0 < len(expected) < len(reference)
    two = release.units(subjects=["S1", "S2"], dataset="sim-a").where(every_subject=True)
    assert set(two.to_pandas()["n_subjects"]) == {2}


# --- regions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("than", [None, "V1", ["V1"]])
@pytest.mark.parametrize("by", [0.0, 0.1, -0.1])
def test_better_in(release: Release, reference: pd.DataFrame, than, by: float) -> None:
    wide = reference.pivot_table(
        index=["dataset", "layer", "unit"], columns="roi", values="mean_r"
    ).astype(np.float32)
    better = wide.index[(wide["V4"] - wide["V1"]) > np.float32(by)]
    rows = reference[reference["roi"] == "V4"].set_index(["dataset", "layer", "unit"])
    expected = rows.loc[rows.index.isin(better)].reset_index().sort_values(list(KEY))
    found = release.units().better_in("V4", than, by=by).to_pandas()
    assert keys(found) == keys(expected)
    assert 0 < len(found) < len(rows)


def test_better_in_by_the_differences_themselves(release: Release, reference: pd.DataFrame) -> None:
    wide = reference.pivot_table(
        index=["dataset", "layer", "unit"], columns="roi", values="mean_r"
    ).astype(np.float32)
    for roi, other in (("V4", "V1"), ("V1", "V4")):
        differences = np.sort((wide[roi] - wide[other]).dropna().to_numpy())
        for difference in differences[::5]:
            below = np.nextafter(difference, np.float32(-2))
            for by in (float(below), float(difference)):
                found = release.units().better_in(roi, other, by=by)
                assert found.count() == (differences > np.float32(by)).sum()


def test_better_in_refuses_itself(release: Release) -> None:
    with pytest.raises(QueryError, match="an ROI is never better there"):
        release.units().better_in("V4", ["V1", "V4"])


@pytest.mark.parametrize("subjects", [None, ["S1", "S3"]])
def test_reaching_counts_people(release: Release, subjects: list[str] | None) -> None:
    r = release.table("accuracy").astype({"dataset": str, "subject": str, "layer": str, "roi": str})
    own = r[(r["dataset"] == "sim-a") & (r["r"] >= np.float32(0.2))]
    own = own[own["subject"].isin(subjects)] if subjects else own
    counts = own.groupby(["layer", "roi", "unit"]).size()
    everything = release.units(dataset="sim-a", subjects=subjects)
    for k in (1, 2, 3):
        found = everything.reaching(0.2, subjects=k)
        expected = counts[counts >= k].index
        rows = found.to_pandas()[["layer", "roi", "unit"]]
        assert set(rows.itertuples(index=False, name=None)) == set(expected)
        assert f".reaching(0.2, subjects={k})" in found.code()
    for wrong in (0, True, 1.5):
        with pytest.raises(QueryError, match="positive number of subjects"):
            everything.reaching(0.2, subjects=wrong)


# --- set algebra ----------------------------------------------------------------------------------


def test_set_algebra(release: Release, reference: pd.DataFrame) -> None:
    units = release.units()
    a, b = units.where(col.mean_r > 0.2), units.where(col.mean_r > 0.3, col.unit < 6)
    rows_a = reference[reference["mean_r"] > np.float32(0.2)]
    rows_b = reference[(reference["mean_r"] > np.float32(0.3)) & (reference["unit"] < 6)]
    units_b = set(zip(rows_b["layer"], rows_b["unit"], strict=True))
    in_b = np.array([pair in units_b for pair in zip(rows_a["layer"], rows_a["unit"], strict=True)])
    assert keys((a & b).to_pandas()) == keys(rows_a[in_b])
    assert keys((a - b).to_pandas()) == keys(rows_a[~in_b])
    assert keys((a | b).to_pandas()) == sorted({*keys(rows_a), *keys(rows_b)})
    top = units.top(5) & b.top(20)
    assert len(top) <= 5
    assert "&" in repr(top)


def test_set_algebra_is_of_one_release(release: Release, tiny_copy) -> None:
    units = release.units()
    with pytest.raises(QueryError, match="takes units, not 3"):
        units & 3
    with pytest.raises(QueryError, match="different subjects"):
        units | release.units(subjects="S1")


# --- counts and summaries -------------------------------------------------------------------------


def test_facets(release: Release, reference: pd.DataFrame) -> None:
    units = release.units().where(col.mean_r > 0.2)
    rows = reference[reference["mean_r"] > np.float32(0.2)]
    found = units.facets()
    assert list(found) == ["dataset", "condition", "model", "layer", "roi"]
    for column, counts in found.items():
        expected = rows.groupby(column).size()
        assert dict(zip(counts[column], counts["n_rows"], strict=True)) == expected.to_dict()
    assert list(units.facets("roi")) == ["roi"]
    assert found["layer"].attrs["citation"]
    with pytest.raises(UnknownColumnError, match="the facets of units"):
        units.facets("unit")


@pytest.mark.parametrize("channel", [False, True])
def test_summaries_over_units(release: Release, reference: pd.DataFrame, channel: bool) -> None:
    rows = reference.copy()
    rows["channel"] = [place(row)[0] for _, row in rows.iterrows()]
    columns = ["dataset", "condition", "model", "layer", "roi", *(["channel"] if channel else [])]
    r = rows.astype({"mean_r": float}).groupby(columns)["mean_r"]
    units = release.units()
    found = units.by_channel() if channel else units.by_layer()
    assert found.set_index(columns).index.tolist() == r.size().index.tolist()
    np.testing.assert_array_equal(found["n_units"], r.size())
    np.testing.assert_allclose(found["mean_r"], r.mean(), atol=1e-7)
    np.testing.assert_allclose(found["sd_over_units"], r.std(), atol=1e-7)
    np.testing.assert_allclose(found["highest_mean_r"], r.max(), atol=1e-7)
    np.testing.assert_allclose(found["lowest_mean_r"], r.min(), atol=1e-7)


# --- what reproduces a selection ------------------------------------------------------------------


def test_code_gives_the_same_selection(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    root = release.path.parents[1]
    monkeypatch.setenv("UNITDB_RELEASES", str(root))
    one = release.units(roi=["V1", "V4"], dataset="sim-a").where(
        col.min_r > 0.1, min_subjects=2, every_subject=True
    )
    selections = [
        one,
        one.at(channel=[0, 1], rows=(0, 2)).top(3, by="min_r", ascending=True, per=["roi"]),
        (one & release.units(layer="f*").sample(9, seed=2)).sort("max_r"),
        release.units(kind="ReLU", depth=(0, 1)).better_in("V4", "V1", by=0.05),
        release.units(subjects=["S1", "S2"]).among(["net/fc/1"])
        | release.units(subjects=["S2", "S1"]),
    ]
    for units in selections:
        scope: dict = {}
        exec(units.code(), scope)  # noqa: S102
        assert isinstance(scope["units"], UnitSet)
        pd.testing.assert_frame_equal(scope["units"].to_pandas(), units.to_pandas())
        again = release.sql(units.sql)
        pd.testing.assert_frame_equal(again, units.to_pandas())


def test_explain_names_the_files_that_are_read(release: Release) -> None:
    text = release.units(layer="fc", dataset="sim-a").explain()
    assert text.startswith("SELECT ")
    assert "READ_PARQUET" in text
    assert re.search(r"1/4|1 / 4", text), text


def test_batches_are_the_whole(release: Release) -> None:
    for units in (release.units(), release.units().sort("mean_r"), release.units().top(11)):
        batches = list(units.to_batches(5))
        assert max(batch.num_rows for batch in batches) <= 5
        frame = pd.concat([batch.to_pandas() for batch in batches])
        assert sorted(keys(frame)) == sorted(keys(units.to_pandas()))
        assert batches[0].schema.metadata[b"unitdb:release"] == release.label.encode()


def test_regions_and_layers_of_the_tiny_release() -> None:
    """What the tests above rely on."""
    assert ROIS == ["V1", "V4"]
    assert SHAPES == {"conv1": (2, 3, 3), "fc": (10,)}


def test_cursors_keep_the_headers_of_files(tiny_release):
    """A setting of the session would be that of the connection alone."""
    asked = "SELECT current_setting('parquet_metadata_cache')"
    assert unitdb.open(tiny_release).sql(asked).iloc[0, 0]


@pytest.mark.parametrize("of_some", [False, True])
@pytest.mark.parametrize("operator", [">", ">="])
def test_a_least_accuracy_bounds_the_mean_and_loses_nothing(tiny_release, operator, of_some):
    """A bound of the mean is added, by which files can be skipped; values on the border stay."""
    release = unitdb.open(tiny_release)
    subjects = release.values("subject")[:2] if of_some else None
    everything = release.units(subjects=subjects).to_pandas()
    for least in everything["min_r"].dropna().unique()[:20]:
        condition = col.min_r > least if operator == ">" else col.min_r >= least
        found = release.units(subjects=subjects).where(condition)
        kept = everything["min_r"] > least if operator == ">" else everything["min_r"] >= least
        assert found.to_pandas()["unit_id"].tolist() == everything[kept]["unit_id"].tolist()
        assert f"mean_r {operator}" in found.sql
