"""Jobs → accuracies and predictions of every unit, in files that other processes share."""

from unitdb.predictions.arranged import Arranged, load_arranged, true_rows
from unitdb.predictions.blocks import (
    PATTERN_CONTROLS,
    Block,
    check_worker,
    predict_units,
    resolution_of_layer,
)
from unitdb.predictions.decode import (
    block_sizes,
    decode_job,
    job_blocks,
    responses_path,
    sample_positions,
    stored_positions,
    write_job_responses,
)
from unitdb.predictions.results import LayerResults
from unitdb.predictions.store import Predictions
from unitdb.predictions.workers import Run, memory_of_thread, n_threads, open_workers

__all__ = [
    "PATTERN_CONTROLS",
    "Arranged",
    "Block",
    "LayerResults",
    "Predictions",
    "Run",
    "block_sizes",
    "check_worker",
    "decode_job",
    "job_blocks",
    "load_arranged",
    "memory_of_thread",
    "n_threads",
    "open_workers",
    "predict_units",
    "resolution_of_layer",
    "responses_path",
    "sample_positions",
    "stored_positions",
    "true_rows",
    "write_job_responses",
]
