"""Time courses of a release: built, published, verified, queried, killed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import unitdb
from tests.pipeline.small import N_TEST, N_TRAIN, N_VOXELS, SUBJECTS, contents, edit, lay_out, run
from unitdb.errors import QueryError
from unitdb.measures import MEASURES
from unitdb.verification import verify

TIMES = np.arange(-4, 15, 2.0)
COURSE = np.array([0, 0, 0, 0.1, 0.7, 1, 0.8, 0.3, 0.1, 0])
"""Of the response, at each time from onset."""
N_TRIALS = 3
TESTED = [f"picture-{number:02d}" for number in range(N_TRAIN, N_TRAIN + N_TEST)]
SETS = """
  volumes: {repetition_time: 2}
  tests:
    perception: {responses: x_test, stimulus_ids: ids_test}
    imagery: {KEYS}
    vision: {KEYS}
"""
KEYS = (
    "responses: x_NAME, stimulus_ids: ids_NAME, rows: on_NAME = 1, "
    "windows: {from: -4, to: 14, step: TR}"
)
RECIPE = "timecourse: {test: imagery, adjust_by: vision}\n"


def course_of(means, rng, *, delay):
    """Volumes of trials that follow each other: -4 to 14 s, the onset a row of the stimulus."""
    shown = np.tile(np.arange(N_TEST), N_TRIALS)
    course = np.interp(TIMES - delay, TIMES, COURSE)
    volumes = (course[None, :, None] * means[shown][:, None]).reshape(-1, N_VOXELS)
    on = np.tile(TIMES == 0, len(shown))
    ids = np.repeat(np.array(TESTED)[shown], len(TIMES))
    return volumes + rng.normal(0, 2, volumes.shape), np.where(on, ids, "rest"), on * 1.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    recipe = lay_out(tmp_path_factory.mktemp("course"))
    folder, rng = recipe.parent, np.random.default_rng(3)
    for subject in SUBJECTS:
        with np.load(folder / f"{subject}.npz") as file:
            arrays = dict(file)
        x, ids = arrays["x_test"], arrays["ids_test"]
        means = np.stack([x[ids == name].mean(axis=0) for name in TESTED])
        for name, delay in (("imagery", 0), ("vision", 2)):
            made = course_of(means, rng, delay=delay)
            arrays |= dict(zip((f"x_{name}", f"ids_{name}", f"on_{name}"), made, strict=True))
        np.savez(folder / f"{subject}.npz", **arrays)
    sets = SETS
    for name in ("imagery", "vision"):
        sets = sets.replace("{KEYS}", "{" + KEYS.replace("NAME", name) + "}", 1)
    old = "\n  tests:\n    perception: {responses: x_test, stimulus_ids: ids_test}\n"
    edit(folder / "mine.yaml", old, sets)
    edit(recipe, "models: [{name: mynet}]", "models: [{name: mynet}]\n" + RECIPE)
    return folder


@pytest.fixture(scope="module")
def release(lab):
    return unitdb.open(run(lab / "recipe.yaml"))


def test_times_have_rows_in_the_time_course_alone(release):
    assert release.values("condition") == ["imagery", "perception", "vision"]
    found = release.table("timecourse")
    assert sorted(found["time"].unique()) == TIMES.tolist()
    assert len(found) == 2 * 2 * 2 * 3 * len(TIMES)  # conditions, layers, ROIs, subjects
    assert (found["n_samples"] == N_TEST).all()
    verify(release.path)


@pytest.mark.robust(
    "publishing",
    given="a release of single times, `tests: [imagery, 'imagery@*']`",
    before="refused after all was decoded: `@` in the names of its files",
    now="published, with the predictions of each time",
)
def test_numbers_are_those_of_a_reading_of_its_own(lab, release):
    """Predictions of the sets of single times, published by another recipe."""
    text = (lab / "recipe.yaml").read_text().replace("name: small", "name: apart")
    asked = "tests: [imagery, 'imagery@*']\npredictions: {units: all}\n"
    (lab / "apart.yaml").write_text(text.replace(RECIPE, asked))
    apart = unitdb.open(run(lab / "apart.yaml"))
    rows = apart.sql(
        "SELECT condition, unit, predicted FROM predicted "
        "WHERE layer = 'scores' AND roi = 'V1' AND subject = 'sub-02' ORDER BY condition, unit"
    )
    samples = apart.table("samples")
    known = release.table("timecourse").query(
        "layer == 'scores' and roi == 'V1' and subject == 'sub-02' and condition == 'imagery'"
    )
    truth, train = activations(lab)
    for time in TIMES:
        condition = f"imagery@{time:+g}s"
        predicted = np.stack(rows[rows["condition"] == condition]["predicted"].tolist()).T
        of = samples[(samples["condition"] == condition) & (samples["subject"] == "sub-02")]
        own = np.array([TESTED.index(name) for name in of.sort_values("sample")["stimulus"]])
        row = known[known["time"] == time].iloc[0]
        r, pattern, identification = by_hand(predicted, truth, own, train)
        assert row["mean_r"] == pytest.approx(r, abs=1e-6)
        assert row["pattern_r"] == pytest.approx(pattern, abs=1e-6)
        assert row["identification"] == pytest.approx(identification, abs=1e-6)
        assert row["chance"] == pytest.approx(0.5, abs=1e-9)
    early, late = (known[known["time"] == time]["mean_r"].item() for time in (-4, 6))
    assert abs(early) < 0.4 < late


def activations(lab):
    """Of the tested pictures, and of those that train."""
    from unitdb.activations import Activations

    stores = [p for p in (lab / "releases" / ".cache").iterdir() if p.is_dir()]
    stored = Activations.open(stores[0])
    values = stored.block("scores", 0, stored.n_units("scores")).astype(float)
    of = dict(zip(stored.stimulus_ids, values, strict=True))
    truth = np.stack([of[name] for name in TESTED])
    return truth, np.stack([of[f"picture-{n:02d}"] for n in range(N_TRAIN)])


def by_hand(predicted, truth, own, train):
    units = [u for u in range(truth.shape[1]) if np.ptp(train[:, u]) > 0]
    r = np.mean([np.corrcoef(predicted[:, u], truth[own, u])[0, 1] for u in units])
    mean, sd = train.mean(axis=0)[units], train.std(axis=0, ddof=1)[units]
    z, of = (predicted[:, units] - mean) / sd, (truth[:, units] - mean) / sd
    s = np.array([[np.corrcoef(a, b)[0, 1] for b in of] for a in z])
    true = s[np.arange(len(own)), own]
    won = (true[:, None] > s).sum(axis=1) / (len(of) - 1)
    return r, true.mean(), won.mean()


def test_lags_are_displacements_of_the_courses(release):
    lags = release.table("lag").query("control == 'none'")
    imagined = lags[lags["condition"] == "imagery"]
    assert (imagined["adjusted_by"] == "vision").all()
    difference = imagined["lag"] - imagined["perception_lag"]
    np.testing.assert_allclose(imagined["adjusted_lag"], difference)
    assert (imagined["low"] <= imagined["lag"]).all()
    assert (imagined["lag"] <= imagined["stimuli_high"]).all()
    # Both layers have one course here: there is no order to be found.
    orders = release.table("lag_order")
    assert set(orders["control"]) == {"none", "matched", "shuffled", "adjusted"}
    assert (orders.query("control == 'none'")["p"] > 0.001).all()
    peak = lags.set_index(["condition", "layer", "roi"])["peak_time"]
    assert (peak["vision"] >= peak["imagery"]).all()


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.pipeline.small import run
from unitdb.measures.timecourse import CourseStep

done, compute = [], CourseStep.run

def die(step):
    if len(done) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    compute(step)
    done.append(step)

CourseStep.run = die
run(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_killed_in_its_steps_it_goes_on_to_the_same_bytes(lab, release, tmp_path, monkeypatch):
    copy = shutil.copytree(lab, tmp_path / "lab", ignore=shutil.ignore_patterns("releases"))
    recipe = copy / "recipe.yaml"
    killed = subprocess.run([sys.executable, "-c", KILLED, recipe], cwd=Path(__file__).parents[2])
    assert killed.returncode == -signal.SIGKILL
    (step,) = {
        type(one).steps.__globals__["CourseStep"] for one in MEASURES if one.name == "time course"
    }
    asked, compute = [], step.run
    with monkeypatch.context() as patched:
        patched.setattr(step, "run", lambda one: (asked.append(one), compute(one)))
        found = contents(run(recipe))
    assert len(asked) == 2 * 2 * 2 * 3 - 2  # conditions, layers, ROIs, subjects
    assert found == contents(release.path)


def test_figures_show_the_courses_and_the_lags(release):
    plot = pytest.importorskip("unitdb.plot", reason="needs unitdb[plot]")
    roi = release.values("roi")[0]
    rows = release.table("timecourse")
    rows = rows[(rows["roi"] == roi) & (rows["condition"] == "imagery")]
    axes = plot.timecourse(release, roi=roi, condition="imagery")
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    for layer, of in rows.groupby("layer", observed=True):
        mean = of.groupby("time")["mean_r"].mean()
        np.testing.assert_allclose(drawn[str(layer)], mean)
    with pytest.raises(QueryError, match="choose condition= one of imagery, vision"):
        plot.timecourse(release, roi=roi)
    with pytest.raises(QueryError, match="measure='lag' is none of"):
        plot.timecourse(release, roi=roi, measure="lag")
    points = plot.lags(release, roi=roi, condition="imagery").collections[-1].get_offsets()
    lags = release.table("lag")
    lags = lags[
        (lags["roi"] == roi) & (lags["condition"] == "imagery") & (lags["control"] == "none")
    ]
    np.testing.assert_allclose(sorted(points[:, 1]), sorted(lags["lag"]))
