"""Identification among candidates: counts, curves and chance against slow, obvious computations."""

from __future__ import annotations

import weakref
from itertools import combinations, permutations

import numpy as np
import pytest
from bdpy.evals.metrics import pairwise_identification as bdpy_identification
from hypothesis import given, settings, strategies as st

from unitdb.analysis import pairwise_identification
from unitdb.errors import AnalysisError
from unitdb.matching import (
    METHODS,
    Compared,
    Concatenated,
    Matches,
    Question,
    category_chance,
    chance_curve,
    exchange_chance,
    exchange_p,
    fisher_mean,
    fold_chance,
    hit_rate,
    identify,
    image_intervals,
    match,
    pairwise_rate,
    patterns,
    per_target,
    rank,
    similarity,
    sizes,
    summarise,
    top_rate,
)

NAN = np.nan


def made(seed: int, n: int, n_candidates: int, n_units: int, signal: float = 0.4):
    rng = np.random.default_rng(seed)
    candidates = rng.normal(size=(n_candidates, n_units)).astype(np.float32)
    predicted = signal * candidates[:n] + rng.normal(size=(n, n_units))
    return predicted.astype(np.float32), candidates


def matched(seed: int, n: int = 12, n_candidates: int = 30, n_units: int = 25, **more) -> Matches:
    predicted, candidates = made(seed, n, n_candidates, n_units)
    s = similarity(patterns(predicted), patterns(candidates))
    return match(s, candidates=np.arange(n), targets=np.arange(n), **more)


def slow_similarity(predicted, candidates):
    found = np.full((len(predicted), len(candidates)), NAN)
    for i, p in enumerate(predicted):
        for j, c in enumerate(candidates):
            if np.ptp(p) and np.ptp(c):
                found[i, j] = np.corrcoef(p, c)[0, 1]
    return found


@pytest.mark.parametrize("scaled", [False, True])
def test_similarity_is_pearsons_r(scaled):
    predicted, candidates = made(0, 7, 11, 40)
    candidates[3], predicted[2] = 5.0, -1.0
    mean, sd = (np.linspace(-2, 3, 40), np.linspace(0.1, 9, 40)) if scaled else (None, None)
    found = similarity(
        patterns(predicted, mean=mean, sd=sd), patterns(candidates, mean=mean, sd=sd)
    )
    if scaled:
        predicted, candidates = ((x - mean) / sd for x in (predicted.astype(float), candidates))
    np.testing.assert_allclose(found, slow_similarity(predicted, candidates), atol=1e-12)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_similarity_of_patterns_of_any_size(size):
    predicted, candidates = made(1, 5, 6, 30)
    found = similarity(patterns(predicted * np.float64(size) ** 6), patterns(candidates * size))
    np.testing.assert_allclose(found, slow_similarity(predicted, candidates), atol=1e-6)


def test_no_similarity_without_units():
    assert np.isnan(similarity(patterns(np.empty((2, 0))), patterns(np.empty((3, 0))))).all()


def layers_of(seed: int, sizes_: tuple[int, ...], n: int = 6, n_candidates: int = 9):
    return [made(seed + i, n, n_candidates, size) for i, size in enumerate(sizes_)]


def test_layers_combined_by_units_are_one_long_pattern():
    layers = layers_of(5, (30, 7, 100))
    layers[1][0][2] = layers[1][0][2].mean()  # a prediction that does not vary in one layer
    together = Concatenated()
    for p, c in layers:
        a, b = patterns(p), patterns(c)
        together.add(similarity(a, b), a, b)
    joined = [
        np.concatenate([side[which] / np.sqrt(side[which].shape[1]) for side in layers], axis=1)
        for which in (0, 1)
    ]
    np.testing.assert_allclose(together.similarity(), slow_similarity(*joined), atol=1e-6)


def test_layers_combined_by_similarity_are_means_of_fishers_z():
    s = [similarity(patterns(p), patterns(c)) for p, c in layers_of(7, (20, 40))]
    np.testing.assert_allclose(fisher_mean(s), np.tanh((np.arctanh(s[0]) + np.arctanh(s[1])) / 2))
    same = similarity(patterns(made(0, 4, 4, 9)[1]), patterns(made(0, 4, 4, 9)[1]))
    assert (fisher_mean([same, same]).argmax(axis=1) == np.arange(4)).all()  # r = 1 is allowed


