"""Every accuracy of two whole releases, against a decoder written for this test alone."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

import unitdb
from tests.acceptance.conftest import ROOT, succeed
from unitdb.activations import Activations
from unitdb.responses import decoding_design, open_dataset

pytestmark = pytest.mark.slow


def solve_positive(matrix, right):
    return scipy.linalg.cho_solve(scipy.linalg.cho_factor(matrix), right)


def rounds(values):
    """Columns that vary by no more than 128 steps of float32, of the largest value."""
    return np.ptp(values, axis=0) <= 2**-16 * np.abs(values).max(axis=0)


@threadpool_limits.wrap(limits=1)  # threads that wait for each other take ten times as long here
def decoded(x, y, splits):
    """Accuracies with 500 voxels and alpha 100, in double precision, one unit at a time."""
    held_out = np.concatenate([test for _, test in splits])
    predicted = np.empty((len(held_out), y.shape[1]))
    done = 0
    for train, test in splits:
        varies = ~rounds(x[train])
        mean, sd = x[train][:, varies].mean(axis=0), x[train][:, varies].std(axis=0, ddof=1)
        x_train, x_test = (x[train][:, varies] - mean) / sd, (x[test][:, varies] - mean) / sd
        z = y[train] - y[train].mean(axis=0)
        with np.errstate(invalid="ignore"):  # constant units
            z = np.where(rounds(y[train]), 0, z / y[train].std(axis=0, ddof=1))
        rows = slice(done, done + len(test))
        if x_train.shape[1] <= 500:
            ridge = Ridge(alpha=100, fit_intercept=False, solver="cholesky").fit(x_train, z)
            predicted[rows] = ridge.predict(x_test)
        else:
            products = x_train.T @ z
            gram = x_train.T @ x_train + 100 * np.eye(x_train.shape[1])
            for unit, product in enumerate(products.T):
                kept = np.argsort(-np.abs(product), kind="stable")[:500]
                if len(train) < 500:  # as many equations as samples, with the same solution
                    few = x_train[:, kept]
                    dual = solve_positive(few @ few.T + 100 * np.eye(len(train)), z[:, unit])
                    weights = few.T @ dual
                else:
                    weights = solve_positive(gram[np.ix_(kept, kept)], product[kept])
                predicted[rows, unit] = x_test[:, kept] @ weights
        predicted[rows] = predicted[rows] * y[train].std(axis=0, ddof=1) + y[train].mean(axis=0)
        done += len(test)
    true = y[held_out] - y[held_out].mean(axis=0)
    predicted -= predicted.mean(axis=0)
    norms = np.sqrt((true**2).sum(axis=0) * (predicted**2).sum(axis=0))
    with np.errstate(invalid="ignore"):
        r = (true * predicted).sum(axis=0) / norms
    constant = rounds(y[held_out]) | rounds(y)
    for train, _ in splits if len(splits) == 1 else ():
        constant |= rounds(y[train])
    return np.where(constant, np.nan, r)


WHOLE = pytest.param("sample", marks=pytest.mark.whole)  # a minute and a half


@pytest.fixture(scope="module", params=[WHOLE, "digits69"])
def whole(request, tmp_path_factory):
    """A release built by its shipped recipe, its activations and its dataset."""
    name, data = request.param, None
    if name == "sample":
        folder = request.getfixturevalue("sample").parents[1]
    else:
        folder, data = tmp_path_factory.mktemp(name), request.getfixturevalue("realdata")
        recipe = ROOT / "pipelines" / f"{name}.yaml"
        succeed("--releases", folder, "build", recipe, "--data", data)
    stores = [Activations.open(p.parent) for p in (folder / ".cache").glob("*/meta.json")]
    release = unitdb.open(name, releases=folder)
    # Other tests share the sample's cache, with other units of the same network.
    units = release.sql("SELECT layer, count(DISTINCT unit) AS n FROM accuracy GROUP BY layer")
    decoded_units = units.set_index("layer")["n"].to_dict()
    same = [s for s in stores if {la: s.n_units(la) for la in s.layers} == decoded_units]
    store = max(same, key=lambda store: len(store.stimulus_ids))
    return release, store, open_dataset(name, data=data, cache=folder / ".cache")


def test_all_accuracies_equal_the_slow_ones(whole):
    release, store, dataset = whole
    layers = release.table("layers")["layer"].tolist()
    compared = 0
    for subject in release.table("subjects")["subject"].unique():
        responses = dataset.responses(subject, tests=["perception"])
        design = decoding_design(responses, n_folds=None, seed=0)
        rows = store.rows(design.stimulus_ids.tolist())
        y = np.hstack([store.block(la, 0, store.n_units(la))[rows].astype(float) for la in layers])
        for roi, voxels in responses.rois.items():
            expected = decoded(design.values[:, voxels].astype(float), y, design.splits)
            found = np.concatenate(
                [
                    release.sql(
                        "SELECT r FROM accuracy WHERE layer = ? AND roi = ? AND subject = ? "
                        "ORDER BY unit",
                        [layer, roi, subject],
                    )["r"].to_numpy(dtype=float, na_value=np.nan)
                    for layer in layers
                ]
            )
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)  # single precision
            compared += len(found)
    assert compared == release.sql("SELECT count(*) AS n FROM accuracy")["n"].item()
