"""All tables that follow from the accuracies of a network: layers one at a time, then once more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from unitdb.measures.protocol import Found, Layer, Measure, Network
from unitdb.tables import Rows

__all__ = ["add_layer", "finish_network"]


def add_layer(layer: Layer, measures: Sequence[Measure]) -> Found:
    """Write the large tables of a layer; give its rows of small ones, and the files written.

    A layer is in memory at a time.

    Parameters
    ----------
    layer : Layer
    measures : sequence of Measure
    """
    return _together(measure.of_layer(layer) for measure in measures)


def finish_network(network: Network, layers: Iterable[Layer], measures: Sequence[Measure]) -> Found:
    """What takes all layers: the false discovery rate of a unit needs the p of all of them.

    Found again is what :func:`add_layer` has written, in whatever process.

    Parameters
    ----------
    network : Network
    layers : iterable of Layer
        All that were added, in the same order.
    measures : sequence of Measure
    """
    takings = [taking for measure in measures if (taking := measure.over_layers(network))]
    found = [taking.add(layer) for layer in layers for taking in takings]
    found += [Found(rows=taking.finish()) for taking in takings]
    return _together(found)


def _together(parts: Iterable[Found]) -> Found:
    rows: dict[str, Rows] = defaultdict(list)
    files: list[Path] = []
    for part in parts:
        files += part.files
        for table, more in part.rows.items():
            rows[table] += more
    return Found(rows=dict(rows), files=files)
