import math
import warnings
from collections import Counter

import numpy as np
import pandas as pd
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import pearsonr, spearmanr

from unitdb.analysis import (
    histogram,
    intersubject_correlations,
    lead_over_others,
    summarise_layer,
    summarise_units,
)

ACCURACIES = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 12)),
    elements=st.sampled_from([np.nan, -0.5, 0.0, 0.25, 0.5]) | st.floats(-1, 1, width=32),
)


@given(r=ACCURACIES)
def test_unit_summary_equals_pandas(r):
    found, frame = summarise_units(r), pd.DataFrame(r.astype(float))
    np.testing.assert_array_equal(found.n_subjects, frame.count())
    np.testing.assert_allclose(found.mean, frame.mean(), atol=1e-12)
    np.testing.assert_allclose(found.sd, frame.std(), atol=1e-7)
    np.testing.assert_array_equal(found.minimum, frame.min())
    np.testing.assert_array_equal(found.maximum, frame.max())
    ranks = pd.Series(found.mean.astype(np.float32)).rank(
        ascending=False, method="first", na_option="bottom"
    )
    np.testing.assert_array_equal(found.rank, ranks)


@given(r=ACCURACIES)
def test_layer_summary_equals_pandas(r):
    found, series = summarise_layer(r[0]), pd.Series(r[0].astype(float))
    assert (found.n_units, found.n_undefined) == (len(series), series.isna().sum())
    np.testing.assert_allclose(found.mean, series.mean(), atol=1e-12)
    np.testing.assert_allclose(found.sd, series.std(), atol=1e-7)
    expected = [series.quantile(q) for q in found.quantiles]
    np.testing.assert_allclose(list(found.quantiles.values()), expected, atol=1e-12)


@given(r=ACCURACIES)
def test_intersubject_correlations_equal_scipy_pair_by_pair(r):
    pairs = intersubject_correlations(r)
    n = len(r)
    assert [(p.first, p.second) for p in pairs] == [
        (i, j) for i in range(n) for j in range(i + 1, n)
    ]
    for pair in pairs:
        a, b = r[pair.first].astype(float), r[pair.second].astype(float)
        common = ~np.isnan(a) & ~np.isnan(b)
        a, b = a[common], b[common]
        assert pair.n_units == len(a)
        if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
            assert np.isnan([pair.pearson, pair.spearman]).all()
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nearly constant: scipy warns, both may be off
            expected = pearsonr(a, b).statistic, spearmanr(a, b).statistic
        if np.ptp(a) > 1e-6 and np.ptp(b) > 1e-6:
            np.testing.assert_allclose((pair.pearson, pair.spearman), expected, atol=1e-6)


def test_units_that_one_subject_lacks_count_for_the_other_pairs():
    r = np.array([[1, 2, 3, 4], [2, 4, 6, 9], [np.nan, 1, 0, 5]]) / 10
    n_units = {(p.first, p.second): p.n_units for p in intersubject_correlations(r)}
    assert n_units == {(0, 1): 4, (0, 2): 3, (1, 2): 3}


@given(
    mean=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 6)),
        elements=st.sampled_from([np.nan, -0.5, 0.0, 0.25, 0.3, 0.30000001, 1.0]),
    )
)
def test_lead_equals_a_loop(mean):
    found = lead_over_others(mean)
    for roi, unit in np.ndindex(*mean.shape):
        others = np.delete(mean[:, unit], roi)
        others = others[~np.isnan(others)]
        expected = mean[roi, unit] - others.max() if len(others) else np.nan
        np.testing.assert_array_equal(found[roi, unit], np.float32(expected))


@given(
    r=hnp.arrays(
        np.float32, st.integers(0, 50), elements=st.floats(-1, 1, width=32) | st.just(np.nan)
    )
)
def test_histogram_equals_counting(r):
    bins, counts = histogram(r)
    expected = Counter(
        max(-100, min(99, math.floor(100 * float(value)))) for value in r if not np.isnan(value)
    )
    assert dict(zip(bins.tolist(), counts.tolist(), strict=True)) == expected
    assert (np.diff(bins) > 0).all()


def test_histogram_holds_rounded_extremes():
    bins, counts = histogram(np.array([-1.0000001, -1, 1, 1.0000001], np.float32))
    assert bins.tolist() == [-100, 99]
    assert counts.tolist() == [2, 2]
    bins, counts = histogram(np.array([-2.0000001, -1.005, 1.9999, 2], np.float32), limit=200)
    assert bins.tolist() == [-200, -101, 199]
    assert counts.tolist() == [1, 1, 2]
