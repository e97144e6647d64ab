"""Windows: a test set of each time from onset, of arrays whose rows are volumes."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from unitdb.errors import DatasetError, ResponsesError, UnknownConditionError
from unitdb.responses import open_dataset
from unitdb.responses.sets_spec import Windows, time_name

SHARED = Path(__file__).parents[2].parent / "shared" / "realdata"
REAL = Path(os.environ.get("UNITDB_REALDATA", SHARED))
FIGURES = REAL / "figure_images" / "S2_figureImage.mat"

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
  file: FILE
  volumes: {repetition_time: 2, runs: RUNS, shift: 4}
  train: {responses: X, rows: SHOWN, stimulus_ids: LABELS, runs: [1, 2, 3]}
  tests:
    figures:
      responses: X
      rows: SHOWN
      stimulus_ids: LABELS
      runs: [4]
      average: false
      seen_in_training: true
      windows: {from: -4, to: 24, step: TR}
  masks: {V1: null}
"""
SHOWN = " | ".join(f"LABELS = {number}" for number in range(2001, 2006))
NAMES = [str(number) for number in range(2001, 2006)]


def opened(folder, file, **names):
    (folder / "stimuli.txt").write_text("\n".join(NAMES))
    text = SPEC.replace("SHOWN", SHOWN).replace("FILE", file)
    for key, name in names.items():
        text = text.replace(key, name)
    (folder / "dataset.yaml").write_text(text)
    return open_dataset(str(folder / "dataset.yaml"), data=folder, cache=folder)


def made_up(folder, **changes):
    """Two shapes, seen for two volumes each, twice in each of four runs of 20 volumes."""
    run = np.array([1] * 4 + [2001] * 2 + [2] * 4 + [2002] * 2 + [2] * 8)
    arrays = {
        "x": np.arange(80.0)[:, None] * [1, 10],
        "labels": np.concatenate([np.roll(run, n) for n in range(4)]).astype(float),
        "runs": np.array([[1, 20], [21, 40], [41, 60], [61, 80]], float),
    }
    np.savez(folder / "a.npz", **(arrays | changes))
    rows = SHOWN.split(" | ")[:2]
    dataset = opened(folder, "a.npz", X="x", LABELS="labels", RUNS="runs")
    path = folder / "dataset.yaml"
    text = path.read_text().replace(SHOWN.replace("LABELS", "labels"), " | ".join(rows))
    path.write_text(text.replace("LABELS", "labels"))
    return open_dataset(str(path), data=folder, cache=dataset.cache)


def test_samples_are_means_over_stretches_of_a_stimulus(tmp_path):
    found = made_up(tmp_path).responses("S1")
    # Two volumes (4 s) later than rows 4 and 5, 10 and 11 of each run, each a row later.
    expected = [np.mean([20 * n + n + at, 20 * n + n + at + 1]) for n in range(4) for at in (6, 12)]
    np.testing.assert_array_equal(found.values[:, 0], expected)
    assert found.stimulus_ids.tolist() == ["2001", "2002"] * 4
    assert found.split.tolist() == ["train"] * 6 + ["figures"] * 2


def test_windows_are_volumes_at_their_times(tmp_path):
    found = made_up(tmp_path).responses("S1", tests=["figures@*"])
    times = range(-4, 25, 2)
    assert list(found.tests) == [f"figures@{time:+d}s" for time in times]
    onsets = [67, 73]  # of the fourth run, which has the rows 60 to 79
    for time in times:
        rows = [onset + time // 2 for onset in onsets]
        values = found.values[found.split == f"figures@{time:+d}s", 0]
        assert values.tolist() == [row for row in rows if 60 <= row < 80]
        assert found.tests[f"figures@{time:+d}s"].time == time
    both = made_up(tmp_path).responses("S1", tests=["figures", "figures@+4s"])
    assert list(both.tests) == ["figures", "figures@+4s"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runs": [[1, 20], [20, 40]]}, "first and last row of each run, .* of 80 rows"),
        ({"runs": [[1.5, 20]]}, "'runs' holds float64, expected numbers of runs"),
        ({"runs": np.arange(80) % 4 + 1}, "rows of run 1 do not follow each other"),
        ({"runs": [[1, 20], [21, 40], [41, 60]]}, "there is no run 4; there are 1 to 3"),
        ({"runs": [[1, 20], [21, 40], [41, 60], [61, 74]]}, "needs the rows 75 to 75"),
    ],
)
def test_runs_that_are_none_are_refused(tmp_path, changes, message):
    arrays = {name: np.array(value) for name, value in changes.items()}
    with pytest.raises(DatasetError, match=message):
        made_up(tmp_path, **arrays).responses("S1")


