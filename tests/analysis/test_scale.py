"""Correlations have no unit: inputs times a power of two give the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from unitdb.analysis import (
    MeanProfile,
    PatternSimilarity,
    activation_covariates,
    agreement_intervals,
    cross_correlations,
    intersubject_correlations,
    permutation_p,
    permuted_orders,
    prediction_correlations,
    repeat_reliability,
    subject_reliability,
    subject_reliability_interval,
)

N_IMAGES, N_UNITS = 30, 40
BLOCKS = np.repeat(np.arange(8, dtype=np.int32), 5)


def of_patterns(p, t):
    found = PatternSimilarity(N_IMAGES, N_IMAGES)
    for part in (slice(0, 15), slice(15, None)):
        found.add(p[:, part], t[:, part])
    return found.similarity()


def of_mean_profile(p, t):
    profile = MeanProfile(N_IMAGES, n_bootstrap=20)
    of_units = profile.add(p, t)
    mean = profile.mean()
    return np.append(of_units, [mean.value, mean.low, mean.high])


def of_agreement(p, t):
    found = agreement_intervals(p[:3], BLOCKS, covariates=t[:1], n_bootstrap=20)
    return np.array(
        [
            [part.value, part.low, part.high]
            for pair in found
            for part in (pair.pearson, pair.spearman, pair.partial)
        ]
    )


MEASURES = {
    "profiles": of_mean_profile,
    "permutations": lambda p, t: permutation_p(p, t, permuted_orders(N_IMAGES, 50, seed=0)),
    "patterns": of_patterns,
    "predictions": lambda p, t: prediction_correlations([p, t], [np.arange(N_IMAGES)] * 2),
    "presentations": lambda p, _: repeat_reliability(p.reshape(3, -1, N_UNITS), n_splits=5),
    "subjects": lambda p, _: subject_reliability(p[:4], n_splits=5),
    "subjects, interval": lambda p, _: np.array(
        [
            getattr(subject_reliability_interval(p[:4], BLOCKS, n_splits=5, n_bootstrap=20), end)
            for end in ("value", "low", "high")
        ]
    ),
    "agreement": of_agreement,
    "pairs": lambda p, _: np.array(
        [[pair.pearson, pair.spearman] for pair in intersubject_correlations(p[:4])]
    ),
    "controls": lambda p, t: cross_correlations(p[:4], t[:4]),
    "sparseness": lambda p, _: activation_covariates(p)[1],
}


@pytest.mark.robust(
    "numbers",
    given="predictions, activations or accuracies of size 1e-160 or 1e160, in every measure",
    before="NaN, numbers of two digits, or warnings of NumPy: their squares over- or underflow",
    now="the bits that the same values of usual size give",
)
@pytest.mark.parametrize("k", [-1000, -540, -250, 250, 510, 1000])
@pytest.mark.parametrize("name", MEASURES)
def test_measures_do_not_depend_on_the_size_of_what_they_compare(name, k):
    rng = np.random.default_rng(0)
    t = rng.normal(size=(N_IMAGES, N_UNITS))
    p = t + rng.normal(size=t.shape) + rng.normal(size=N_UNITS)
    expected = np.asarray(MEASURES[name](p, t))
    assert not np.isnan(expected).any()
    for left, right in ((np.ldexp(p, k), t), (p, np.ldexp(t, k)), (np.ldexp(p, k), np.ldexp(t, k))):
        np.testing.assert_array_equal(np.asarray(MEASURES[name](left, right)), expected)


@pytest.mark.parametrize("k", [-1000, -540, 510, 1000])
def test_log_variances_of_any_size_differ_by_that_of_the_size(k):
    y = np.random.default_rng(0).normal(size=(20, 5))
    found, expected = activation_covariates(np.ldexp(y, k))[0], activation_covariates(y)[0]
    np.testing.assert_allclose(found, expected + 2 * k * np.log(2), rtol=1e-14)
