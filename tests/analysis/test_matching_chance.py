"""Identification by chance: images exchanged, within folds too, and categories; p."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from tests.analysis.matched import NAN, made, matched
from unitdb.matching import (
    Matches,
    category_chance,
    chance_curve,
    exchange_chance,
    exchange_p,
    fold_chance,
    hit_rate,
    image_intervals,
    match,
    patterns,
    per_target,
    similarity,
    summarise,
)


def slow_exchange(found: Matches, values) -> tuple[float, list[float]]:
    pairs, by_target = [], [[] for _ in range(found.n_targets)]
    for i, target in enumerate(found.targets):
        for j in range(found.n_targets):
            if j != target and not np.isnan(values[i, j]):
                pairs.append(values[i, j])
                by_target[j].append(values[i, j])
    return np.mean(pairs), [np.mean(one) if one else NAN for one in by_target]


def test_exchange_chance_is_over_pairs_of_other_images():
    predicted, candidates = made(2, 6, 15, 25)
    s = similarity(patterns(np.repeat(predicted, 2, axis=0)), patterns(candidates))
    s[3, 4] = NAN
    found = match(s, candidates=np.arange(6), targets=np.repeat(np.arange(6), 2))
    for values in (found.rates, found.exchanged_tops(1)):
        chance, by_target = slow_exchange(found, values)
        assert exchange_chance(found, values) == pytest.approx(chance)
        np.testing.assert_allclose(per_target(found, values), by_target)


def test_predictions_that_are_alike_are_exchanged_at_no_loss():
    """A decoder that knows what all images have in common, among candidates that lack it."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=50)
    own = common + 0.3 * rng.normal(size=(10, 50))
    candidates = np.concatenate([own, rng.normal(size=(200, 50))])
    predicted = common + 0.3 * rng.normal(size=(10, 50))  # of no image
    s = similarity(patterns(predicted), patterns(candidates))
    found = summarise(match(s, candidates=np.arange(10), targets=np.arange(10)), 210)
    assert found.rate > 0.95
    assert found.chance_exchange > 0.95
    assert abs(found.specific) < 0.02
    assert found.p > 0.05


def cross_validated(seed: int, n_folds: int, n: int, predict, outside: int = 0):
    """Matches of n images in folds, each among all of them; those of other folds have trained."""
    rng = np.random.default_rng(seed)
    folds = np.arange(n) % n_folds
    candidates = np.concatenate([rng.normal(size=(n, 60)), rng.normal(2, 1, (outside, 60))])
    trained = np.zeros((n, n + outside), dtype=bool)
    trained[:, :n] = folds[:, None] != folds
    predicted = np.stack([predict(candidates[:n][folds != fold], rng) for fold in folds])
    s = similarity(patterns(predicted), patterns(candidates))
    return match(s, candidates=np.arange(n), targets=np.arange(n), trained=trained, folds=folds)


def _of_nothing(train, rng):
    """What a decoder makes of responses that tell nothing: a mixture of what trained it."""
    return rng.normal(0.1, 0.3, len(train)) @ train


def slow_within_folds(found: Matches, values) -> float:
    total, n = 0.0, 0
    for fold in np.unique(found.folds):
        rows = np.flatnonzero(found.folds == fold)
        pairs = [
            values[i, j]
            for i in rows
            for j in found.targets[rows]
            if j != found.targets[i] and not np.isnan(values[i, j])
        ]
        total, n = total + len(rows) * np.mean(pairs), n + len(rows)
    return total / n