def slow_counts(s, own, allowed):
    """Of one prediction: false candidates, those below, those equal."""
    n = below = equal = 0
    for j in np.flatnonzero(allowed):
        if j == own or np.isnan(s[j]) or np.isnan(s[own]):
            continue
        n += 1
        below += s[j] < s[own] - 1e-9
        equal += abs(s[j] - s[own]) < 1e-9
    return [n, below, equal]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_counts_are_those_of_a_loop(data):
    n_targets = data.draw(st.integers(1, 4))
    n_candidates = data.draw(st.integers(max(2, n_targets), 8))
    n = data.draw(st.integers(1, 6))
    values = st.sampled_from([-0.5, 0.0, 0.25, 0.5, NAN])
    s = np.array([[data.draw(values) for _ in range(n_candidates)] for _ in range(n)])
    own = np.array(data.draw(st.permutations(range(n_candidates)))[:n_targets])
    of = np.array([data.draw(st.integers(0, n_targets - 1)) for _ in range(n)])
    trained = np.array([[data.draw(st.booleans()) for _ in range(n_candidates)] for _ in range(n)])
    categories = np.array([data.draw(st.integers(-1, 2)) for _ in range(n_candidates)])
    found = match(s, candidates=own, targets=of, trained=trained, categories=categories)
    for i in range(n):
        mine, all_of = own[of[i]], np.ones(n_candidates, dtype=bool)
        known = categories[mine] >= 0
        assert found.all[:, i].tolist() == slow_counts(s[i], mine, all_of)
        assert found.trained[:, i].tolist() == slow_counts(s[i], mine, trained[i])
        alike, unlike = (categories == categories[mine]) & known, (categories >= 0) & known
        unlike &= ~alike
        assert found.within[:, i].tolist() == slow_counts(s[i], mine, alike)
        assert found.between[:, i].tolist() == slow_counts(s[i], mine, unlike)
        for j, target in enumerate(own):
            known = categories[target] >= 0
            alike = (categories == categories[target]) & known
            for kind, allowed in {
                "all": all_of,
                "untrained": ~trained[i],
                "within": alike,
                "between": (categories >= 0) & known & ~alike,
            }.items():
                counts = slow_counts(s[i], target, allowed)
                if kind == "untrained" and trained[i, target]:
                    counts = [0, 0, 0]
                assert found.exchanged[kind][:, i, j].tolist() == counts, kind
            n_false, below, equal = slow_counts(s[i], target, all_of)
            expected = (below + equal / 2) / n_false if n_false else NAN
            np.testing.assert_allclose(found.rates[i, j], expected)
            n_false, below, equal = found.exchanged["untrained"][:, i, j]
            first = NAN if not n_false else (below + equal == n_false) / (equal + 1)
            np.testing.assert_allclose(found.exchanged_tops(1)[i, j], first)
        if np.isnan(s[i]).all():
            assert found.best[i] == -1
        else:
            assert found.best[i] == np.nanargmax(s[i])


def test_equal_candidates_are_equal_wherever_they_stand():
    predicted, candidates = made(3, 4, 700, 33)
    candidates[[5, 310, 699]] = candidates[2]
    s = similarity(patterns(predicted), patterns(candidates))
    found = match(s, candidates=np.arange(4), targets=np.arange(4))
    assert found.all[2].tolist() == [0, 0, 3, 0]


@pytest.mark.parametrize(
    ("own", "of"), [([0, 0], [0, 1]), ([0, 9], [0, 1]), ([0, 1], [0, 2]), ([0, 1], [0])]
)
def test_targets_that_are_none_are_refused(own, of):
    with pytest.raises(AnalysisError, match="target"):
        match(np.zeros((2, 5)), candidates=np.array(own), targets=np.array(of))


def enumerated(n_below, n_equal, n_false, n):
    """All sets of n − 1 false candidates, one by one."""
    kinds = ["below"] * n_below + ["equal"] * n_equal
    kinds += ["above"] * (n_false - n_below - n_equal)
    hits = [
        0.0 if "above" in drawn else 1 / (1 + drawn.count("equal"))
        for drawn in combinations(kinds, n - 1)
    ]
    return np.mean(hits) if hits else NAN


@pytest.mark.parametrize("n", range(1, 8))
def test_the_curve_is_that_of_all_sets(n):
    counts = [(w, t, big) for big in range(7) for t in range(big + 1) for w in range(big + 1 - t)]
    w, t, big = np.array(counts).T
    expected = [enumerated(*one, n) for one in counts]
    np.testing.assert_allclose(hit_rate(w, t, big, n), expected, atol=1e-12)


