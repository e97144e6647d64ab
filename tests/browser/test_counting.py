"""Histograms count what queries find, and say where pages end."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from tests.tiny import INFO, accuracies, make_older, stage
from unitdb.browser import _reads
from unitdb.browser._counting import (
    counted_by,
    edge_of_page,
    from_minimum,
    is_edge,
    narrowed,
    refusal,
)
from unitdb.browser._search import MEASURES, NAMES, Search, at_least
from unitdb.publish import publish_release
from unitdb.release import Release

MINIMA = (None, *(n / 100 for n in range(-20, 60)))


@pytest.fixture(scope="module")
def release_of_edges(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """All accuracies are hundredths, or the float32 before or after one."""
    accuracy = accuracies()
    edges = accuracy["r"].round(2).to_numpy(np.float32)
    towards = np.resize(np.array([-2, 0, 2], np.float32), len(edges))
    moved = np.where(towards == 0, edges, np.nextafter(edges, towards))
    # Some units lead by more than 1, and some accuracies are 1: the last bin has no upper end.
    best = (accuracy["layer"] == "fc") & (accuracy["unit"] < 4) & (accuracy["dataset"] == "sim-b")
    moved = np.where(best, np.where(accuracy["roi"] == "V4", 1, -0.4), moved).astype(np.float32)
    root = tmp_path_factory.mktemp("edges")
    folder = stage(root / ".staging" / "tiny", accuracy.assign(r=moved))
    return Release(publish_release(folder, root, info=INFO))


@pytest.fixture(params=["tiny", "edges"])
def release(request: pytest.FixtureRequest, tiny_release: Path, release_of_edges) -> Release:
    return Release(tiny_release) if request.param == "tiny" else release_of_edges


def counts(search: Search, release: Release) -> pd.DataFrame:
    assert counted_by(search, release.tables) is not None
    return _reads.bins(release, search)


def above(values: np.ndarray, minimum: float) -> np.ndarray:
    condition = at_least("mean_r", minimum)
    edge = np.float32(condition.value)
    return values > edge if condition.operator == ">" else values >= edge


@pytest.mark.parametrize("by", list(MEASURES))
def test_bins_count_what_the_query_finds(release: Release, by: str) -> None:
    different = set()
    for everybody, preferred in product([False, True], repeat=2):
        for names in ({}, {"roi": ("V4",)}, {"dataset": ("sim-a",)}, {"kind": ("ReLU",)}):
            search = Search(**names, by=by, everybody=everybody, preferred=preferred)
            bins = counts(search, release)
            values = search.units(release).to_pandas()[by].to_numpy(np.float64)
            for minimum in MINIMA:
                n = from_minimum(bins, minimum)["n_units"].sum()
                # A query for each would take minutes: that of one minimum is asked below.
                assert n == (values >= -2 if minimum is None else above(values, minimum)).sum()
                different.add(n)
            asked = Search(**names, by=by, minimum=0.1, everybody=everybody, preferred=preferred)
            assert from_minimum(bins, 0.1)["n_units"].sum() == asked.units(release).count()
    assert len(different) > 50


@pytest.mark.parametrize("by", list(MEASURES))
def test_tables_hold_the_histograms_of_queries(release: Release, by: str) -> None:
    for everybody, preferred in product([False, True], repeat=2):
        search = Search(by=by, everybody=everybody, preferred=preferred)
        asked = search.units(release).histogram(by)
        pd.testing.assert_frame_equal(
            counts(search, release).sort_values([*NAMES, "bin"], ignore_index=True),
            asked,
            check_categorical=False,
            check_dtype=False,
        )


@pytest.mark.parametrize("by", ["mean_r", "min_r", "max_r"])
@pytest.mark.parametrize("everybody", [False, True])
def test_bins_count_one_subject(release: Release, by: str, everybody: bool) -> None:
    for subject in ("S1", "S3"):
        search = Search(by=by, subject=(subject,), everybody=everybody)
        bins = counts(search, release)
        for minimum in (None, -0.1, 0.05, 0.29):
            asked = Search(by=by, subject=(subject,), everybody=everybody, minimum=minimum)
            assert from_minimum(bins, minimum)["n_units"].sum() == asked.units(release).count()


@pytest.mark.parametrize(
    "asked",
    [
        {"rows": "1"},
        {"columns": "1"},
        {"channel": "0"},
        {"subject": ("S1", "S2")},
        {"subject": ("S1",), "by": "lead_r"},
        {"subject": ("S1",), "preferred": True},
    ],
)
def test_what_bins_cannot_count(tiny_release: Path, asked: dict) -> None:
    assert counted_by(Search(**asked), Release(tiny_release).tables) is None


def test_edges_to_count_from() -> None:
    assert is_edge(None)
    assert is_edge(0.29)
    assert is_edge(-0.99)
    for minimum in (0.123, 1.0, -1.0, float("nan")):  # the last bin is 0.99 to 1
        assert not is_edge(minimum)


def test_an_older_release_counts_means(tiny_copy: Path) -> None:
    make_older(tiny_copy, "2.0")
    older = Release(tiny_copy)
    search = Search(roi=("V4",), minimum=0.1)
    n = from_minimum(counts(search, older), 0.1)["n_units"].sum()
    assert n == search.units(older).count()
    for asked in ({"by": "min_r"}, {"everybody": True}, {"preferred": True}):
        assert counted_by(Search(**asked), older.tables) is None


@pytest.mark.parametrize("by", list(MEASURES))
@pytest.mark.parametrize("more", [{}, {"everybody": True}, {"preferred": True, "roi": ("V4",)}])
@pytest.mark.parametrize("size", [1, 3])
def test_pages_are_those_of_the_whole_selection(
    release: Release, by: str, more: dict, size: int
) -> None:
    search = Search(by=by, **more)
    units, bins = search.units(release), counts(search, release)
    whole, after, fewer = units.to_pandas(), None, 0
    for first in range(0, len(whole), size):
        some = narrowed(units, search, bins, size, after)
        fewer += some is not units
        page = some.page(size, after=after)
        expected = whole[first : first + size].reset_index(drop=True)
        pd.testing.assert_frame_equal(page.rows, expected)
        assert (page.next is None) == (first + size >= len(whole))
        after = page.next
    assert fewer > 1


def test_a_minimum_above_the_edge_stays(tiny_release: Path) -> None:
    release = Release(tiny_release)
    low, high = Search(minimum=-0.5), Search(minimum=0.3)
    assert counts(low, release).equals(counts(high, release))  # whatever the minimum
    units = high.units(release)
    assert narrowed(units, high, counts(high, release), 10**6, None) is units
    bins = counts(high, release)
    best = narrowed(low.units(release), low, bins, 5, None)
    assert 6 <= best.count() < low.units(release).count()


@given(
    values=st.lists(st.integers(-100, 99), max_size=30),
    n=st.integers(1, 10),
    below=st.none() | st.integers(-10_000, 15_000),
)
def test_a_page_lies_above_its_edge(values: list[int], n: int, below: int | None) -> None:
    bins = pd.DataFrame({"bin": values, "n_units": 1})
    edge = edge_of_page(bins, n, None if below is None else below / 10_000)
    # Bins that lie below the row before the page as a whole: the last one has no upper end.
    counted = [v for v in values if below is None or (100 * v + 100 <= below and v < 99)]
    expected = sorted(counted, reverse=True)[n - 1] if len(counted) >= n else None
    if expected is None or expected == -100:
        assert edge is None
    else:
        assert edge == expected / 100


def test_what_would_take_seconds_is_refused() -> None:
    two = Search(subject=("S1", "S2"))
    assert refusal(two, 4_000_000, counted=False) is None
    assert "8,000,002 rows are more than the 8,000,000" in str(
        refusal(two, 4_000_001, counted=False)
    )
    assert refusal(Search(subject=("S1",), everybody=True), 10**9, counted=True) is None
    assert refusal(Search(by="min_r"), 10**9, counted=False)  # of an older release
    assert refusal(Search(channel="3"), 30_000_000, counted=False) is None
    for asked in ({"channel": "3", "subject": ("S1",)}, {"rows": "3"}, {"columns": "3"}):
        assert "Choose a layer" in str(refusal(Search(**asked), 10**8, counted=False))
