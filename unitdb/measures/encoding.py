"""Encoding models: each voxel predicted from the units of a layer, by steps that workers share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from unitdb.activations import Activations
from unitdb.decoding import DecoderSettings
from unitdb.errors import ResponsesError, UnitdbError
from unitdb.measures.decoded import Decoded
from unitdb.measures.protocol import Measure
from unitdb.predictions import (
    check_worker,
    load_arranged,
    responses_path,
    sample_positions,
    true_rows,
    write_job_responses,
)
from unitdb.recipes import Job, scope_of
from unitdb.sealed import map_npy, read_npy, read_npz, sealed_shape, write_npy
from unitdb.tables import Scope, code_sha256, partition_keys, table_of

__all__ = ["Encoding", "EncodingResults", "EncodingStep", "activations_at"]

_AT_ONCE = 1 << 14  # units whose activations are in memory together


class Encoding(Measure):
    """Encoding accuracy of each voxel, and of its controls."""

    name = "encode"
    tables = ("encoding",)

    def steps(self, decoded: Decoded) -> Sequence[EncodingStep]:
        """One for each layer, subject and control; none where the recipe asks for none."""
        job, folder = decoded.job, decoded.folder
        if job.recipe.encoding is None:
            return ()
        return [
            EncodingStep(
                name=f"{job.dataset.spec.name}/{subject.subject} from {layer.name}",
                layer=layer.name,
                subject=number,
                responses=responses_path(folder, number),
                rois=job.dataset.rois,
                units=folder / "encoding" / layer.name / "units.npy",
                resolution=decoded.activations.resolution(layer.name),
                settings=job.recipe.decoder.settings(),
                control=control,
                n_voxels=sum(int(mask.sum()) for mask in subject.rois.values()),
                tests=job.dataset.conditions,
                target=folder / "encoding" / layer.name / f"{number:03d}-{control:04d}.npy",
                code=code_sha256(),
            )
            for layer in job.model.layers
            for number, subject in enumerate(job.dataset.subjects)
            for control in range(1 + job.recipe.n_controls)
        ]

    def prepare(self, decoded: Decoded, steps: Sequence[EncodingStep]) -> None:
        """Write responses, and the activations of a sample of each layer's units."""
        job = decoded.job
        write_job_responses(
            job, decoded.activations, decoded.folder, {step.subject for step in steps}
        )
        paths = {step.layer: step.units for step in steps}
        for layer in job.model.layers:
            if layer.name in paths and job.recipe.encoding is not None:
                n, seed = job.recipe.encoding.units, job.recipe.selection.seed
                units = decoded.activations.units(layer.name)
                chosen = sample_positions(layer, units, n, seed=seed)
                write_npy(
                    paths[layer.name], activations_at(decoded.activations, layer.name, chosen)
                )

    def pieces(self, table: str, decoded: Sequence[Decoded]) -> pa.Table:
        """All rows at once."""
        found = (self.results(of_job) for of_job in decoded)
        parts = [results.table() for results in found if results is not None]
        return pa.concat_tables([table_of(table, []), *parts])

    def results(self, decoded: Decoded) -> EncodingResults | None:
        """Accuracies of a job whose steps are done; None where there are none."""
        steps = self.steps(decoded)
        return EncodingResults(decoded.job, steps) if steps else None


