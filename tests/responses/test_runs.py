"""Runs that are held out: what trains, what is tested, and what would leak."""

from __future__ import annotations

import numpy as np
import pytest

from unitdb.errors import DatasetError, ResponsesError
from unitdb.responses import decoding_design, open_dataset, shuffle_images

SPEC = """
name: figures
title: t
description: d
licence: l
source: s
citation: c
subjects: [S1]
rois: {V1: primary visual cortex}
stimuli: {kind: names, file: stimuli.txt}
responses:
  kind: arrays
  file: a.npz
  volumes: {repetition_time: 2, runs: runs, shift: 4}
  cross-validation:
    condition: seen
    hold_out: runs
    average: false
    responses: x
    rows: on = 1
    stimulus_ids: labels
    windows: {from: -4, to: 8, step: TR}
  masks: {V1: null}
"""
N_RUNS, N_ROWS = 4, 20


def opened(folder, text=SPEC, **changes):
    """Two shapes, seen for two volumes each, twice in each of four runs of 20 volumes."""
    run = np.array([1] * 4 + [2001] * 2 + [2] * 4 + [2002] * 2 + [2] * 8)
    run[16:18] = 2001
    labels = np.tile(run, N_RUNS)
    ends = np.arange(0, N_RUNS * N_ROWS, N_ROWS)
    arrays = {
        "x": np.arange(80.0)[:, None] * [1, 10],
        "labels": labels,
        "on": (labels > 2000) * 1.0,
        "runs": np.stack([ends + 1, ends + N_ROWS], axis=1),
    }
    np.savez(folder / "a.npz", **(arrays | changes))
    (folder / "stimuli.txt").write_text("2001\n2002\n")
    (folder / "dataset.yaml").write_text(text)
    return open_dataset(str(folder / "dataset.yaml"), data=folder, cache=folder)


def test_what_is_tested_is_of_the_run_that_does_not_train(tmp_path):
    responses = opened(tmp_path).responses("S1", tests=["seen", "seen@*"])
    design = decoding_design(responses, n_folds=4, seed=0)
    assert [each.name for each in design.sets][:3] == ["seen", "seen@-4s", "seen@-2s"]
    assert len(design.splits) == N_RUNS
    run_of = design.values[:, 0] // N_ROWS  # volumes hold their numbers
    tested = np.concatenate([test for _, test in design.splits])
    assert len(np.unique(tested)) == len(tested)
    for train, test in design.splits:
        assert len(set(run_of[test])) == 1
        assert set(run_of[train]) == set(range(N_RUNS)) - set(run_of[test])
        assert len(train) == 3 * (N_RUNS - 1)
    # Training samples are means of two volumes, 4 s later; those of times single volumes.
    onsets = np.concatenate([20 * n + np.array([4, 10, 16]) for n in range(N_RUNS)])
    for time in range(-4, 9, 2):
        rows = design.held_out(f"seen@{time:+d}s").rows
        expected = [o + time // 2 for o in onsets if o // 20 == (o + time // 2) // 20]
        assert sorted(design.values[rows, 0]) == expected
    base = design.held_out("seen").rows
    np.testing.assert_array_equal(np.sort(design.values[base, 0]), onsets + 2.5)


def test_averages_are_within_runs(tmp_path):
    text = SPEC.replace("average: false", "average: true")
    responses = opened(tmp_path, text).responses("S1", tests=["seen", "seen@+4s"])
    design = decoding_design(responses, n_folds=2, seed=0)
    assert len(design.splits) == 2
    base, at_four = (design.held_out(name) for name in ("seen", "seen@+4s"))
    assert len(base.rows) == len(at_four.rows) == 2 * N_RUNS  # two shapes a run
    shown = design.stimulus_ids[base.rows] == "2001"
    expected = [20 * n + np.mean([6.5, 18.5]) for n in range(N_RUNS)]
    np.testing.assert_array_equal(np.sort(design.values[base.rows[shown], 0]), expected)
    assert len(design.splits[0][0]) == 3 * 2  # single, all of them


def test_controls_exchange_within_runs(tmp_path):
    responses = opened(tmp_path).responses("S1", tests=["seen", "seen@+2s"])
    design = decoding_design(responses, n_folds=4, seed=0)
    shuffled = shuffle_images(design, seed=[0, 1])
    assert (shuffled.target_ids != design.target_ids).any()
    for number in range(1, N_RUNS + 1):
        for rows in (np.arange(12), *(each.rows for each in design.sets)):
            of_run = rows[design.runs[rows] == number]
            assert sorted(shuffled.target_ids[of_run]) == sorted(design.target_ids[of_run])
    orders = {
        tuple(shuffle_images(design, seed=[0, k]).target_ids[:12].tolist()) for k in range(20)
    }
    assert len(orders) > 10  # no one exchange of names


@pytest.mark.robust(
    "arrays",
    given="`windows` where stimuli are held out, not runs: volumes of a run that trains would be "
    "tested",
    before="no key: `windows` and `hold_out` of a cross-validation",
    now="one error: `windows` need `hold_out: runs`, and that needs to know the runs",
)
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    hold_out: runs\n", "", "`windows` need `hold_out: runs`"),
        ("    hold_out: runs\n    average: false", "    average: false", "need"),
        (", runs: runs", "", "`hold_out: runs` needs `volumes` with `runs`"),
    ],
)
def test_what_would_leak_is_refused(tmp_path, old, new, message):
    assert old in SPEC
    with pytest.raises(DatasetError, match=message):
        opened(tmp_path, SPEC.replace(old, new))


