"""Agreement of subjects: sums equal numpy's, intervals cover the truth, Spearman's as re-ranked."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from unitdb.analysis import (
    agreement_intervals,
    agreement_null,
    channel_blocks,
    intersubject_correlations,
    tile_blocks,
)
from unitdb.analysis.moments import BlockMoments, correlation_matrix
from unitdb.errors import AnalysisError

ROWS = hnp.arrays(
    st.sampled_from([np.float32, np.float64]),
    st.tuples(st.integers(1, 4), st.integers(1, 30)),
    elements=st.sampled_from([np.nan, 0.0, 0.25]) | st.integers(-64, 64).map(lambda x: x / 64),
)


@given(rows=ROWS, seed=st.integers(0, 99))
def test_moments_equal_sums_over_each_block_in_any_parts(rows, seed):
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 3, rows.shape[1]).astype(np.int32)
    moments = BlockMoments(len(rows), 3)
    for part in np.array_split(np.arange(rows.shape[1]), 3):
        moments.add(rows[:, part], blocks[part])
    complete = ~np.isnan(rows).any(axis=0)
    if not complete.any():
        assert not moments.n.any()
        return
    x = rows.astype(float) - rows[:, complete][:, :1]
    for block in range(3):
        of = x[:, complete & (blocks == block)]
        assert moments.n[block] == of.shape[1]
        np.testing.assert_allclose(moments.sums[block], of.sum(axis=1), atol=1e-12)
        np.testing.assert_allclose(moments.products[block], of @ of.T, atol=1e-12)


def test_long_runs_with_and_without_nan_equal_numpy():
    rng = np.random.default_rng(0)
    rows = rng.normal(5, 1, size=(3, 5000)).astype(np.float32)
    rows[1, [3, 2049, 4999]] = np.nan
    blocks = np.repeat(np.arange(2), 2500).astype(np.int32)
    moments = BlockMoments(3, 2)
    moments.add(rows, blocks)
    kept = rows[:, ~np.isnan(rows).any(axis=0)].astype(float)
    n, mean, scatter = moments.totals()
    assert n[0] == kept.shape[1] == 4997
    np.testing.assert_allclose(mean[0] + moments.shift, kept.mean(axis=1))
    np.testing.assert_allclose(scatter[0] / (n[0] - 1), np.cov(kept), rtol=1e-10)


def test_a_large_mean_costs_no_digits():
    a = np.random.default_rng(0).normal(size=(2, 1000))
    moments = BlockMoments(2, 1)
    moments.add(a + 1e8, np.zeros(1000, dtype=np.int32))
    found = correlation_matrix(moments.totals()[2])[0, 0, 1]
    assert found == pytest.approx(scipy.stats.pearsonr(*(a + 1e8)).statistic, abs=1e-9)


@given(shape=st.tuples(*[st.integers(1, 6)] * 3), tile=st.integers(1, 4), seed=st.integers(0, 9))
def test_blocks_are_channels_and_tiles_of_the_map(shape, tile, seed):
    everything = np.arange(np.prod(shape))
    channel, row, column = np.unravel_index(everything, shape)
    np.testing.assert_array_equal(channel_blocks(shape), channel)
    found = tile_blocks(shape, tile)
    pairs = set(zip(found.tolist(), (row // tile).tolist(), (column // tile).tolist(), strict=True))
    assert len(pairs) == len(np.unique(found)) == found.max() + 1  # one name for each tile
    some = np.random.default_rng(seed).permutation(everything)[:5]
    np.testing.assert_array_equal(channel_blocks(shape, some), channel[some])
    np.testing.assert_array_equal(tile_blocks(shape, tile, some), found[some])


def test_blocks_of_other_layers_are_refused():
    with pytest.raises(AnalysisError, match="outside 0 … 5"):
        channel_blocks((2, 3), [6], axes="TD")
    with pytest.raises(AnalysisError, match=r"shape \(4,\), axes N, has no map"):
        tile_blocks((4,), 2)
    with pytest.raises(AnalysisError, match="needs an edge"):
        tile_blocks((1, 4, 4), 0)
    with pytest.raises(AnalysisError, match=r"\(2, 3\): say what its axes are"):
        channel_blocks((2, 3))
    with pytest.raises(AnalysisError, match=r"'TD' has 2 axes, and the shape \(2, 3, 4\) 3"):
        channel_blocks((2, 3, 4), axes="TD")
    with pytest.raises(AnalysisError, match="there are 2"):
        BlockMoments(1, 2).add(np.zeros((1, 3)), np.array([0, 1, 2], dtype=np.int32))
    with pytest.raises(AnalysisError, match="n_covariates, n_units"):
        agreement_intervals(np.zeros((2, 3)), np.zeros(4, dtype=np.int32))


@given(rows=ROWS)
def test_values_are_those_of_the_plain_correlations(rows):
    """Whose reference is scipy; pairs with units of their own, ties and constants included."""
    blocks = (np.arange(rows.shape[1]) // 4).astype(np.int32)
    found = agreement_intervals(rows, blocks, n_bootstrap=5)
    for pair, plain in zip(found, intersubject_correlations(rows), strict=True):
        assert (pair.first, pair.second, pair.n_units) == (plain.first, plain.second, plain.n_units)
        np.testing.assert_allclose(pair.pearson.value, plain.pearson, atol=1e-9)
        np.testing.assert_allclose(pair.spearman.value, plain.spearman, atol=1e-9)
        assert pair.partial is None
        for interval in (pair.pearson, pair.spearman):
            if not np.isnan(interval.low):
                assert interval.low <= interval.value + 1e-12
                assert interval.value <= interval.high + 1e-12


def partial_by_regression(a, b, covariates):
    design = np.column_stack([np.ones(len(a)), *covariates])
    left = [x - design @ np.linalg.lstsq(design, x)[0] for x in (a, b)]
    return scipy.stats.pearsonr(*left).statistic


@given(seed=st.integers(0, 2**32 - 1), n_covariates=st.integers(1, 3), missing=st.booleans())
def test_partial_correlation_is_that_of_residuals(seed, n_covariates, missing):
    rng = np.random.default_rng(seed)
    covariates = rng.normal(size=(n_covariates, 40)) * 10.0 ** np.arange(n_covariates)[:, None]
    r = rng.normal(size=(3, 40)) + covariates.sum(axis=0) / 10
    if missing:
        r[0, :4], covariates[0, 7] = np.nan, np.nan
    blocks = np.arange(40, dtype=np.int32)
    for pair in agreement_intervals(r, blocks, covariates=covariates, n_bootstrap=3):
        known = ~np.isnan(r[[pair.first, pair.second]].sum(axis=0) + covariates.sum(axis=0))
        assert pair.n_units == pair.n_blocks == known.sum()
        expected = partial_by_regression(
            r[pair.first, known], r[pair.second, known], covariates[:, known]
        )
        assert pair.partial.value == pytest.approx(expected, abs=1e-9)


def test_agreement_that_is_all_the_covariate_is_none_and_repeated_covariates_are_no_trouble():
    rng = np.random.default_rng(0)
    easy = rng.normal(size=2000)
    r = easy + rng.normal(size=(2, 2000))
    (pair,) = agreement_intervals(
        r, channel_blocks((100, 20), axes="DT"), covariates=np.stack([easy, 2 * easy])
    )
    assert pair.pearson.low > 0.4
    assert pair.partial.low < 0 < pair.partial.high
    assert pair.partial.value == pytest.approx(partial_by_regression(*r, [easy]), abs=1e-9)
    (same,) = agreement_intervals(
        r, channel_blocks((100, 20), axes="DT"), covariates=r[:1], n_bootstrap=5
    )
    assert np.isnan(same.partial.value)


def test_the_bootstrap_from_sums_equals_drawing_the_units_of_blocks():
    rng = np.random.default_rng(0)
    r = rng.normal(size=(2, 300)) + rng.normal(size=300)
    blocks = channel_blocks((15, 20), axes="DT")
    (pair,) = agreement_intervals(r, blocks, n_bootstrap=50, seed=7)
    drawn = np.random.Generator(np.random.PCG64(7)).integers(0, 15, (50, 15))
    units = np.arange(300).reshape(15, 20)
    z = [np.arctanh(np.corrcoef(r[:, units[pick].ravel()])[0, 1]) for pick in drawn]
    half = scipy.stats.t.ppf(0.975, 14) * np.std(z, ddof=1) * np.sqrt(15 / 14)
    centre = np.arctanh(np.corrcoef(r)[0, 1])
    expected = np.tanh([centre - half, centre + half])
    np.testing.assert_allclose([pair.pearson.low, pair.pearson.high], expected, atol=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_spearman_scatters_as_when_every_replicate_is_ranked_anew(ties):
    rng = np.random.default_rng(0)
    common = rng.normal(size=(40, 1)) + 0.5 * rng.normal(size=(40, 20))
    r = np.exp(common.ravel() + rng.normal(size=(2, 800)))  # skewed
    if ties:
        r = np.minimum(r.round(), 3)
    (pair,) = agreement_intervals(r, channel_blocks((40, 20), axes="DT"), n_bootstrap=2)
    half = (np.arctanh(pair.spearman.high) - np.arctanh(pair.spearman.low)) / 2
    units = np.arange(800).reshape(40, 20)
    z = [
        np.arctanh(scipy.stats.spearmanr(*r[:, units[rng.integers(0, 40, 40)].ravel()]).statistic)
        for _ in range(1500)
    ]
    # 1,500 replicates give their standard deviation to 2 %; the rest is curvature.
    assert half / scipy.stats.t.ppf(0.975, 39) == pytest.approx(np.std(z), rel=0.08)


def influence_by_loops(x, y):
    """Influence of each unit on artanh of Spearman's correlation, from its definition."""
    n = len(x)
    ranks = [scipy.stats.rankdata(values) - (n + 1) / 2 for values in (x, y)]
    u, v = (of / np.sqrt((of**2).mean()) for of in ranks)
    rho = (u * v).mean()
    influence = []
    for unit in range(n):
        own = u[unit] * v[unit] - rho * (u[unit] ** 2 + v[unit] ** 2) / 2
        for values, rank, first, second in ((x, ranks[0], v, u), (y, ranks[1], u, v)):
            higher = (values > values[unit]) + (values == values[unit]) / 2
            own += (higher * (first - rho * second)).sum() / np.sqrt((rank**2).mean())
        influence.append(own / (n * (1 - rho**2)))
    return rho, np.array(influence)


