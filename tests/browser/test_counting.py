"""Histograms count what queries find, and say where pages end."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from tests.tiny import INFO, accuracies, make_older, stage
from unitdb.browser._counting import (
    bins_of,
    counted_by,
    edge_of_page,
    from_minimum,
    is_edge,
    refusal,
)
from unitdb.browser._search import MEASURES, NAMES, Search, at_least
from unitdb.publish import publish_release
from unitdb.query import value_of
from unitdb.release import Release

MINIMA = (None, *(n / 100 for n in range(-20, 60)))


@pytest.fixture(scope="module")
def release_of_edges(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """All accuracies are hundredths, or the float32 before or after one."""
    accuracy = accuracies()
    edges = accuracy["r"].round(2).to_numpy(np.float32)
    towards = np.resize(np.array([-2, 0, 2], np.float32), len(edges))
    moved = np.where(towards == 0, edges, np.nextafter(edges, towards))
    root = tmp_path_factory.mktemp("edges")
    folder = stage(root / ".staging" / "tiny", accuracy.assign(r=moved))
    return Release(publish_release(folder, root, info=INFO))


@pytest.fixture(params=["tiny", "edges"])
def release(request: pytest.FixtureRequest, tiny_release: Path, release_of_edges) -> Release:
    return Release(tiny_release) if request.param == "tiny" else release_of_edges


def counts(search: Search, release: Release) -> pd.DataFrame:
    counted = counted_by(search, release.tables)
    assert counted is not None
    rows = release.table(counted.table)
    if counted.column:
        rows = rows[rows[counted.column] == counted.value]
    return bins_of(search, rows[[*NAMES, "bin"]].assign(n_units=rows[counted.n]), release)


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
def test_pages_are_those_of_the_whole_selection(release: Release, by: str, more: dict) -> None:
    search = Search(by=by, **more)
    units, bins = search.units(release), counts(search, release)
    whole, size, after, narrowed = units.to_pandas(), 3, None, 0
    for first in range(0, len(whole), size):
        below = None if after is None else value_of(after, by)
        edge = edge_of_page(bins, size + 1, below)
        some = units if edge is None else units.where(at_least(by, edge))
        narrowed += edge is not None
        page = some.page(size, after=after)
        pd.testing.assert_frame_equal(page.rows, whole[first : first + size].reset_index(drop=True))
        assert (page.next is None) == (first + size >= len(whole))
        after = page.next
    assert narrowed > 1


@given(
    values=st.lists(st.integers(-100, 99), max_size=30),
    n=st.integers(1, 10),
    below=st.none() | st.integers(-10_000, 10_000),
)
def test_a_page_lies_above_its_edge(values: list[int], n: int, below: int | None) -> None:
    bins = pd.DataFrame({"bin": values, "n_units": 1})
    edge = edge_of_page(bins, n, None if below is None else below / 10_000)
    counted = sorted((v for v in values if below is None or 100 * v + 100 <= below), reverse=True)
    expected = counted[n - 1] if len(counted) >= n else None
    if expected is None or expected == -100:
        assert edge is None
    else:
        assert edge == expected / 100


def test_what_would_take_seconds_is_refused() -> None:
    two = Search(subject=("S1", "S2"))
    assert refusal(two, 4_000_000) is None
    assert "5,000,000 rows are more than the 4,000,000" in str(refusal(two, 5_000_000))
    assert refusal(Search(subject=("S1",), everybody=True), 10**9) is None
    assert refusal(Search(channel="3"), 50_000_000) is None
    assert "Choose a layer" in str(refusal(Search(channel="3", subject=("S1",)), 50_000_000))
    assert "Choose a layer" in str(refusal(Search(rows="3"), 10**8))
