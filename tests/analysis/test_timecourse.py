"""One time of a time course: against loops over units, samples and targets."""

from __future__ import annotations

import numpy as np
import pytest

from unitdb.analysis import NOISES, course_point, matched_curves
from unitdb.errors import AnalysisError

N_TARGETS, N_UNITS = 6, 30


def made_up(own, *, noise=2.0, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(N_TARGETS, N_UNITS)).astype(np.float32)
    predicted = truth[own] + noise * rng.normal(size=(len(own), N_UNITS))
    return predicted.astype(np.float32).astype(float), truth.astype(float)


def point(predicted, truth, own, **changes):
    given = {
        "mean": truth.mean(axis=0),
        "sd": truth.std(axis=0, ddof=1),
        "shuffled": np.roll(np.arange(len(truth)), 1),
        "seed": [0],
    }
    return course_point(predicted, truth, np.asarray(own), **(given | changes))


def slow(predicted, truth, own):
    """Accuracy, pattern correlation and identification, one number at a time."""
    mean, sd = truth.mean(axis=0), truth.std(axis=0, ddof=1)
    units = [u for u in range(truth.shape[1]) if sd[u] > 0]
    r = np.mean([np.corrcoef(predicted[:, u], truth[own, u])[0, 1] for u in units])
    z, of = (predicted - mean)[:, units] / sd[units], (truth - mean)[:, units] / sd[units]
    present = sorted(set(own))
    likeness, won, other = [], [], []
    for sample, target in enumerate(own):
        s = {j: np.corrcoef(z[sample], of[j])[0, 1] for j in present}
        likeness.append(s[target])
        won.append(np.mean([s[target] > s[j] for j in present if j != target]))
        other += [s[j] for j in present if j != target]
    return r, np.mean(likeness), np.mean(won), np.mean(other)


SINGLE = [0, 1, 2, 3, 4, 5, 0, 2, 2, 4]


@pytest.mark.parametrize("own", [[3, 1, 0, 5, 4, 2], SINGLE, [0, 1, 2, 4, 5]])
def test_all_numbers_are_those_of_a_loop(own):
    predicted, truth = made_up(own)
    truth[:, 7] = 1.0  # a unit that answers to all alike
    found = point(predicted, truth, own)
    r, pattern, identification, other = slow(predicted, truth, np.array(own))
    assert found.n_units == N_UNITS - 1
    assert found.r.value == pytest.approx(r, abs=1e-12)
    assert found.pattern.value == pytest.approx(pattern, abs=1e-12)
    assert found.identification.value == pytest.approx(identification, abs=1e-12)
    assert found.pattern_chance == pytest.approx(other, abs=1e-12)
    without = {}
    for target in sorted(set(own)):
        left = np.array([one != target for one in own])
        without[target] = slow_without(predicted[left], truth, np.array(own)[left])
        assert found.r_without[target] == pytest.approx(without[target][0], abs=1e-12)
    for number, interval in enumerate((found.r, found.pattern, found.identification)):
        values = np.array([each[number] for each in without.values()])
        n = len(values)
        se = np.sqrt((n - 1) / n * ((values - values.mean()) ** 2).sum())
        t = {5: 2.7764451, 6: 2.5705818}[n]
        assert interval.high - interval.value == pytest.approx(t * se, rel=1e-6)
    for target in set(range(N_TARGETS)) - set(own):
        assert found.r_without[target] == pytest.approx(found.r.value)


def slow_without(predicted, truth, own):
    """As :func:`slow`, patterns normalised by all targets as before."""
    mean, sd = truth.mean(axis=0), truth.std(axis=0, ddof=1)
    r = np.mean(
        [np.corrcoef(predicted[:, u], truth[own, u])[0, 1] for u in range(N_UNITS) if sd[u] > 0]
    )
    keep = sd > 0
    z, of = (predicted - mean)[:, keep] / sd[keep], (truth - mean)[:, keep] / sd[keep]
    present = sorted(set(own.tolist()))
    s = np.corrcoef(np.concatenate([z, of[present]]))[: len(z), len(z) :]
    at = [present.index(target) for target in own.tolist()]
    true = s[np.arange(len(s)), at]
    won = ((true[:, None] > s).sum(axis=1)) / (len(present) - 1)
    return r, true.mean(), won.mean()


