"""What decoding three test sets costs beside one: ``sets.py``. Ends with 1 where it is 1.2 or more.

Rounds take turns, so that what else the machine does is alike for both; time is that of the
processor. Responses are simulated, of the published sizes.
"""

from __future__ import annotations

import statistics
import sys
import time
from itertools import pairwise

import numpy as np
from _machine import restart_without_tuning

from unitdb.decoding import DecoderSettings, RoiDecoder

_N_TRAIN, _SETS = 1200, {"perception": 50, "imagery": 50, "blur-12": 20}
_N_VOXELS, _N_UNITS, _ROUNDS, _LIMIT = 1000, 1024, 5, 1.2


def _decoder(x: np.ndarray, sizes: list[int], n_voxels: int | None) -> RoiDecoder:
    ends = _N_TRAIN + np.cumsum([0, *sizes])
    sets = [np.arange(start, stop) for start, stop in pairwise(ends)]
    splits = [(np.arange(_N_TRAIN), np.concatenate(sets))]
    return RoiDecoder(x[: ends[-1]], splits, DecoderSettings(n_voxels=n_voxels), sets=sets)


def main() -> None:
    """Measure, and print the ratios."""
    restart_without_tuning()
    rng = np.random.default_rng(0)
    n_rows = _N_TRAIN + sum(_SETS.values())
    x = rng.normal(size=(n_rows, _N_VOXELS))
    y = rng.normal(size=(n_rows, _N_UNITS)).astype(np.float32)
    sys.exit(max([_measured(x, y, n_voxels) for n_voxels in (500, None)]) >= _LIMIT)


def _measured(x: np.ndarray, y: np.ndarray, n_voxels: int | None) -> float:
    """Ratio of three sets to one, with so many voxels a unit (None is all)."""
    sizes = list(_SETS.values())
    ways = {n: sizes[:n] for n in (1, len(sizes))}
    spent: dict[int, list[float]] = {n: [] for n in ways}
    for number in range(1 + _ROUNDS):
        for n, some in ways.items():
            start = time.process_time()
            decoder = _decoder(x, some, n_voxels)
            decoder.accuracy(y[: _N_TRAIN + sum(some)])
            if number:  # the first one compiles
                spent[n].append(time.process_time() - start)
    ratios = [many / one for one, many in zip(*spent.values(), strict=True)]
    ratio = statistics.median(ratios)
    print(f"voxels a unit: {n_voxels or 'all'}")
    for n, seconds in spent.items():
        print(f"  {n} test sets: {statistics.median(seconds):.2f} s of {_N_UNITS} units")
    least, most = min(ratios), max(ratios)
    print(f"  ratio {ratio:.3f} (median of {_ROUNDS} rounds, {least:.3f} to {most:.3f})")
    return ratio


if __name__ == "__main__":
    main()
