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
from unitdb.analysis import best_in_groups, best_units, channel_blocks
from unitdb.errors import RecipeError, closest
from unitdb.measures.decoded import Decoded
from unitdb.measures.protocol import Measure
from unitdb.predictions import Block, predict_units
from unitdb.recipes import BestUnits, Job, SubjectInput
from unitdb.responses import category_means
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

__all__ = ["Kept", "KeptStep", "best_positions", "check_kept", "count_kept", "decoded_again"]

Positions = NDArray[np.intp]


class Kept(Measure):
    """Activations and predictions of the best units, and of those that the recipe names.

    Where it asks for channels, also the activations of the best unit of each.
    """

    name = "keep"
    tables = ("activation", "prediction")

    def steps(self, decoded: Decoded) -> Sequence[KeptStep]:
        """One for each test set, layer, ROI and subject, of layers without rows as yet.

        Those of an ROI and a subject together: one decoder serves them all.
        """
        positions = {layer.name: decoded_again(decoded, layer) for layer in _to_do(decoded)}
        steps = [
            KeptStep(blocks=blocks, positions=positions[layer])
            for of_set in decoded.of_sets.values()
            for (layer, _), blocks in of_set.items()
            if len(positions.get(layer, ()))
        ]
        return sorted(steps, key=lambda step: step.blocks[0].place)

    def conclude(self, decoded: Decoded, steps: Sequence[KeptStep]) -> None:
        """Write the rows of each layer to a Parquet file a table."""
        folder = _folder(decoded)
        for layer in _to_do(decoded):
            kept = _kept(decoded, layer)
            at = np.searchsorted(decoded_again(decoded, layer), kept)
            paths = [_activation_path(folder, layer.name)]
            tables = [
                _activation_rows(decoded.job, layer, decoded.activations, _shown(decoded, layer))
            ]
            units = decoded.activations.units(layer.name)[kept]
            for condition in decoded.job.dataset.conditions:
                found = {
                    step.blocks[0].place: read_npy(step.target)[:, at]
                    for step in steps
                    if step.blocks[0].layer == layer.name and step.blocks[0].test == condition
                }
                paths.append(_prediction_path(folder, condition, layer.name))
                tables.append(_prediction_rows(decoded.job, condition, layer, units, found))
            for path, table in zip(paths, tables, strict=True):
                # The last of them is looked for: its seal is of all before it.
                with sealing(path, others=paths[:-1] if path == paths[-1] else ()) as temporary:
                    pq.write_table(table, temporary)

    def pieces(self, table: str, decoded: Sequence[Decoded]) -> Iterator[pa.Table]:
        """A layer at a time."""
        schema = get_table(table).arrow_schema()
        in_order = sorted(
            (of.job.dataset.spec.name, condition, of.job.model.spec.name, layer.name, number)
            for number, of in enumerate(decoded)
            for layer in of.job.model.layers
            for condition in (of.job.dataset.conditions if table == "prediction" else ("",))
        )
        for _, condition, _, layer, number in in_order:
            folder = _folder(decoded[number])
            path = (
                _prediction_path(folder, condition, layer)
                if condition
                else _activation_path(folder, layer)
            )
            check_seal(path)
            read = pq.read_table(path, schema=schema)
            yield read.replace_schema_metadata(schema.metadata)


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

    def run(self) -> None:
        """Write the predictions."""
        found = []
        for block in self.blocks:
            start, stop = np.searchsorted(self.positions, [block.start, block.stop])
            if start < stop:
                found.append(_predicted(block, self.positions[start:stop] - block.start))
        write_npy(self.target, np.concatenate(found, axis=1, dtype=np.float32))


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


def _to_do(decoded: Decoded) -> list[LayerInfo]:
    """Layers whose rows are not written."""
    last = decoded.job.dataset.conditions[-1]
    return [
        layer
        for layer in decoded.job.model.layers
        if not is_sealed(_prediction_path(_folder(decoded), last, layer.name))
    ]


def best_positions(decoded: Decoded, layer: LayerInfo, n: int) -> Positions:
    """Positions of the n units with the highest mean accuracy in any ROI and test set."""
    return best_units(_accuracies(decoded, layer), n)


def _accuracies(decoded: Decoded, layer: LayerInfo) -> Iterator[NDArray[np.float32]]:
    """Accuracies of a layer in each test set and ROI."""
    for condition in decoded.of_sets:
        yield from decoded.results(condition, layer.name)


def decoded_again(decoded: Decoded, layer: LayerInfo) -> Positions:
    """Positions of the units of :class:`KeptStep`: those kept, and the best to be published."""
    published = decoded.job.recipe.published
    n = published.best if isinstance(published, BestUnits) else 0
    return np.union1d(_kept(decoded, layer), best_positions(decoded, layer, n))


def _kept(decoded: Decoded, layer: LayerInfo) -> Positions:
    keep, units = decoded.job.recipe.keep, decoded.activations.units(layer.name)
    best = best_positions(decoded, layer, keep.units)
    also = np.array(_also(decoded.job, layer), dtype=np.int32)
    return np.union1d(best, np.searchsorted(units, also))


def _also(job: Job, layer: LayerInfo) -> list[int]:
    """Units of a layer that the recipe names."""
    named = [UnitId.parse(unit) for unit in job.recipe.keep.also]
    return [of.unit for of in named if of[:2] == (job.model.spec.name, layer.name)]


def _shown(decoded: Decoded, layer: LayerInfo) -> Positions:
    """Positions of the units whose activations are kept."""
    kept = _kept(decoded, layer)
    if not decoded.job.recipe.keep.channels:
        return kept
    channels = channel_blocks(layer.shape, decoded.activations.units(layer.name), axes=layer.axes)
    return np.union1d(kept, best_in_groups(_accuracies(decoded, layer), channels))


def count_kept(job: Job, layer: LayerInfo) -> tuple[int, int]:
    """Units of a layer whose predictions, and whose activations, a release keeps at the most."""
    keep, units = job.recipe.keep, select_units(layer, job.recipe.selection)
    n_kept = min(len(units), keep.units + len(_also(job, layer)))
    if not keep.channels:
        return n_kept, n_kept
    channels = channel_blocks(layer.shape, units, axes=layer.axes)
    return n_kept, min(len(units), n_kept + len(np.unique(channels)))


def _folder(decoded: Decoded) -> Path:
    return decoded.work / "kept" / decoded.job.build


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
