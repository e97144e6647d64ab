"""Statistics of a layer as large as VGG19's first: beside numpy, and as parts of memory speed.

``.venv/bin/python benchmarks/analysis.py`` measures; accuracies are simulated. Each time is the
least of a few, as other work on the machine only adds to it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from _machine import describe_machine, restart_without_tuning, versions

from unitdb.analysis import (
    FalseDiscovery,
    accuracy_p,
    agreement_intervals,
    channel_blocks,
    permutation_p,
    permuted_orders,
)
from unitdb.analysis.moments import BlockMoments
from unitdb.measures import accuracy_rows
from unitdb.publish import write_partition
from unitdb.tables import Scope, partition_keys

_SHAPE, _QUICK_SHAPE = (64, 224, 224), (8, 14, 14)
_SUBJECTS, _IMAGES = 5, 50


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--out", type=Path, help="JSON file with all times")
    options = parser.parse_args()
    restart_without_tuning()
    shape = _QUICK_SHAPE if options.quick else _SHAPE
    rng = np.random.default_rng(0)
    r = rng.uniform(-1, 1, (_SUBJECTS, int(np.prod(shape)))).astype(np.float32)
    seconds = _agreement(r, shape, options.repeats) | _significance(r[0], options.repeats)
    if options.out:
        found = {"machine": describe_machine(), "versions": versions(), "seconds": seconds}
        options.out.write_text(json.dumps(found, indent=1) + "\n")


def _agreement(r: np.ndarray, shape: tuple[int, int, int], repeats: int) -> dict[str, float]:
    blocks = channel_blocks(shape)
    pairs = list(combinations(range(len(r)), 2))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.npy"
        np.save(path, r)
        release = _write_release(Path(folder), r)

        def moments(rows: np.ndarray) -> None:
            found = BlockMoments(len(rows), shape[0])
            found.add(rows, blocks)
            found.totals()

        ways: dict[str, Callable[[], object]] = {
            "numpy.sum of the array": r.sum,
            "numpy.sum in float64": lambda: r.sum(dtype=np.float64),
            "sums of all pairs by channel": lambda: moments(r),
            "pearson, 1000 replicates": lambda: agreement_intervals(r, blocks, spearman=False),
            "numpy.corrcoef of each pair": lambda: [np.corrcoef(r[a], r[b]) for a, b in pairs],
            "from disk: pearson, 1000 replicates": lambda: agreement_intervals(
                np.load(path, mmap_mode="r"), blocks, spearman=False
            ),
            "from disk: numpy.corrcoef of each pair": lambda: [
                np.corrcoef(*(np.load(path, mmap_mode="r")[s] for s in pair)) for pair in pairs
            ],
            "release: pearson, 1000 replicates": lambda: agreement_intervals(
                _of_release(release).reshape(r.shape), blocks, spearman=False
            ),
            "release: read once, numpy.corrcoef": lambda: np.corrcoef(
                _of_release(release).reshape(r.shape)
            ),
            "release: numpy.corrcoef of each pair": lambda: [
                np.corrcoef(*(_of_release(release, subject) for subject in pair)) for pair in pairs
            ],
            "pearson and spearman": lambda: agreement_intervals(r, blocks),
        }
        print(f"{len(r)} subjects × {r.shape[1]:,} units, {len(pairs)} pairs; simulated accuracies")
        found = {}
        for name, run in ways.items():
            found[name] = _least(run, repeats)
            print(
                f"  {name:40} {found[name] * 1000:9.1f} ms {r.nbytes / found[name] / 1e9:7.2f} GB/s"
            )
        for place in ("from disk", "release"):
            ours, theirs = (
                found[f"{place}: {way}"]
                for way in ("pearson, 1000 replicates", "numpy.corrcoef of each pair")
            )
            print(f"  {place}: {theirs / ours:.1f} times as fast, reading included")
    return found


def _write_release(folder: Path, r: np.ndarray) -> Path:
    """Write accuracies as a release has them: a partition of the table ``accuracy``."""
    names = tuple(f"sub-{number:02d}" for number in range(len(r)))
    scope = Scope(
        build="0" * 12,
        dataset="simulated",
        condition="perception",
        model="net",
        rois=("VC",),
        subjects=names,
    )
    units = np.arange(r.shape[1], dtype=np.int32)
    rows = accuracy_rows(scope, "conv", units, [r])
    return write_partition(folder, "accuracy", partition_keys(scope, "conv"), rows)


def _of_release(path: Path, subject: int | None = None) -> np.ndarray:
    """Read the accuracies of all subjects, one after the other, or of one."""
    if subject is None:
        return pq.ParquetFile(path).read(["r"])["r"].to_numpy()
    wanted = [("subject", "=", f"sub-{subject:02d}")]
    return pq.read_table(path, columns=["r"], filters=wanted)["r"].to_numpy()


def _significance(r: np.ndarray, repeats: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    block = min(len(r), 8192)
    predicted, true = rng.standard_normal((2, _IMAGES, block), dtype=np.float32)
    orders = permuted_orders(_IMAGES, 1000, seed=0)
    p = accuracy_p(r, n_images=_IMAGES)
    family = FalseDiscovery([p])

    def by_numpy() -> None:
        few = slice(0, 256)
        for order in orders:
            np.einsum("iu,iu->u", predicted[:, few], true[order, few])

    ways: dict[str, tuple[int, Callable[[], object]]] = {
        "p, t": (len(r), lambda: accuracy_p(r, n_images=_IMAGES)),
        "p, Fisher": (len(r), lambda: accuracy_p(r, n_images=_IMAGES, method="fisher")),
        "FDR, first pass": (len(r), lambda: FalseDiscovery([p])),
        "FDR, second pass": (len(r), lambda: family.q(p)),
        "1000 permutations": (block, lambda: permutation_p(predicted, true, orders)),
        "1000 permutations, numpy.einsum": (min(block, 256), by_numpy),
    }
    print(f"one subject, {_IMAGES} images, one thread")
    found = {}
    for name, (n_units, run) in ways.items():
        found[name] = _least(run, repeats) / n_units
        print(f"  {name:40} {found[name] * 1e6:9.3f} µs a unit")
    return found


def _least(run: Callable[[], object], repeats: int) -> float:
    run()  # compiles
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
