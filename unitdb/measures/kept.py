"""Units that a release keeps image by image: which they are, what is predicted of them, their rows.

Their accuracies must be known first. Of units whose predictions were kept to compare patterns
nothing is computed again; of others their tiles are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unitdb.activations import Activations, LayerInfo, select_units
from unitdb.analysis import best_units
from unitdb.errors import RecipeError, closest
from unitdb.measures.patterns import pattern_steps
from unitdb.predictions import (
    Block,
    LayerResults,
    Run,
    category_means,
    load_arranged,
    predict_units,
)
from unitdb.recipes import Job, Progress, SubjectInput
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
    """Units to keep of a layer, predicted from an ROI of a subject, of a test set.

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
        """``.npy`` file: float32 of shape (n_held_out, n_kept)."""
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
    conditions = job.dataset.conditions
    to_do = [
        layer
        for layer in job.model.layers
        if not is_sealed(_prediction_path(folder, conditions[-1], layer.name))
    ]
    of_sets = {name: [block.of(name) for block in blocks] for name in conditions}
    positions = {
        layer.name: _positions(job, layer, activations.units(layer.name), of_sets)
        for layer in to_do
    }
    steps = [
        KeptStep(blocks=step.blocks, positions=positions[step.layer])
        for of_set in of_sets.values()
        for step in pattern_steps(of_set)
        if len(positions.get(step.layer, ()))
    ]
    left = [step for step in steps if not step.is_done()]
    for number, _ in enumerate(run(predict_kept, left), 1 + len(steps) - len(left)):
        if progress:
            progress("keep", number, len(steps))
    for layer in to_do:
        kept = positions[layer.name]
        paths = [_activation_path(folder, layer.name)]
        tables = [_activation_rows(job, layer, activations, kept)]
        for condition in conditions:
            found = {
                step.blocks[0].place: read_npy(step.target)
                for step in steps
                if step.blocks[0].layer == layer.name and step.blocks[0].test == condition
            }
            units = activations.units(layer.name)[kept]
            paths.append(_prediction_path(folder, condition, layer.name))
            tables.append(_prediction_rows(job, condition, layer, units, found))
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
    schema = get_table(table).arrow_schema()
    in_order = sorted(
        (job.dataset.spec.name, condition, job.model.spec.name, layer.name, job.build)
        for job in jobs
        for layer in job.model.layers
        for condition in (job.dataset.conditions if table == "prediction" else ("",))
    )
    for _, condition, _, layer, build in in_order:
        folder = folders[build]
        path = (
            _prediction_path(folder, condition, layer)
            if condition
            else _activation_path(folder, layer)
        )
        check_seal(path)
        read = pq.read_table(path, schema=schema)
        yield read.replace_schema_metadata(schema.metadata)


def predict_kept(step: KeptStep) -> KeptStep:
    """Write the predictions of a step; gives it back."""
    n_held_out = len(load_arranged(step.blocks[0].responses).sets[step.blocks[0].test])
    found = np.empty((n_held_out, len(step.positions)), dtype=np.float32)
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
    job: Job,
    layer: LayerInfo,
    units: NDArray[np.int32],
    of_sets: Mapping[str, Sequence[Block]],
) -> Positions:
    named = [UnitId.parse(unit) for unit in job.recipe.keep.also]
    also = [of.unit for of in named if of[:2] == (job.model.spec.name, layer.name)]
    results = (LayerResults(of_set, layer.name) for of_set in of_sets.values())
    best = best_units((r for of_set in results for r in of_set), job.recipe.keep.units)
    return np.union1d(best, np.searchsorted(units, np.array(also, dtype=np.int32)))