@pytest.mark.robust(
    "numbers",
    given="a cross-validation of responses that tell nothing, each prediction among all images",
    before="an image-specific rate of -.09 on average and p of .93, as chance was of images that "
    "trained",
    now="chance of images that one fold holds out: 0 on average, and p is uniform",
)
def test_noise_in_cross_validation_is_not_below_its_chance():
    studies = [cross_validated(seed, 10, 40, _of_nothing) for seed in range(60)]
    found = [summarise(one, 40, n_bootstrap=20, n_permutations=200) for one in studies]
    rates, fold, every, specific, p = (
        np.array([getattr(one, name) for one in found])
        for name in ("rate", "chance_fold", "chance_exchange", "specific", "p")
    )
    assert rates.mean() < 0.48  # predictions lean away from what is held out
    np.testing.assert_allclose(every, (20 - rates) / 39)  # the rate again, and no chance
    error = specific.std() / np.sqrt(60)
    assert abs(specific.mean()) < 3 * error
    assert abs((rates - every).mean()) > 6 * error
    assert abs(p.mean() - 0.5) < 3 * np.sqrt(1 / 12 / 60)
    np.testing.assert_allclose(fold[0], slow_within_folds(studies[0], studies[0].rates))


@pytest.mark.robust(
    "numbers",
    given="predictions that know the kind of picture and nothing of the image, among four that did "
    "not train and 1,000 of another kind",
    before="top-1 of .25 beside a chance of .001, and exchange of .01, of all candidates",
    now="top-1 of exchanged images among the same candidates: .25",
)
def test_who_knows_the_kind_of_picture_is_not_above_exchange():
    def shaped(seed):
        rng = np.random.default_rng(seed)
        ramp = 3 * np.arange(60) / 60
        n, folds = 40, np.arange(40) % 10
        candidates = np.concatenate(
            [rng.normal(ramp, 1, (n, 60)), rng.normal(-ramp, 1, (1000, 60))]
        )
        trained = np.zeros((n, n + 1000), dtype=bool)
        trained[:, :n] = folds[:, None] != folds
        s = similarity(patterns(ramp + rng.normal(0, 0.5, (n, 60))), patterns(candidates))
        own = np.arange(n)
        return match(s, candidates=own, targets=own, trained=trained, folds=folds)

    found = [summarise(shaped(seed), 1040, n_bootstrap=2, n_permutations=9) for seed in range(30)]
    top, exchange, chance = (
        np.mean([getattr(one, name) for one in found])
        for name in ("top1", "exchange_top1", "chance_top1")
    )
    assert top == pytest.approx(0.25, abs=0.04)
    assert exchange == pytest.approx(0.25, abs=0.02)
    assert chance == pytest.approx(1 / 1004)
    assert np.mean([one.exchange_top5 for one in found]) > 0.99
    assert np.mean([one.exchange_untrained - one.rate_untrained for one in found]) == pytest.approx(
        0, abs=1e-3
    )


def test_intervals_within_folds_are_those_of_a_loop():
    found = cross_validated(3, 4, 14, lambda _, rng: rng.normal(size=60), outside=5)
    rng = np.random.Generator(np.random.PCG64(0))
    specifics = []
    for drawn in rng.integers(0, 14, (60, 14)):
        counted = np.bincount(drawn, minlength=14)
        gained = total = 0.0
        for fold in range(4):
            rows = [i for i in range(14) if found.folds[i] == fold]
            pairs = [(i, j) for i in rows for j in rows if i != j]
            n = sum(counted[i] * counted[j] for i, j in pairs)
            if n:
                chance = sum(counted[i] * counted[j] * found.rates[i, j] for i, j in pairs) / n
                gained += sum(counted[i] * (found.rate[i] - chance) for i in rows)
                total += sum(counted[i] for i in rows)
        specifics.append(gained / total)
    _, ends = image_intervals(found, n_bootstrap=60)
    assert ends == pytest.approx(tuple(np.quantile(specifics, [0.025, 0.975])))


def test_without_folds_exchange_within_them_is_over_all_images():
    found = matched(5)
    assert fold_chance(found, found.rates) == pytest.approx(exchange_chance(found, found.rates))


