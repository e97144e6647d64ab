from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

import pytest
from hypothesis import given, strategies as st

from unitdb.browser import _reads
from unitdb.browser._search import KEPT, Search, parsed_range
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
    people=st.none() | st.integers(1, 15),
    kept=st.tuples(st.sampled_from(list(KEPT)), st.integers(1, 999), st.none() | st.integers(1, 9)),
    channel=st.sampled_from(["", "3", "3-5"]),
)
def test_a_search_survives_the_url(
    roi, minimum, by, everybody, preferred, people, kept, channel
) -> None:
    search = Search(
        roi=tuple(roi),
        minimum=minimum,
        by=by,
        everybody=everybody,
        preferred=preferred,
        people=people,
        keep=kept[0],
        n=kept[1],
        each=kept[2],
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
        {"people": ["0"]},
        {"n": ["-3"]},
        {"keep": ["some"]},
        {"people": ["1.5"]},
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


@pytest.mark.parametrize("people", [1, 2, 3])
@pytest.mark.parametrize("minimum", [None, 0.2, 0.29])
@pytest.mark.parametrize("dataset", [(), ("sim-a",)])
@pytest.mark.parametrize("subject", [(), ("S1", "S3")])
def test_an_accuracy_is_reached_in_so_many_people(
    tiny_release: Path, people: int, minimum: float | None, dataset: tuple, subject: tuple
) -> None:
    release = Release(tiny_release)
    search = Search(dataset=dataset, people=people, minimum=minimum, subject=subject, roi=("V4",))
    held = {row["dataset"]: row["subjects"] for row in release.describe().datasets}
    found = search.resolved(held).units(release, ordered=False).to_pandas()
    r = release.table("accuracy").astype({"dataset": str, "roi": str, "subject": str})
    r = r[(r["roi"] == "V4") & r["r"].notna()]
    r = r[r["dataset"].isin(dataset or list(held))]
    r = r[r["subject"].isin(subject)] if subject else r
    r = r[r["r"].astype(float) >= (-1 if minimum is None else minimum)]
    counts = r.groupby(["dataset", "model", "layer", "unit"], observed=True).size()
    expected = counts[counts >= people].index
    keys = ["dataset", "model", "layer", "unit"]
    assert set(found[keys].itertuples(index=False, name=None)) == set(expected)


def test_all_people_and_one_are_counted_by_bins() -> None:
    asked = Search(people=3, minimum=0.2)
    everybody = Search(by="min_r", minimum=0.2, everybody=True)
    assert asked.resolved({"a": "123"}) == everybody
    assert asked.resolved({"a": "123", "b": "12"}) == asked  # three of two are none
    assert Search(people=3, minimum=0.2, dataset=("a",)).resolved({"a": "123", "b": "12"}).by == (
        "min_r"
    )
    assert Search(people=1, minimum=0.2).resolved({"a": "123"}) == Search(by="max_r", minimum=0.2)
    assert Search(people=2, minimum=0.2, subject=("1", "2")).resolved({"a": "123"}).everybody


def test_counting_people_is_refused_where_it_would_take_long() -> None:
    search = Search(people=2, minimum=0.1)
    assert search.counted(["summary_histogram"]) is None
    assert search.refusal(500_000, counted=False, n_subjects=15) is None
    assert "Choose a layer" in str(search.refusal(600_000, counted=False, n_subjects=15))
    assert Search(significant=True).counted(["summary_histogram"]) is None


def test_the_best_units_are_so_many_and_so_many_of_each_channel(tiny_release: Path) -> None:
    release = Release(tiny_release)
    where = {"dataset": ("sim-a",), "roi": ("V4",), "layer": ("conv1",)}
    every = release.units(dataset="sim-a", roi="V4", layer="conv1").to_pandas()
    every = every.dropna(subset="mean_r").sort_values("mean_r", ascending=False)
    of_channel = every.assign(channel=every["unit"] // 9)
    best = Search(**where, keep="units", n=7).units(release).to_pandas()
    assert best["unit"].tolist() == every["unit"].tolist()[:7]
    spread = Search(**where, keep="units", n=3, each=2).units(release).to_pandas()
    expected = of_channel.groupby("channel").head(2)["unit"].tolist()[:3]
    assert spread["unit"].tolist() == expected
    channels = Search(**where, keep="channels", n=1).units(release).to_pandas()
    means = of_channel.groupby("channel")["mean_r"].mean()
    assert set(channels["unit"] // 9) == {means.idxmax()}
    assert len(channels) == (of_channel["channel"] == means.idxmax()).sum()
    assert Search(keep="units").counted(release.tables) is None


@pytest.mark.robust(
    "numbers",
    given="*Find units*, the best 5 units of all regions",
    before="five rows, of 3 units: a unit stood once for each region",
    now="five units, each by its best row",
)
@pytest.mark.parametrize("where", [{}, {"dataset": ("sim-a",)}, {"preferred": True}])
@pytest.mark.parametrize("each", [None, 1, 3])
def test_the_best_units_are_units(tiny_release: Path, where: dict, each: int | None) -> None:
    release = Release(tiny_release)
    rows = release.units().to_pandas().dropna(subset="mean_r")
    rows = rows[rows["dataset"].isin(where.get("dataset", rows["dataset"].unique()))]
    rows = rows[rows["lead_r"] > 0] if where.get("preferred") else rows
    keys = [*rows.columns[:6]]
    rows = rows.sort_values(["mean_r", *keys], ascending=[False, *[True] * 6])
    best = rows.drop_duplicates(["model", "layer", "unit"])
    if each is not None:
        plane = best["layer"].astype(str).map({"conv1": 9, "fc": 1})
        best = best.groupby([best["layer"].astype(str), best["unit"] // plane]).head(each)
    for n in (1, 5, 20):
        found = Search(**where, keep="units", n=n, each=each).units(release).to_pandas()
        assert found["unit_id"].tolist() == best["unit_id"].tolist()[:n]
        assert found["mean_r"].tolist() == best["mean_r"].tolist()[:n]


MORE = [
    {},
    {"minimum": 0.1},
    {"roi": ("V1",)},
    {"roi": ("V1", "V4"), "dataset": ("sim-a",)},
    {"preferred": True},
    {"significant": True},
    {"subject": ("S1", "S2")},
    {"people": 2, "minimum": 0.0},
]


@pytest.mark.parametrize("by", ["mean_r", "min_r", "lead_r"])
@pytest.mark.parametrize("more", MORE, ids=str)
@pytest.mark.parametrize("kept", [{"each": 1}, {"each": 2}, {"each": 5}, {}], ids=str)
def test_what_a_page_asks_for_in_few_rows_is_the_same(
    tiny_release: Path, monkeypatch: pytest.MonkeyPatch, by, more, kept
) -> None:
    release = Release(tiny_release)
    if by == "lead_r" and ("subject" in more or "people" in more):
        by = "max_r"
    for n, looked_at, most in ((1, (1,), 9), (3, (1, 2), 9), (6, (20, 1000), 9), (50, (2,), 9)):
        monkeypatch.setattr(_reads, "_LOOKED_AT", looked_at)
        monkeypatch.setattr(_reads, "_MOST_CHANNELS", most)
        keep = "units" if kept else "channels"
        search = Search(by=by, keep=keep, n=n, **more, **kept)
        found, plain = _reads.found(release, search), search.units(release)
        assert found.to_pandas().equals(plain.to_pandas())
        if keep == "channels":
            assert (found.sql != plain.sql) == (n <= most)
        elif n == 1 and by == "mean_r" and more in ({}, {"roi": ("V1",)}):
            assert found.sql != plain.sql