def test_the_curve_is_that_of_sets_drawn():
    rng = np.random.default_rng(0)
    w, t, big = 900, 5, 1000
    values = np.r_[np.zeros(w), np.ones(t), np.full(big - w - t, 2.0)]
    for n in (2, 3, 5, 10, 20):
        hits = []
        for _ in range(4000):
            drawn = rng.choice(values, n - 1, replace=False)
            hits.append(0 if drawn.max() > 1 else 1 / (1 + (drawn == 1).sum()))
        error = np.std(hits) / np.sqrt(len(hits))
        assert abs(np.mean(hits) - hit_rate(w, t, big, n)) < 4 * error + 1e-9


def test_the_curve_begins_with_pairs_and_ends_with_all():
    w, t, big = np.array([15_000, 3, 0]), np.array([2, 0, 7]), np.array([15_371, 5, 7])
    np.testing.assert_allclose(hit_rate(w, t, big, 1), 1)
    np.testing.assert_allclose(hit_rate(w, t, big, 2), pairwise_rate(w, t, big), rtol=1e-9)
    np.testing.assert_allclose(hit_rate(w[2], t[2], big[2], 8), 1 / 8)
    np.testing.assert_allclose(hit_rate(w[2], t[2], big[2], 8), top_rate(w[2], t[2], big[2], 1)[()])
    assert np.isnan(hit_rate(w, t, big, 10)).tolist() == [False, True, True]
    assert sizes(92) == [2, 5, 10, 20, 50, 92]
    with pytest.raises(AnalysisError, match="more candidates"):
        hit_rate([3], [3], [5], 2)


def test_ranks_break_ties_evenly():
    rng = np.random.default_rng(1)
    for a, t, w in ((0, 0, 5), (2, 1, 3), (1, 4, 0), (3, 0, 0)):
        values = np.r_[np.full(a, 2.0), np.ones(t + 1), np.zeros(w)]  # the true one is the a-th
        places = [
            1 + np.flatnonzero(order[np.argsort(-values[order], kind="stable")] == a)[0]
            for order in (rng.permutation(len(values)) for _ in range(3000))
        ]
        n_false = a + t + w
        assert abs(np.mean(places) - rank(w, t, n_false)) < 0.1
        for k in (1, 2, 3):
            assert abs(np.mean(np.array(places) <= k) - top_rate(w, t, n_false, k)) < 0.04
    assert np.isnan(top_rate(3, 0, 4, 5))


def test_pairs_are_those_of_bdpy_where_no_truth_repeats():
    predicted, candidates = made(11, 20, 20, 60)
    s = similarity(patterns(predicted), patterns(candidates))
    found = match(s, candidates=np.arange(20), targets=np.arange(20))
    expected = bdpy_identification(predicted.astype(float), candidates.astype(float))
    np.testing.assert_allclose(found.rate, expected, atol=1e-12)


@pytest.mark.robust(
    "numbers",
    given="single trials: ten predictions of each of 20 images, to be identified among these",
    before="right already; bdpy 0.26 counts an image's copies as lost: .955 for a perfect decoder",
    now="an image is one candidate, however many trials it has: a perfect decoder gets 1",
)
def test_pairs_of_single_trials_are_not_lost_to_themselves():
    _, candidates = made(12, 20, 20, 60)
    of = np.repeat(np.arange(20), 10)
    noise = np.random.default_rng(0).normal(size=(200, 60))
    for size, perfect in ((1.0, False), (0.0, True)):
        predicted = candidates[of] + size * 2 * noise
        s = similarity(patterns(predicted), patterns(candidates))
        found = match(s, candidates=np.arange(20), targets=of).rate
        # bdpy: 199 competitors instead of 19, nine of which are the truth again and count as lost.
        theirs = bdpy_identification(predicted, candidates[of].astype(float))
        np.testing.assert_allclose(theirs, found * 190 / 199, atol=1e-12)
        assert not perfect or (found == 1).all()


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