def test_the_curve_of_exchanged_images_is_that_of_a_loop():
    found = cross_validated(3, 5, 17, _of_nothing, outside=9)
    curve = chance_curve(found)
    # 17 images in folds of 4, 4, 3, 3 and 3, and 9 others that trained nothing.
    assert [n for among, n in curve if among == "untrained"] == [2, 5, 10, 12, 13]
    assert curve["all", 2] == pytest.approx(fold_chance(found, found.rates))
    for (among, n), value in curve.items():
        big, below, equal = found.exchanged[among]
        values = np.array(
            [
                [hit_rate(*(x[i, j] for x in (below, equal, big)), n) for j in range(17)]
                for i in range(17)
            ]
        )
        own = found.all[0] if among == "all" else found.untrained[0]
        values[own < n - 1] = NAN
        rows = np.flatnonzero(own >= n - 1)
        expected = [
            np.mean(
                [
                    values[i, j]
                    for i in of
                    for j in found.targets[of]
                    if j != found.targets[i] and not np.isnan(values[i, j])
                ]
            )
            for of in (rows[found.folds[rows] == fold] for fold in np.unique(found.folds[rows]))
        ]
        sizes_of = np.unique(found.folds[rows], return_counts=True)[1]
        assert value == pytest.approx(np.average(expected, weights=sizes_of)), (among, n)


def test_of_images_left_out_one_by_one_nothing_can_be_exchanged():
    found = summarise(cross_validated(0, 12, 12, _of_nothing), 12)
    assert 0 < found.rate < 1
    unknown = (found.chance_fold, found.specific, found.specific_low, found.exchange_top1, found.p)
    assert np.isnan(unknown).all()
    assert not np.isnan(found.chance_exchange)


@pytest.mark.robust(
    "numbers",
    given="92 candidates of two categories and 1,000 of none",
    before="what knowing the category gives was of the 92, beside a rate among all",
    now="NULL where any candidate is of no category",
)
def test_category_chance_is_of_the_candidates_that_the_rate_is_of():
    categories = np.r_[np.arange(20) % 2, np.full(10, -1)]
    found = summarise(matched(1, categories=categories), 30)
    assert np.isnan(found.chance_category)
    assert 0 < found.rate_within < 1
    assert not np.isnan(summarise(matched(1, categories=np.arange(30) % 2), 30).chance_category)


def test_category_chance_is_that_of_who_knows_the_category_alone():
    assert category_chance(4, 1.0) == pytest.approx(0.5 / 4 + 3 / 4)
    assert category_chance(1, NAN) == 0.5
    # By simulation: what is decoded is the category's mean, the same for all of its images.
    rng = np.random.default_rng(3)
    of = np.repeat(np.arange(4), 200)
    means = rng.normal(size=(4, 80))
    candidates = means[of] + 0.5 * rng.normal(size=(800, 80))
    predicted = means[of[::20]] + 0.01 * rng.normal(size=(40, 80))
    s = similarity(patterns(predicted), patterns(candidates))
    found = match(s, candidates=np.arange(0, 800, 20), targets=np.arange(40), categories=of)
    total = summarise(found, 800)
    assert total.rate_between > 0.99
    assert total.rate_within == pytest.approx(0.5, abs=0.1)
    assert total.rate == pytest.approx(total.chance_category, abs=0.03)
    assert total.chance_category == pytest.approx(category_chance(4, total.rate_between), abs=1e-3)
    share = found.within[0] / found.all[0]
    parts = share.mean() * total.rate_within + (1 - share.mean()) * total.rate_between
    assert total.rate == pytest.approx(parts, abs=1e-12)


def test_p_is_that_of_all_exchanges():
    found = matched(8, n=5, n_candidates=9, n_units=4)
    rates = [found.rates[np.arange(5), list(order)].mean() for order in permutations(range(5))]
    expected = np.mean(np.array(rates) >= found.rate.mean() - 1e-12)
    assert exchange_p(found, n_permutations=20_000) == pytest.approx(expected, abs=0.015)


def test_p_is_uniform_without_any_signal():
    rng = np.random.default_rng(4)
    p = []
    for _ in range(300):
        s = similarity(patterns(rng.normal(size=(12, 9))), patterns(rng.normal(size=(40, 9))))
        found = match(s, candidates=np.arange(12), targets=np.arange(12))
        p.append(exchange_p(found, n_permutations=200))
    assert np.mean(np.array(p) <= 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
    assert abs(np.mean(p) - 0.5) < 0.06
