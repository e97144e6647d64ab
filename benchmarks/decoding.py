"""Times the decoding engine side by side with other decoders and with what the machine can do.

    .venv/bin/python benchmarks/decoding.py [--quick] [--voxels 400 700 …] [--out FILE.json]

The other decoders (fastl2lir, scikit-learn's Ridge, himalaya) run in an environment of their own,
which is made the first time. The data are simulated.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
from _data import ALPHA, KEPT, N_TEST, N_TRAIN, Problem, simulate
from _limits import measure_limits
from _machine import describe_machine, restart_without_tuning, versions
from _peer_process import PeerProcess, make_environment
from _report import EXPLANATION, Measurement, print_table
from _ways import CORES, Ours, Peer, Way
from numpy.typing import NDArray

_HERE = Path(__file__).parent
_VOXELS = (400, 700, 1000, 2000, 4500)
_ROUNDS, _QUICK_ROUNDS = 5, 2
_SECONDS, _QUICK_SECONDS = 0.8, 0.3
_UNITS, _UNITS_WITHOUT_SELECTION = 8192, 16384
_REFERENCE_UNITS = 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for."""
    restart_without_tuning()
    options = _parse(arguments)
    python = make_environment(options.venv)
    machine = describe_machine()
    if machine["cores"] != CORES:
        print(f"This process has {machine['cores']} cores; unitdb uses {CORES}.", file=sys.stderr)
    print(f"{machine['processor']}, {machine['cores']} cores, {machine['system']}")
    print(f"{N_TRAIN} + {N_TEST} samples, {KEPT} voxels kept, alpha {ALPHA:g}\n{EXPLANATION}")
    measurements: list[Measurement] = []
    with PeerProcess(python) as peers:
        for n_voxels in options.voxels:
            measurements.append(_measure(n_voxels, peers, quick=options.quick))
            print_table(measurements[-1])
        if options.out is not None:
            _write(options.out, machine, peers.versions, measurements)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two short rounds instead of five")
    parser.add_argument("--voxels", type=int, nargs="+", default=_VOXELS, help="sizes of the ROI")
    parser.add_argument("--out", type=Path, help="JSON file with all times")
    parser.add_argument(
        "--venv",
        type=Path,
        default=_HERE / ".fastl2lir-venv",
        help="environment of the other decoders; made if it is not there",
    )
    return parser.parse_args(arguments)


def _measure(n_voxels: int, peers: PeerProcess, *, quick: bool) -> Measurement:
    n_units = _UNITS_WITHOUT_SELECTION if n_voxels <= KEPT else _UNITS
    problem = simulate(n_voxels, n_units)
    peers.load(problem)
    ways = _ways(problem, peers, _QUICK_SECONDS if quick else _SECONDS)
    rounds, limits = [], []
    for number in range(_QUICK_ROUNDS if quick else _ROUNDS):
        order = ways if number % 2 == 0 else ways[::-1]
        rounds.append({way.name: way.measure() for way in order})
        sleep(0.1)
        limits.append(measure_limits())
    accuracies = {way.name: way.accuracies() for way in ways}
    return Measurement(n_voxels, rounds, limits, accuracies, _reference(problem))


def _ways(problem: Problem, peers: PeerProcess, seconds: float) -> list[Way]:
    ours = [Ours(problem, "single", seconds), Ours(problem, "double", seconds)]
    return [*ours, *(Peer(peers, name, problem, seconds) for name in peers.ways)]


def _reference(problem: Problem) -> NDArray[np.float64]:
    """Accuracies of the first units by the tests' slow code."""
    path = _HERE.parent / "tests" / "decoding" / "reference.py"
    spec = spec_from_file_location("reference", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    y = problem.y[:, :_REFERENCE_UNITS].astype(np.float64)
    r = module.reference_accuracy(problem.x, y, problem.splits, n_voxels=KEPT, alpha=ALPHA)
    return np.asarray(r, dtype=np.float64)


def _write(
    path: Path, machine: dict[str, Any], others: dict[str, str], measurements: list[Measurement]
) -> None:
    found = {
        "data": "simulated",
        "explanation": EXPLANATION,
        "settings": {
            "n_train": N_TRAIN,
            "n_test": N_TEST,
            "n_kept": KEPT,
            "alpha": ALPHA,
            "n_jobs": CORES,
        },
        "machine": machine,
        "versions": {"unitdb": versions(), "others": others},
        "measurements": [measurement.to_json() for measurement in measurements],
    }
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
