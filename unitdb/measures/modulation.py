"""Modulation: whether what is decoded from degraded pictures leads to their originals.

Beside each gain stands the one of simulated brains that are only fed forward, which is not 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from unitdb.activations import LayerInfo
from unitdb.analysis import feature_gain
from unitdb.decoding import DecoderSettings
from unitdb.errors import ResponsesError, UnitdbError
from unitdb.measures.biases import mean_of_known
from unitdb.measures.decoded import Decoded, Place
from unitdb.measures.encoding import activations_at
from unitdb.measures.gains import problems, summary_rows
from unitdb.measures.modulated import (
    METHODS,
    VALUES,
    Features,
    Pictures,
    modulated,
    simulated_gains,
)
from unitdb.measures.protocol import Measure, Release
from unitdb.predictions import (
    Block,
    check_worker,
    responses_path,
    sample_positions,
    stored_positions,
    write_job_responses,
)
from unitdb.recipes import modulated_sets, scope_of
from unitdb.sealed import read_npy, read_npz, sealed_shape, write_npy
from unitdb.tables import Rows, code_sha256, partition_keys, table_of

__all__ = ["GainStep", "Modulation", "SimulationStep"]

_UNITS = 1000  # of a layer, as published: patterns of more units take memory, and say the same
_PATTERN_UNITS = 500
_OF_SIMULATION = 1 << 20  # keeps seeds of simulated brains apart from those of subjects


class Modulation(Measure):
    """Of the test sets that have a level, where the recipe asks."""

    name = "modulation"
    tables = ("modulation", "modulation_simulated", "modulation_summary")

    def steps(self, decoded: Decoded) -> Sequence[GainStep | SimulationStep]:
        """One for each ROI and subject, and for each ROI and simulated brain."""
        return [*_gain_steps(decoded), *_simulation_steps(decoded)]

    def prepare(self, decoded: Decoded, steps: Sequence[GainStep | SimulationStep]) -> None:
        """Write responses, and the activations of the units."""
        subjects = {step.place[1] for step in steps if isinstance(step, GainStep)}
        write_job_responses(decoded.job, decoded.activations, decoded.folder, subjects)
        for layer in decoded.job.model.layers:
            values = activations_at(decoded.activations, layer.name, _positions(decoded, layer))
            write_npy(_units_path(decoded, layer.name), values)

    def pieces(self, table: str, decoded: Sequence[Decoded]) -> pa.Table | None:
        """All rows at once."""
        if decoded[0].job.recipe.modulation is None:
            return None
        simulated = [row for of_job in decoded for row in _simulated_rows(of_job)]
        if table == "modulation_simulated":
            return table_of(table, simulated)
        rows = [row for of_job in decoded for row in _rows(of_job)]
        if table == "modulation":
            return table_of(table, rows)
        return table_of(table, summary_rows(rows, simulated, _degraded(decoded)))

    def check(self, release: Release) -> Iterable[str]:
        """Compute the summary again, bias and all."""
        return problems(release)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Step:
    """What all steps read.

    Parameters
    ----------
    name : str
        For messages.
    place : tuple of int
        Positions of the ROI and of the subject; of a simulated brain its number.
    units : mapping of str to Path
        ``.npy`` file of each layer: activations of shape (n_stimuli, n_units).
    resolutions : mapping of str to float
        By which units are constant.
    pictures : Pictures
    settings : DecoderSettings
    n_draws : int
        Draws of noise.
    seed : tuple of int
    target : Path
        ``.npy`` file of the result.
    code : str
        Hash of the code that must do it.
    """

    name: str
    place: Place
    units: Mapping[str, Path]
    resolutions: Mapping[str, float]
    pictures: Pictures
    settings: DecoderSettings
    n_draws: int
    seed: tuple[int, ...]
    target: Path
    code: str

    def is_done(self) -> bool:
        """Whether the result is there, as it was written, and of the right shape."""
        return sealed_shape(self.target) == self.shape

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the result."""
        raise NotImplementedError

    def run(self) -> None:
        """Compute the result."""
        check_worker(self.code, next(iter(self.units.values())))
        with threadpool_limits(1):
            try:
                found = self.result(
                    [
                        Features(values=read_npy(path), resolution=self.resolutions[layer])
                        for layer, path in self.units.items()
                    ]
                )
            except UnitdbError as cause:
                raise ResponsesError(f"{self.name}: modulation: {cause}") from None
        write_npy(self.target, found)

    def result(self, layers: Sequence[Features]) -> NDArray[np.float64]:
        """The array that is written."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, eq=False)
class GainStep(_Step):
    """Samples of a subject, decoded from an ROI.

    Parameters
    ----------
    roi : str
    responses : Path
        File of the subject, by :func:`unitdb.predictions.write_job_responses`.
    blocks : mapping of str to sequence of tuple of Block
        For each layer the blocks of each set, done.
    columns : mapping of str to array of int, optional
        Of each layer, which of the units that predictions are stored of; without it, all whose
        predictions are kept for patterns.
    """

    roi: str
    responses: Path
    blocks: Mapping[str, Sequence[tuple[Block, ...]]]
    columns: Mapping[str, NDArray[np.intp]] | None = field(default=None)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_methods, n_layers, n_samples, n_values)."""
        return (len(METHODS), len(self.units), len(self.pictures.shown), len(VALUES))

    def result(self, layers: Sequence[Features]) -> NDArray[np.float64]:
        """Correlations of decoded features, and of both controls."""
        arrays = read_npz(self.responses, lambda name: name in {"values", f"roi-{self.roi}"})
        n_train = len(self.pictures.train)
        return modulated(
            arrays["values"][:n_train, arrays[f"roi-{self.roi}"]],
            [self._predicted(layer) for layer in self.units],
            layers,
            self.pictures,
            self.settings,
            n_draws=self.n_draws,
            seed=self.seed,
        )

    def _predicted(self, layer: str) -> NDArray[np.float32]:
        """Predictions of all sets, one after the other."""
        if self.columns is None:
            of_sets = [
                np.concatenate(
                    [read_npy(block.predictions)[0] for block in blocks if len(block.patterns)],
                    axis=1,
                )
                for blocks in self.blocks[layer]
            ]
            return np.concatenate(of_sets)
        of_sets = [
            np.concatenate(
                [read_npy(block.stored_predictions) for block in blocks if len(block.stored)],
                axis=1,
            )
            for blocks in self.blocks[layer]
        ]
        return np.concatenate(of_sets)[:, self.columns[layer]]


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulationStep(_Step):
    """A simulated brain that is only fed forward.

    Parameters
    ----------
    n_voxels : int
    noise : float
        SD of its noise, in parts of that of a voxel's signal.
    """

    n_voxels: int
    noise: float

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_methods, n_layers, 1 + n_sets, 3)."""
        return (len(METHODS), len(self.units), 2 + int(self.pictures.of_set.max()), 3)

    def result(self, layers: Sequence[Features]) -> NDArray[np.float64]:
        """Means of r_original and of both gains."""
        return simulated_gains(
            layers,
            self.pictures,
            self.settings,
            n_voxels=self.n_voxels,
            noise=self.noise,
            n_draws=self.n_draws,
            seed=self.seed,
        )


def _rois(decoded: Decoded) -> list[tuple[int, str]]:
    asked = decoded.job.recipe.modulation
    if asked is None or not modulated_sets(decoded.job.dataset):
        return []
    rois = enumerate(decoded.job.dataset.rois)
    return [(place, roi) for place, roi in rois if asked.rois is None or roi in asked.rois]


def _gain_steps(decoded: Decoded) -> list[GainStep]:
    job, asked = decoded.job, decoded.job.recipe.modulation
    if asked is None:
        return []
    sets = modulated_sets(job.dataset)
    columns = None
    if isinstance(job.recipe.stored, int) or job.recipe.stored == "all":
        columns = {layer.name: _stored_columns(decoded, layer) for layer in job.model.layers}
    return [
        GainStep(
            name=f"{job.dataset.spec.name}/{subject.subject}/{roi}",
            place=(place, number),
            units={layer.name: _units_path(decoded, layer.name) for layer in job.model.layers},
            resolutions=_resolutions(decoded),
            pictures=_pictures(decoded, number),
            settings=job.recipe.decoder.settings(roi),
            n_draws=asked.draws,
            seed=(job.recipe.seed, place, number),
            target=decoded.folder / "modulation" / f"{number:03d}-{place:03d}.npy",
            code=code_sha256(),
            roi=roi,
            responses=responses_path(decoded.folder, number),
            blocks={
                layer.name: [decoded.of_sets[name][layer.name, (place, number)] for name in sets]
                for layer in job.model.layers
            },
            columns=columns,
        )
        for place, roi in _rois(decoded)
        for number, subject in enumerate(job.dataset.subjects)
    ]


def _simulation_steps(decoded: Decoded) -> list[SimulationStep]:
    """Those of all ROIs; ROIs of the same number of voxels, decoded alike, share theirs."""
    steps = {step.target: step for of in _simulations(decoded).values() for step in of}
    return list(steps.values())


def _simulations(decoded: Decoded) -> dict[int, list[SimulationStep]]:
    """Simulated brains of each ROI, by its position: those of one noise after the other."""
    job, asked, rois = decoded.job, decoded.job.recipe.modulation, _rois(decoded)
    if asked is None or not rois:
        return {}
    masks = [subject.rois for subject in job.dataset.subjects]
    sizes = {roi: round(float(np.mean([of[roi].sum() for of in masks]))) for _, roi in rois}
    common: dict[str, Any] = {
        "units": {layer.name: _units_path(decoded, layer.name) for layer in job.model.layers},
        "resolutions": _resolutions(decoded),
        "pictures": _pictures(decoded, 0),
        "n_draws": asked.draws,
        "code": code_sha256(),
    }
    return {
        place: [
            SimulationStep(
                **common,
                name=f"{job.dataset.spec.name}/simulated, {sizes[roi]} voxels",
                place=(place, brain),
                settings=settings,
                seed=(job.recipe.seed, _OF_SIMULATION + sizes[roi], level, brain),
                target=decoded.folder
                / "modulation"
                / f"simulated-{sizes[roi]}-{settings.n_voxels}-{level:03d}-{brain:03d}.npy",
                n_voxels=sizes[roi],
                noise=noise,
            )
            for level, noise in enumerate(asked.noise)
            for brain in range(asked.simulations)
        ]
        for place, roi, settings in (
            (place, roi, job.recipe.decoder.settings(roi)) for place, roi in rois
        )
    }


def _pictures(decoded: Decoded, number: int) -> Pictures:
    """Of a subject: rows of the activations."""
    subject, activations = decoded.job.dataset.subjects[number], decoded.activations
    sets = [subject.design.held_out(name) for name in modulated_sets(decoded.job.dataset)]
    sizes = [len(each.rows) for each in sets]
    rows = np.concatenate([each.rows for each in sets])
    train = subject.design.splits[0][0]
    return Pictures(
        train=activations.rows(subject.design.target_ids[train].tolist()),
        shown=activations.rows(subject.design.stimulus_ids[rows].tolist()),
        original=activations.rows(subject.design.target_ids[rows].tolist()),
        of_set=np.repeat(np.arange(len(sets)), sizes),
        averaged=np.repeat([each.averaged for each in sets], sizes).astype(np.float64),
    )


def _positions(decoded: Decoded, layer: LayerInfo) -> NDArray[np.intp]:
    """Positions among a layer's units of those that are measured."""
    job, units = decoded.job, decoded.activations.units(layer.name)
    if isinstance(job.recipe.stored, int) or job.recipe.stored == "all":
        return stored_positions(job, layer, units)[_stored_columns(decoded, layer)]
    return sample_positions(layer, units, _PATTERN_UNITS, seed=job.recipe.selection.seed)


