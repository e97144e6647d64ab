"""From what a build has computed to the tables of a release, layer by layer, then small ones.

What is written is found again by a build that was killed: a layer is complete where its small rows
are, which are written last, and sealed with what else the layer has.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from unitdb.activations import Activations
from unitdb.analysis import channel_blocks
from unitdb.build.blocks import Block
from unitdb.build.discovery import read_p_and_q, save_p, write_q
from unitdb.build.encoding import EncodingResults
from unitdb.build.hierarchy import HierarchyTables
from unitdb.build.inputs import Job, Progress
from unitdb.build.kept import TABLES as KEPT, kept_pieces
from unitdb.build.layer_rows import layer_rows
from unitdb.build.origins import reference_tables
from unitdb.build.patterns import pattern_steps
from unitdb.build.recurrence import RecurrenceTable
from unitdb.build.results import LayerResults
from unitdb.build.sealed import is_sealed, read_text, write_text
from unitdb.build.tables import (
    Rows,
    accuracy_rows,
    histogram_rows,
    partition_keys,
    scope_of,
    table_of,
    unit_summary_rows,
)
from unitdb.publish import write_partition, write_table

__all__ = ["kept_folder", "tabulate", "write_tables"]

_HIERARCHY = "hierarchy of all layers"  # no name of a layer has spaces


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
    scope, layers = scope_of(job), job.model.layers
    patterns, steps = pattern_steps(blocks), 2 * len(layers)
    for number, layer in enumerate(layers, 1):
        rows = _rows_path(work, job, layer.name)
        if not is_sealed(rows):
            results, units = LayerResults(blocks, layer.name), activations.units(layer.name)
            keys = partition_keys(scope, layer.name)
            pieces = accuracy_rows(scope, layer.name, units, results, results.reliabilities())
            written = write_partition(work / "staged", "accuracy", keys, pieces)
            small, p = layer_rows(job, layer, activations, results, patterns)
            small |= histogram_rows(scope, layer.name, results)
            others = [written, *save_p(work / "p" / job.build, layer.name, p)]
            # Written last: where it is, all else of the layer is complete, and as its seal says.
            write_text(rows, json.dumps(small), others=others)
        if progress:
            progress("tables", number, steps)
    done = _rows_path(work, job, _HIERARCHY)
    if not is_sealed(done):
        found, files = _tabulate_network(job, activations, blocks, encoded, work, progress)
        write_text(done, json.dumps(found), others=files)  # last again
    if progress:
        progress("tables", steps, steps)


def _tabulate_network(
    job: Job,
    activations: Activations,
    blocks: Sequence[Block],
    encoded: EncodingResults | None,
    work: Path,
    progress: Progress | None,
) -> tuple[dict[str, Rows], list[Path]]:
    """Write what takes the p of all layers; rows of tables of the network, and files written."""
    scope, layers = scope_of(job), job.model.layers
    folder, written = work / "p" / job.build, list[Path]()
    write_q(folder, [layer.name for layer in layers], n_rois=len(scope.rois))
    hierarchy = HierarchyTables(
        scope,
        job.dataset.hierarchy,
        n_stimuli=job.dataset.subjects[0].n_test,
        n_controls=job.recipe.n_controls,
        seed=job.recipe.seed,
    )
    recurrence = RecurrenceTable(scope, n_controls=job.recipe.n_controls)
    for number, layer in enumerate(layers, 1 + len(layers)):
        keys = partition_keys(scope, layer.name)
        results, units = LayerResults(blocks, layer.name), activations.units(layer.name)
        p_and_q = read_p_and_q(folder, layer.name, n_rois=len(scope.rois))
        pieces = unit_summary_rows(scope, layer.name, units, results, p_and_q)
        written.append(write_partition(work / "staged", "unit_summary", keys, pieces))
        channels = channel_blocks(layer.shape, units, axes=layer.axes)
        hierarchy.add(layer.name, channels, results.accuracies)
        recurrence.add(results.accuracies, results.halves)
        if progress:
            progress("tables", number, 2 * len(layers))
    scores = hierarchy.rows(None if encoded is None else encoded.accuracies)
    return scores | {"recurrence": recurrence.rows()}, written


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
        json.loads(read_text(_rows_path(work, job, layer.name)))
        for job in jobs
        for layer in job.model.layers
    ]
    small += [json.loads(read_text(_rows_path(work, job, _HIERARCHY))) for job in jobs]
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


def _rows_path(work: Path, job: Job, layer: str) -> Path:
    return work / "rows" / job.build / f"{layer}.json"
