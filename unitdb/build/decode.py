"""Decode a job block by block; each finished block is a file, so that a killed build goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unitdb.activations import Activations
from unitdb.build.inputs import Job, Progress
from unitdb.decoding import RoiDecoder
from unitdb.errors import ResponsesError
from unitdb.files import replacing

__all__ = ["decode", "layer_accuracies"]

_BLOCK_BYTES = 16 * 2**20
_SELECTED_BLOCK = 128


@dataclass(frozen=True, kw_only=True, eq=False)
class _Task:
    """An ROI of a subject: where its accuracies go in a block, and how they are computed."""

    name: str
    place: tuple[int, int]
    rows: NDArray[np.intp]
    decoder: RoiDecoder

    def accuracy(self, y: NDArray[np.float32]) -> NDArray[np.float64]:
        """Accuracies of a block of units, from their activations by stimulus."""
        try:
            return self.decoder.accuracy(y[self.rows])
        except ResponsesError as cause:
            raise ResponsesError(f"{self.name}: {cause}") from cause


def decode(
    job: Job, activations: Activations, folder: Path, *, progress: Progress | None = None
) -> None:
    """Compute all accuracies of a job that are not in ``folder`` yet.

    Parameters
    ----------
    job : Job
        What to decode from what.
    activations : Activations
        Of the job's stimuli and layers.
    folder : Path
        For one ``.npy`` file a block, float32 of shape (n_rois, n_subjects, n_units_of_block).
    progress : callable, optional
        Called with the number of units done and to do.
    """
    blocks = [
        (layer, start, stop)
        for layer in activations.layers
        for start, stop in _blocks(job, activations.n_units(layer))
    ]
    to_do = [block for block in blocks if not _is_whole(_path(folder, *block[:2]), job, block)]
    if not to_do:
        return
    total = sum(stop - start for _, start, stop in blocks)
    done = total - sum(stop - start for _, start, stop in to_do)
    n_threads = os.cpu_count() or 1
    with ThreadPoolExecutor(n_threads) as pool:
        tasks = list(_tasks(job, activations))
        for layer, start, stop in to_do:
            y = activations.block(layer, start, stop)
            r = np.empty((len(job.dataset.rois), len(job.dataset.subjects), stop - start))
            found = pool.map(lambda task, y=y: task.accuracy(y), tasks)
            for task, accuracy in zip(tasks, found, strict=True):
                r[task.place] = accuracy
            with replacing(_path(folder, layer, start)) as temporary, temporary.open("wb") as file:
                np.save(file, r.astype(np.float32))
            done += stop - start
            if progress:
                progress(f"decode {job.dataset.spec.name}/{job.model.spec.name}", done, total)


def layer_accuracies(
    job: Job, activations: Activations, folder: Path, layer: str
) -> NDArray[np.float32]:
    """Put the blocks of a layer together.

    Returns
    -------
    array of shape (n_rois, n_subjects, n_units)
        Pearson r; NaN where a unit has none. Units as ``activations.units(layer)``.
    """
    blocks = _blocks(job, activations.n_units(layer))
    return np.concatenate(
        [np.load(_path(folder, layer, start), allow_pickle=False) for start, _ in blocks], axis=2
    )


def _tasks(job: Job, activations: Activations) -> Iterator[_Task]:
    for j, subject in enumerate(job.dataset.subjects):
        rows = activations.rows(subject.design.stimulus_ids.tolist())
        for i, roi in enumerate(job.dataset.rois):
            x = subject.design.values[:, subject.rois[roi]]
            name = f"{job.dataset.spec.name}/{subject.subject}/{roi}"
            try:
                decoder = RoiDecoder(x, subject.design.splits, job.recipe.decoder.settings())
            except ResponsesError as cause:
                raise ResponsesError(f"{name}: {cause}") from cause
            yield _Task(name=name, place=(i, j), rows=rows, decoder=decoder)


def _blocks(job: Job, n_units: int) -> list[tuple[int, int]]:
    """Blocks of a layer's units, the same on every machine: rounding may follow their size."""
    n_rows = len(job.dataset.subjects[0].design.values)
    size = max(1, _BLOCK_BYTES // (8 * n_rows))
    if job.recipe.decoder.voxels != "all":
        size = min(size, _SELECTED_BLOCK)
    return [(start, min(start + size, n_units)) for start in range(0, n_units, size)]


def _is_whole(path: Path, job: Job, block: tuple[str, int, int]) -> bool:
    """Whether a block is there and of the right shape: a disk that filled up may cut a file."""
    shape = (len(job.dataset.rois), len(job.dataset.subjects), block[2] - block[1])
    try:
        return bool(np.load(path, mmap_mode="r", allow_pickle=False).shape == shape)
    except (OSError, ValueError, EOFError):
        return False


def _path(folder: Path, layer: str, start: int) -> Path:
    return folder / layer / f"{start:09d}.npy"
