from __future__ import annotations

from urllib.parse import parse_qs

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tests.tiny import INFO, accuracies, make_older, stage
from unitdb.browser._search import HISTOGRAMS, NAMES, Search, at_least, counts_of, parsed_range
from unitdb.errors import QueryError, UnknownLayerError
from unitdb.publish import publish_release
from unitdb.release import Release

NAME = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(
    roi=st.lists(NAME, max_size=3, unique=True),
    minimum=st.none() | st.integers(-100, 100),
    by=st.sampled_from(["mean_r", "min_r", "lead_r"]),
    everybody=st.booleans(),
    preferred=st.booleans(),
    channel=st.sampled_from(["", "3", "3-5"]),
)
def test_a_search_survives_the_url(roi, minimum, by, everybody, preferred, channel) -> None:
    search = Search(
        roi=tuple(roi),
        minimum=None if minimum is None else minimum / 100,
        by=by,
        everybody=everybody,
        preferred=preferred,
        channel=channel,
    )
    parameters = parse_qs(search.parameters(), keep_blank_values=True)
    assert Search.from_parameters(parameters) == search


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


@pytest.mark.parametrize("by", list(HISTOGRAMS))
@pytest.mark.parametrize("where", ["tiny", "edges"])
def test_counts_by_bins_are_those_of_the_query(tiny_release, release_of_edges, where, by) -> None:
    release = Release(tiny_release) if where == "tiny" else release_of_edges
    bins = release.table(HISTOGRAMS[by]).astype(dict.fromkeys(NAMES, str))
    different = set()
    for minimum in (None, *(n / 100 for n in range(-20, 60))):
        for names in ({}, {"roi": ("V4",)}, {"dataset": ("sim-a",), "layer": ("fc", "conv1")}):
            search = Search(**names, by=by, minimum=minimum)
            assert search.counted_by_bins(release.tables)
            counted = counts_of(search, bins)["n_units"].sum()
            assert counted == search.units(release).count()
            different.add(counted)
    assert len(different) > 50


def test_what_bins_cannot_count_is_asked(tiny_release) -> None:
    tables = Release(tiny_release).tables
    assert Search(by="min_r", minimum=0.3).counted_by_bins(tables)
    for asked in (
        {"by": "max_r"},
        {"everybody": True},
        {"rows": "1"},
        {"minimum": 0.123},
        {"minimum": 1.0},  # the last bin is 0.99 to 1
        {"minimum": -1.0},  # by rounding, r may lie below
        {"minimum": float("nan")},
    ):
        assert not Search(**asked).counted_by_bins(tables)


def test_an_older_release_is_counted(tiny_copy) -> None:
    make_older(tiny_copy, "2.0")
    tables = Release(tiny_copy).tables
    assert not Search(by="min_r").counted_by_bins(tables)
    assert Search().counted_by_bins(tables)


def test_a_search_is_the_query(tiny_release) -> None:
    release = Release(tiny_release)
    search = Search(
        dataset=("sim-a",),
        layer=("conv1",),
        roi=("V1",),
        channel="1",
        rows="0-1",
        by="min_r",
        minimum=0.0,
        everybody=True,
    )
    found = search.units(release).to_pandas()
    everything = release.units().to_pandas()
    at = everything["unit"] % 9
    kept = everything[
        (everything["dataset"] == "sim-a")
        & (everything["layer"] == "conv1")
        & (everything["roi"] == "V1")
        & (everything["unit"] // 9 == 1)
        & (at // 3 <= 1)
        & (everything["min_r"] >= 0)
        & (everything["n_subjects"] == 3)
    ].sort_values("min_r", ascending=False)
    assert len(kept)
    assert found["unit"].tolist() == kept["unit"].tolist()


@pytest.mark.parametrize("text", ["", "x", "-1", "3-", "5-3", "1e9", "1;2", "٣", "1-99999999999"])
def test_what_is_no_range_is_refused(text: str) -> None:
    if text == "٣":
        assert parsed_range("rows", text) == (3, 3)  # a digit all the same
        return
    with pytest.raises(QueryError):
        parsed_range("rows", text)


@pytest.mark.parametrize(
    "parameters",
    [
        {"by": ["r; DROP"]},
        {"minimum": ["much"]},
        {"roi": [str(n) for n in range(501)]},
    ],
)
def test_wrong_parameters_are_refused(parameters) -> None:
    with pytest.raises(QueryError):
        Search.from_parameters(parameters)


def test_unknown_names_get_the_nearest(tiny_release) -> None:
    with pytest.raises(UnknownLayerError, match="conv1"):
        Search(layer=("conv",)).units(Release(tiny_release))


def test_too_many_channels_are_refused(tiny_release) -> None:
    with pytest.raises(QueryError, match="channels"):
        Search(channel="0-1000").units(Release(tiny_release))
