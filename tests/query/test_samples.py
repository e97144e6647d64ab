"""The best units of each group, units drawn at random, and their order, against plain pandas."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

import unitdb
from tests.query.rows import keys, place
from unitdb.errors import (
    QueryError,
)
from unitdb.query.relation import KEY
from unitdb.release import Release

# --- quotas and samples ---------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 5),
    by=st.sampled_from(["mean_r", "min_r", "unit"]),
    ascending=st.booleans(),
    per=st.lists(
        st.sampled_from(["dataset", "model", "layer", "channel", "unit", "roi"]),
        min_size=1,
        max_size=3,
    ),
)
def test_top_per_equals_groupby(release: Release, reference, n, by, ascending, per) -> None:
    columns = {"channel": ["layer", "channel"], "unit": ["layer", "unit"]}
    groups = list(dict.fromkeys(c for name in per for c in columns.get(name, [name])))
    rows = reference[reference[by].notna()].copy()
    rows["channel"] = [place(row)[0] for _, row in rows.iterrows()]
    ordered = rows.sort_values([by, *KEY], ascending=[ascending] + [True] * len(KEY))
    expected = ordered.groupby(groups, sort=False).head(n)
    found = release.units().top(n, by=by, ascending=ascending, per=per).to_pandas()
    assert keys(found) == keys(expected)


def test_per_is_checked(release: Release) -> None:
    with pytest.raises(QueryError, match="one or several of dataset, condition, model, layer"):
        release.units().top(3, per="subject")
    with pytest.raises(QueryError, match="one or several of"):
        release.units().top(3, per=[])


PRIME = 2**31 - 1


def priority(row: tuple, seed: int) -> int:
    """What the documentation of ``sampled`` says, in Python's integers."""

    def number(letter: str) -> int:
        text = "/".join([letter, str(seed), *row[:5]])
        digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
        return int.from_bytes(digest[:8], "big") % (PRIME - 1) + 1

    x = (number("a") * row[5] + number("b")) % PRIME
    for shift, factor in ((15, 739982445), (12, 695872825), (15, 1)):
        x = ((x ^ (x >> shift)) * factor) % PRIME
    return x


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 60), seed=st.integers(0, 2**40))
def test_sample_equals_its_definition(release: Release, reference, n: int, seed: int) -> None:
    rows = keys(reference)
    expected = sorted(sorted(rows, key=lambda row: (priority(row, seed), row))[:n])
    assert keys(release.units().sample(n, seed=seed).to_pandas()) == expected


def test_samples_are_nested_and_have_quotas(release: Release) -> None:
    units = release.units()
    small, large = (set(keys(units.sample(n, seed=3).to_pandas())) for n in (5, 20))
    assert small < large
    quota = units.sample(2, seed=3, per=["layer", "roi"]).to_pandas()
    assert quota.groupby(["layer", "roi"]).size().tolist() == [2, 2, 2, 2]
    other = units.sample(5, seed=4).to_pandas()
    assert set(keys(other)) != small
    for seed in (-1, 0.5, True, "1"):
        with pytest.raises(QueryError, match="seed from 0"):
            units.sample(5, seed=seed)


def test_a_sample_is_fair(release: Release) -> None:
    """Over many seeds each of the 112 rows is drawn about equally often (chi-squared, 5 sigma)."""
    drawn = pd.Series(0, index=pd.MultiIndex.from_tuples(keys(release.units().to_pandas())))
    n_seeds, n = 60, 40
    for seed in range(n_seeds):
        drawn[keys(release.units().sample(n, seed=seed).to_pandas())] += 1
    expected = n_seeds * n / len(drawn)
    chi2 = ((drawn - expected) ** 2 / (expected * (1 - n / len(drawn)))).sum()
    assert abs(chi2 - len(drawn)) < 5 * np.sqrt(2 * len(drawn))


# --- order ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ascending", [False, True])
def test_sort(release: Release, reference: pd.DataFrame, ascending: bool) -> None:
    expected = reference[reference["min_r"].notna()].sort_values(
        ["min_r", *KEY], ascending=[ascending] + [True] * len(KEY)
    )
    assert keys(release.units().sort("min_r", ascending=ascending).to_pandas()) == keys(expected)


@pytest.mark.robust(
    "bounds",
    given="the best 999,999 of each channel, by a link to the browser or the command line",
    before="memory for so many values of every group: 2 GB did not do for 1,000 channels",
    now="groups are sorted where more than a thousand are asked of each",
)
@pytest.mark.parametrize("per", ["layer", "channel", ["layer", "roi"]])
def test_many_of_each_group_are_the_same_rows(tiny_release, monkeypatch, per):
    from unitdb.query import _clauses

    units = unitdb.open(tiny_release).units()
    expected = units.top(3, by="mean_r", per=per).to_pandas()
    assert 3 < len(expected) < units.count()
    monkeypatch.setattr(_clauses, "_MOST_OF_GROUP", 2)
    pd.testing.assert_frame_equal(units.top(3, by="mean_r", per=per).to_pandas(), expected)
    assert units.top(10**6, per=per).count() == int(units.to_pandas()["mean_r"].notna().sum())


@pytest.mark.robust(
    "numbers",
    given="the best of each unit, layer or region among the best of all: `.top(4).top(1, per=…)`",
    before="in one of three calls rows of whole datasets were missing, by a fault of DuckDB 2.0",
    now="the first rows are kept aside before they are joined: the same answer each time",
)
def test_the_best_of_the_best_are_the_same_each_time(release: Release, reference) -> None:
    best = reference.dropna(subset="mean_r").nlargest(4, "mean_r")
    for _ in range(12):
        assert keys(release.units().top(4).top(4, per="roi").to_pandas()) == keys(best)
        assert release.units().top(4).top(1, per="unit").count() == best["unit"].nunique()
