"""Sizes of row groups and pages of ``accuracy``: bytes, and the time to read a unit and an ROI.

``.venv/bin/python benchmarks/layout.py RELEASE`` writes VGG19's first layer of a release of
``benchmarks/make_release.py`` (SIMULATED accuracies) anew in each way. Times are medians of rounds
in which all ways are read in turn.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import duckdb
import pyarrow.parquet as pq

from unitdb.publish import tables

_KEYS = {
    "dataset": "simulated",
    "condition": "perception",
    "model": "vgg19",
    "layer": "conv1_1",
}
_WAYS = [
    (2**18, 20_000),  # the page size that pyarrow has by itself
    (2**16, 2**16),
    (2**17, 2**17),
    (2**18, 2**17),
    (2**19, 2**17),
]
_UNIT = "SELECT roi, subject, r FROM read_parquet('{}') WHERE unit = 12345"
_ROI = "SELECT subject, avg(r) FROM read_parquet('{}') WHERE roi = 'V4' GROUP BY subject"


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("release", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    folders = "/".join(f"{key}={value}" for key, value in _KEYS.items())
    layer = options.release / "accuracy" / folders / "part-0.parquet"
    n_rows = pq.ParquetFile(layer).metadata.num_rows
    with tempfile.TemporaryDirectory() as scratch:
        files = {way: _written(layer, Path(scratch, str(i)), *way) for i, way in enumerate(_WAYS)}
        times = _timed(list(files.values()), options.rounds)
        print(f"{n_rows:,} accuracies of {layer.parent.name}, SIMULATED")
        print("rows of a group  of a page  bytes an accuracy    one unit      one ROI")
        for (group, page), file in files.items():
            size = file.stat().st_size / n_rows
            unit, roi = (1000 * statistics.median(of_file) for of_file in times[file])
            print(f"{group:15,}  {page:9,}  {size:17.3f}  {unit:7.1f} ms  {roi:8.1f} ms")


def _written(layer: Path, folder: Path, group: int, page: int) -> Path:
    pieces = pq.ParquetFile(layer)
    with (
        patch.object(tables, "ROW_GROUP_SIZE", group),
        patch.object(tables, "PAGE_SIZE", page),
    ):
        rows = (pieces.read_row_group(i) for i in range(pieces.num_row_groups))
        return tables.write_partition(folder, "accuracy", _KEYS, rows)


def _timed(files: list[Path], rounds: int) -> dict[Path, tuple[list[float], list[float]]]:
    found: dict[Path, tuple[list[float], list[float]]] = {file: ([], []) for file in files}
    with duckdb.connect() as connection:
        connection.execute("SET parquet_metadata_cache = true")
        for round_ in range(rounds + 1):
            for file in files:
                for query, seconds in zip((_UNIT, _ROI), found[file], strict=True):
                    started = time.perf_counter()
                    connection.execute(query.format(file)).fetchall()
                    if round_:  # the first one reads the headers
                        seconds.append(time.perf_counter() - started)
    return found


if __name__ == "__main__":
    main()
