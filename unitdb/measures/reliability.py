"""Table ``layer_reliability``: how reliable the mean accuracy over subjects is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis import Blocks, subject_reliability_interval
from unitdb.measures.protocol import Found, Layer, Measure
from unitdb.tables import Rows, Scope, partition_keys

__all__ = ["LayerReliability", "layer_reliability_rows"]


class LayerReliability(Measure):
    """Of each layer and ROI, over its units."""

    tables = ("layer_reliability",)

    def of_layer(self, layer: Layer) -> Found:
        """Hold subjects against each other."""
        scope = layer.network.scope
        rows = [
            row
            for roi, r in zip(scope.rois, layer.results, strict=True)
            for row in layer_reliability_rows(scope, layer.name, roi, r, blocks=layer.blocks)
        ]
        return Found(rows={"layer_reliability": rows})


def layer_reliability_rows(
    scope: Scope,
    layer: str,
    roi: str,
    r: NDArray[np.float32],
    *,
    blocks: Blocks,
) -> Rows:
    """Row of ``layer_reliability`` of one layer and ROI; none of one subject."""
    if len(r) < 2:
        return []
    found = subject_reliability_interval(r, blocks)
    row = {
        "roi": roi,
        "n_subjects": len(r),
        "n_units": int((~np.isnan(r).any(axis=0)).sum()),
        "reliability": found.value,
        "reliability_low": found.low,
        "reliability_high": found.high,
    }
    return [partition_keys(scope, layer) | row]