def test_chance_is_what_exchanged_targets_give():
    own = np.array(SINGLE)
    predicted, truth = made_up(own, noise=0.5)
    found = point(predicted, truth, own)
    samples = range(len(own))  # each takes the target of each
    rates = [[slow_rate(predicted, truth, i, other) for i in samples] for other in own]
    assert found.identification_chance == pytest.approx(np.mean(rates), abs=1e-12)
    assert found.p == 1 / 1000
    nothing = point(np.random.default_rng(5).normal(size=predicted.shape), truth, own)
    assert nothing.p > 0.01
    distinct = point(*made_up(np.arange(6)), np.arange(6))
    assert distinct.identification_chance == pytest.approx(0.5, abs=1e-12)


def slow_rate(predicted, truth, sample, target):
    mean, sd = truth.mean(axis=0), truth.std(axis=0, ddof=1)
    s = [np.corrcoef((predicted[sample] - mean) / sd, (t - mean) / sd)[0, 1] for t in truth]
    return np.mean([s[target] > s[j] for j in range(len(truth)) if j != target])


def test_p_is_uniform_where_nothing_is_decoded():
    own, rng = np.arange(N_TARGETS), np.random.default_rng(2)
    _, truth = made_up(own)
    p = [
        point(rng.normal(size=truth.shape), truth, own, seed=[n], n_permutations=199).p
        for n in range(200)
    ]
    assert np.mean(np.array(p) <= 0.05) <= 0.09
    assert 0.4 < np.mean(p) < 0.6


def test_the_control_exchanges_targets_by_one_permutation():
    own = np.array([3, 1, 0, 5, 4, 2])
    predicted, truth = made_up(own)
    exchanged = np.array([2, 0, 1, 4, 5, 3])
    found = point(predicted, truth, own, shuffled=exchanged)
    r, *_ = slow(predicted, truth, exchanged[own])
    assert found.r_shuffled == pytest.approx(r, abs=1e-12)


def test_noise_brings_accuracies_down_and_peaks_to_one_height():
    rng = np.random.default_rng(1)
    own = np.arange(40)
    truth = rng.normal(size=(40, 200))
    strong = truth + 0.3 * rng.normal(size=truth.shape)
    found = point(strong, truth, own)
    assert found.r_noisy[0] == pytest.approx(found.r.value)
    expected = found.r.value / np.sqrt(1 + NOISES**2)
    np.testing.assert_allclose(found.r_noisy, expected, atol=0.1)
    shape = np.array([0.0, 0.5, 1.0, 0.4, 0.0])
    curves = np.array([0.4, 0.1])[:, None] * shape
    noisy = curves[None, :, :, None] / np.sqrt(1 + NOISES**2) * np.ones((3, 1, 1, 1))
    matched = matched_curves(noisy)
    np.testing.assert_allclose(matched.max(axis=2), 0.1, atol=1e-9)
    np.testing.assert_allclose(matched[:, 1], noisy[:, 1, :, 0])
    unreachable = np.stack([np.ones((5, len(NOISES))), noisy[0, 1]])[None]
    assert np.isnan(matched_curves(unreachable)[:, 0]).all()


def test_what_does_not_vary_has_no_value():
    own = np.array([0, 1, 2, 3])
    predicted, truth = made_up(own)
    still = point(np.ones_like(predicted), truth, own)
    assert np.isnan([still.r.value, still.p, still.pattern.value + 0 * still.n_units]).any()
    assert still.n_units == 0
    one = point(predicted[:1].repeat(4, axis=0), truth, np.zeros(4, dtype=int))
    assert np.isnan(one.identification.value)
    with pytest.raises(AnalysisError, match="predictions of"):
        point(predicted, truth, own[:2])
