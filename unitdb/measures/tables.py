"""Take the measures of a job, and write the tables of a release: layer by layer, then small ones.

What is written is found again by a build that was killed: a layer is complete where its small rows
are, which are written last, and sealed with what else the layer has.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis import activation_covariates
from unitdb.measures.decoded import Decoded
from unitdb.measures.encoding import Encoding
from unitdb.measures.every import MEASURES
from unitdb.measures.network import add_layer, finish_network
from unitdb.measures.patterns import predicted
from unitdb.measures.protocol import DecodedLayer, Found, Layer, Measure, Network, Step
from unitdb.predictions import Run
from unitdb.publish import write_table
from unitdb.recipes import Progress, scope_of
from unitdb.schema import TABLES
from unitdb.sealed import is_sealed, read_text, write_text
from unitdb.tables import Rows, Scope, table_of

__all__ = ["tabulate", "take", "write_tables"]

_NETWORK = "all layers"  # no name of a layer has spaces
_AT_ONCE = 1 << 14  # units whose activations are in memory together


def take(measure: Measure, decoded: Decoded, *, run: Run, progress: Progress | None = None) -> None:
    """Do the steps of a measure that are not done yet.

    Parameters
    ----------
    measure : Measure
    decoded : Decoded
        What to take it of.
    run : callable
        The workers.
    progress : callable, optional
        Called with the name of the measure, steps done and steps to do.
    """
    steps = measure.steps(decoded)
    to_do = [step for step in steps if not step.is_done()]
    if to_do:
        measure.prepare(decoded, to_do)
    for number, _ in enumerate(run(_run, to_do), 1 + len(steps) - len(to_do)):
        if progress:
            progress(measure.name, number, len(steps))
    measure.conclude(decoded, steps)


def _run(step: Step) -> Step:
    step.run()
    return step


def tabulate(decoded: Decoded, *, progress: Progress | None = None) -> None:
    """Write the large tables of a job, and the rows it has in the small ones, layer by layer.

    Twice over the layers: the false discovery rate of a unit takes the p of all of them. Test sets
    come one after the other, as if there were no other.
    """
    for condition in decoded.job.dataset.conditions:
        _tabulate_set(decoded, condition, _named(progress, decoded, condition))


def _tabulate_set(decoded: Decoded, condition: str, report: Callable[[int, int], None]) -> None:
    network = _network(decoded, condition)
    steps = 2 * len(network.layers)
    for number, layer in enumerate(_layers(decoded, network), 1):
        rows = _rows_path(decoded.work, network.scope, layer.name)
        if not is_sealed(rows):
            _seal(rows, add_layer(layer, MEASURES))
        report(number, steps)
    done = _rows_path(decoded.work, network.scope, _NETWORK)
    if not is_sealed(done):
        again = _reporting(_layers(decoded, network), report, len(network.layers))
        _seal(done, finish_network(network, again, MEASURES))
    report(steps, steps)


def _seal(path: Path, found: Found) -> None:
    """Written last: where it is, all else is complete, and as its seal says."""
    write_text(path, json.dumps(found.rows), others=found.files)


def _reporting(
    layers: Iterator[Layer], report: Callable[[int, int], None], n: int
) -> Iterator[Layer]:
    """Layers once more; reports each when the next is asked for."""
    for number, layer in enumerate(layers, 1 + n):
        yield layer
        report(number, 2 * n)


def _named(
    progress: Progress | None, decoded: Decoded, condition: str
) -> Callable[[int, int], None]:
    """Progress callback of one test set, which is named where there are several."""
    several = len(decoded.job.dataset.conditions) > 1
    step = f"tables, {condition}" if several else "tables"

    def report(done: int, total: int) -> None:
        if progress:
            progress(step, done, total)

    return report


def _network(decoded: Decoded, condition: str) -> Network:
    job, scope = decoded.job, scope_of(decoded.job, condition)
    encoded = Encoding().results(decoded)
    return Network(
        scope=scope,
        layers=[layer.name for layer in job.model.layers],
        staged=decoded.work / "staged",
        scratch=decoded.work / "p" / job.build / condition,
        hierarchy=job.dataset.hierarchy,
        # Samples that share what is decoded from them are not as many as they look.
        n_test=job.dataset.n_targets(condition),
        formula=job.recipe.decoder.folds is None and not job.dataset.share_targets(condition),
        n_controls=job.recipe.n_controls,
        seed=job.recipe.seed,
        encoded=None if encoded is None else partial(encoded.accuracies, condition),
    )


def _layers(decoded: Decoded, network: Network) -> Iterator[Layer]:
    activations, condition = decoded.activations, network.scope.condition
    for layer in decoded.job.model.layers:
        units = activations.units(layer.name)
        yield Layer(
            network,
            DecodedLayer(name=layer.name, shape=layer.shape, axes=layer.axes, units=units),
            decoded.results(condition, layer.name),
            covariates=partial(_covariates, decoded, layer.name),
            predicted=partial(predicted, decoded, condition, layer.name),
        )


def _covariates(decoded: Decoded, layer: str) -> NDArray[np.float64]:
    """Log variance and sparseness of a layer's units over all images, (2, n_units).

    Images made from others, such as blurred versions, do not count.
    """
    activations = decoded.activations
    n_units, made = activations.n_units(layer), decoded.job.dataset.stimuli.originals
    own = np.array([name not in made for name in activations.stimulus_ids])
    return np.concatenate(
        [
            activation_covariates(
                activations.block(layer, start, min(start + _AT_ONCE, n_units))[own],
                resolution=activations.resolution(layer),
            )
            for start in range(0, n_units, _AT_ONCE)
        ],
        axis=1,
    )


def write_tables(decoded: Sequence[Decoded], reference: Mapping[str, Rows]) -> None:
    """Write the tables that are not partitioned, of all jobs.

    Parameters
    ----------
    decoded : sequence of Decoded
        All jobs, their measures taken.
    reference : mapping of str to list of dict
        Rows of the tables that the numbers refer to.
    """
    staged = decoded[0].work / "staged"
    rows: dict[str, Rows] = defaultdict(list, reference)
    for of_job in decoded:
        for condition in of_job.job.dataset.conditions:
            for name in (*(layer.name for layer in of_job.job.model.layers), _NETWORK):
                path = _rows_path(of_job.work, scope_of(of_job.job, condition), name)
                for table, more in json.loads(read_text(path)).items():
                    rows[table] += more
    makers = {table: measure for measure in MEASURES for table in measure.tables}
    for name, table in TABLES.items():
        if table.partition_by:
            continue
        pieces = makers[name].pieces(name, decoded) if name in makers else None
        if pieces is None and table.optional:
            continue
        write_table(staged, name, table_of(name, rows[name]) if pieces is None else pieces)


def _rows_path(work: Path, scope: Scope, layer: str) -> Path:
    return work / "rows" / scope.build / scope.condition / f"{layer}.json"