@pytest.mark.parametrize("chunk", [7, 1 << 14])
@pytest.mark.parametrize("ties", [0, 1, 4])
def test_the_spread_of_spearman_is_that_of_influences_summed_in_a_loop(ties, chunk, monkeypatch):
    monkeypatch.setattr("unitdb.analysis.agreement._CHUNK", chunk)
    rng = np.random.default_rng(ties)
    r = (rng.normal(size=(4, 60)) + rng.normal(size=60)).astype(np.float32)
    if ties:
        r = np.round(r, 2 - ties // 2)  # some, and nearly all
    blocks = rng.choice([0, 1, 2, 5, 7], 60).astype(np.int32)  # in no order, and some without units
    names = np.unique(blocks)
    for pair in agreement_intervals(r, blocks, n_bootstrap=2):
        rho, influence = influence_by_loops(r[pair.first], r[pair.second])
        sums = np.array([influence[blocks == name].sum() for name in names])
        se = np.sqrt((sums**2).sum() * len(names) / (len(names) - 1))
        half = scipy.stats.t.ppf(0.975, len(names) - 1) * se
        expected = [rho, *np.tanh([np.arctanh(rho) - half, np.arctanh(rho) + half])]
        found = pair.spearman
        np.testing.assert_allclose([found.value, found.low, found.high], expected, atol=1e-12)


def covered(n_simulations, *, by_unit=False):
    """Share of simulations whose intervals cover: of Pearson, Spearman, partial."""
    rng = np.random.default_rng(1)
    rho = 0.5
    hits = np.zeros(3)
    blocks = channel_blocks((40, 10), axes="DT")
    for seed in range(n_simulations):
        # A channel has accuracies of its own, alike in its units; subjects correlate at .5 in both.
        channel, unit = rng.normal(size=(3, 40, 1)), rng.normal(size=(3, 40, 10))
        parts = np.sqrt(0.6) * channel + np.sqrt(0.4) * unit
        r = np.sqrt(rho) * parts[0] + np.sqrt(1 - rho) * parts[1:]
        easy = rng.normal(size=(40, 10)).reshape(1, -1)
        (pair,) = agreement_intervals(
            r.reshape(2, -1) + easy,
            np.arange(400, dtype=np.int32) if by_unit else blocks,
            covariates=easy,
            n_bootstrap=300,
            seed=seed,
        )
        # The easiness of units has variance 1 too, and is independent of them.
        truths = ((1 + rho) / 2, 6 / np.pi * np.arcsin((1 + rho) / 4), rho)
        for at, (interval, truth) in enumerate(
            zip((pair.pearson, pair.spearman, pair.partial), truths, strict=True)
        ):
            hits[at] += interval.low <= truth <= interval.high
    return hits / n_simulations


@pytest.mark.slow
def test_intervals_cover_the_truth_and_those_that_ignore_channels_do_not():
    """Of 1,000 simulations .93 to .97; the binomial standard error is .007."""
    share = covered(1000)
    assert (share >= 0.93).all(), share
    assert (share <= 0.97).all(), share
    assert covered(200, by_unit=True)[2] < 0.8


def test_fewer_than_two_blocks_have_no_interval():
    r = np.random.default_rng(0).normal(size=(2, 9))
    (pair,) = agreement_intervals(r, np.zeros(9, dtype=np.int32))
    assert pair.n_blocks == 1
    assert np.isnan([pair.pearson.low, pair.spearman.high]).all()
    assert not np.isnan(pair.pearson.value)


def test_null_counts_controls():
    rng = np.random.default_rng(0)
    common = rng.normal(size=200)
    r = np.stack([common, common + rng.normal(size=200), rng.normal(size=200)])
    null = rng.normal(size=(19, 3, 200))
    null[3, 0] = np.nan
    found = agreement_null(r, null)
    pair, pearson, spearman = found[0]
    assert pair == intersubject_correlations(r)[0]
    assert (pearson, spearman) == (1 / 19, 1 / 19)  # a control without an accuracy is left out
    expected = np.array([np.corrcoef(control)[1, 2] for control in null])
    at = found[2]
    assert at[1] == (1 + (expected >= np.corrcoef(r)[1, 2]).sum()) / 20
    with pytest.raises(AnalysisError, match="null has shape"):
        agreement_null(r, null[0])


def test_features_and_not_tokens_are_the_blocks_of_a_transformer():
    """200 simulations give .94 and .36; fewer are enough to tell these apart."""
    rng, n_simulations, covered = np.random.default_rng(0), 60, {"TD": 0, "DT": 0}

    def alike(*shape: int) -> list[np.ndarray]:
        common = rng.normal(size=shape)
        return [np.sqrt(0.5) * (common + rng.normal(size=shape)) for _ in range(2)]

    for _ in range(n_simulations):
        features, units = alike(1, 64), alike(10, 64)
        r = np.stack([(a + 0.5 * b).ravel() for a, b in zip(features, units, strict=True)])
        for axes in covered:  # DT takes the first axis, of tokens, for the features
            blocks = channel_blocks((10, 64), axes=axes)
            (pair,) = agreement_intervals(r, blocks, n_bootstrap=200)
            covered[axes] += pair.pearson.low <= 0.5 <= pair.pearson.high
    assert covered["TD"] > 0.85 * n_simulations
    assert covered["DT"] < 0.6 * n_simulations