def _stored_columns(decoded: Decoded, layer: LayerInfo) -> NDArray[np.intp]:
    """Which of the stored predictions."""
    job, units = decoded.job, decoded.activations.units(layer.name)
    stored = stored_positions(job, layer, units)
    return sample_positions(layer, units[stored], _UNITS, seed=job.recipe.selection.seed)


def _units_path(decoded: Decoded, layer: str) -> Path:
    return decoded.folder / "modulation" / f"units-{layer}.npy"


def _resolutions(decoded: Decoded) -> dict[str, float]:
    return {layer: decoded.activations.resolution(layer) for layer in decoded.activations.layers}


def _rows(decoded: Decoded) -> Rows:
    """Rows of ``modulation``: means over the samples of a picture in a set."""
    sets, rows = modulated_sets(decoded.job.dataset), Rows()
    for step in _gain_steps(decoded):
        subject = decoded.job.dataset.subjects[step.place[1]]
        found = read_npy(step.target)
        for number, name in enumerate(sets):
            scope, test = scope_of(decoded.job, name), subject.design.held_out(name).test
            shown, certain = subject.shown(name), subject.design.held_out(name).certain
            own = found[:, :, step.pictures.of_set == number]
            for i, layer in enumerate(step.units):
                for j, method in enumerate(METHODS):
                    fixed = partition_keys(scope, layer) | {
                        "method": method,
                        "roi": step.roi,
                        "subject": subject.subject,
                        "level": test.level,
                        "prior": test.prior,
                    }
                    for stimulus in np.unique(shown):
                        mean = own[j, i, shown == stimulus].mean(axis=0)
                        share = _mean_share(certain, shown == stimulus)
                        words = {"stimulus": str(stimulus), "certain": share}
                        rows.append(fixed | _values(mean) | words)
    return rows


