"""Real volumes in time: what V1 tells of five shapes, against a loop that uses numpy alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import unitdb
from unitdb.pipeline import build

ROOT = Path(__file__).parents[2]
REAL = Path(os.environ.get("UNITDB_REALDATA", ROOT.parent / "shared" / "realdata"))
FIGURES = REAL / "figure_images" / "S2_figureImage.mat"
CARD = ROOT / "datasets" / "figure-images" / "README.md"
ALPHA, N_VOXELS = 100_000, 500

pytestmark = pytest.mark.skipif(not FIGURES.exists(), reason=f"{FIGURES}: no real volumes")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The data folder, with the shapes drawn as the card says."""
    folder = tmp_path_factory.mktemp("figures")
    (folder / "figure_images").mkdir()
    (folder / "figure_images" / FIGURES.name).symlink_to(FIGURES.resolve())
    script = re.search("```python\n(.*?)```", CARD.read_text(), re.DOTALL)
    subprocess.run([sys.executable, "-W", "error", "-c", script[1]], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def release(data, tmp_path_factory):
    recipe = ROOT / "pipelines" / "figure-images.yaml"
    return unitdb.open(build(recipe, releases=tmp_path_factory.mktemp("releases"), data=data))


def percent_of_runs(volumes, ends):
    """Percent signal change of each run."""
    found = np.empty_like(volumes)
    for first, last in ends:
        mean = volumes[first - 1 : last].mean(axis=0)
        found[first - 1 : last] = 100 * (volumes[first - 1 : last] - mean) / mean
    return found


def predict(x_train, y_train, x_test):
    """Ridge on the voxels that go best with a pixel, all z-scored by the training samples."""
    mean, sd = x_train.mean(axis=0), x_train.std(axis=0, ddof=1)
    x, new = (x_train - mean) / sd, (x_test - mean) / sd
    predicted = np.empty((len(x_test), y_train.shape[1]))
    for pixel, y in enumerate(y_train.T):
        centre, scale = y.mean(), y.std(ddof=1)
        if scale == 0:
            predicted[:, pixel] = centre
            continue
        z = (y - centre) / scale
        chosen = np.argsort(-np.abs(x.T @ z), kind="stable")[:N_VOXELS]
        gram = x[:, chosen] @ x[:, chosen].T + ALPHA * np.eye(len(x))
        weights = x[:, chosen].T @ np.linalg.solve(gram, z)
        predicted[:, pixel] = centre + scale * (new[:, chosen] @ weights)
    return predicted


def by_hand(pixels):
    """Pairwise identification and mean accuracy at each time, of runs left out one at a time."""
    with h5py.File(FIGURES) as file:
        volumes = file["D/data"][:].T.astype(float)
        labels = file["D/labels"][:].ravel().astype(int)
        ends = file["D/inds_runs"][:].astype(int)
    ends = ends if ends.shape[1] == 2 else ends.T
    volumes = percent_of_runs(volumes, ends)
    blocks = []  # run, onset, shape
    for run, (first, last) in enumerate(ends):
        blocks += [
            (run, row, labels[row] - 2001)
            for row in range(first - 1, last)
            if labels[row] > 2000 and (row == first - 1 or labels[row - 1] != labels[row])
        ]
    samples = np.array([volumes[row + 2 : row + 8].mean(axis=0) for _, row, _ in blocks])
    of = np.array([shape for *_, shape in blocks])
    runs = np.array([run for run, *_ in blocks])
    found = {}
    for time in range(-4, 25, 2):
        predicted, shown = [], []
        for run, (first, last) in enumerate(ends):
            inside = [
                (row + time // 2, shape)
                for its, row, shape in blocks
                if its == run and first - 1 <= row + time // 2 < last
            ]
            train = runs != run
            test = volumes[[row for row, _ in inside]]
            predicted.append(predict(samples[train], pixels[of[train]], test))
            shown += [shape for _, shape in inside]
        found[time] = scored(np.concatenate(predicted), np.array(shown), pixels, pixels[of])
    return found


def scored(predicted, shown, pixels, trained):
    mean, sd = trained.mean(axis=0), trained.std(axis=0, ddof=1)
    varies = sd > 0
    of = ((pixels - mean) / np.where(varies, sd, 1))[:, varies]
    z = ((predicted - mean) / np.where(varies, sd, 1))[:, varies]
    won = []
    for pattern, own in zip(z, shown, strict=True):
        s = [np.corrcoef(pattern, other)[0, 1] for other in of]
        won += [s[own] > s[other] for other in range(5) if other != own]
    r = [
        np.corrcoef(predicted[:, pixel], pixels[shown, pixel])[0, 1]
        for pixel in np.flatnonzero(varies)
    ]
    return np.mean(won), np.mean(r)


@pytest.fixture(scope="module")
def course(release):
    return release.table("timecourse").set_index("time")


def test_all_times_are_as_a_loop_computes_them(data, course):
    pixels = np.load(data / "figure_images" / "shapes" / "pixels.npy").reshape(5, -1).astype(float)
    expected = by_hand(pixels)
    assert sorted(expected) == course.index.tolist()
    for time, (identification, mean_r) in expected.items():
        assert course.loc[time, "identification"] == pytest.approx(identification, abs=1e-9)
        assert course.loc[time, "mean_r"] == pytest.approx(mean_r, abs=1e-5)  # single precision


def test_shapes_are_told_apart_in_time(course):
    """Chance up to onset, nearly certain from 8 s to 14 s, chance again after the response."""
    rates = course["identification"]
    assert rates.loc[-4:0].between(0.45, 0.55).all()
    assert (rates.loc[8:14] >= 0.9).all()
    assert rates.loc[18:24].between(0.45, 0.55).all()
    before, after = course.loc[-4:0], course.loc[6:16]
    assert (before["identification_low"] < 0.5).all()
    assert (after["identification_low"] > 0.5).all()
    assert (before["p"] > 0.05).all()
    assert (after["p"] == 0.001).all()
    assert course["chance"].between(0.49, 0.52).all()
