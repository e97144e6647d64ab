"""From what a build has computed to the tables of a release, layer by layer, then small ones.

What is written is found again by a build that was killed: a layer is complete where its small rows
are, which are written last, and sealed with what else the layer has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unitdb.activations import Activations
from unitdb.analysis import activation_covariates, prediction_correlations
from unitdb.measures.encoding import EncodingResults
from unitdb.measures.kept import TABLES as KEPT, kept_pieces
from unitdb.measures.patterns import PatternStep, load_predictions, pattern_steps
from unitdb.predictions import Block, LayerResults
from unitdb.publish import write_table
from unitdb.recipes import Job, Progress, reference_tables, scope_of
from unitdb.sealed import is_sealed, read_text, write_text
from unitdb.tables import (
    DecodedLayer,
    NetworkTables,
    Predicted,
    Results,
    Rows,
    Scope,
    table_of,
)

__all__ = ["kept_folder", "tabulate", "write_tables"]

_HIERARCHY = "hierarchy of all layers"  # no name of a layer has spaces
_AT_ONCE = 1 << 14  # units whose activations are in memory together


def tabulate(
    job: Job,
    activations: Activations,
    blocks: Sequence[Block],
    encoded: EncodingResults | None,
    work: Path,
    progress: Progress | None,
) -> None:
    """Write the large tables of a job, and the rows it has in the small ones, layer by layer.

    Twice over the layers: the false discovery rate of a unit takes the p of all of them.
    """
    for condition in job.dataset.conditions:
        of_set = [block.of(condition) for block in blocks]
        _tabulate_set(job, condition, activations, of_set, encoded, work, progress)


def _tabulate_set(
    job: Job,
    condition: str,
    activations: Activations,
    blocks: Sequence[Block],
    encoded: EncodingResults | None,
    work: Path,
    progress: Progress | None,
) -> None:
    """Write the tables of a test set."""
    scope, names = scope_of(job, condition), [layer.name for layer in job.model.layers]
    steps, tables = 2 * len(names), _network_tables(job, scope, work)
    patterns, report = pattern_steps(blocks), _named(progress, job, condition)
    for number, (layer, results) in enumerate(_decoded(job, activations, blocks), 1):
        rows = _rows_path(work, scope, layer.name)
        if not is_sealed(rows):
            of_layer = {step.place: step for step in patterns if step.layer == layer.name}
            small, files = tables.add(
                layer,
                results,
                covariates=_covariates(activations, layer.name),
                predicted=partial(_predicted, job, condition, of_layer),
            )
            # Written last: where it is, all else of the layer is complete, and as its seal says.
            write_text(rows, json.dumps(small), others=files)
        report(number, steps)
    done = _rows_path(work, scope, _HIERARCHY)
    if not is_sealed(done):
        again = _decoded(job, activations, blocks, report)
        voxels = None if encoded is None else partial(encoded.accuracies, condition)
        small, files = tables.finish(again, names=names, encoded=voxels)
        write_text(done, json.dumps(small), others=files)  # last again
    report(steps, steps)


def _named(progress: Progress | None, job: Job, condition: str) -> Callable[[int, int], None]:
    """Progress callback of one test set, which is named where there are several."""
    step = "tables" if len(job.dataset.conditions) == 1 else f"tables, {condition}"

    def report(done: int, total: int) -> None:
        if progress:
            progress(step, done, total)

    return report


def _network_tables(job: Job, scope: Scope, work: Path) -> NetworkTables:
    condition = scope.condition
    return NetworkTables(
        scope,
        staged=work / "staged",
        scratch=work / "p" / job.build / condition,
        hierarchy=job.dataset.hierarchy,
        # Samples that share what is decoded from them are not as many as they look.
        n_test=job.dataset.n_targets(condition),
        formula=job.recipe.decoder.folds is None and not job.dataset.share_targets(condition),
        n_controls=job.recipe.n_controls,
        seed=job.recipe.seed,
    )


def _decoded(
    job: Job,
    activations: Activations,
    blocks: Sequence[Block],
    report: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[DecodedLayer, Results]]:
    """Layers with their accuracies; reports each when the next is asked for."""
    n = len(job.model.layers)
    for number, layer in enumerate(job.model.layers, 1 + n):
        units = activations.units(layer.name)
        decoded = DecodedLayer(name=layer.name, shape=layer.shape, axes=layer.axes, units=units)
        yield decoded, LayerResults(blocks, layer.name)
        if report:
            report(number, 2 * n)


def _covariates(activations: Activations, layer: str) -> NDArray[np.float64]:
    """Log variance and sparseness of a layer's units over all images, (2, n_units)."""
    n_units = activations.n_units(layer)
    return np.concatenate(
        [
            activation_covariates(
                activations.block(layer, start, min(start + _AT_ONCE, n_units)),
                resolution=activations.resolution(layer),
            )
            for start in range(0, n_units, _AT_ONCE)
        ],
        axis=1,
    )


def _predicted(
    job: Job, condition: str, steps: Mapping[tuple[int, int], PatternStep], roi: int
) -> Predicted:
    """What the predictions of the units of a layer's patterns give, of an ROI."""
    subjects = job.dataset.subjects
    of_roi = [steps[roi, subject] for subject in range(len(subjects))]
    alike = None
    if not job.dataset.share_targets(condition):
        alike = prediction_correlations(
            [load_predictions(step)[0] for step in of_roi],
            [subject.targets(condition) for subject in subjects],
        )
    return Predicted(patterns=[json.loads(read_text(step.target)) for step in of_roi], alike=alike)


def write_tables(
    jobs: Sequence[Job], inputs: Rows, encoded: Sequence[EncodingResults], work: Path
) -> None:
    """Write the tables that are not partitioned, of all jobs.

    Parameters
    ----------
    jobs : sequence of Job
        Done.
    inputs : list of dict
        Rows of the table ``inputs``.
    encoded : sequence of EncodingResults
        Of the jobs that have any.
    work : Path
        The build's folder.
    """
    staged = work / "staged"
    for name, table in reference_tables(jobs, inputs).items():
        write_table(staged, name, table)
    small = [
        json.loads(read_text(_rows_path(work, scope_of(job, condition), name)))
        for job in jobs
        for condition in job.dataset.conditions
        for name in (*(layer.name for layer in job.model.layers), _HIERARCHY)
    ]
    for name in (
        "layer_summary",
        "layer_reliability",
        "intersubject",
        "accuracy_histogram",
        "unit_histogram",
        "summary_histogram",
        "recurrence",
        "hierarchy",
        "best_roi",
    ):
        rows = [row for part in small for row in part.get(name, [])]
        write_table(staged, name, table_of(name, rows))
    voxels = [table_of("encoding", []), *(results.table() for results in encoded)]
    write_table(staged, "encoding", pa.concat_tables(voxels))
    folders = {job.build: kept_folder(work, job) for job in jobs}
    for name in KEPT:
        write_table(staged, name, kept_pieces(name, jobs, folders))


def kept_folder(work: Path, job: Job) -> Path:
    """Folder of the rows of a job's units that are kept image by image."""
    return work / "kept" / job.build


def _rows_path(work: Path, scope: Scope, layer: str) -> Path:
    return work / "rows" / scope.build / scope.condition / f"{layer}.json"
