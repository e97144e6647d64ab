"""Units that a release keeps image by image: which they are, what is predicted of them, their rows.

Their accuracies must be known first. Of units whose predictions were kept to compare patterns
nothing is computed again; of others their tiles are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unitdb.activations import Activations, LayerInfo, select_units
from unitdb.analysis import best_units
from unitdb.build.blocks import Block, load_responses, predict_units
from unitdb.build.inputs import Job, Progress
from unitdb.build.patterns import pattern_steps
from unitdb.build.results import LayerResults
from unitdb.build.workers import Run
from unitdb.errors import RecipeError, closest
from unitdb.schema import get_table
from unitdb.sealed import (
    check_seal,
    is_sealed,
    map_npy,
    read_npy,
    sealed_shape,
    sealing,
    write_npy,
)
from unitdb.unitids import UnitId

__all__ = [
    "TABLES",
    "KeptStep",
    "check_kept",
    "keep_units",
    "kept_pieces",
    "predict_kept",
]

TABLES = ("activation", "prediction")

Positions = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, eq=False)
class KeptStep:
    """Units to keep of a layer, predicted from an ROI of a subject.

    Parameters
    ----------
    blocks : tuple of Block
        All that are of these, done.
    positions : array of shape (n_kept,)
        Positions among the layer's selected units, ascending.
    """

    blocks: tuple[Block, ...]
    positions: Positions

    @property
    def target(self) -> Path:
        """``.npy`` file: float32 of shape (n_test, n_kept)."""
        return self.blocks[0].target.with_name("kept.npy")

    def is_done(self) -> bool:
        """Whether the file is there, as it was written, and of the right shape."""
        shape = sealed_shape(self.target)
        return shape is not None and shape[1:] == (len(self.positions),)


def check_kept(jobs: Sequence[Job]) -> None:
    """Raise RecipeError where a unit of ``keep.also`` is not decoded; says which are near."""
    layers = {
        f"{job.model.spec.name}/{layer.name}": (layer, job.recipe.selection)
        for job in jobs
        for layer in job.model.layers
    }
    for unit in jobs[0].recipe.keep.also:
        model, layer, index = UnitId.parse(unit)
        place = f"{model}/{layer}"
        if place not in layers:
            near = " or ".join(closest(place, layers) or list(layers)[:3])
            raise RecipeError(f"keep.also: {unit}: no such layer is decoded; there is {near}")
        units = select_units(*layers[place])
        if index not in units:
            after = min(int(np.searchsorted(units, index)), len(units) - 1)
            raise RecipeError(
                f"keep.also: {unit}: the unit is not decoded; the nearest that is: "
                f"{place}/{units[after]}"
            )


def keep_units(
    job: Job,
    activations: Activations,
    blocks: Sequence[Block],
    folder: Path,
    *,
    run: Run,
    progress: Progress | None = None,
) -> None:
    """Write the rows of a job's kept units, layer by layer, where they are not written yet.

    Parameters
    ----------
    job : Job
        What was decoded from what.
    activations : Activations
        Of the job.
    blocks : sequence of Block
        Of the job, done.
    folder : Path
        For a Parquet file of each layer and table.
    run : callable
        The workers.
    progress : callable, optional
        Called with what is done and to do.
    """
    to_do = [layer for layer in job.model.layers if not is_sealed(_paths(folder, layer.name)[-1])]
    positions = {
        layer.name: _positions(job, layer, activations.units(layer.name), blocks) for layer in to_do
    }
    steps = [
        KeptStep(blocks=step.blocks, positions=positions[step.layer])
        for step in pattern_steps(blocks)
        if len(positions.get(step.layer, ()))
    ]
    left = [step for step in steps if not step.is_done()]
    for number, _ in enumerate(run(predict_kept, left), 1 + len(steps) - len(left)):
        if progress:
            progress("keep", number, len(steps))
    for layer in to_do:
        found = {
            step.blocks[0].place: read_npy(step.target)
            for step in steps
            if step.blocks[0].layer == layer.name
        }
        kept = positions[layer.name]
        tables = (
            _activation_rows(job, layer, activations, kept),
            _prediction_rows(job, layer, activations.units(layer.name)[kept], found),
        )
        paths = _paths(folder, layer.name)
        for path, table in zip(paths, tables, strict=True):
            # The last of them is looked for: its seal is of all before it.
            with sealing(path, others=paths[:-1] if path == paths[-1] else ()) as temporary:
                pq.write_table(table, temporary)


def kept_pieces(table: str, jobs: Sequence[Job], folders: Mapping[str, Path]) -> Iterator[pa.Table]:
    """Rows of ``activation`` or ``prediction`` of all jobs, a layer at a time, in order.

    Parameters
    ----------
    table : str
    jobs : sequence of Job
    folders : mapping of str to Path
        Folder of each job's rows, by its build.
    """
    schema, which = get_table(table).arrow_schema(), TABLES.index(table)
    in_order = sorted(
        (job.dataset.spec.name, job.model.spec.name, layer.name, job.build)
        for job in jobs
        for layer in job.model.layers
    )
    for _, _, layer, build in in_order:
        path = _paths(folders[build], layer)[which]
        check_seal(path)
        read = pq.read_table(path, schema=schema)
        yield read.replace_schema_metadata(schema.metadata)


def predict_kept(step: KeptStep) -> KeptStep:
    """Write the predictions of a step; gives it back."""
    n_test = sum(len(test) for _, test in load_responses(step.blocks[0].responses)[0])
    found = np.empty((n_test, len(step.positions)), dtype=np.float32)
    for block in step.blocks:
        first, last = np.searchsorted(step.positions, [block.start, block.stop])
        if first < last:
            found[:, first:last] = _predicted(block, step.positions[first:last] - block.start)
    write_npy(step.target, found)
    return step


def _predicted(block: Block, units: Positions) -> NDArray[np.floating]:
    """Predictions of units of a block: those at hand, and others decoded again."""
    known = np.isin(units, block.patterns)
    if not known.any():
        return predict_units(block, units)
    at_hand = map_npy(block.predictions)[0]
    predicted = np.empty((len(at_hand), len(units)))
    predicted[:, known] = at_hand[:, np.searchsorted(block.patterns, units[known])]
    if not known.all():
        predicted[:, ~known] = predict_units(block, units[~known])
    return predicted


def _positions(
    job: Job, layer: LayerInfo, units: NDArray[np.int32], blocks: Sequence[Block]
) -> Positions:
    named = [UnitId.parse(unit) for unit in job.recipe.keep.also]
    also = [of.unit for of in named if of[:2] == (job.model.spec.name, layer.name)]
    best = best_units(LayerResults(blocks, layer.name), job.recipe.keep.units)
    return np.union1d(best, np.searchsorted(units, np.array(also, dtype=np.int32)))


def _activation_rows(
    job: Job, layer: LayerInfo, activations: Activations, kept: Positions
) -> pa.Table:
    """Rows of ``activation``: what the kept units of a layer answer to all pictures shown."""
    shown = sorted(job.dataset.split_of)
    rows, units = activations.rows(shown), activations.units(layer.name)[kept]
    values = [activations.block(layer.name, at, at + 1)[rows, 0] for at in kept.tolist()]
    columns = {
        "dataset": [job.dataset.spec.name] * len(shown) * len(kept),
        "model": [job.model.spec.name] * len(shown) * len(kept),
        "layer": [layer.name] * len(shown) * len(kept),
        "unit": np.repeat(units, len(shown)),
        "stimulus": shown * len(kept),
        "activation": np.concatenate([np.empty(0, np.float32), *values]),
    }
    return _table("activation", columns)


def _prediction_rows(
    job: Job,
    layer: LayerInfo,
    units: NDArray[np.int32],
    found: Mapping[tuple[int, int], NDArray[np.float32]],
) -> pa.Table:
    """Rows of ``prediction`` of a layer, for each unit, ROI and subject by stimulus."""
    rois, subjects = job.dataset.rois, job.dataset.subjects
    tests = [subject.design.stimulus_ids[_held_out(subject.design.splits)] for subject in subjects]
    orders = [np.argsort(ids) for ids in tests]
    rows: dict[str, list[object]] = {name: [] for name in ("unit", "roi", "subject", "stimulus")}
    values: list[NDArray[np.float32]] = [np.empty(0, np.float32)]
    for at, unit in enumerate(units.tolist()):
        for i, roi in enumerate(rois):
            for j, (subject, order) in enumerate(zip(subjects, orders, strict=True)):
                values.append(found[i, j][order, at])
                rows["unit"] += [unit] * len(order)
                rows["roi"] += [roi] * len(order)
                rows["subject"] += [subject.subject] * len(order)
                rows["stimulus"] += tests[j][order].tolist()
    n_rows = len(rows["unit"])
    columns = {
        "dataset": [job.dataset.spec.name] * n_rows,
        "condition": [job.dataset.spec.condition] * n_rows,
        "model": [job.model.spec.name] * n_rows,
        "layer": [layer.name] * n_rows,
        "predicted": np.concatenate(values),
        **rows,
    }
    return _table("prediction", columns)


def _held_out(splits: Sequence[tuple[Positions, Positions]]) -> Positions:
    """Rows that are held out, in the order of the predictions."""
    return np.concatenate([test for _, test in splits])


def _table(name: str, columns: Mapping[str, object]) -> pa.Table:
    schema = get_table(name).arrow_schema()
    arrays = [pa.array(columns[field.name], field.type) for field in schema]
    return pa.table(arrays, schema=schema)


def _paths(folder: Path, layer: str) -> tuple[Path, Path]:
    """Files of a layer's rows, for each of :data:`TABLES`."""
    return folder / f"{layer}-activation.parquet", folder / f"{layer}-prediction.parquet"
