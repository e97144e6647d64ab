"""Time and peak memory of importing published accuracies, on a simulated VGG19 folder.

python benchmarks/import_published.py FOLDER [--layers conv5_1 …]
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import h5py
import numpy as np

from unitdb.imports import LAYOUTS, import_accuracies


def generate(folder: Path, layers: list[str]) -> None:
    """Write simulated accuracies of five subjects as MATLAB 7.3 shows them: (units, 1)."""
    layout = LAYOUTS["decodeddnn"]
    (folder / "SIMULATED").write_text("Made-up numbers, no published accuracies.\n")
    for number, layer in enumerate(layers):
        n_units = layout.networks["VGG19"].layers[layer]
        for offset, subject in enumerate(layout.subjects):
            rng = np.random.default_rng(10 * number + offset)
            path = folder / layout.path("VGG19", layer, subject, "VC")
            path.parent.mkdir(parents=True, exist_ok=True)
            with h5py.File(path, "w") as file:
                file["accuracy"] = rng.uniform(-0.2, 0.6, (n_units, 1))


def peak_gb() -> float:
    """Peak resident memory of this process (VmHWM)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e9


def main() -> None:
    """Generate, import, and print the figures as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", nargs="*")
    args = parser.parse_args()
    every = [n for n in LAYOUTS["decodeddnn"].networks["VGG19"].layers if n.startswith("conv")]
    source = args.folder / "simulated"
    source.mkdir(parents=True)
    generate(source, args.layers or every)
    start = time.perf_counter()
    import_accuracies(
        "decodeddnn", source, releases=args.folder / "releases", name="bench", simulated=True
    )
    figures = {
        "simulated": True,
        "seconds": round(time.perf_counter() - start, 1),
        "peak_gb": round(peak_gb(), 2),
        "python": platform.python_version(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
