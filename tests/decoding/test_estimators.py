"""The estimators give what the slow reference gives, and are estimators to scikit-learn."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings as hypothesis_settings, strategies as st
from scipy.stats import pearsonr
from sklearn.linear_model import ARDRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, LeaveOneGroupOut, LeaveOneOut
from sklearn.utils.estimator_checks import parametrize_with_checks

import unitdb.decoding
from tests.decoding.reference import reference_predictions
from unitdb.decoding import (
    TILE,
    DecoderSettings,
    RoiDecoder,
    SparseLinearDecoder,
    VoxelSelectionRidge,
)
from unitdb.errors import IllConditionedError, ResponsesError

N_TEST = 8
ALPHAS = [0.1, 3.0, 30.0, 300.0]


def simulated(seed, n_train, n_voxels, n_targets=4):
    """Targets that differ in how many voxels they drive, so that no one alpha suits all."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n_train + N_TEST, n_targets)) * rng.uniform(0.1, 10, n_targets) + 3
    signal = (y - 3) @ (rng.normal(size=(n_targets, n_voxels)) * rng.uniform(size=(n_targets, 1)))
    x = (signal + 5 * rng.normal(size=signal.shape)) * rng.uniform(0.5, 2, n_voxels) + 70
    return x, y


def split(n_train):
    return [(np.arange(n_train), np.arange(n_train, n_train + N_TEST))]


def reference_errors(x, y, folds, alphas, **chosen):
    """Squared error (n_alphas, n_targets) of held-out samples, in SDs of each target."""
    true = y[np.concatenate([test for _, test in folds])]
    scale = y.std(axis=0, ddof=1)
    return np.array(
        [
            (
                ((reference_predictions(x, y, folds, alpha=alpha, **chosen) - true) / scale) ** 2
            ).mean(axis=0)
            for alpha in alphas
        ]
    )


@parametrize_with_checks(
    [
        VoxelSelectionRidge(),
        VoxelSelectionRidge(n_voxels=2),
        VoxelSelectionRidge(
            [1.0, 10.0], 3, alpha_per_target=True, cv=2, precision="single", zscore=False
        ),
        SparseLinearDecoder(),
        SparseLinearDecoder(n_voxels=2),
    ]
)
def test_is_an_estimator_to_scikit_learn(estimator, check):
    check(estimator)


@given(
    n_train=st.integers(4, 25),
    n_voxels=st.integers(1, 30),
    kept=st.none() | st.integers(1, 32),
    n_targets=st.none() | st.integers(1, 4),
    alpha=st.floats(0.01, 1e3),
    zscore=st.booleans(),
    precision=st.sampled_from(["single", "double"]),
    constant=st.booleans(),
    seed=st.integers(0, 999),
)
@hypothesis_settings(max_examples=60)
def test_equals_the_reference(
    n_train, n_voxels, kept, n_targets, alpha, zscore, precision, constant, seed
):
    x, y = simulated(seed, n_train, n_voxels, n_targets or 1)
    expected = reference_predictions(
        x, y, split(n_train), n_voxels=kept, alpha=alpha, zscore=zscore
    )
    if n_targets is None:
        y, expected = y[:, 0], expected[:, 0]
    if constant:  # a voxel that changes nothing but the numbering
        x = np.insert(x, 0, 0.1, axis=1)
    estimator = VoxelSelectionRidge(alpha, kept, zscore=zscore, precision=precision)
    found = estimator.fit(x[:n_train], y[:n_train]).predict(x[n_train:])
    tolerance = {"single": 5e-4, "double": 1e-9}[precision] * np.abs(y).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    n_kept = min(kept or n_voxels, n_voxels)
    shape = () if n_targets is None else (n_targets,)
    assert found.shape == (N_TEST, *shape)
    assert estimator.coef_.shape == (*shape, x.shape[1])
    assert np.shape(estimator.intercept_) == shape
    assert estimator.voxels_.shape == (*shape, n_kept)
    assert estimator.alpha_ == alpha
    used = np.zeros(estimator.coef_.shape, dtype=bool)
    np.put_along_axis(used, estimator.voxels_, True, axis=-1)
    np.testing.assert_array_equal(estimator.coef_ != 0, used)


