"""Pages of the tiny release put together, and cursors that are none."""

from __future__ import annotations

import pandas as pd
import pytest

import unitdb
from unitdb import col
from unitdb.errors import QueryError
from unitdb.release import Release


@pytest.fixture(scope="module")
def release(tiny_release) -> Release:
    return unitdb.open(tiny_release)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    "choose",
    [
        lambda units: units,
        lambda units: units.sort("mean_r"),
        lambda units: units.sort("n_subjects", ascending=True),
        lambda units: units.top(23, by="max_r"),
        lambda units: units.top(23, by="max_r").where(col.unit > 2),
    ],
)
def test_pages_are_the_whole(release: Release, size: int, choose) -> None:
    units = choose(release.units(roi="V4"))
    pages, after = [], None
    while True:
        page = units.page(size, after=after)
        pages.append(page.rows)
        assert page.rows.attrs["release"] == release.label
        assert len(page.rows) <= size
        after = page.next
        if after is None:
            break
    pd.testing.assert_frame_equal(pd.concat(pages, ignore_index=True), units.to_pandas())


def test_pages_are_checked(release: Release) -> None:
    units = release.units()
    after = units.sort("mean_r").page(2).next
    with pytest.raises(QueryError, match="positive number of rows"):
        units.page(0)
    assert len(units.sort("mean_r").page(2, after=after).rows) == 2
    with pytest.raises(QueryError, match="sorted otherwise"):
        units.sort("min_r").page(2, after=after)
    for bad in (after, "", "é", "!!", "bnVsbA", "W10", 5):
        with pytest.raises(QueryError, match=r"is not Page\.next of this selection"):
            units.page(2, after=bad)
