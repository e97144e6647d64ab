"""Intervals of BH scores: as drawing the accuracies themselves, and covering the truth."""

import numpy as np
import pytest
import scipy.stats

from tests.rarely import rarely
from unitdb.analysis import (
    BestTally,
    bh_interval,
    bh_score,
    spearman_of_counts,
    tally_intervals,
)
from unitdb.errors import AnalysisError

N_LAYERS, N_ROIS = 4, 3
BASE = np.array(
    [
        [0.35 - 0.12 * abs(roi - peak) for roi in range(N_ROIS)]
        for peak in np.linspace(0, N_ROIS - 1, N_LAYERS)
    ]
)


def simulated(seed, *, n_subjects, n_units, person, unit, n_blocks=None):
    """Accuracies that have a part of their person, one of their unit (or block), and noise."""
    rng = np.random.default_rng(seed)
    n_blocks = n_blocks or n_units
    layers = []
    for base in BASE:
        of_person = person * rng.normal(size=(n_subjects, N_ROIS, 1))
        of_unit = unit * rng.normal(size=(1, N_ROIS, n_blocks)).repeat(n_units // n_blocks, axis=2)
        noise = 0.1 * rng.normal(size=(n_subjects, N_ROIS, n_units))
        layers.append(np.clip(base[:, None] + of_person + of_unit + noise, -1, 1))
    return layers


def truth(method, *, person, unit):
    """The score of all people and units there could be: of a million, each of another person."""
    rng = np.random.default_rng(0)
    sd = np.sqrt(person**2 + unit**2 + 0.1**2)
    layers = [
        np.clip(base[:, None] + sd * rng.normal(size=(N_ROIS, 400_000)), -1, 1) for base in BASE
    ]
    return bh_score(layers, n_stimuli=50, method=method, n_repeats=1).score


@pytest.mark.parametrize(
    ("over", "n_subjects", "n_units", "person", "unit", "n_blocks", "method"),
    [
        ("units", 1, 60, 0.0, 0.1, None, "nonaka2021"),
        ("units", 3, 60, 0.0, 0.1, None, "corrected"),
        rarely("units", 3, 60, 0.0, 0.1, 12, "corrected"),
        rarely("subjects", 10, 200, 0.1, 0.0, None, "corrected"),
        rarely("both", 8, 60, 0.1, 0.1, None, "corrected"),
        rarely("both", 4, 60, 0.1, 0.1, None, "nonaka2021"),
        rarely("both", 8, 60, 0.1, 0.1, 15, "corrected"),
    ],
)
def test_intervals_cover_the_truth(over, n_subjects, n_units, person, unit, n_blocks, method):
    """Of 1,000 simulations .93 to .97; the binomial standard error is .007."""
    rho, hits = truth(method, person=person, unit=unit), 0
    blocks = None
    if n_blocks:
        blocks = [np.arange(n_blocks).repeat(n_units // n_blocks).astype(np.int32)] * N_LAYERS
    for seed in range(1000):
        accuracies = simulated(
            seed,
            n_subjects=n_subjects,
            n_units=n_units,
            person=person,
            unit=unit,
            n_blocks=n_blocks,
        )
        found = bh_interval(
            accuracies,
            n_stimuli=50,
            over=over,
            method=method,
            n_repeats=1,
            seed=seed,
            blocks=blocks,
            n_bootstrap=100,
        )
        hits += found.low <= rho <= found.high
    assert 930 <= hits <= 970


def test_blocks_that_are_ignored_make_intervals_that_do_not_cover():
    rho, hits = truth("corrected", person=0.0, unit=0.1), 0
    for seed in range(200):
        r = simulated(seed, n_subjects=3, n_units=60, person=0.0, unit=0.1, n_blocks=12)
        found = bh_interval(r, n_stimuli=50, over="units", n_repeats=1, seed=seed, n_bootstrap=100)
        hits += found.low <= rho <= found.high
    assert hits < 160


def half_width(interval, df):
    t = scipy.stats.t.ppf(0.975, df)
    return (np.arctanh(interval.high) - np.arctanh(interval.low)) / 2 / t


@pytest.mark.slow
@pytest.mark.parametrize("n_blocks", [None, 10])
def test_each_way_scatters_as_scores_of_accuracies_that_are_drawn_themselves(n_blocks):
    """Arrays put together again from drawn units, subjects or cells, and scored from scratch."""
    n_subjects, n_units = 6, 40
    r = simulated(0, n_subjects=n_subjects, n_units=n_units, person=0.1, unit=0.1, n_blocks=10)
    of = np.arange(n_units) if n_blocks is None else np.arange(n_units) // (n_units // n_blocks)
    blocks = None if n_blocks is None else [of.astype(np.int32)] * N_LAYERS
    members = [np.flatnonzero(of == block) for block in np.unique(of)]
    rng = np.random.default_rng(1)

    def drawn(n):
        return rng.integers(0, n, n - 1)

    def units(layer):
        return layer[:, :, np.concatenate([members[b] for b in drawn(len(members))])]

    def cells(layer):
        pairs = [divmod(cell, len(members)) for cell in drawn(n_subjects * len(members))]
        return np.concatenate([layer[subject][:, members[b]] for subject, b in pairs], axis=1)

    def subjects(network):
        chosen = drawn(n_subjects)
        return [layer[chosen] for layer in network]

    def se(draw):
        scores = [bh_score(draw(), n_stimuli=50, n_repeats=1).score for _ in range(1500)]
        return np.std(np.arctanh(scores), ddof=1)

    expected = {
        "units": se(lambda: [units(layer) for layer in r]),
        "subjects": se(lambda: subjects(r)),
    }
    found = {
        over: bh_interval(r, n_stimuli=50, over=over, n_repeats=1, blocks=blocks, n_bootstrap=4000)
        for over in ("units", "subjects", "both")
    }
    df = {"units": N_LAYERS * (len(members) - 1), "subjects": n_subjects - 1}
    for over, value in expected.items():
        assert half_width(found[over], df[over]) == pytest.approx(value, rel=0.08)
    of_cells = se(lambda: [cells(layer) for layer in r])
    both = sum(value**2 for value in expected.values()) - of_cells**2
    satterthwaite = both**2 / sum(value**4 / df[over] for over, value in expected.items())
    assert half_width(found["both"], satterthwaite) == pytest.approx(np.sqrt(both), rel=0.1)
    score = bh_score(r, n_stimuli=50, n_repeats=1).score
    assert all(interval.value == pytest.approx(score) for interval in found.values())


@pytest.mark.parametrize("over", ["units", "subjects", "both"])
def test_tallies_drawn_together_have_the_intervals_that_each_has_alone(over):
    """Those of other blocks or another seed, between them, have draws of their own."""
    made = [("corrected", 0, 5), ("corrected", 1, 5), ("nonaka2021", 0, 5), ("corrected", 0, None)]
    r = simulated(3, n_subjects=4, n_units=40, person=0.1, unit=0.1)
    tallies = []
    for method, seed, size in made:
        tally = BestTally(n_stimuli=50, method=method, seed=seed)
        for layer in r:
            tally.add(layer, None if size is None else np.arange(40, dtype=np.int32) // size)
        tallies.append(tally)
    options = {"n_layers": 3, "n_repeats": 4, "n_bootstrap": 60}
    assert tallies[0].draws == tallies[2].draws
    assert len({tally.draws for tally in tallies}) == 3
    found = tally_intervals(tallies, over, **options)
    assert found == [tally.interval(over, **options) for tally in tallies]
    # Blocks do not matter where subjects alone are drawn.
    assert len({interval.low for interval in found}) == (3 if over == "subjects" else 4)


def test_draws_of_layers_are_those_of_the_score():
    rng = np.random.default_rng(0)
    r = [rng.normal(0.3 + 0.02 * i, 0.2, (3, 60)).clip(-1, 1) for i in range(9)]
    options = {"n_stimuli": 50, "n_repeats": 20, "seed": 3}
    found = bh_interval(r, over="units", **options)
    score = bh_score(r, **options)
    assert found.value == pytest.approx(score.score)
    assert found.low < found.value < found.high
    assert score.repeats.std() > 0
    assert found == bh_interval(r, over="units", **options)
    wider = bh_interval(r, over="units", confidence=0.99, **options)
    assert wider.low < found.low


def test_where_there_is_nothing_to_draw_there_is_no_interval():
    r = simulated(0, n_subjects=1, n_units=30, person=0.0, unit=0.1)
    for over, blocks in (
        ("subjects", None),
        ("both", None),
        ("units", [np.zeros(30, dtype=np.int32)] * N_LAYERS),
    ):
        found = bh_interval(r, n_stimuli=50, over=over, blocks=blocks, n_bootstrap=20)
        assert np.isnan([found.low, found.high]).all()
        assert found.value > 0
    nothing = bh_interval([np.full((2, 3, 0), np.nan)] * 3, n_stimuli=50, over="both")
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()


def test_wrong_options_are_refused():
    r = simulated(0, n_subjects=2, n_units=30, person=0.0, unit=0.1)
    for options, message in (
        ({"over": "people"}, "valid: "),
        ({"over": "units", "blocks": [np.zeros(3, dtype=np.int32)] * N_LAYERS}, r"\(3,\)"),
        ({"over": "units", "n_bootstrap": 1}, "1 replicates"),
        ({"over": "units", "confidence": 1.0}, "confidence 1"),
    ):
        with pytest.raises(AnalysisError, match=message):
            bh_interval(r, n_stimuli=50, **options)
    with pytest.raises(AnalysisError, match="over subjects needs"):
        bh_interval([layer[0] for layer in r], n_stimuli=50, over="both")


def test_weights_of_cases_need_not_be_whole():
    counts = np.array([[3.0, 1.0], [1.0, 2.0]])
    assert spearman_of_counts(counts * 1.5) == pytest.approx(spearman_of_counts(counts))
