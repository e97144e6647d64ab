"""What decoding three test sets costs beside one: ``sets.py``. Ends with 1 where it is 1.2 or more.

Rounds take turns, so that what else the machine does is alike for both; time is that of the
processor. Responses are simulated, of the published sizes.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np
from _machine import restart_without_tuning

from unitdb.decoding import DecoderSettings, RoiDecoder

_N_TRAIN, _SETS = 1200, {"perception": 50, "imagery": 50, "blur-12": 20}
_N_VOXELS, _N_UNITS, _ROUNDS, _LIMIT = 1000, 1024, 5, 1.2


def _decoder(x: np.ndarray, sizes: list[int]) -> RoiDecoder:
    ends = _N_TRAIN + np.cumsum([0, *sizes])
    sets = [np.arange(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]  # noqa: RUF007
    splits = [(np.arange(_N_TRAIN), np.concatenate(sets))]
    return RoiDecoder(x[: ends[-1]], splits, DecoderSettings(n_voxels=500), sets=sets)


def main() -> None:
    """Measure, and print the ratio."""
    restart_without_tuning()
    rng = np.random.default_rng(0)
    n_rows = _N_TRAIN + sum(_SETS.values())
    x = rng.normal(size=(n_rows, _N_VOXELS))
    y = rng.normal(size=(n_rows, _N_UNITS)).astype(np.float32)
    sizes = list(_SETS.values())
    ways = {n: sizes[:n] for n in (1, len(sizes))}
    spent: dict[int, list[float]] = {n: [] for n in ways}
    for number in range(1 + _ROUNDS):
        for n, some in ways.items():
            start = time.process_time()
            decoder = _decoder(x, some)
            decoder.accuracy(y[: _N_TRAIN + sum(some)])
            if number:  # the first one compiles
                spent[n].append(time.process_time() - start)
    ratios = [many / one for one, many in zip(*spent.values(), strict=True)]
    ratio = statistics.median(ratios)
    for n, seconds in spent.items():
        print(f"{n} test sets: {statistics.median(seconds):.2f} s of {_N_UNITS} units")
    print(f"ratio {ratio:.3f} (median of {_ROUNDS} rounds, {min(ratios):.3f} to {max(ratios):.3f})")
    sys.exit(ratio >= _LIMIT)


if __name__ == "__main__":
    main()