def _activation_rows(
    job: Job, layer: LayerInfo, activations: Activations, kept: Positions
) -> pa.Table:
    """Rows of ``activation``: what the kept units of a layer answer to all pictures shown."""
    dataset, units = job.dataset, activations.units(layer.name)[kept]
    shown = sorted(dataset.split_of)
    categories = [name for name in shown if name in dataset.categories]
    stored = activations.rows([name for name in shown if name not in dataset.categories])
    members = [activations.rows(list(dataset.categories[name])) for name in categories]
    is_category = np.isin(shown, categories)
    values = []
    for at in kept.tolist():
        of_unit = activations.block(layer.name, at, at + 1)
        answers = np.empty(len(shown), dtype=np.float32)
        answers[~is_category] = of_unit[stored, 0]
        answers[is_category] = category_means(of_unit, members)[:, 0]
        values.append(answers)
    columns = {
        "dataset": [dataset.spec.name] * len(shown) * len(kept),
        "model": [job.model.spec.name] * len(shown) * len(kept),
        "layer": [layer.name] * len(shown) * len(kept),
        "unit": np.repeat(units, len(shown)),
        "stimulus": shown * len(kept),
        "activation": np.concatenate([np.empty(0, np.float32), *values]),
    }
    return _table("activation", columns)


def _prediction_rows(
    job: Job,
    condition: str,
    layer: LayerInfo,
    units: NDArray[np.int32],
    found: Mapping[tuple[int, int], NDArray[np.float32]],
) -> pa.Table:
    """Rows of ``prediction`` of a layer, for each unit, ROI and subject by stimulus."""
    rois, subjects = job.dataset.rois, job.dataset.subjects
    samples = [_samples(subject, condition) for subject in subjects]
    names = ("unit", "roi", "subject", "stimulus", "presentation", "target")
    rows: dict[str, list[object]] = {name: [] for name in names}
    values: list[NDArray[np.float32]] = [np.empty(0, np.float32)]
    for at, unit in enumerate(units.tolist()):
        for i, roi in enumerate(rois):
            for j, (subject, (order, of_samples)) in enumerate(zip(subjects, samples, strict=True)):
                values.append(found[i, j][order, at])
                rows["unit"] += [unit] * len(order)
                rows["roi"] += [roi] * len(order)
                rows["subject"] += [subject.subject] * len(order)
                for name, column in of_samples.items():
                    rows[name] += column
    n_rows = len(rows["unit"])
    columns: dict[str, object] = {
        "dataset": [job.dataset.spec.name] * n_rows,
        "condition": [condition] * n_rows,
        "model": [job.model.spec.name] * n_rows,
        "layer": [layer.name] * n_rows,
        "predicted": np.concatenate(values),
        **rows,
    }
    return _table("prediction", columns)


def _samples(subject: SubjectInput, condition: str) -> tuple[Positions, dict[str, list[object]]]:
    """Order of the held-out samples of a test set by stimulus, and what they are of."""
    shown, targets = subject.shown(condition), subject.targets(condition)
    order = np.argsort(shown, kind="stable")
    times: Counter[str] = Counter()
    presentations: list[object] = []
    for name in shown[order].tolist():
        times[name] += 1
        presentations.append(times[name])
    pairs = zip(shown[order].tolist(), targets[order].tolist(), strict=True)
    columns: dict[str, list[object]] = {
        "stimulus": shown[order].tolist(),
        "presentation": presentations,
        "target": [None if target == name else target for name, target in pairs],
    }
    return order, columns


def _table(name: str, columns: Mapping[str, object]) -> pa.Table:
    schema = get_table(name).arrow_schema()
    arrays = [pa.array(columns[field.name], field.type) for field in schema]
    return pa.table(arrays, schema=schema)


def _activation_path(folder: Path, layer: str) -> Path:
    """File of a layer's rows of ``activation``."""
    return folder / f"{layer}-activation.parquet"


def _prediction_path(folder: Path, condition: str, layer: str) -> Path:
    """File of a layer's rows of ``prediction`` of a test set."""
    return folder / f"{layer}@{condition}-prediction.parquet"
