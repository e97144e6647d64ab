"""Time and peak memory of candidate sets of the published size, on simulated features.

python benchmarks/candidates.py FOLDER [--scale 0.1]

Features are written as ``ImageFeatures.h5`` has them, and as stacked arrays; each set is made and
read by a process of its own, whose peak is printed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np

from unitdb.candidates import Places, find_candidates, make_file, open_candidates

_ROWS = {1: 1200, 2: 50, 3: 50, 4: 15322}
_LAYERS = [*(f"cnn{number}" for number in range(1, 9)), "hmax1", "hmax2", "hmax3", "gist", "sift"]
_UNITS, _BLOCK = 1000, 256
_CNN = {layer: layer for layer in _LAYERS[:8]}
_SETS = {
    "god": {"kind": "god", "file": "ImageFeatures.h5"},
    "stacked": {
        "kind": "features",
        "features": {"folders": ["stacked"], "format": "stacked"},
        "layers": _CNN,
    },
    "means": {
        "kind": "features",
        "features": {"folders": ["stacked"], "format": "stacked"},
        "layers": _CNN,
        "categories": {"before": "_"},
    },
}


def write(folder: Path, scale: float) -> None:
    """Write the simulated features of all sets, in blocks."""
    kinds = np.repeat(list(_ROWS), [max(2, round(n * scale)) for n in _ROWS.values()])
    n, rng = len(kinds), np.random.default_rng(0)
    keys = [*_LAYERS, "ImageID", "CatID", "FeatureType"]
    column_of = np.repeat(np.arange(len(keys)), [_UNITS] * len(_LAYERS) + [1] * 3)
    with h5py.File(folder / "ImageFeatures.h5", "w") as file:
        samples = file.create_dataset("dataset", (n, len(column_of)), "f8")
        for start in range(0, n, _BLOCK):
            stop = min(n, start + _BLOCK)
            block = rng.normal(size=(stop - start, len(column_of)))
            block[:, -3] = np.where(
                kinds[start:stop] <= 2, np.arange(start, stop) + 0.000001, np.nan
            )
            block[:, -2], block[:, -1] = np.arange(start, stop), kinds[start:stop]
            samples[start:stop] = block
        file["metadata/key"] = np.array(keys, dtype=h5py.string_dtype())
        file["metadata/value"] = np.where(column_of == np.arange(len(keys))[:, None], 1.0, np.nan)
        file["metadata/description"] = np.array(keys, dtype=h5py.string_dtype())
    (folder / "stacked").mkdir()
    n_means = int((kinds >= 3).sum())
    ids = [f"n{row // 8:08d}_{row}" for row in range(n_means)]
    (folder / "stacked" / "stimuli.txt").write_text("\n".join(ids))
    for layer in _CNN:
        values = np.lib.format.open_memmap(
            folder / "stacked" / f"{layer}.npy", "w+", np.float32, (n_means, _UNITS)
        )
        for start in range(0, n_means, _BLOCK):
            values[start : start + _BLOCK] = rng.normal(size=values[start : start + _BLOCK].shape)
        values.flush()


def peak_gb() -> float:
    """Peak resident memory of this process (VmHWM), mapped files included."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e9


def measure(folder: Path, name: str, step: str) -> dict[str, object]:
    """Make a set, or open and read the one that is there, and say what it took."""
    cache, start = folder / "cache", time.perf_counter()
    before = peak_gb()
    if step == "make":
        path = folder / f"{name}.yaml"
        path.write_text(json.dumps({"candidates": {name: _SETS[name]}}))
        (found,) = make_file(path, places=Places(folder=folder, cache=cache, data=folder))
    else:
        found = open_candidates(find_candidates(name, cache))
        units = np.arange(0, _UNITS, 2)
        for layer in found.layers:
            for _, block in found.blocks(layer, units):
                block.sum()
    return {
        "set": name,
        "step": step,
        "candidates": len(found),
        "layers": len(found.layers),
        "seconds": round(time.perf_counter() - start, 1),
        "gb_at_start": round(before, 2),
        "peak_gb": round(peak_gb(), 2),
    }


def main() -> None:
    """Write the features, and measure each set in a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", type=float, default=1.0, help="Share of the published rows.")
    parser.add_argument("--only", nargs=2, metavar=("SET", "STEP"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        print(json.dumps(measure(args.folder, *args.only)))
        return
    args.folder.mkdir(parents=True)
    write(args.folder, args.scale)
    for name in _SETS:
        for step in ("make", "read"):
            command = [sys.executable, __file__, str(args.folder), "--only", name, step]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            print(done.stdout, end="", flush=True)


if __name__ == "__main__":
    main()
