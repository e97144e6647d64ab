from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from unitdb.browser._intervals import with_intervals


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