def test_folds_are_as_many_as_runs_at_most(tmp_path):
    responses = opened(tmp_path).responses("S1")
    for n_folds in (None, 5):
        with pytest.raises(ResponsesError, match=r"4 runs; .* 2 to 4"):
            decoding_design(responses, n_folds=n_folds, seed=0)
    with pytest.raises(ResponsesError, match="test set averages presentations"):
        decoding_design(responses, n_folds=4, seed=0, repeats=True)


def test_arrays_are_normalised_run_by_run(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 2)) + 1000 + 50 * np.repeat(np.arange(4), 20)[:, None]
    for way, tail in (("percent", ""), ("zscore", ", trend: 1")):
        text = SPEC.replace("shift: 4}", f"shift: 4, normalise: {way}{tail}}}")
        found = opened(tmp_path, text, x=x).responses("S1", tests=["seen@+0s"])
        values = found.values[found.split == "seen@+0s"]
        expected = []
        for number in range(4):
            run = x[20 * number : 20 * number + 20]
            mean, time = run.mean(axis=0), np.arange(20) - 9.5
            if tail:
                run = run - np.outer(time, time @ run / (time @ time))
            scale = mean / 100 if way == "percent" else run.std(axis=0, ddof=1)
            expected += list(((run - mean) / scale)[[4, 10, 16]])
        np.testing.assert_allclose(values, expected, atol=1e-8)
    text = SPEC.replace("shift: 4}", "shift: 4, normalise: percent}")
    dataset = opened(tmp_path, text, x=rng.normal(0.1, 1, size=(80, 2)))
    with pytest.raises(DatasetError, match=r"run 1: .* mean below their SD"):
        dataset.responses("S1")


@pytest.mark.robust(
    "arrays",
    given="runs numbered from 0 by an array of a number a row, or rows between runs that show a "
    "stimulus",
    before="all presentations of run 0 were left out, without a word",
    now="an error that names the row; 0 is for rows that show nothing",
)
@pytest.mark.parametrize("base", [0, -1])
def test_what_is_shown_in_no_run_is_refused(tmp_path, base):
    numbers = np.repeat(np.arange(N_RUNS), N_ROWS)
    found = opened(tmp_path, runs=numbers + 1).responses("S1")
    assert found.sha256 == opened(tmp_path).responses("S1").sha256
    message = rf"row 4 shows '2001' and is of no run \({base}\); runs are counted from 1"
    with pytest.raises(DatasetError, match=message):
        opened(tmp_path, runs=numbers + base).responses("S1")
    between = np.array([[1, 20], [21, 40], [41, 60]])
    with pytest.raises(DatasetError, match=r"row 64 shows '2001' and is of no run \(0\)"):
        opened(tmp_path, runs=between).responses("S1")
    rests = np.where(np.arange(80) % N_ROWS == 0, 0, numbers + 1)  # rows that show nothing
    assert len(opened(tmp_path, runs=rests).responses("S1").values) == len(found.values)


@pytest.mark.parametrize("runs", [np.zeros((0, 2)), np.zeros((2, 0)), np.zeros(0)])
def test_no_runs_are_no_list_of_runs(tmp_path, runs):
    with pytest.raises(DatasetError, match=r"'runs' has shape \(.*\), expected a number a row"):
        opened(tmp_path, runs=runs).responses("S1")
