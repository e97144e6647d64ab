"""p among controls: equal to a loop, calibrated where a formula is not; what else controls give."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from tests.analysis.controls_reference import p_by_loop
from unitdb.analysis import (
    StudentisedNull,
    accuracy_p,
    activation_covariates,
    combined_accuracy_p,
    cross_correlations,
    prediction_correlations,
    stouffer_p,
)
from unitdb.errors import AnalysisError
from unitdb.verification.reading._significance import chance_of_r, p_of_z


@given(
    seed=st.integers(0, 2**32 - 1),
    n_controls=st.integers(3, 8),
    n_units=st.integers(1, 12),
    missing=st.floats(0, 0.4),
    part=st.integers(1, 12),
)
def test_p_equals_a_loop_in_any_blocks(seed, n_controls, n_units, missing, part):
    rng = np.random.default_rng(seed)
    r, null = rng.normal(size=n_units), rng.normal(size=(n_controls, n_units))
    null[rng.random(null.shape) < missing] = np.nan
    null[:, 0] = rng.normal(size=n_controls)
    r[rng.random(n_units) < 0.1] = np.nan
    parts = [slice(start, start + part) for start in range(0, n_units, part)]
    pooled = StudentisedNull(null[:, of] for of in parts)
    found = np.concatenate([pooled.p(r[of], null[:, of]) for of in parts])
    np.testing.assert_allclose(found, p_by_loop(r, null), rtol=1e-12)


def test_units_that_never_vary_have_no_p_and_too_few_controls_are_refused():
    null = np.random.default_rng(0).normal(size=(5, 3))
    null[:, 1] = 0.25
    assert np.isnan(StudentisedNull([null]).p(np.zeros(3), null)).tolist() == [False, True, False]
    with pytest.raises(AnalysisError, match="at least 3 controls"):
        StudentisedNull([null[:2]])
    with pytest.raises(AnalysisError, match="all are NaN"):
        StudentisedNull([np.full((4, 2), np.nan)])


def test_units_of_unlike_chance_are_each_measured_on_their_own_scale():
    rng = np.random.default_rng(1)
    centre, scale = rng.normal(0, 0.3, 20_000), rng.uniform(0.02, 0.3, 20_000)
    r, *null = centre + scale * rng.normal(size=(21, 20_000))
    null = np.stack(null)
    p = StudentisedNull([null]).p(r, null)
    for part in (p, p[scale < 0.1], p[scale > 0.2], p[centre > 0.3]):
        assert 0.04 < (part < 0.05).mean() < 0.055


def predicted(x, y, train, test):
    """Predictions of ridge regression."""
    left = x[train] - x[train].mean(axis=0)
    weights = np.linalg.solve(left.T @ left + 100 * np.eye(x.shape[1]), left.T @ y[train])
    return (x[test] - x[train].mean(axis=0)) @ weights


def decoded(x, y, train, test):
    """Accuracies of ridge regression."""
    p, t = (v - v.mean(axis=0) for v in (predicted(x, y, train, test), y[test]))
    return (p * t).sum(axis=0) / np.sqrt((p**2).sum(axis=0) * (t**2).sum(axis=0))


def test_people_who_are_alike_make_stouffer_liberal_unless_it_knows_how_alike():
    """Units that no brain knows: by Stouffer's p too many are significant, as people are alike.

    Not so with the correlations of their predictions, nor among controls.
    """
    rng = np.random.default_rng(2)
    n_train, n_test, n_units = 150, 50, 1500
    features = rng.normal(size=(n_train + n_test, 100)) * np.exp(-np.arange(100) / 10)
    people = [features @ rng.normal(size=(100, 60)) for _ in range(4)]
    people = [x + 0.5 * x.std() * rng.normal(size=x.shape) for x in people]
    y = rng.normal(size=(n_train + n_test, n_units))
    train, test = np.arange(n_train), np.arange(n_train, n_train + n_test)

    def shuffled():
        return np.concatenate([rng.permutation(train), rng.permutation(test)])

    r = np.stack([decoded(x, y, train, test) for x in people])
    p = stouffer_p(accuracy_p(r, n_images=n_test))
    assert (accuracy_p(r, n_images=n_test) < 0.05).mean() == pytest.approx(0.05, abs=0.01)
    assert (p < 0.05).mean() > 0.07
    images = np.arange(n_test).astype(np.str_)
    alike = prediction_correlations(
        [predicted(x, y, train, test) for x in people], [images] * len(people)
    )
    assert alike[0, 1] > 0.1
    p = combined_accuracy_p(r, n_images=n_test, correlation=alike)
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.01)
    orders = [shuffled() for _ in range(20)]  # the same for all people
    null = np.stack(
        [np.mean([decoded(x, y[order], train, test) for x in people], axis=0) for order in orders]
    )
    assert (StudentisedNull([null]).p(r.mean(axis=0), null) < 0.05).mean() < 0.06


@given(
    seed=st.integers(0, 99),
    sizes=st.lists(st.integers(2, 9), min_size=1, max_size=4),
    n_units=st.integers(0, 4),
    constant=st.booleans(),
)
def test_correlations_of_predictions_equal_a_loop(seed, sizes, n_units, constant):
    """Subjects saw some images in common, in orders of their own."""
    rng = np.random.default_rng(seed)
    images = [rng.permutation([f"{i:02d}" for i in range(9)])[:n] for n in sizes]
    predictions = [rng.normal(3, 2, (n, n_units)) for n in sizes]
    if constant and n_units:
        predictions[0][:, 0] = 0.1
    found = prediction_correlations(predictions, images)
    for a in range(len(sizes)):
        for b in range(len(sizes)):
            of_units = []
            for u in range(n_units):
                p, q = (
                    dict(
                        zip(
                            images[s],
                            predictions[s][:, u] - predictions[s][:, u].mean(),
                            strict=True,
                        )
                    )
                    for s in (a, b)
                )
                if constant and u == 0 and 0 in (a, b):
                    continue
                both = sum(p[i] * q[i] for i in p.keys() & q.keys())
                lengths = [np.sqrt(sum(v**2 for v in side.values())) for side in (p, q)]
                of_units.append(both / np.prod(lengths))
            expected = np.mean(of_units) if of_units else np.nan
            if a == b:
                expected = 1.0
            np.testing.assert_allclose(found[a, b], expected, atol=1e-12)


@given(seed=st.integers(0, 99), n_subjects=st.integers(1, 4))
def test_p_of_correlated_people_equals_a_loop(seed, n_subjects):
    rng = np.random.default_rng(seed)
    r = rng.uniform(-0.5, 0.5, (n_subjects, 6))
    r[rng.random(r.shape) < 0.3] = np.nan
    alike = rng.uniform(-0.4, 0.9, (n_subjects, n_subjects))
    alike = (alike + alike.T) / 2
    alike[0, -1] = alike[-1, 0] = np.nan
    before = alike.copy()
    found = combined_accuracy_p(r, n_images=30, correlation=alike)
    np.testing.assert_array_equal(alike, before)
    for unit, p in enumerate(found):
        there = [s for s in range(n_subjects) if not np.isnan(r[s, unit])]
        z = [scipy.stats.norm.isf(accuracy_p(r[s, unit], n_images=30)) for s in there]
        chance = [
            1.0 if a == b or np.isnan(alike[a, b]) else max(alike[a, b], 0.0)
            for a in there
            for b in there
        ]
        expected = scipy.stats.norm.sf(sum(z) / np.sqrt(sum(chance))) if there else np.nan
        np.testing.assert_allclose(p, expected, rtol=1e-9)
    with pytest.raises(AnalysisError, match=r"correlation of shape \(9, 9\)"):
        combined_accuracy_p(r, n_images=30, correlation=np.eye(9))


def test_predictions_of_other_shapes_are_refused():
    images = np.array(["a", "b"])
    for shapes in (((2, 3), (2, 4)), ((2, 3), (3, 3))):
        with pytest.raises(AnalysisError, match="n_images, n_units"):
            prediction_correlations([np.zeros(shape) for shape in shapes], [images] * 2)


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 6)),
        elements=st.sampled_from([np.nan, 0.0, 1.0, -1.0]) | st.floats(-1, 1, width=32),
    ),
    st.integers(3, 80),
)
def test_p_over_people_is_stouffers_and_what_verification_finds(r, n):
    found = combined_accuracy_p(r, n_images=n)
    checked = [chance_of_r(n).z(row) for row in r.astype(float)]
    k = (~np.isnan(r)).sum(axis=0)
    with np.errstate(invalid="ignore"):
        p = p_of_z(np.nansum(checked, axis=0) / np.sqrt(np.where(k, k, np.nan)))
    np.testing.assert_allclose(found, p, rtol=1e-3, atol=1e-12)
    moderate = (np.abs(r) < 0.5).all(axis=0)
    of_each = accuracy_p(r[:, moderate], n_images=n)
    np.testing.assert_allclose(found[moderate], stouffer_p(of_each), rtol=1e-6)


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.just(2), st.integers(1, 4), st.integers(3, 20)),
        elements=st.floats(-1, 1).map(lambda x: round(x, 3)) | st.just(np.nan),
    )
)
def test_cross_correlations_equal_scipy(values):
    x, y = values
    complete = ~np.isnan(values).any(axis=(0, 1))
    found = cross_correlations(x, y)
    for i, a in enumerate(x[:, complete]):
        for j, b in enumerate(y[:, complete]):
            if complete.sum() < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
                assert np.isnan(found[i, j])
            else:
                expected = np.corrcoef(a, b)[0, 1]
                assert found[i, j] == pytest.approx(expected, abs=1e-9)
    with pytest.raises(AnalysisError, match="the same"):
        cross_correlations(x, y[:, 1:])


def test_covariates_of_units_are_what_their_formulas_say():
    rng = np.random.default_rng(3)
    y = np.maximum(rng.normal(size=(30, 6)), 0)
    y[:, 0] = 0.5  # constant
    y[:, 1] = np.eye(30)[4]  # one image alone
    variance, sparseness = activation_covariates(y)
    assert np.isnan([variance[0], sparseness[0]]).all()
    assert sparseness[1] == pytest.approx(1)
    np.testing.assert_allclose(variance[1:], np.log(y.var(axis=0)[1:]))
    shares = np.abs(y).sum(axis=0) ** 2 / (30 * (y**2).sum(axis=0))
    np.testing.assert_allclose(sparseness[1:], (1 - shares[1:]) / (1 - 1 / 30))
