"""Table ``accuracy``: decoding accuracy of each unit, ROI and subject."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import repeat

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unitdb.measures.protocol import Found, Layer, Measure
from unitdb.publish import write_partition
from unitdb.tables import Scope, constant, float32, named, ordered, partition_keys

__all__ = ["Accuracy", "accuracy_rows"]

Accuracies = Iterable[NDArray[np.float32]]

_AT_ONCE = 2**16
"""Units whose rows are made at once."""


class Accuracy(Measure):
    """What all else follows from."""

    tables = ("accuracy",)

    def of_layer(self, layer: Layer) -> Found:
        """Write the partition of a layer."""
        scope, results = layer.network.scope, layer.results
        pieces = accuracy_rows(scope, layer.name, layer.units, results, results.reliabilities())
        keys = partition_keys(scope, layer.name)
        return Found(files=[write_partition(layer.network.staged, "accuracy", keys, pieces)])


def accuracy_rows(
    scope: Scope,
    layer: str,
    units: NDArray[np.int32],
    r: Accuracies,
    reliability: Accuracies | None = None,
) -> Iterator[pa.Table]:
    """Table ``accuracy`` of one layer, in pieces, in the order of rows: all subjects of a unit."""
    n = len(scope.subjects)
    of_rois = repeat(None) if reliability is None else reliability
    for roi, of_roi, reliable in zip(scope.rois, r, of_rois, strict=False):
        fixed = {**partition_keys(scope, layer), "roi": roi, "build": scope.build}
        for start in range(0, len(units), _AT_ONCE):
            some = units[start : start + _AT_ONCE]
            columns = constant(fixed, n * len(some))
            columns["unit"] = pa.array(np.repeat(some, n), pa.int32())
            codes = np.tile(np.arange(n, dtype=np.int32), len(some))
            columns["subject"] = named(pa.array(codes), scope.subjects)
            for name, values in (("r", of_roi), ("reliability", reliable)):
                columns[name] = (
                    pa.nulls(n * len(some), pa.float32())
                    if values is None
                    else float32(values[:, start : start + _AT_ONCE].T.ravel())
                )
            yield ordered("accuracy", columns)
