"""p-values: equal to scipy and to loops, calibrated on null data, also in cross-validation."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from tests.rarely import rarely
from unitdb.analysis import (
    FalseDiscovery,
    PooledNull,
    accuracy_p,
    empirical_p,
    minimum_p,
    permutation_p,
    permuted_orders,
    q_values,
    stouffer_p,
)
from unitdb.errors import AnalysisError
from unitdb.responses.design import Design, image_folds, shuffle_images

P = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=1, max_dims=2, max_side=12),
    elements=st.sampled_from([np.nan, 0.0, 0.01, 0.05, 1.0]) | st.floats(0, 1),
)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(4, 60))
def test_p_equals_scipy_on_the_data_that_gave_r(seed, n):
    x, y = np.random.default_rng(seed).normal(size=(2, n))
    test = scipy.stats.pearsonr(x, y, alternative="greater")
    r = np.array([test.statistic, np.nan])
    np.testing.assert_allclose(accuracy_p(r, n_images=n), [test.pvalue, np.nan], rtol=1e-8)
    z = scipy.stats.norm.sf(np.arctanh(r) * np.sqrt(n - 3))
    np.testing.assert_allclose(accuracy_p(r, n_images=n, method="fisher"), z, rtol=1e-12)


def test_fisher_is_as_far_from_exact_as_the_documentation_says():
    at_5, at_4 = scipy.stats.t.isf([0.05, 1e-4], 48)
    r = np.array([at_5 / np.sqrt(48 + at_5**2), at_4 / np.sqrt(48 + at_4**2)])
    np.testing.assert_allclose(accuracy_p(r, n_images=50), [0.05, 1e-4])
    ratio = accuracy_p(r, n_images=50, method="fisher") / [0.05, 1e-4]
    assert 0.99 < ratio[0] < 1.01
    assert 0.7 < ratio[1] < 0.8


def test_p_at_the_ends_and_of_what_is_no_correlation():
    ends = accuracy_p(np.array([1, -1, 1 + 1e-7], dtype=np.float32), n_images=[5, 50, 500])
    np.testing.assert_array_equal(ends, [0, 1, 0])
    with pytest.raises(AnalysisError, match=r"1\.5 is no correlation"):
        accuracy_p(np.array([0.1, 1.5]), n_images=50)
    with pytest.raises(AnalysisError, match="3 test images; method 'fisher' needs at least 4"):
        accuracy_p(np.array([0.1]), n_images=3, method="fisher")
    with pytest.raises(AnalysisError, match=r"'fischer'.*valid: fisher"):
        accuracy_p(np.array([0.1]), n_images=50, method="fischer")


@given(
    values=hnp.arrays(
        np.float32,
        st.tuples(st.just(2), st.integers(1, 8), st.integers(1, 5)),
        elements=st.sampled_from([0.0, 1.0, np.nan]) | st.floats(-4, 4, width=16),
    ),
    seed=st.integers(0, 99),
)
def test_permutation_p_equals_a_loop(values, seed):
    predicted, true = values
    orders = permuted_orders(len(true), 13, seed=seed)
    found = permutation_p(predicted, true, orders, n_jobs=2)
    for unit, p in enumerate(found):
        x, y = predicted[:, unit].astype(float), true[:, unit].astype(float)
        if np.isnan(x + y).any() or np.ptp(x) == 0 or np.ptp(y) == 0:
            assert np.isnan(p)
            continue
        r = [np.corrcoef(x, y[order])[0, 1] for order in [np.arange(len(y)), *orders]]
        assert p == np.mean(np.array(r) >= r[0] - 1e-12)


def test_permutation_p_does_not_depend_on_blocks_and_has_all_orders_alike():
    rng = np.random.default_rng(0)
    predicted, true = rng.normal(size=(2, 10, 600))
    orders = permuted_orders(10, 99, seed=1)
    whole = permutation_p(predicted, true, orders)
    blocks = [slice(start, start + 70) for start in range(0, 600, 70)]
    parts = [permutation_p(predicted[:, b], true[:, b], orders) for b in blocks]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    many = permuted_orders(4, 24_000, seed=2)
    counts = np.unique(many, axis=0, return_counts=True)[1]
    assert len(counts) == 24
    assert scipy.stats.chisquare(counts).pvalue > 0.001
    within = permuted_orders(6, 50, seed=3, groups=[0, 1, 0, 1, 0, 1])
    np.testing.assert_array_equal(np.unique(within % 2, axis=0), [[0, 1, 0, 1, 0, 1]])


def test_shapes_that_do_not_agree_are_named():
    with pytest.raises(AnalysisError, match=r"\(5, 2\), \(5, 3\)"):
        permutation_p(np.zeros((5, 2)), np.zeros((5, 3)), permuted_orders(5, 3, seed=0))
    with pytest.raises(AnalysisError, match="0 permutations"):
        permuted_orders(5, 0, seed=0)
    with pytest.raises(AnalysisError, match="null has shape"):
        empirical_p(np.zeros(3), np.zeros((4, 2)))
    with pytest.raises(AnalysisError, match="all are NaN"):
        PooledNull(np.full(3, np.nan))


@given(
    r=hnp.arrays(
        np.float32, 6, elements=st.sampled_from([np.nan, 0.0, 0.5]) | st.floats(-1, 1, width=32)
    ),
    null=hnp.arrays(
        np.float32,
        (7, 6),
        elements=st.sampled_from([np.nan, 0.0, 0.5]) | st.floats(-1, 1, width=32),
    ),
)
def test_empirical_p_equals_counting(r, null):
    found = empirical_p(r, null)
    for unit in range(6):
        known = null[:, unit][~np.isnan(null[:, unit])]
        expected = (1 + sum(known >= r[unit])) / (1 + len(known)) if len(known) else np.nan
        assert found[unit] == expected or np.isnan(r[unit]) or not len(known)
        assert np.isnan(found[unit]) == (np.isnan(r[unit]) or not len(known))
    known = null[~np.isnan(null)]
    if len(known):
        expected = [np.nan if np.isnan(x) else (1 + sum(known >= x)) / (1 + len(known)) for x in r]
        np.testing.assert_allclose(PooledNull(null).p(r.astype(np.float64)), expected)


@given(
    p=hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 5), st.integers(1, 5)),
        elements=st.just(np.nan) | st.floats(1e-12, 1 - 1e-12),
    )
)
def test_combinations_equal_scipy(p):
    weights = np.arange(1.0, len(p) + 1)
    plain, weighted = stouffer_p(p), stouffer_p(p, weights=weights)
    least, anywhere = minimum_p(p), minimum_p(p, null="global")
    for unit, column in enumerate(p.T):
        known = ~np.isnan(column)
        if not known.any():
            assert np.isnan([plain[unit], weighted[unit], least[unit], anywhere[unit]]).all()
            continue
        of = column[known]
        expected = scipy.stats.combine_pvalues(of, "stouffer").pvalue
        np.testing.assert_allclose(plain[unit], expected, rtol=1e-6, atol=1e-15)
        expected = scipy.stats.combine_pvalues(of, "stouffer", weights[known]).pvalue
        np.testing.assert_allclose(weighted[unit], expected, rtol=1e-6, atol=1e-15)
        assert least[unit] == max(of)
        # Tippett's test from the other end: the maximum of k uniform numbers.
        np.testing.assert_allclose(anywhere[unit], scipy.stats.beta.cdf(max(of), len(of), 1))


def test_combinations_refuse_what_is_no_p():
    with pytest.raises(AnalysisError, match=r"outside \[0, 1\]"):
        stouffer_p(np.array([0.1, 1.1]))
    with pytest.raises(AnalysisError, match=r"'conjuction'.*valid: conjunction"):
        minimum_p(np.array([0.1]), null="conjuction")
    with pytest.raises(AnalysisError, match="one positive number"):
        stouffer_p(np.array([0.1, 0.2]), weights=[1, 0])
    with pytest.raises(AnalysisError, match=r"outside \[0, 1\]"):
        q_values(np.array([-0.1]))


@given(p=P, seed=st.integers(0, 9))
def test_q_equals_scipy_with_nan_left_out_and_in_blocks(p, seed):
    known = ~np.isnan(p)
    expected = np.full(p.shape, np.nan)
    if known.any():
        expected[known] = scipy.stats.false_discovery_control(p[known])
    np.testing.assert_allclose(q_values(p), expected, rtol=1e-12)
    blocks = np.array_split(p.ravel(), 3)
    for dtype, rtol in ((np.float64, 1e-12), (np.float32, 2e-7)):
        family = FalseDiscovery(blocks, dtype=dtype)
        assert family.n == known.sum()
        q = np.concatenate([family.q(block) for block in reversed(blocks)][::-1])
        assert q.dtype == dtype
        np.testing.assert_allclose(q, expected.ravel(), rtol=rtol, atol=1e-44)


def test_a_p_of_another_family_is_refused():
    with pytest.raises(AnalysisError, match="not of this family of 2"):
        FalseDiscovery([np.array([0.1, 0.2])]).q(np.array([0.3]))


def accuracies(predicted, true):
    p, t = predicted - predicted.mean(axis=0), true - true.mean(axis=0)
    return (p * t).sum(axis=0) / np.sqrt((p**2).sum(axis=0) * (t**2).sum(axis=0))


def ridge(x, y, train, test, alpha=10.0):
    """Held-out predictions of all columns of y."""
    mean = y[train].mean(axis=0)
    centred = x[train] - x[train].mean(axis=0)
    kernel = centred @ centred.T + alpha * np.eye(len(train))
    return mean + (x[test] - x[train].mean(axis=0)) @ centred.T @ np.linalg.solve(
        kernel, y[train] - mean
    )


N_NULL = 40_000  # binomial standard error of a share of .05: .0011


@pytest.mark.parametrize("method", ["t", "fisher", "permutation"])
def test_a_train_test_design_is_calibrated(method):
    """With null data the share of p < .05 is .05 ± .005 (4.6 binomial standard errors)."""
    rng = np.random.default_rng(0)
    below = total = 0
    for _ in range(40):  # units of a simulation share responses; simulations do not
        x, y = rng.normal(size=(80, 30)), rng.normal(size=(80, N_NULL // 40))
        train, test = np.arange(50), np.arange(50, 80)
        predicted = ridge(x, y, train, test)
        if method == "permutation":
            p = permutation_p(predicted, y[test], permuted_orders(30, 199, seed=1))
        else:
            p = accuracy_p(accuracies(predicted, y[test]), n_images=30, method=method)
        below += (p <= 0.05).sum()
        total += len(p)
    assert below / total == pytest.approx(0.05, abs=0.005)


def cross_validated(x, y, folds, alpha):
    predicted = np.empty_like(y)
    for train, test in folds:
        predicted[test] = ridge(x, y, train, test, alpha)
    return accuracies(predicted, y)


@pytest.mark.parametrize("alpha", [1.0, rarely(1000.0)])
def test_in_cross_validation_only_whole_shuffled_builds_are_calibrated(alpha):
    """Weak shrinkage makes the formula liberal, strong shrinkage conservative; controls know."""
    rng = np.random.default_rng(0)
    folds = image_folds(30, 5, seed=0)
    r, null, late = [], [], []
    for simulation in range(30):
        x, y = rng.normal(size=(30, 20)), rng.normal(size=(30, 200))
        predicted = np.empty_like(y)
        for train, test in folds:
            predicted[test] = ridge(x, y, train, test, alpha)
        r.append(accuracies(predicted, y))
        late.append(permutation_p(predicted, y, permuted_orders(30, 199, seed=0)))
        ids = np.arange(30).astype(str)
        design = Design(values=x, stimulus_ids=ids, target_ids=ids, splits=folds, sets=())
        controls = []
        for seed in range(99):
            order = shuffle_images(design, seed=[simulation, seed]).stimulus_ids.astype(int)
            controls.append(cross_validated(x, y[order], folds, alpha))
        null.append(controls)
    r, null = np.array(r), np.array(null).swapaxes(0, 1)
    assert null.mean() == pytest.approx(r.mean(), abs=0.01)
    # 6,000 units that share responses by 200: standard error about .003.
    assert (empirical_p(r, null) <= 0.05).mean() == pytest.approx(0.05, abs=0.01)
    pooled = [(PooledNull(null[:2, i]).p(r[i]) <= 0.05).mean() for i in range(len(r))]
    assert np.mean(pooled) == pytest.approx(0.05, abs=0.015)
    ignorant = [(p <= 0.05).mean() for p in (accuracy_p(r, n_images=30), np.array(late))]
    if alpha == 1.0:
        assert min(ignorant) > 0.08
    else:
        assert r.mean() < -0.3
        assert max(ignorant) < 0.005


def test_leaving_one_out_with_full_shrinkage_gives_minus_one():
    x, y = np.zeros((12, 3)), np.random.default_rng(0).normal(size=(12, 4))
    np.testing.assert_allclose(cross_validated(x, y, image_folds(12, 12, seed=0), 1.0), -1)


def test_false_discoveries_are_at_most_as_many_as_promised():
    """FDR at q < .05, of independent and of positively dependent units, a fifth of them real."""
    rng = np.random.default_rng(0)
    for shared in (0.0, 0.5):
        share = []
        for _ in range(400):
            z = np.sqrt(1 - shared) * rng.normal(size=500) + np.sqrt(shared) * rng.normal()
            z[:100] += 3.0
            found = q_values(scipy.stats.norm.sf(z)) < 0.05
            share.append(found[100:].sum() / max(found.sum(), 1))
        # m0/m · .05 = .04 is what independence gives; the standard error is below .007.
        assert np.mean(share) <= 0.05
        assert shared or np.mean(share) > 0.03


def test_conjunction_holds_its_level_where_one_subject_has_no_effect():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(3, 20_000))
    z[:2] += 4.0  # two of three subjects have a large effect
    p = scipy.stats.norm.sf(z)
    assert (minimum_p(p) <= 0.05).mean() == pytest.approx(0.05, abs=0.006)
    assert (minimum_p(p, null="global") <= 0.05).mean() > 0.3  # another question
    assert (stouffer_p(p) <= 0.05).mean() > 0.95
    nothing = scipy.stats.norm.sf(rng.normal(size=(3, 20_000)))
    for combined in (stouffer_p(nothing), minimum_p(nothing, null="global")):
        assert (combined <= 0.05).mean() == pytest.approx(0.05, abs=0.006)
    assert (minimum_p(nothing) <= 0.05).mean() < 0.001
