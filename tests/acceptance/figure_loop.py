"""Five shapes decoded from real volumes by a loop that uses numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

ALPHA, N_VOXELS = 100_000, 500
ALPHAS = [10**power for power in range(7)]


def percent_of_runs(volumes, ends):
    """Percent signal change of each run."""
    found = np.empty_like(volumes)
    for first, last in ends:
        mean = volumes[first - 1 : last].mean(axis=0)
        found[first - 1 : last] = 100 * (volumes[first - 1 : last] - mean) / mean
    return found


def predict(x_train, y_train, x_test, alpha):
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
        gram = x[:, chosen] @ x[:, chosen].T + alpha * np.eye(len(x))
        weights = x[:, chosen].T @ np.linalg.solve(gram, z)
        predicted[:, pixel] = centre + scale * (new[:, chosen] @ weights)
    return predicted


def scored(predicted, shown, pixels, trained):
    """Pairwise identification and mean accuracy."""
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
    return float(np.mean(won)), float(np.mean(r))


class Blocks:
    """Volumes in percent of their runs, and the blocks of a shape in these."""

    def __init__(self, data: Path) -> None:
        folder = data / "figure_images"
        self.pixels = np.load(folder / "shapes" / "pixels.npy").reshape(5, -1).astype(float)
        with h5py.File(folder / "S2_figureImage.mat") as file:
            volumes = file["D/data"][:].T.astype(float)
            labels = file["D/labels"][:].ravel().astype(int)
            ends = file["D/inds_runs"][:].astype(int)
        self.ends = ends if ends.shape[1] == 2 else ends.T
        self.volumes = percent_of_runs(volumes, self.ends)
        self.blocks = []  # run, onset, shape
        for run, (first, last) in enumerate(self.ends):
            self.blocks += [
                (run, row, labels[row] - 2001)
                for row in range(first - 1, last)
                if labels[row] > 2000 and (row == first - 1 or labels[row - 1] != labels[row])
            ]
        rows = [row for _, row, _ in self.blocks]
        self.samples = np.array([self.volumes[row + 2 : row + 8].mean(axis=0) for row in rows])
        self.of = np.array([shape for *_, shape in self.blocks])
        self.runs = np.array([run for run, *_ in self.blocks])

    def course(self, alphas: Mapping[int, float]) -> dict[int, tuple[float, float]]:
        """Identification and mean accuracy at each time, by alpha of the run that is left out."""
        found = {}
        for time in range(-4, 25, 2):
            predicted, shown = [], []
            for run, (first, last) in enumerate(self.ends):
                inside = [
                    (row + time // 2, shape)
                    for its, row, shape in self.blocks
                    if its == run and first - 1 <= row + time // 2 < last
                ]
                train = self.runs != run
                test = self.volumes[[row for row, _ in inside]]
                trained = self.pixels[self.of[train]]
                predicted.append(predict(self.samples[train], trained, test, alphas[run]))
                shown += [shape for _, shape in inside]
            values = np.concatenate(predicted), np.array(shown)
            found[time] = scored(*values, self.pixels, self.pixels[self.of])
        return found

    def chosen(self, left_out: int) -> int:
        """Alpha that predicts best where each of the other runs is left out in turn."""
        inner = [run for run in range(len(self.ends)) if run != left_out]
        shown = np.concatenate([self.of[self.runs == run] for run in inner])
        r = []
        for alpha in ALPHAS:
            predicted = []
            for run in inner:
                train = (self.runs != left_out) & (self.runs != run)
                pixels, test = self.pixels[self.of[train]], self.samples[self.runs == run]
                predicted.append(predict(self.samples[train], pixels, test, alpha))
            trained = self.pixels[self.of[self.runs != left_out]]
            r.append(scored(np.concatenate(predicted), shown, self.pixels, trained)[1])
        return ALPHAS[int(np.argmax(r))]


def nested_course(data: Path) -> tuple[list[int], dict[int, tuple[float, float]]]:
    """Alpha of each run, chosen by the others, and what comes of them at each time."""
    blocks = Blocks(data)
    chosen = [blocks.chosen(run) for run in range(len(blocks.ends))]
    return chosen, blocks.course(dict(enumerate(chosen)))
