"""Identification among candidates: counts and curves against slow, obvious computations."""

from __future__ import annotations

import weakref
from itertools import combinations

import numpy as np
import pytest
from bdpy.evals.metrics import pairwise_identification as bdpy_identification
from hypothesis import given, settings, strategies as st

from tests.analysis.matched import NAN, made
from unitdb.errors import AnalysisError
from unitdb.matching import (
    METHODS,
    Compared,
    Concatenated,
    Matches,
    Question,
    fisher_mean,
    hit_rate,
    identify,
    match,
    pairwise_rate,
    patterns,
    rank,
    similarity,
    sizes,
    summarise,
    top_rate,
)


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