@pytest.mark.parametrize(
    ("n_train", "n_voxels", "kept"), [(60, 50, 20), (30, 90, 40), (70, 60, 55), (30, 50, None)]
)
def test_equals_the_engine(n_train, n_voxels, kept):
    x, y = simulated(1, n_train, n_voxels)
    settings = DecoderSettings(n_voxels=kept, alpha=20.0, precision="double")
    expected = RoiDecoder(x, split(n_train), settings).predict(y)
    estimator = VoxelSelectionRidge(20.0, kept).fit(x[:n_train], y[:n_train])
    np.testing.assert_allclose(estimator.predict(x[n_train:]), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("estimator", [VoxelSelectionRidge(1.0, 5), SparseLinearDecoder(5)])
def test_keeps_the_most_correlated_voxels(estimator):
    x, y = simulated(2, 30, 20)
    r = np.array([[abs(pearsonr(v, t).statistic) for v in x.T] for t in y.T])
    expected = np.sort(np.argsort(-r, axis=1)[:, :5], axis=1)
    np.testing.assert_array_equal(estimator.fit(x, y).voxels_, expected)
    x[:, 7] = 4.0
    assert 7 not in estimator.set_params(n_voxels=None).fit(x, y).voxels_


@pytest.mark.parametrize("kept", [5, None])
@pytest.mark.parametrize("make", [VoxelSelectionRidge, SparseLinearDecoder])
def test_a_constant_target_is_predicted_by_its_constant(make, kept):
    x, y = simulated(3, 30, 20)
    y[:, 1] = 0.1
    for targets in (y, y[:, 1]):
        estimator = make(n_voxels=kept).fit(x, targets)
        found = estimator.predict(x).reshape(len(x), -1)
        np.testing.assert_array_equal(found[:, found.shape[1] > 1 and 1], 0.1)
        assert np.isfinite(estimator.coef_).all()


def test_without_a_choice_there_is_nothing_to_cross_validate():
    x, y = simulated(4, 12, 10)
    one = VoxelSelectionRidge([20.0], 5, cv="nothing").fit(x, y)
    np.testing.assert_array_equal(one.coef_, VoxelSelectionRidge(20.0, 5).fit(x, y).coef_)
    assert one.alpha_ == 20.0
    assert not hasattr(one, "cv_mse_")


@given(
    n_images=st.integers(6, 14),
    repeats=st.integers(1, 3),
    n_voxels=st.integers(2, 20),
    kept=st.none() | st.integers(1, 20),
    zscore=st.booleans(),
    per_target=st.booleans(),
    seed=st.integers(0, 999),
)
@hypothesis_settings(max_examples=15)
def test_alpha_is_chosen_as_by_a_slow_loop(
    n_images, repeats, n_voxels, kept, zscore, per_target, seed
):
    x, y = simulated(seed, n_images * repeats, n_voxels)
    x, y = x[:-N_TEST], y[:-N_TEST]
    groups = np.random.default_rng(seed).permutation(np.arange(n_images * repeats) % n_images)
    chosen = {"n_voxels": kept, "zscore": zscore}
    folds = list(GroupKFold(3).split(x, y, groups))
    errors = reference_errors(x, y, folds, ALPHAS, **chosen)
    estimator = VoxelSelectionRidge(ALPHAS, alpha_per_target=per_target, cv=3, **chosen)
    estimator.fit(x, y, groups=groups)
    np.testing.assert_allclose(estimator.cv_mse_, errors, rtol=1e-7)
    best = np.array(ALPHAS)[errors.argmin(axis=0) if per_target else errors.sum(axis=1).argmin()]
    np.testing.assert_array_equal(estimator.alpha_, best)
    for target, alpha in enumerate(np.broadcast_to(best, y.shape[1])):
        alone = VoxelSelectionRidge(alpha, **chosen).fit(x, y[:, target])
        np.testing.assert_allclose(estimator.coef_[target], alone.coef_, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("n_voxels", [10, 60])
@pytest.mark.parametrize("per_target", [True, False])
def test_leave_one_out_is_ridge_cv(per_target, n_voxels):
    x, y = simulated(5, 32, n_voxels)
    y /= y.std(axis=0, ddof=1)  # for one alpha, RidgeCV adds errors up in raw units
    alphas = np.geomspace(1, 1e5, 16)
    expected = RidgeCV(alphas, alpha_per_target=per_target).fit(x, y)
    estimator = VoxelSelectionRidge(
        alphas, None, alpha_per_target=per_target, cv=LeaveOneOut(), zscore=False
    ).fit(x, y)
    np.testing.assert_array_equal(estimator.alpha_, expected.alpha_)
    assert len(np.unique(estimator.alpha_)) > per_target  # targets differ
    np.testing.assert_allclose(estimator.coef_, expected.coef_, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(estimator.intercept_, expected.intercept_, rtol=1e-7)


@pytest.mark.parametrize("kept", [6, None])
def test_folds_of_equal_size_are_grid_search(kept):
    x, y = simulated(6, 32, 20)
    search = GridSearchCV(
        VoxelSelectionRidge(n_voxels=kept),
        {"alpha": ALPHAS},
        scoring="neg_mean_squared_error",
        cv=KFold(5),
    ).fit(x, y[:, 0])
    estimator = VoxelSelectionRidge(ALPHAS, kept).fit(x, y[:, 0])
    assert estimator.alpha_ == search.best_params_["alpha"]
    mse = -search.cv_results_["mean_test_score"] / y[:, 0].var(ddof=1)
    np.testing.assert_allclose(estimator.cv_mse_, mse, rtol=1e-9)
    np.testing.assert_allclose(estimator.coef_, search.best_estimator_.coef_)


def test_groups_are_held_out_whole():
    x, y = simulated(7, 22, 15)
    images = np.arange(30) // 3
    by_group = VoxelSelectionRidge(ALPHAS, 8, cv=10).fit(x, y, groups=images)
    splits = list(LeaveOneGroupOut().split(x, y, images))
    as_splits = VoxelSelectionRidge(ALPHAS, 8, cv=splits).fit(x, y)
    np.testing.assert_allclose(by_group.cv_mse_, as_splits.cv_mse_, rtol=1e-12)
    contiguous = VoxelSelectionRidge(ALPHAS, 8, cv=10).fit(x, y)
    np.testing.assert_allclose(contiguous.cv_mse_, by_group.cv_mse_, rtol=1e-12)
    elsewhere = VoxelSelectionRidge(ALPHAS, 8, cv=10).fit(x, y, groups=np.arange(30) % 10)
    assert not np.allclose(elsewhere.cv_mse_, by_group.cv_mse_)


def test_a_target_that_is_constant_in_a_fold_still_has_an_alpha():
    x, y = simulated(8, 12, 10)
    y[:16, 0] = 2.0  # varies only within the last fold
    estimator = VoxelSelectionRidge(ALPHAS, 5, alpha_per_target=True).fit(x, y)
    assert np.isfinite(estimator.cv_mse_).all()
    assert set(estimator.alpha_) <= set(ALPHAS)


def test_threads_change_no_bit():
    x, y = simulated(9, 40, 30, n_targets=2 * TILE + 9)
    coefficients = [VoxelSelectionRidge(10.0, 12, n_jobs=n).fit(x, y).coef_ for n in (1, 2, -1)]
    np.testing.assert_array_equal(coefficients[1], coefficients[0])
    np.testing.assert_array_equal(coefficients[2], coefficients[0])


def test_an_unstable_target_is_named():
    rng = np.random.default_rng(10)
    x, y = rng.normal(size=(40, 10)), rng.normal(size=(40, TILE + 40))
    x[:, 1] = x[:, 0]
    y[:, :] = x[:, [5]] + x[:, [6]] + 0.1 * y  # keep the voxels 5 and 6
    y[:, TILE + 30] = x[:, 0]
    with pytest.raises(IllConditionedError, match=f"of unit {TILE + 30} has no stable.*alpha = 0"):
        VoxelSelectionRidge(0, 2).fit(x, y)
    with pytest.raises(IllConditionedError, match=r"regression has no stable.*alpha = 0"):
        VoxelSelectionRidge(0, None).fit(x, y)


@pytest.mark.parametrize(("kept", "n_train"), [(None, 30), (6, 30), (12, 9)])
@pytest.mark.parametrize("n_targets", [1, 3])
def test_sparse_decoding_is_ard_on_the_voxels_kept(kept, n_train, n_targets):
    # With fewer samples than voxels the noise tends to 0, and rounding grows with iterations.
    max_iter = 50 if n_train > 20 else 3
    x, y = simulated(11, n_train, 20, n_targets)
    train, test = split(n_train)[0]
    estimator = SparseLinearDecoder(kept, max_iter=max_iter).fit(x[train], y[train])
    found = estimator.predict(x[test])
    mean, sd = x[train].mean(axis=0), x[train].std(axis=0, ddof=1)
    for target in range(n_targets):
        voxels = estimator.voxels_[target]
        seen = y[train, target]
        ard = ARDRegression(max_iter=max_iter, fit_intercept=False).fit(
            ((x[train] - mean) / sd)[:, voxels], (seen - seen.mean()) / seen.std(ddof=1)
        )
        expected = ard.predict(((x[test] - mean) / sd)[:, voxels])
        expected = expected * seen.std(ddof=1) + seen.mean()
        np.testing.assert_allclose(found[:, target], expected, rtol=0, atol=1e-7)
        assert estimator.n_iter_[target] == ard.n_iter_


def test_sparse_decoding_removes_voxels_without_signal():
    rng = np.random.default_rng(12)
    x = rng.normal(size=(100, 12))
    y = 3 * x[:, 4] - 2 * x[:, 9] + 0.01 * rng.normal(size=100) + 7
    estimator = SparseLinearDecoder().fit(x, y)
    found = np.flatnonzero(np.abs(estimator.coef_) > 0.01)
    np.testing.assert_array_equal(found, [4, 9])
    np.testing.assert_allclose(estimator.coef_[found], [3, -2], atol=0.01)
    assert estimator.intercept_ == pytest.approx(7, abs=0.01)
    assert (estimator.coef_ == 0).any()


@pytest.mark.parametrize("make", [VoxelSelectionRidge, SparseLinearDecoder])
def test_input_that_means_nothing_is_refused(make):
    x, y = simulated(13, 12, 10)
    with pytest.raises(ValueError, match=r"1 sample.*minimum of 2"):
        make().fit(x[:1], y[:1])
    with pytest.raises(ResponsesError, match="none of the 10 voxels varies over the 20 training"):
        make().fit(np.ones_like(x), y)
    with pytest.raises(ValueError, match="n_voxels must be at least 1"):
        make(n_voxels=0).fit(x, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        make().fit(x, y[:-1])
    for sparse in (scipy.sparse.csr_array, scipy.sparse.csr_matrix):
        with pytest.raises(TypeError, match="Sparse data was passed"):
            make().fit(sparse(x), y)
        with pytest.raises(TypeError, match="Sparse data was passed"):
            make().fit(x, sparse(y))
    for wrong in (np.nan, np.inf):
        damaged = y.copy()
        damaged[3, 2] = wrong
        with pytest.raises(ValueError, match=r"y contains (NaN|infinity)"):
            make().fit(x, damaged)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"alpha": -1.0}, "alpha must be at least 0"),
        ({"alpha": [1.0, np.nan]}, "alpha must be at least 0 and finite .got nan"),
        ({"alpha": [1.0, np.inf]}, "finite"),
        ({"alpha": []}, "alpha must hold at least one value"),
        ({"alpha": [[1.0], [2.0]]}, "alpha must be a number or a sequence of numbers"),
        ({"precision": "half"}, "single or double"),
        ({"alpha": [1.0, 2.0], "cv": 21}, "n_splits=21"),
    ],
)
def test_parameters_out_of_range_are_refused(wrong, message):
    x, y = simulated(14, 12, 10)
    with pytest.raises(ValueError, match=message):
        VoxelSelectionRidge(**wrong).fit(x, y)


