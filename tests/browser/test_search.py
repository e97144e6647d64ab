from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

import pytest
from hypothesis import given, strategies as st

from unitdb.browser._search import Search, parsed_range
from unitdb.errors import QueryError, UnknownLayerError
from unitdb.release import Release

NAME = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="*?"),
    min_size=1,
    max_size=8,
)


@given(
    roi=st.lists(NAME, max_size=3, unique=True),
    minimum=st.none() | st.integers(-100, 100).map(lambda n: n / 100) | st.floats(-1, 1),
    by=st.sampled_from(["mean_r", "min_r", "lead_r"]),
    everybody=st.booleans(),
    preferred=st.booleans(),
    channel=st.sampled_from(["", "3", "3-5"]),
)
def test_a_search_survives_the_url(roi, minimum, by, everybody, preferred, channel) -> None:
    search = Search(
        roi=tuple(roi),
        minimum=minimum,
        by=by,
        everybody=everybody,
        preferred=preferred,
        channel=channel,
    )
    parameters = parse_qs(search.parameters(), keep_blank_values=True)
    assert Search.from_parameters(parameters) == search


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
    assert Search(**asked).counted(Release(tiny_release).tables) is None


def test_what_would_take_seconds_is_refused() -> None:
    two = Search(subject=("S1", "S2"))
    assert two.refusal(4_000_000, counted=False) is None
    assert "8,000,002 rows are more than the 8,000,000" in str(
        two.refusal(4_000_001, counted=False)
    )
    assert Search(subject=("S1",), everybody=True).refusal(10**9, counted=True) is None
    assert Search(by="min_r").refusal(10**9, counted=False)  # of an older release
    assert Search(channel="3").refusal(30_000_000, counted=False) is None
    for asked in ({"channel": "3", "subject": ("S1",)}, {"rows": "3"}, {"columns": "3"}):
        assert "Choose a layer" in str(Search(**asked).refusal(10**8, counted=False))