def test_intervals_are_those_of_pairwise_identification():
    predicted, candidates = made(5, 15, 15, 30)
    s = similarity(patterns(predicted), patterns(candidates))
    found = match(s, candidates=np.arange(15), targets=np.arange(15))
    expected = pairwise_identification(s)
    (low, high), _ = image_intervals(found)
    assert (low, high) == pytest.approx((expected.mean.low, expected.mean.high), abs=1e-12)
    assert summarise(found, 15).rate == pytest.approx(expected.mean.value)


def test_intervals_of_trials_draw_images_with_all_their_trials():
    """Each replicate, put together pair by pair."""
    predicted, candidates = made(6, 5, 8, 30)
    of = np.repeat(np.arange(5), 3)
    trials = predicted[of] + np.random.default_rng(1).normal(size=(15, 30))
    s = similarity(patterns(trials), patterns(candidates))
    found = match(s, candidates=np.arange(5), targets=of)
    rng = np.random.Generator(np.random.PCG64(0))
    rates, specifics = [], []
    for drawn in rng.integers(0, 5, (100, 5)):
        counted = np.bincount(drawn, minlength=5)
        weights = np.r_[counted, np.ones(3)]
        rate, total, own, chance, pairs = 0.0, 0.0, 0.0, 0.0, 0.0
        for i, target in enumerate(of):
            false = np.arange(8) != target
            n = weights[false].sum()
            rate += counted[target] * ((s[i] < s[i, target]) * weights)[false].sum() / n
            own += counted[target] * (s[i] < s[i, target])[false].mean()
            total += counted[target]
            for j in range(5):
                if j != target:
                    rate_ij = (s[i] < s[i, j])[np.arange(8) != j].mean()
                    chance += counted[target] * counted[j] * rate_ij
                    pairs += counted[target] * counted[j]
        rates.append(rate / total)
        specifics.append(own / total - chance / pairs if pairs else NAN)
    ends = image_intervals(found, n_bootstrap=100)
    for replicates, (low, high) in zip((rates, specifics), ends, strict=True):
        assert (low, high) == pytest.approx(tuple(np.nanquantile(replicates, [0.025, 0.975])))


@pytest.mark.slow
def test_intervals_cover():
    """95 % intervals of both over other images, 400 studies: .90 to .985 cover."""
    n, n_candidates, n_units = 40, 200, 30
    within = np.zeros(2)
    truth = [summarise(_study(seed, 400, 560, n_units), 560) for seed in range(8)]
    rate, specific = (np.mean([getattr(one, name) for one in truth]) for name in _BOTH)
    for seed in range(400):
        (low, high), (less, more) = image_intervals(_study(1000 + seed, n, n_candidates, n_units))
        within += low <= rate <= high, less <= specific <= more
    assert (within / 400 > 0.90).all(), within
    assert (within / 400 < 0.985).all(), within


_BOTH = ("rate", "specific")


def _study(seed: int, n: int, n_candidates: int, n_units: int) -> Matches:
    """Predictions with a pattern in common, and images that differ in how well they are decoded."""
    rng = np.random.default_rng(seed)
    candidates = rng.normal(size=(n_candidates, n_units))
    signal = rng.uniform(0, 0.5, (n, 1))
    common = np.random.default_rng(0).normal(size=n_units) * 0.3
    predicted = common + signal * candidates[:n] + rng.normal(size=(n, n_units))
    s = similarity(patterns(predicted), patterns(candidates))
    return match(s, candidates=np.arange(n), targets=np.arange(n))


def test_a_summary_is_of_what_could_be_compared():
    predicted, candidates = made(9, 6, 20, 15)
    predicted[1] = 2.0
    s = similarity(patterns(predicted), patterns(candidates))
    trained = np.arange(20) >= 15
    found = match(s, candidates=np.arange(6), targets=np.arange(6), trained=trained)
    total = summarise(found, 20)
    assert (total.n, total.n_candidates, total.n_untrained) == (5, 20, 15.0)
    assert total.chance_top1 == pytest.approx(1 / 15)
    fresh = s[:, ~trained]
    top = [fresh[i].argmax() == i for i in (0, 2, 3, 4, 5)]
    assert total.top1 == pytest.approx(np.mean(top))
    assert np.isnan(total.top50)
    assert np.isnan(total.rate_within)
    nothing = match(np.full((2, 4), NAN), candidates=np.arange(2), targets=np.arange(2))
    empty = summarise(nothing, 4)
    assert empty.n == 0
    assert np.isnan([empty.rate, empty.rate_low, empty.chance_exchange, empty.p]).all()


