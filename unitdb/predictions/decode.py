"""Decode a job: share its blocks out to workers, and put the results together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unitdb.activations import Activations, LayerInfo, UnitSelection, select_units
from unitdb.decoding.memory import block_units
from unitdb.predictions.blocks import Block, decode_block, write_responses
from unitdb.predictions.workers import Run
from unitdb.recipes import Job, Progress, SubjectInput
from unitdb.sealed import is_sealed
from unitdb.tables import code_sha256

__all__ = [
    "block_sizes",
    "decode_job",
    "job_blocks",
    "responses_path",
    "sample_positions",
    "stored_positions",
    "write_job_responses",
]

_PATTERN_UNITS = 500
"""Units of a layer whose predictions are kept: enough to tell images apart by their pattern."""


def decode_job(
    job: Job,
    activations: Activations,
    blocks: Sequence[Block],
    *,
    run: Run,
    progress: Progress | None = None,
) -> None:
    """Compute the accuracies of the blocks that are not done yet.

    Parameters
    ----------
    job : Job
        What to decode from what.
    activations : Activations
        Of the job's stimuli and layers.
    blocks : sequence of Block
        By :func:`job_blocks`.
    run : callable
        The workers.
    progress : callable, optional
        Called with the numbers of units and of blocks done and to do.

    Raises
    ------
    ResponsesError
        Names the dataset, subject, ROI and unit that cannot be decoded.
    WorkersError
        Workers died, or are not what they should be.
    """
    to_do = [block for block in blocks if not block.is_done()]
    # Later steps read responses too.
    damaged = [block for block in blocks if not is_sealed(block.responses)]
    subjects = {block.place[1] for block in (*to_do, *damaged)}
    write_job_responses(job, activations, blocks[0].folder, subjects)
    name = f"{job.dataset.spec.name}/{job.model.spec.name}"
    total = _count(blocks)
    done = total - _count(to_do)
    for block in run(decode_block, to_do):
        done += _count([block])
        if progress:
            for what in total:
                progress(f"decode {name}, {what}", done[what], total[what])


def job_blocks(
    job: Job,
    activations: Activations,
    folder: Path,
    *,
    memory: int,
) -> list[Block]:
    """List the blocks of a job, those of an ROI together: its Gram matrix serves them all.

    Parameters
    ----------
    job : Job
        What to decode from what.
    activations : Activations
        Of the job's stimuli and layers.
    folder : Path
        For the results, and for the responses that workers read.
    memory : int
        Bytes that a thread may use; accuracies do not depend on it.

    Raises
    ------
    MemoryBudgetError
        It is too little.
    """
    # Reliability is of the sets whose samples are averages of presentations that can be told apart.
    divisions = tuple(
        0 if each.repeats is None else job.recipe.n_divisions for each in job.dataset.all_sets
    )
    patterns = {
        layer.name: sample_positions(
            layer,
            activations.units(layer.name),
            _PATTERN_UNITS,
            seed=job.recipe.selection.seed,
        )
        for layer in job.model.layers
    }
    stored = {
        layer.name: stored_positions(job, layer, activations.units(layer.name))
        for layer in job.model.layers
    }
    blocks = []
    for (i, roi), (j, subject), size in block_sizes(job, memory=memory):
        blocks += [
            Block(
                name=f"{job.dataset.spec.name}/{subject.subject}/{roi}",
                place=(i, j),
                responses=responses_path(folder, j),
                roi=roi,
                activations=activations.folder,
                layer=layer,
                start=start,
                stop=min(start + size, activations.n_units(layer)),
                patterns=_within(patterns[layer], start, start + size),
                stored=_within(stored[layer], start, start + size),
                n_controls=job.recipe.n_controls,
                tests=tuple(each.name for each in job.dataset.all_sets),
                divisions=divisions,
                settings=job.recipe.decoder.settings(roi),
                folder=folder,
                code=code_sha256(),
            )
            for layer in activations.layers
            for start in range(0, activations.n_units(layer), size)
        ]
    return blocks


def responses_path(folder: Path, subject: int) -> Path:
    """File that workers read a subject's responses from, in the folder of a job's blocks."""
    return folder / f"responses-{subject:03d}.npz"


def write_job_responses(
    job: Job, activations: Activations, folder: Path, subjects: Collection[int]
) -> None:
    """Write the files that :func:`responses_path` names, of subjects by their positions."""
    for number in subjects:
        write_responses(
            responses_path(folder, number),
            job.dataset.subjects[number],
            activations,
            n_controls=job.recipe.n_controls,
            seed=job.recipe.seed,
        )


def block_sizes(
    job: Job, *, memory: int
) -> Iterator[tuple[tuple[int, str], tuple[int, SubjectInput], int]]:
    """Each ROI and subject, numbered, and how many units of a layer are decoded at a time."""
    for j, subject in enumerate(job.dataset.subjects):
        for i, roi in enumerate(job.dataset.rois):
            size = block_units(
                memory,
                n_stimuli=len(job.dataset.stimuli),
                n_rows=len(subject.design.values),
                n_voxels=int(subject.rois[roi].sum()),
                n_splits=len(subject.design.splits),
                settings=job.recipe.decoder.settings(roi),
                n_controls=job.recipe.n_controls,
                n_sets=len(subject.design.sets),
                n_presentations=subject.n_presentations,
                n_stored=sum(len(test) for _, test in subject.design.splits)
                if job.recipe.stored is not None
                else 0,
            )
            yield (i, roi), (j, subject), size


def sample_positions(
    layer: LayerInfo, units: NDArray[np.int32], n: int, *, seed: int
) -> NDArray[np.intp]:
    """Positions among a layer's selected units of a sample of n of them, or all if not more."""
    if len(units) <= n:
        return np.arange(len(units))
    few = select_units(layer, UnitSelection(sample=n, seed=seed))
    return np.flatnonzero(np.isin(units, few))


def stored_positions(job: Job, layer: LayerInfo, units: NDArray[np.int32]) -> NDArray[np.intp]:
    """Positions of the units whose predictions are stored while they are decoded.

    Those of the best are not: which they are is known when all are decoded.
    """
    asked = job.recipe.stored
    if asked == "all":
        return np.arange(len(units))
    if isinstance(asked, int):
        return sample_positions(layer, units, asked, seed=job.recipe.selection.seed)
    return np.empty(0, dtype=np.intp)


def _within(positions: NDArray[np.intp], start: int, stop: int) -> NDArray[np.intp]:
    """Those of ascending positions from start up to stop, counted from start."""
    first, last = np.searchsorted(positions, [start, stop])
    return positions[first:last] - start


def _count(blocks: Sequence[Block]) -> Counter[str]:
    return Counter(units=sum(block.n_units for block in blocks), blocks=len(blocks))