@pytest.mark.parametrize("make", [VoxelSelectionRidge, SparseLinearDecoder])
def test_columns_have_names(make):
    x, y = simulated(15, 12, 3)
    table = pd.DataFrame(x, columns=["a", "b", "c"])
    estimator = make().fit(table, y)
    assert estimator.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names"):
        estimator.predict(table[["b", "a", "c"]])


@pytest.mark.parametrize("hidden", [["sklearn"], ["sklearn", "joblib"]])
def test_the_engine_needs_no_scikit_learn(hidden):
    script = """
import sys
from importlib.machinery import PathFinder
import unitdb.decoding
from unitdb.errors import MissingExtraError

class WithoutScikitLearn:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name in hidden else PathFinder.find_spec(name, path, target)

assert "sklearn" not in sys.modules
hidden = set(sys.argv[1:])
sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutScikitLearn
for name in ("SparseLinearDecoder", "VoxelSelectionRidge"):
    try:
        getattr(unitdb.decoding, name)
    except MissingExtraError as error:
        assert str(error).startswith(f"{name} needs scikit-learn: "), error
        assert "pip install" in str(error), error
    else:
        raise AssertionError
"""
    subprocess.run([sys.executable, "-c", script, *hidden], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'VoxelRidge'"):
        _ = unitdb.decoding.VoxelRidge