@dataclass(frozen=True, kw_only=True, eq=False)
class EncodingStep:
    """Voxels of a subject to predict from a layer.

    Parameters
    ----------
    name : str
        Dataset, subject and layer, for messages.
    layer : str
    subject : int
        Position of the subject.
    responses : Path
        File of the subject, by :func:`unitdb.predictions.blocks.write_responses`.
    rois : tuple of str
        ROIs whose voxels are predicted.
    units : Path
        ``.npy`` file: activations of shape (n_stimuli, n_units).
    resolution : float
        By which units are constant.
    settings : DecoderSettings
        Voxels or units kept, and the penalty.
    control : int
        Which images are shuffled, from 1; 0 for the true ones.
    n_voxels : int
        Of all ROIs.
    tests : tuple of str
        Test sets.
    target : Path
        ``.npy`` file: float32 of shape (n_tests, n_voxels), voxels of one ROI after the other.
    code : str
        Hash of the code that must do it.
    """

    name: str
    layer: str
    subject: int
    responses: Path
    rois: tuple[str, ...]
    units: Path
    resolution: float
    settings: DecoderSettings
    control: int
    n_voxels: int
    tests: tuple[str, ...]
    target: Path
    code: str

    def is_done(self) -> bool:
        """Whether the result is there, as it was written, and of the right shape."""
        return sealed_shape(self.target) == (len(self.tests), self.n_voxels)

    def run(self) -> None:
        """Predict the voxels."""
        from unitdb.decoding import encoding_accuracies  # numba, for who decodes

        check_worker(self.code, self.responses)
        arrays = read_npz(self.responses, lambda name: name == "values" or name.startswith("roi-"))
        masks = np.stack([arrays[f"roi-{roi}"] for roi in self.rois])
        voxels = np.flatnonzero(masks.any(axis=0))  # each once, however many ROIs it is in
        responses = arrays["values"][:, voxels]
        arranged = load_arranged(self.responses).only(self.tests)
        units = true_rows(read_npy(self.units), arranged)
        places = np.concatenate([np.searchsorted(voxels, np.flatnonzero(mask)) for mask in masks])
        of_samples = units[arranged.rows[self.control]]
        with threadpool_limits(1):
            try:
                (r,) = encoding_accuracies(
                    [of_samples],
                    responses,
                    arranged.splits,
                    self.settings,
                    sets=arranged.set_rows,
                    resolutions=[self.resolution],
                )
            except UnitdbError as cause:
                raise ResponsesError(f"{self.name}: encoding: {cause}") from None
        write_npy(self.target, r[:, places].astype(np.float32))


def activations_at(
    activations: Activations, layer: str, positions: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Activations (n_stimuli, n_units) of units of a layer, by ascending positions among these."""
    parts, n_units = [], activations.n_units(layer)
    for start in range(0, n_units, _AT_ONCE):
        some = positions[(positions >= start) & (positions < start + _AT_ONCE)]
        if len(some):
            stop = min(start + _AT_ONCE, n_units)
            parts.append(activations.block(layer, start, stop)[:, some - start])
    return np.concatenate(parts, axis=1)


class EncodingResults:
    """Encoding accuracies of a job.

    Parameters
    ----------
    job : Job
    steps : sequence of EncodingStep
        All of them, done.
    """

    def __init__(self, job: Job, steps: Sequence[EncodingStep]) -> None:
        self._scopes: dict[str, Scope] = {
            condition: scope_of(job, condition) for condition in job.dataset.conditions
        }
        self._rois = job.dataset.rois
        self._subjects = [subject.subject for subject in job.dataset.subjects]
        self._layers = [layer.name for layer in job.model.layers]
        self._files = {(step.layer, step.subject, step.control): step.target for step in steps}
        self._sizes = [
            [int(subject.rois[roi].sum()) for roi in self._rois] for subject in job.dataset.subjects
        ]

    def accuracies(self, condition: str, roi: str, control: int = 0) -> list[NDArray[np.float32]]:
        """Accuracies over a test set, of an ROI, of each subject (n_layers, n_voxels)."""
        place, of_set = self._rois.index(roi), list(self._scopes).index(condition)
        found = []
        for subject, sizes in enumerate(self._sizes):
            start = sum(sizes[:place])
            files = (self._files[layer, subject, control] for layer in self._layers)
            rows = [map_npy(file)[of_set, start : start + sizes[place]] for file in files]
            found.append(np.stack(rows))
        return found

    def table(self) -> pa.Table:
        """Rows of table ``encoding``, in any order."""
        parts = []
        for condition, scope in self._scopes.items():
            for roi in self._rois:
                accuracies = self.accuracies(condition, roi)
                for subject, r in zip(self._subjects, accuracies, strict=True):
                    for layer, of_layer in zip(self._layers, r.tolist(), strict=True):
                        keys = partition_keys(scope, layer) | {"roi": roi, "subject": subject}
                        rows = [keys | {"voxel": n, "r": value} for n, value in enumerate(of_layer)]
                        parts.append(table_of("encoding", rows))
        return pa.concat_tables(parts)
