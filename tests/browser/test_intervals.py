from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from unitdb.browser._intervals import with_intervals
from unitdb.browser.views.unit import verdict


def test_intervals_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50))
    y += x
    expected = stats.pearsonr(x, y)
    rows = pd.DataFrame(
        {"dataset": "d", "subject": "s", "roi": "V1", "r": [expected.statistic, 1.0, np.nan]}
    )
    people = pd.DataFrame({"dataset": ["d"], "subject": ["s"], "roi": ["V1"], "n_test": [50]})
    found = with_intervals(rows, people)
    low, high = expected.confidence_interval(0.95)
    assert np.allclose(found.loc[0, ["low", "high"]].astype(float), [low, high])
    assert found.loc[1:, ["low", "high"]].isna().to_numpy().all()


def test_too_few_images_have_no_interval() -> None:
    rows = pd.DataFrame({"dataset": ["d"], "subject": ["s"], "roi": ["V1"], "r": [0.5]})
    people = pd.DataFrame({"dataset": ["d"], "subject": ["s"], "roi": ["V1"], "n_test": [3]})
    assert with_intervals(rows, people)[["low", "high"]].isna().to_numpy().all()


def test_samples_that_share_targets_have_no_interval() -> None:
    rows = pd.DataFrame(
        {"dataset": "d", "condition": ["p", "i"], "subject": "s", "roi": "V1", "r": [0.5, 0.5]}
    )
    sets = pd.DataFrame(
        {"dataset": "d", "condition": ["p", "i"], "n_samples": [50, 250], "n_targets": [50, 10]}
    )
    found = with_intervals(rows, pd.DataFrame(), sets).set_index("condition")
    half = 1.959964 / np.sqrt(47)
    expected = np.tanh(np.arctanh(0.5) + np.array([-half, half]))
    assert np.allclose(found.loc["p", ["low", "high"]].astype(float), expected)
    assert found.loc["i", ["n_test", "low", "high"]].isna().all()


@pytest.mark.robust(
    "numbers",
    given="the page of the last unit of a layer, or of the best of millions",
    before="`best 1e+02 %`, `best 5e-05 %`",
    now="a rank is said in per cent for the better half of units, without an exponent",
)
@pytest.mark.parametrize(
    ("rank", "of", "said"),
    [
        (18, 18, ""),
        (10, 18, ""),
        (9, 18, " (best 50 %)"),
        (1, 1, ""),
        (1, 3, " (best 33 %)"),
        (1, 2_000_000, " (best 0.00005 %)"),
        (9_996, 100_000, " (best 10 %)"),
    ],
)
def test_a_rank_is_said_in_per_cent_of_the_better_half(rank: int, of: int, said: str) -> None:
    rows = pd.DataFrame({"roi": ["V1"], "r": [0.2], "low": [0.1]})
    summary = pd.DataFrame({"roi": ["V1"], "mean_r": [0.2], "q": [np.nan], "rank": [rank]})
    assert verdict(rows, summary, "V1", of).endswith(f"{of:,} units of its layer{said}.")
