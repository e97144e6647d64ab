"""Histograms count what queries find, and say where pages end."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from tests.rarely import rarely
from tests.tiny import INFO, accuracies, make_older, stage
from unitdb.publish import publish_release
from unitdb.query import (
    Condition,
    Counted,
    UnitSet,
    at_least,
    chosen_bins,
    counted_by,
    from_minimum,
    is_edge,
    narrowed,
)
from unitdb.query.counting import PLACE, edge_of_page
from unitdb.release import Release

MEASURES = ("mean_r", "min_r", "max_r", "lead_r")
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


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A selection, and what counts it."""

    names: dict[str, list[str]] = field(default_factory=dict)
    by: str = "mean_r"
    minimum: float | None = None
    subject: str = ""
    everybody: bool = False
    preferred: bool = False

    def counted(self, release: Release) -> Counted | None:
        return counted_by(
            self.by,
            release.tables,
            subject=self.subject,
            everybody=self.everybody,
            preferred=self.preferred,
        )

    def bins(self, release: Release) -> pd.DataFrame:
        counted = self.counted(release)
        assert counted is not None
        names = {column: kept for column, kept in self.names.items() if column != "kind"}
        return chosen_bins(
            counted.bins(release.table(counted.table, counted.columns)),
            names,
            kinds=self.names.get("kind", ()),
            layers=release.layers,
        )

    def units(self, release: Release) -> UnitSet:
        subjects = {"subjects": [self.subject]} if self.subject else {}
        found = release.units(**self.names, **subjects)
        conditions = [] if self.minimum is None else [at_least(self.by, self.minimum)]
        if self.preferred:
            conditions.append(Condition("lead_r", ">", 0))
        if conditions or self.everybody:
            found = found.where(*conditions, every_subject=self.everybody)
        return found.sort(self.by)


def above(values: np.ndarray, minimum: float) -> np.ndarray:
    condition = at_least("mean_r", minimum)
    edge = np.float32(condition.value)
    return values > edge if condition.operator == ">" else values >= edge


@pytest.mark.parametrize("by", MEASURES)
def test_bins_count_what_the_query_finds(release: Release, by: str) -> None:
    different = set()
    for everybody, preferred in product([False, True], repeat=2):
        for names in ({}, {"roi": ["V4"]}, {"dataset": ["sim-a"]}, {"kind": ["ReLU"]}):
            asked = Asked(names=names, by=by, everybody=everybody, preferred=preferred)
            bins = asked.bins(release)
            values = asked.units(release).to_pandas()[by].to_numpy(np.float64)
            for minimum in MINIMA:
                n = from_minimum(bins, minimum)["n_units"].sum()
                # A query for each would take minutes: that of one minimum is asked below.
                assert n == (values >= -2 if minimum is None else above(values, minimum)).sum()
                different.add(n)
            asked = Asked(names=names, by=by, minimum=0.1, everybody=everybody, preferred=preferred)
            assert from_minimum(bins, 0.1)["n_units"].sum() == asked.units(release).count()
    assert len(different) > 50


@pytest.mark.parametrize("by", MEASURES)
def test_tables_hold_the_histograms_of_queries(release: Release, by: str) -> None:
    for everybody, preferred in product([False, True], repeat=2):
        asked = Asked(by=by, everybody=everybody, preferred=preferred)
        found = asked.units(release).histogram(by)
        pd.testing.assert_frame_equal(
            asked.bins(release).sort_values([*PLACE, "bin"], ignore_index=True),
            found,
            check_categorical=False,
            check_dtype=False,
        )


@pytest.mark.parametrize("by", ["mean_r", "min_r", "max_r"])
@pytest.mark.parametrize("everybody", [False, True])
def test_bins_count_one_subject(release: Release, by: str, everybody: bool) -> None:
    for subject in ("S1", "S3"):
        asked = Asked(by=by, subject=subject, everybody=everybody)
        bins = asked.bins(release)
        for minimum in (None, -0.1, 0.05, 0.29):
            asked = Asked(by=by, subject=subject, everybody=everybody, minimum=minimum)
            assert from_minimum(bins, minimum)["n_units"].sum() == asked.units(release).count()


def test_over_one_subject_no_roi_is_preferred(tiny_release: Path) -> None:
    tables = Release(tiny_release).tables
    assert counted_by("lead_r", tables, subject="S1") is None
    assert counted_by("mean_r", tables, subject="S1", preferred=True) is None


def test_edges_to_count_from() -> None:
    assert is_edge(None)
    assert is_edge(0.29)
    assert is_edge(-0.99)
    for minimum in (0.123, 1.0, -1.0, float("nan")):  # the last bin is 0.99 to 1
        assert not is_edge(minimum)


def test_an_older_release_counts_means(tiny_copy: Path) -> None:
    make_older(tiny_copy, "2.0")
    older = Release(tiny_copy)
    asked = Asked(names={"roi": ["V4"]}, minimum=0.1)
    n = from_minimum(asked.bins(older), 0.1)["n_units"].sum()
    assert n == asked.units(older).count()
    for more in ({"by": "min_r"}, {"everybody": True}, {"preferred": True}):
        assert Asked(**more).counted(older) is None


@pytest.mark.parametrize("by", MEASURES)
@pytest.mark.parametrize(
    "more", [{}, {"everybody": True}, {"preferred": True, "names": {"roi": ["V4"]}}]
)
@pytest.mark.parametrize("size", [rarely(1), 3])
def test_pages_are_those_of_the_whole_selection(
    release: Release, by: str, more: dict, size: int
) -> None:
    asked = Asked(by=by, **more)
    units, bins = asked.units(release), asked.bins(release)
    whole, after, fewer = units.to_pandas(), None, 0
    for first in range(0, len(whole), size):
        some = narrowed(units, bins, size, by=by, after=after)
        fewer += some is not units
        page = some.page(size, after=after)
        expected = whole[first : first + size].reset_index(drop=True)
        pd.testing.assert_frame_equal(page.rows, expected)
        assert (page.next is None) == (first + size >= len(whole))
        after = page.next
    assert fewer > 1


def test_a_minimum_above_the_edge_stays(tiny_release: Path) -> None:
    release = Release(tiny_release)
    low, high = Asked(minimum=-0.5), Asked(minimum=0.3)
    assert low.bins(release).equals(high.bins(release))  # whatever the minimum
    units = high.units(release)
    assert narrowed(units, high.bins(release), 10**6, by="mean_r", minimum=0.3) is units
    bins = high.bins(release)
    best = narrowed(low.units(release), bins, 5, by="mean_r", minimum=-0.5)
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


@given(hundredths=st.integers(-100, 100), steps=st.integers(-2, 2))
def test_the_threshold_takes_whole_bins(hundredths: int, steps: int) -> None:
    edge = hundredths / 100
    r = np.float32(edge)
    for _ in range(abs(steps)):
        r = np.nextafter(r, np.float32(np.sign(steps) * 2))
    in_bin = int(np.floor(np.float64(r) * 100)) >= hundredths
    condition = at_least("mean_r", edge)
    edge32 = np.float32(edge)
    assert (r > edge32 if condition.operator == ">" else r >= edge32) == in_bin