def test_parts_of_predictions_are_put_together():
    predicted, candidates = made(10, 9, 14, 20)
    s = similarity(patterns(predicted), patterns(candidates))
    whole = match(s, candidates=np.arange(9), targets=np.arange(9))
    parts = [
        match(s[a:b], candidates=np.arange(9), targets=np.arange(a, b))
        for a, b in ((0, 4), (4, 5), (5, 9))
    ]
    assert summarise(Matches.concatenate(parts), 14) == summarise(whole, 14)


def slow_identify(layers, method, way):
    """Similarities of all predictions and candidates, layers combined by loops."""
    found = []
    for predicted, candidates, mean, sd in layers:
        sides = [predicted.astype(float), candidates.astype(float)]
        if method == "normalised":
            sides = [((x - mean) / np.where(sd > 0, sd, 1))[:, sd > 0] for x in sides]
        found.append(sides)
    if way == "*concatenated":
        sides = [
            np.concatenate([one[which] / np.sqrt(one[which].shape[1]) for one in found], axis=1)
            for which in (0, 1)
        ]
        return slow_similarity(*sides)
    similarities = [slow_similarity(*one) for one in found]
    return np.tanh(np.mean(np.arctanh(similarities), axis=0)) if way else similarities[0]


@pytest.mark.parametrize("n_bytes", [1, 5000, 1 << 29])
def test_layers_and_regions_are_identified_in_any_memory(n_bytes):
    rng = np.random.default_rng(0)
    layers = []
    for n_units in (20, 33):
        predicted, candidates = made(n_units, 8, 17, n_units)
        sd = rng.uniform(0.5, 2, n_units)
        sd[3] = 0.0
        layers.append((predicted, candidates, rng.normal(size=n_units), sd))
    given = [
        Compared(
            name=f"layer{number}",
            predicted=predicted,
            features=lambda start, stop, c=candidates: c[start:stop],
            mean=mean,
            sd=sd,
        )
        for number, (predicted, candidates, mean, sd) in enumerate(layers)
    ]
    trained = rng.integers(0, 2, (5, 17)).astype(bool)
    among = np.array([0, 1, 2, 5, 6, 7, 11])
    questions = {
        "V1": Question(
            rows=slice(0, 5),
            candidates=np.arange(5),
            targets=np.arange(5),
            trained=trained,
        ),
        "IT": Question(
            rows=slice(5, 8), candidates=np.arange(3, 6), targets=np.arange(3), among=among
        ),
    }
    found = dict(identify(given, 17, questions, n_bytes=n_bytes))
    places = {(layer, method) for _, layer, method in found}
    assert places == {
        *(("layer0", method) for method in METHODS),
        *(("layer1", method) for method in METHODS),
        *(("*fisher", method) for method in METHODS),
        ("*concatenated", "normalised"),
    }
    for layer, method in places - {("layer1", method) for method in METHODS}:
        s = slow_identify(layers, method, layer if layer.startswith("*") else "")
        for key, own, columns in (("V1", s[:5], np.arange(17)), ("IT", s[5:], among)):
            question = questions[key]
            expected = match(
                own[:, columns],
                candidates=question.candidates,
                targets=question.targets,
                trained=question.trained,
            )
            mine = found[key, layer, method]
            assert (mine.all == expected.all).all()
            assert (mine.trained == expected.trained).all()
            np.testing.assert_allclose(mine.target_r, expected.target_r, atol=1e-9)
            np.testing.assert_allclose(mine.rates, expected.rates)
    assert given[0].n_units("normalised") == 19
    assert given[0].n_units("horikawa2017") == 20
    with pytest.raises(AnalysisError, match="there is normalised and horikawa2017"):
        identify(given, 17, questions, methods=["cosine"])


def test_matches_are_given_place_by_place():
    """One at a time, so that memory is that of a place however many there are."""
    predicted, candidates = made(0, 6, 9, 20)
    layer = Compared(name="a", predicted=predicted, features=lambda a, b: candidates[a:b])
    own = np.arange(3)
    questions = {
        i: Question(rows=slice(3 * i, 3 * i + 3), candidates=own, targets=own) for i in (0, 1)
    }
    alive = weakref.WeakSet()
    for _, matches in identify([layer], 9, questions, methods=["horikawa2017"]):
        alive.add(matches)
        assert len(alive) <= 2  # this one, and the one that the loop let go
        del matches
    assert not len(alive)
