"""Identification at the published size, and beside bdpy: ``identification.py FOLDER``.

Simulated numbers, real sizes: 50 predictions from each of 10 ROIs of 5 people, 8 layers of 1,000
units, among 15,372 categories, all in Parquet as a release has them. Both methods' counts, exchange
chance, intervals and p, layers alone and combined, by two processes; then the rates of some of
these places by bdpy's function, in turn with ours. Ends with 1 where a limit is not kept.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _machine import restart_without_tuning
from threadpoolctl import threadpool_limits

from unitdb.matching import Compared, Question, identify, match, patterns, similarity, summarise

_CANDIDATES, _UNITS, _LAYERS, _ROIS, _SUBJECTS, _IMAGES = 15_372, 1000, 8, 10, 5, 50
_SECONDS, _GB, _TIMES, _ROUNDS = 180, 2.0, 20, 3


def main() -> None:
    """Write the numbers, identify, compare, and print."""
    restart_without_tuning()
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for layer in range(_LAYERS):
        _write(folder, layer)
    start = time.perf_counter()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(_identified, [(folder, subject) for subject in range(_SUBJECTS)]))
    seconds = time.perf_counter() - start
    peak = max(gb for *_, gb in found) * 2
    rows = sum(n for n, *_ in found)
    ratio, ours, theirs = _beside_bdpy(folder)
    print(
        json.dumps(
            {
                "summaries": rows,
                "seconds": round(seconds, 1),
                "processor_seconds": round(sum(spent for _, spent, _ in found), 1),
                "gb_of_both_processes": round(peak, 2),
                "a_place": {"unitdb": round(ours, 3), "bdpy": round(theirs, 3)},
                "times_as_fast": round(ratio, 1),
            }
        )
    )
    sys.exit(seconds > _SECONDS or peak > _GB or ratio < _TIMES)


def _write(folder: Path, layer: int) -> None:
    """Features of the candidates of a layer, and the predictions of all people."""
    path = folder / f"features-{layer}.parquet"
    if path.exists():
        return
    rng = np.random.default_rng(layer)
    features = rng.normal(size=(_CANDIDATES, _UNITS)).astype(np.float32)
    for subject in range(_SUBJECTS):
        noise = rng.normal(0, 5, size=(_ROIS, _IMAGES, _UNITS))
        predicted = (features[:_IMAGES] + noise).astype(np.float32)
        np.save(folder / f"predicted-{layer}-{subject}.npy", predicted.reshape(-1, _UNITS))
    ends = pa.array(np.arange(0, features.size + 1, _UNITS, dtype=np.int32))
    column = pa.ListArray.from_arrays(ends, pa.array(features.ravel()))
    pq.write_table(pa.table({"features": column}), path, row_group_size=512)


def _features(folder: Path, layer: int) -> np.ndarray:
    column = pq.read_table(folder / f"features-{layer}.parquet")["features"]
    return np.concatenate([chunk.flatten().to_numpy() for chunk in column.chunks]).reshape(
        -1, _UNITS
    )


def _identified(task: tuple[Path, int]) -> tuple[int, float, float]:
    """Number of summaries, processor time, and peak of memory in GB."""
    folder, subject = task
    start = time.process_time()
    held: dict[int, np.ndarray] = {}

    def features(layer: int, start: int, stop: int) -> np.ndarray:
        if layer not in held:
            held.clear()  # one layer at a time
            held[layer] = _features(folder, layer)
        return held[layer][start:stop]

    layers = [
        Compared(
            name=f"cnn{layer}",
            predicted=np.load(folder / f"predicted-{layer}-{subject}.npy"),
            features=lambda start, stop, layer=layer: features(layer, start, stop),
            mean=np.zeros(_UNITS),
            sd=np.ones(_UNITS),
        )
        for layer in range(_LAYERS)
    ]
    own = np.arange(_IMAGES)
    questions = {
        roi: Question(rows=slice(roi * _IMAGES, (roi + 1) * _IMAGES), candidates=own, targets=own)
        for roi in range(_ROIS)
    }
    with threadpool_limits(1):
        found = identify(layers, _CANDIDATES, questions)
        summaries = [summarise(matches, _CANDIDATES) for _, matches in found]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return len(summaries), time.process_time() - start, peak


def _beside_bdpy(folder: Path) -> tuple[float, float, float]:
    """How many times as fast the rates of a place are, and seconds of each."""
    from bdpy.evals.metrics import pairwise_identification

    features = _features(folder, 0)
    predicted = np.load(folder / "predicted-0-0.npy")
    own, spent = np.arange(_IMAGES), {"unitdb": [], "bdpy": []}
    with threadpool_limits(1):
        for _ in range(_ROUNDS):
            start = time.process_time()
            s = similarity(patterns(predicted), patterns(features))
            rates = [
                match(s[i : i + _IMAGES], candidates=own, targets=own).rate
                for i in range(0, len(s), _IMAGES)
            ]
            spent["unitdb"].append((time.process_time() - start) / _ROIS)
            start = time.process_time()
            theirs = pairwise_identification(
                predicted[:_IMAGES], features, single_trial=True, pred_labels=own,
                true_labels=np.arange(_CANDIDATES),
            )  # fmt: skip
            spent["bdpy"].append(time.process_time() - start)
            np.testing.assert_allclose(rates[0], theirs, atol=1e-12)
    ratios = [b / a for a, b in zip(spent["unitdb"], spent["bdpy"], strict=True)]
    return (statistics.median(ratios), *(statistics.median(each) for each in spent.values()))


if __name__ == "__main__":
    main()
