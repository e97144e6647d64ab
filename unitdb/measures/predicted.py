"""Tables ``predicted`` and ``samples``: what is predicted of each sample, where a recipe asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unitdb.activations import LayerInfo
from unitdb.measures.decoded import Decoded
from unitdb.measures.kept import KeptStep, best_positions, decoded_again
from unitdb.measures.protocol import Measure
from unitdb.predictions import Predictions, stored_positions
from unitdb.publish import write_partition
from unitdb.recipes import BestUnits, SubjectInput, scope_of
from unitdb.sealed import read_npy
from unitdb.tables import Rows, constant, ordered, partition_keys, table_of

__all__ = ["Published"]

_AT_ONCE = 1 << 14  # units whose predictions are in memory together

Read = Callable[[int, int, int, int], NDArray[np.float32]]
"""Predictions (n_samples, n_units) of units from start up to stop, of an ROI and a subject."""


class Published(Measure):
    """Predictions for other programs: identification, reconstruction, and one's own measures."""

    name = "predictions"
    tables = ("samples", "predicted")

    def conclude(self, decoded: Decoded, steps: Sequence[object]) -> None:
        """Write a partition for each layer and test set."""
        if decoded.job.recipe.published is None:
            return
        for condition in decoded.of_sets:
            scope = scope_of(decoded.job, condition)
            for layer in decoded.job.model.layers:
                keys = partition_keys(scope, layer.name)
                pieces = _pieces(decoded, condition, layer)
                write_partition(decoded.work / "staged", "predicted", keys, pieces)

    def pieces(self, table: str, decoded: Sequence[Decoded]) -> pa.Table | None:
        """Samples of each dataset; without predictions to publish, no table."""
        if table != "samples" or decoded[0].job.recipe.published is None:
            return None
        datasets = {of.job.dataset.spec.name: of.job.dataset for of in decoded}
        rows = [
            {"dataset": name, "condition": condition, "subject": subject.subject, **row}
            for name, dataset in datasets.items()
            for condition in dataset.conditions
            for subject in dataset.subjects
            for row in _samples(subject, condition)
        ]
        return table_of(table, rows)


def _samples(subject: SubjectInput, condition: str) -> Rows:
    times: Counter[str] = Counter()
    rows = []
    pairs = zip(subject.shown(condition), subject.targets(condition), strict=True)
    for sample, (stimulus, target) in enumerate(pairs):
        times[stimulus] += 1
        rows.append(
            {
                "sample": sample,
                "stimulus": str(stimulus),
                "presentation": times[stimulus],
                "target": None if target == stimulus else str(target),
            }
        )
    return rows


def _pieces(decoded: Decoded, condition: str, layer: LayerInfo) -> Iterator[pa.Table]:
    """Rows of a partition, in order."""
    scope = scope_of(decoded.job, condition)
    positions, read = _stored(decoded, condition, layer)
    units = decoded.activations.units(layer.name)[positions]
    for i, roi in enumerate(scope.rois):
        for j, subject in enumerate(scope.subjects):
            fixed = {**partition_keys(scope, layer.name), "roi": roi, "subject": subject}
            for start in range(0, len(units), _AT_ONCE):
                some = units[start : start + _AT_ONCE]
                values = read(i, j, start, start + len(some))
                ends = np.arange(0, values.size + 1, len(values), dtype=np.int32)
                of_units = pa.array(values.T.ravel())
                columns = constant(fixed, len(some)) | {
                    "unit": pa.array(some, pa.int32()),
                    "predicted": pa.ListArray.from_arrays(pa.array(ends), of_units),
                }
                yield ordered("predicted", columns)


def _stored(decoded: Decoded, condition: str, layer: LayerInfo) -> tuple[NDArray[np.intp], Read]:
    """Positions of the units of a layer to be published, and what reads their predictions."""
    published = decoded.job.recipe.published
    if isinstance(published, BestUnits):
        positions = best_positions(decoded, layer, published.best)
        again = decoded_again(decoded, layer)
        at = np.searchsorted(again, positions)

        def read_best(roi: int, subject: int, start: int, stop: int) -> NDArray[np.float32]:
            blocks = decoded.of_sets[condition][layer.name, (roi, subject)]
            found = read_npy(KeptStep(blocks=blocks, positions=again).target)
            return np.asarray(found[:, at[start:stop]])

        return positions, read_best
    units = decoded.activations.units(layer.name)
    positions = stored_positions(decoded.job, layer, units)
    stored = Predictions({layer.name: units[positions]}, decoded.of_sets[condition])
    return positions, lambda roi, subject, start, stop: stored.block(
        layer.name, start, stop, roi=roi, subject=subject
    )