def _mean_share(certain: NDArray[np.float64] | None, rows: NDArray[np.bool_]) -> float | None:
    if certain is None:
        return None
    return float(mean_of_known(certain[rows]))


def _values(mean: NDArray[np.float64]) -> dict[str, float]:
    values = dict(zip(VALUES, mean.tolist(), strict=True))
    own = (values["r_stimulus"], values["r_original"])
    gains = {
        f"{name}_gain": float(
            feature_gain(
                *map(np.asarray, own),
                *(np.asarray(values[f"{name}_r_{side}"]) for side in ("stimulus", "original")),
            )
        )
        for name in ("noise", "null")
    }
    return values | gains


def _simulated_rows(decoded: Decoded) -> Rows:
    """Rows of ``modulation_simulated``."""
    asked, job, rows = decoded.job.recipe.modulation, decoded.job, Rows()
    if asked is None:
        return rows
    simulations = _simulations(decoded)
    for place, roi in _rois(decoded):
        for step in simulations[place]:
            found = read_npy(step.target)
            for number, name in enumerate(modulated_sets(job.dataset)):
                for i, layer in enumerate(job.model.layers):
                    for j, method in enumerate(METHODS):
                        reached, gains = found[j, i, 0, 0], found[j, i, 1 + number, 1:]
                        rows.append(
                            partition_keys(scope_of(job, name), layer.name)
                            | {"method": method, "roi": roi}
                            | {"noise": step.noise, "brain": step.place[1]}
                            | {"r_original": float(reached)}
                            | {"noise_gain": float(gains[0]), "null_gain": float(gains[1])}
                        )
    return rows


def _degraded(decoded: Sequence[Decoded]) -> set[tuple[str, str]]:
    """Dataset and stimulus of those that were not shown as they are."""
    return {
        (of.job.dataset.spec.name, str(shown))
        for of in decoded
        for name in modulated_sets(of.job.dataset)
        for subject in of.job.dataset.subjects
        for shown, target in zip(subject.shown(name), subject.targets(name), strict=True)
        if shown != target
    }
