"""How decoding grows: with units, with voxels, and with the number of workers of a build.

``.venv/bin/python benchmarks/scaling.py --data DIR`` measures all; without ``--data`` the build on
workers, which decodes the real responses of digits69, is left out. Responses of the other two are
simulated.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _data import KEPT, simulate
from _machine import describe_machine, restart_without_tuning, versions

import unitdb
from unitdb.decoding import DecoderSettings, RoiDecoder

_UNITS, _QUICK_UNITS = (256, 512, 1024, 2048, 4096), (64, 128)
_VOXELS, _QUICK_VOXELS = (600, 700, 800, 1000, 1500, 2000, 3000, 4500), (600, 700)
_LAYERS, _QUICK_LAYERS = "", ", layers: [fc]"
_RECIPE = """
name: scaling
version: 1.0.0
title: Scaling benchmark
description: Units of all layers, decoded to measure time.
licence: none
citation: none
datasets: [digits69]
models: [{name: efficientnet-lite0LAYERS}]
decoder: {voxels: 500, alpha: 100, zscore: true}
"""


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of measured responses")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--out", type=Path, help="JSON file with all times")
    options = parser.parse_args()
    restart_without_tuning()
    found = {"machine": describe_machine(), "versions": versions()}
    units, voxels, layers = _UNITS, _VOXELS, _LAYERS
    if options.quick:
        units, voxels, layers = _QUICK_UNITS, _QUICK_VOXELS, _QUICK_LAYERS
    found["units"] = _against("units", units, options.repeats, n_voxels=1000)
    found["voxels"] = _against("voxels", voxels, options.repeats, n_units=512)
    if options.data:
        recipe = _RECIPE.replace("LAYERS", layers)
        found["workers"] = _builds(recipe, options.workers, options.data.resolve(), options.repeats)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


def _against(what: str, sizes: Sequence[int], repeats: int, **fixed: int) -> dict[str, object]:
    """Time of one thread against units or voxels, and the exponent of their power law."""
    seconds = [_median(repeats, **fixed, **{f"n_{what}": size}) for size in sizes]
    exponent = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
    print(f"\ntime against {what}: exponent {exponent:.2f}")
    print(f"(simulated responses, one thread, {KEPT} voxels kept)")
    for size, time_ in zip(sizes, seconds, strict=True):
        print(f"{size:>8,} {what}  {time_:8.3f} s")
    return {"sizes": list(sizes), "seconds": seconds, "exponent": exponent}


def _median(repeats: int, *, n_voxels: int, n_units: int) -> float:
    problem = simulate(n_voxels, n_units)
    decoder = RoiDecoder(problem.x, problem.splits, DecoderSettings(n_voxels=KEPT))
    decoder.accuracy(problem.y[:, :8])  # compiles
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        decoder.accuracy(problem.y)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _builds(text: str, counts: Sequence[int], data: Path, repeats: int) -> dict[str, object]:
    """Time of a build on workers, activations ready; all releases must be the same bytes."""
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "scaling.yaml"
        recipe.write_text(text)
        sums = set()
        _build(recipe, Path(folder), "warm", data, max(counts))
        release = unitdb.open("scaling", releases=Path(folder) / "warm")
        n_units = int(release.table("layers")["n_units"].sum())
        for repeat in range(repeats):
            for count in counts:
                start = time.perf_counter()
                sums.add(_build(recipe, Path(folder), f"{count}-{repeat}", data, count))
                seconds[count].append(time.perf_counter() - start)
    same = len(sums) == 1
    print(f"\nbuild of digits69 (real responses), {n_units:,} units; same bytes: {same}")
    one = seconds[counts[0]]
    for count in counts:
        ratio = statistics.median(a / b for a, b in zip(one, seconds[count], strict=True))
        print(f"{count:>8} workers  {statistics.median(seconds[count]):8.1f} s  {ratio:.2f}×")
    times_of = {str(count): times for count, times in seconds.items()}
    return {"n_units": n_units, "seconds": times_of, "same": same}


def _build(recipe: Path, folder: Path, name: str, data: Path, workers: int) -> str:
    releases = folder / name
    command = ["--releases", releases, "build", recipe, "--data", data]
    command += ["--cache", folder / "cache", "--workers", workers]
    program = [sys.executable, "-c", "from unitdb.cli import main; main()"]
    subprocess.run([*program, *map(str, command)], check=True, stdout=subprocess.DEVNULL)
    return (releases / "scaling" / "1.0.0" / "SHA256SUMS").read_text()


if __name__ == "__main__":
    main()
