"""Series of a run: what is regressed out, blocks, percentages and z."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from unitdb.errors import DatasetError
from unitdb.responses.bids import block_means, clean, normalised


@given(
    n_volumes=st.integers(4, 30),
    n_voxels=st.integers(1, 5),
    n_confounds=st.integers(0, 3),
    trend=st.integers(0, 2),
    seed=st.integers(0, 99),
)
def test_cleaned_series_are_residuals(n_volumes, n_voxels, n_confounds, trend, seed):
    rng = np.random.default_rng(seed)
    run = 50 + rng.normal(size=(n_volumes, n_voxels))
    confounds = rng.normal(size=(n_volumes, n_confounds))
    found = clean(run, confounds, trend=trend)
    np.testing.assert_allclose(found.mean(axis=0), run.mean(axis=0))
    time = np.arange(n_volumes, dtype=float)
    for column in [*(time**power for power in range(1, trend + 1)), *confounds.T]:
        centred = column - column.mean()
        np.testing.assert_allclose(centred @ found, 0, atol=1e-6 * np.abs(centred).sum())


@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_block_means_are_means_of_blocks(lengths, seed):
    run = np.random.default_rng(seed).normal(size=(sum(lengths), 3))
    ends = np.cumsum(lengths)
    blocks = [slice(end - n, end) for end, n in zip(ends, lengths, strict=True)]
    expected = [[sum(run[b, v]) / (b.stop - b.start) for v in range(3)] for b in blocks]
    np.testing.assert_allclose(block_means(run, blocks), expected)


def test_voxels_without_variance_become_zero():
    run = np.column_stack([np.zeros(4), np.full(4, 7.0), np.arange(4.0)])
    for way in ("percent", "zscore"):
        found = normalised(run, way)
        assert not found[:, :2].any()
        assert np.isfinite(found).all()


@pytest.mark.robust(
    "numbers",
    given="`normalise: percent` of a run whose mean is taken away already",
    before="divided by what rounding left of the mean: values of 10¹⁵",
    now="refused; a voxel that is constant but for rounding becomes 0",
)
def test_a_percentage_of_nothing_is_refused():
    run = np.column_stack([np.sin(np.arange(10.0)), 1000 + np.arange(10.0)])
    run[:, 0] -= run[:, 0].mean()
    with pytest.raises(DatasetError, match="1 of 2 voxels vary about 0"):
        normalised(run, "percent")
    assert np.isfinite(normalised(run, "zscore")).all()
    rounds = 1000 + np.arange(10.0)[:, None] % 3 * 1e-12
    assert not normalised(rounds, "zscore").any()


@pytest.mark.robust(
    "numbers",
    given="`normalise: percent` of runs whose mean was taken away over all but the first volumes",
    before='"percent" from −5.4e4 to 1.7e5',
    now="refused where most means are below their SD; noise alone has a mean of 1.9 SD",
)
@pytest.mark.parametrize("n_first", [1, 3, 10])
@pytest.mark.parametrize("shift", [0.1, 50.0])
def test_a_percentage_of_nearly_nothing_is_refused(n_first, shift):
    rng = np.random.default_rng(0)
    run = 1000 + 10 * rng.normal(size=(30, 20))
    run[:n_first] += shift
    centred = run - run[n_first:].mean(axis=0)
    with pytest.raises(DatasetError, match="of 20 voxels have a mean below their SD"):
        normalised(centred, "percent")
    np.testing.assert_allclose(normalised(run, "percent").mean(axis=0), 0, atol=1e-9)
    noise = np.abs(rng.normal(size=(30, 20)) + 1j * rng.normal(size=(30, 20)))  # no brain at all
    assert np.isfinite(normalised(noise, "percent")).all()


@pytest.mark.robust(
    "numbers",
    given="a voxel, its mean taken away, that equals a regressor",
    before="what rounding leaves of it is z-scored: SD 1",
    now="0: constant, beside what it was",
)
@pytest.mark.parametrize("mean", [0.0, 1000.0])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_residuals_of_rounding_are_constant(mean, kind):
    rng = np.random.default_rng(0)
    confounds = rng.normal(size=(40, 2))
    confounds -= confounds.mean(axis=0)
    run = np.column_stack([confounds @ [3.0, 1.0], rng.normal(size=40)]) + mean
    cleaned = clean(run.astype(kind).astype(np.float64), confounds, trend=0)
    found = normalised(cleaned, "zscore")
    assert not found[:, 0].any()
    np.testing.assert_allclose(found[:, 1].std(ddof=1), 1)