def test_times_that_there_are_not_are_named(tmp_path):
    with pytest.raises(UnknownConditionError, match=r"figures@\+5s.*did you mean 'figures@"):
        made_up(tmp_path).responses("S1", tests=["figures@+5s"])
    with pytest.raises(UnknownConditionError, match=r"'figure'.* did you mean 'figures'"):
        made_up(tmp_path).responses("S1", tests=["figure"])


@pytest.mark.robust(
    "datasets",
    given="windows with a step of .0003 s",
    before="100 s and 100.0003 s were one test set, `imagery@+100s`, of each presentation twice",
    now="refused: steps are .05 s and more, and times have the digits of their names",
)
def test_times_have_names_of_their_own():
    with pytest.raises(ValueError, match="step"):
        Windows.model_validate({"from": 0, "to": 1, "step": 0.0003})
    for step, seconds in ((0.05, 2.0), ("TR", 0.0500004), ("TR", 1 / 3)):
        windows = Windows.model_validate({"from": -600, "to": 600, "step": step})
        times = windows.times(seconds)
        assert len({time_name("x", time) for time in times}) == len(times)
        assert [float(time_name("x", time)[2:-1]) for time in times] == times
        every = seconds if step == "TR" else step
        np.testing.assert_allclose(times, -600 + every * np.arange(len(times)), atol=6e-4)


def test_no_name_is_no_test_set(tmp_path):
    dataset = made_up(tmp_path)
    path = tmp_path / "dataset.yaml"
    text = path.read_text()
    held_out = f"  cross-validation: {{responses: x, rows: {SHOWN.split(' | ')[0]}"
    held_out = held_out.replace("LABELS", "labels") + ", stimulus_ids: labels}\n  masks:"
    begin, end = text.index("  train:"), text.index("  masks:")
    path.write_text(text[:begin] + held_out + text[end + len("  masks:") :])
    other = open_dataset(str(path), data=tmp_path, cache=dataset.cache)
    for each in (dataset, other):
        with pytest.raises(UnknownConditionError, match=r"''.*the test sets of dataset 'figures'"):
            each.responses("S1", tests=[""])


def test_what_is_seen_in_training_must_be_said(tmp_path):
    dataset = made_up(tmp_path)
    path = tmp_path / "dataset.yaml"
    path.write_text(path.read_text().replace("seen_in_training: true", "seen_in_training: false"))
    again = open_dataset(str(path), data=tmp_path, cache=dataset.cache)
    with pytest.raises(ResponsesError, match="2 stimuli are both in train and in figures"):
        again.responses("S1")


@pytest.mark.skipif(not FIGURES.exists(), reason=f"{FIGURES}: no real volumes")
def test_real_volumes_are_chance_before_onset_and_certain_from_eight_seconds_on(tmp_path):
    """Nearest centroid of the training runs, as an independent computation had it: .48 to .96."""
    (tmp_path / "figures.mat").symlink_to(FIGURES.resolve())
    dataset = opened(tmp_path, "figures.mat", X="D/data", LABELS="D/labels", RUNS="D/inds_runs")
    found = dataset.responses("S1", tests=["figures", "figures@*"])
    assert found.values.shape[1] == 910
    assert (found.split == "train").sum() == 30
    with h5py.File(FIGURES) as file:  # read again, by a loop
        data, labels = file["D/data"][:].T, file["D/labels"][:].ravel()
    onsets = [row for row in range(390, 520) if labels[row] > 2000 and labels[row - 1] < 2000]
    assert len(onsets) == 10
    for time in range(-4, 25, 2):
        rows = [row + time // 2 for row in onsets if row + time // 2 < 520]
        of_time = found.split == f"figures@{time:+d}s"
        np.testing.assert_array_equal(found.values[of_time], data[rows])
        assert (
            found.stimulus_ids[of_time].tolist()
            == [str(int(labels[o])) for o in onsets][: len(rows)]
        )
    train = found.split == "train"
    x, of = found.values[train], found.stimulus_ids[train]
    mean, sd = x.mean(axis=0), x.std(axis=0)
    centroids = {name: ((x[of == name] - mean) / sd).mean(axis=0) for name in NAMES}
    rates = {}
    for time in (-4, 8, 10, 12):
        rows = found.split == f"figures@{time:+d}s"
        won = []
        for value, own in zip(found.values[rows], found.stimulus_ids[rows], strict=True):
            z = (value - mean) / sd
            s = {name: np.corrcoef(z, centroid)[0, 1] for name, centroid in centroids.items()}
            won += [s[own] > s[name] for name in NAMES if name != own]
        rates[time] = np.mean(won)
    assert 0.3 < rates[-4] < 0.7
    assert min(rates[8], rates[10], rates[12]) > 0.85
