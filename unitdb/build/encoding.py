"""Encoding models: each voxel predicted from the units of a layer, by steps that workers share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from unitdb.activations import Activations, LayerInfo
from unitdb.build.blocks import load_responses
from unitdb.build.decode import responses_path, sample_positions, write_job_responses
from unitdb.build.inputs import Job, Progress
from unitdb.build.tables import Scope, partition_keys, scope_of, table_of
from unitdb.build.workers import Run
from unitdb.decoding import DecoderSettings, encoding_accuracies
from unitdb.errors import ResponsesError, UnitdbError
from unitdb.files import replacing
from unitdb.npy import map_npy, read_npy, read_npz

__all__ = ["EncodingResults", "encode"]

_AT_ONCE = 1 << 14  # units whose activations are in memory together


@dataclass(frozen=True, kw_only=True, eq=False)
class EncodingStep:
    """Voxels of a subject to predict from a layer.

    Parameters
    ----------
    name : str
        Dataset, subject and layer, for messages.
    responses : Path
        File of the subject, by :func:`unitdb.build.blocks.write_responses`.
    rois : tuple of str
        ROIs whose voxels are predicted.
    units : Path
        ``.npy`` file: activations of shape (n_stimuli, n_units).
    settings : DecoderSettings
        How.
    target : Path
        ``.npy`` file: float32 of shape (1 + n_controls, n_voxels), voxels of one ROI after the
        other.
    """

    name: str
    responses: Path
    rois: tuple[str, ...]
    units: Path
    settings: DecoderSettings
    target: Path


def encode(
    job: Job,
    activations: Activations,
    folder: Path,
    *,
    run: Run,
    progress: Progress | None = None,
) -> EncodingResults | None:
    """Compute the encoding accuracies of a job that are not there yet; None where none are asked.

    Parameters
    ----------
    job : Job
        What to predict from what.
    activations : Activations
        Of the job's stimuli and layers.
    folder : Path
        For the results; that of the job's blocks.
    run : callable
        The workers.
    progress : callable, optional
        Called with steps done and to do.

    Raises
    ------
    ResponsesError
        Names the dataset, subject and layer that cannot be predicted from.
    """
    if job.recipe.encoding is None:
        return None
    settings, subjects = job.recipe.decoder.settings(), job.dataset.subjects
    steps = [
        EncodingStep(
            name=f"{job.dataset.spec.name}/{subject.subject} from {layer.name}",
            responses=responses_path(folder, number),
            rois=job.dataset.rois,
            units=folder / layer.name / "encoding-units.npy",
            settings=settings,
            target=folder / layer.name / f"encoding-{number:03d}.npy",
        )
        for layer in job.model.layers
        for number, subject in enumerate(subjects)
    ]
    to_do = [step for step in steps if not step.target.exists()]
    write_job_responses(job, activations, {step.responses for step in to_do})
    for layer in job.model.layers:
        path = folder / layer.name / "encoding-units.npy"
        if any(step.units == path for step in to_do):
            n, seed = job.recipe.encoding.units, job.recipe.selection.seed
            _write_units(path, activations, layer, n=n, seed=seed)
    for number, _ in enumerate(run(_encode, to_do), 1 + len(steps) - len(to_do)):
        if progress:
            progress(f"encode {job.dataset.spec.name}/{job.model.spec.name}", number, len(steps))
    return EncodingResults(job, steps)


def _write_units(
    path: Path, activations: Activations, layer: LayerInfo, *, n: int, seed: int
) -> None:
    """Write the activations of n units of a layer, a sample."""
    units = activations.units(layer.name)
    chosen = sample_positions(layer, units, n, seed=seed)
    parts = []
    for start in range(0, len(units), _AT_ONCE):
        some = chosen[(chosen >= start) & (chosen < start + _AT_ONCE)]
        if len(some):
            stop = min(start + _AT_ONCE, len(units))
            parts.append(activations.block(layer.name, start, stop)[:, some - start])
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, np.concatenate(parts, axis=1))


def _encode(step: EncodingStep) -> EncodingStep:
    """Predict the voxels of a step, and those of each control; gives the step back."""
    arrays = read_npz(step.responses, lambda name: name == "values" or name.startswith("roi-"))
    masks = np.stack([arrays[f"roi-{roi}"] for roi in step.rois])
    voxels = np.flatnonzero(masks.any(axis=0))  # each once, however many ROIs it is in
    responses = arrays["values"][:, voxels]
    splits, rows = load_responses(step.responses)
    units = read_npy(step.units)
    places = np.concatenate([np.searchsorted(voxels, np.flatnonzero(mask)) for mask in masks])
    found = np.empty((len(rows), len(places)), dtype=np.float32)
    with threadpool_limits(1):
        for control, samples in enumerate(rows):
            try:
                r = encoding_accuracies([units[samples]], responses, splits, step.settings)[0]
            except UnitdbError as cause:
                raise ResponsesError(f"{step.name}: encoding: {cause}") from None
            found[control] = r[places]
    with replacing(step.target) as temporary, temporary.open("wb") as file:
        np.save(file, found)
    return step


class EncodingResults:
    """Encoding accuracies of a job.

    Parameters
    ----------
    job : Job
    steps : sequence of EncodingStep
        Done; subjects of a layer follow each other.
    """

    def __init__(self, job: Job, steps: Sequence[EncodingStep]) -> None:
        self._scope: Scope = scope_of(job)
        self._layers = [layer.name for layer in job.model.layers]
        self._steps = steps
        self._sizes = [
            [int(subject.rois[roi].sum()) for roi in self._scope.rois]
            for subject in job.dataset.subjects
        ]

    def accuracies(self, roi: str, control: int = 0) -> list[NDArray[np.float32]]:
        """Accuracies of an ROI, of each subject (n_layers, n_voxels)."""
        place, n = self._scope.rois.index(roi), len(self._scope.subjects)
        found = []
        for subject, sizes in enumerate(self._sizes):
            start = sum(sizes[:place])
            rows = [
                map_npy(step.target)[control, start : start + sizes[place]]
                for step in self._steps[subject::n]
            ]
            found.append(np.stack(rows))
        return found

    def table(self) -> pa.Table:
        """Rows of table ``encoding``, in any order."""
        scope, parts = self._scope, []
        for roi in scope.rois:
            for subject, r in zip(scope.subjects, self.accuracies(roi), strict=True):
                for layer, of_layer in zip(self._layers, r.tolist(), strict=True):
                    keys = partition_keys(scope, layer) | {"roi": roi, "subject": subject}
                    rows = [keys | {"voxel": n, "r": value} for n, value in enumerate(of_layer)]
                    parts.append(table_of("encoding", rows))
        return pa.concat_tables(parts)
