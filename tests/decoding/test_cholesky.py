"""Systems solved by the engine's own factorisation equal NumPy's solutions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from unitdb.decoding._cholesky import solve_gathered, solve_over_samples, solve_positive

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
LEAST = 1e-6
dtypes = st.sampled_from(sorted(TOLERANCE))
# Below, at and above the numbers of rows that are done together.
sizes = st.sampled_from([*range(1, 20), 63, 64, 65, 71, 72, 127, 128, 131, 200])


def positive_definite(n: int, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((n + 10, n))
    return x.T @ x / n + np.eye(n)


@given(n=sizes, dtype=dtypes, seed=st.integers(0, 1000))
def test_one_system(n, dtype, seed):
    a, b = positive_definite(n, seed), np.random.default_rng(seed).standard_normal(n)
    lower = np.tril(np.full((n, n), np.nan), -1)  # is not to be read
    w = b.astype(dtype)
    assert solve_positive((np.triu(a) + lower).astype(dtype), w, LEAST)
    np.testing.assert_allclose(w, np.linalg.solve(a, b), rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("n", [1, 2, 9, 66, 131])
@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan])
@pytest.mark.parametrize("last", [True, False])
def test_a_bad_pivot_is_told_and_changes_nothing(n, bad, last):
    a, w = positive_definite(n, 0), np.ones(n)
    a[-1 if last else 0, -1 if last else 0] = bad
    assert not solve_positive(a, w, LEAST)
    assert (w == 1).all()


def test_pivots_that_are_far_apart_are_told():
    assert solve_positive(np.diag([1.0, 1e-5]), np.ones(2), LEAST)
    assert not solve_positive(np.diag([1.0, 1e-7]), np.ones(2), LEAST)


@given(dtype=dtypes, seed=st.integers(0, 1000), n=st.integers(1, 12))
def test_gathered_systems(dtype, seed, n):
    rng = np.random.default_rng(seed)
    a, right = positive_definite(12, seed), rng.standard_normal((5, 12))
    index = np.sort(rng.random((5, 12)).argsort(axis=1)[:, :n], axis=1)
    found = right.astype(dtype)
    assert solve_gathered(a.astype(dtype), index.astype(np.uint32), found, LEAST) == -1
    for unit, kept in enumerate(index):
        expected = right[unit].copy()
        expected[kept] = np.linalg.solve(a[np.ix_(kept, kept)], right[unit, kept])
        np.testing.assert_allclose(found[unit], expected, rtol=0, atol=TOLERANCE[dtype])


def test_more_systems_than_are_gathered_together():
    a = positive_definite(720, 0)  # a few of 700 × 700 in double precision are gathered at a time
    right = np.random.default_rng(0).standard_normal((11, 720))
    index = np.stack([np.delete(np.arange(720), np.arange(20) + 60 * unit) for unit in range(11)])
    found = right.copy()
    assert solve_gathered(a, index.astype(np.uint32), found, LEAST) == -1
    for unit, kept in enumerate(index):
        expected = np.linalg.solve(a[np.ix_(kept, kept)], right[unit, kept])
        np.testing.assert_allclose(found[unit, kept], expected, rtol=0, atol=1e-12)


def test_the_first_singular_system_is_named():
    a = np.diag([1.0, 0.0, 1.0])
    index = np.array([[0], [1], [2]], dtype=np.uint32)
    assert solve_gathered(a, index, np.ones((3, 3)), LEAST) == 1
    voxels = np.eye(3)
    assert solve_over_samples(np.eye(3), voxels, index, -1.0, np.ones((3, 3)), LEAST) == 0


@given(dtype=dtypes, seed=st.integers(0, 1000), factor=st.sampled_from([1.0, -1.0]))
def test_systems_over_samples(dtype, seed, factor):
    rng = np.random.default_rng(seed)
    voxels, right = rng.standard_normal((6, 9)), rng.standard_normal((4, 9))
    gram = voxels.T @ voxels + np.eye(9)
    index = np.sort(rng.random((4, 6)).argsort(axis=1)[:, :2], axis=1)
    found = right.astype(dtype)
    inputs = gram.astype(dtype), voxels.astype(dtype), index, factor, found, LEAST
    assert solve_over_samples(*inputs) == -1
    for unit, kept in enumerate(index):
        system = gram + factor * voxels[kept].T @ voxels[kept]
        expected = np.linalg.solve(system, right[unit])
        np.testing.assert_allclose(found[unit], expected, rtol=0, atol=20 * TOLERANCE[dtype])
