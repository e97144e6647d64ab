"""BH score of a large network: beside the formula-by-formula computation, in one run.

``.venv/bin/python benchmarks/bh_score.py`` measures; accuracies are simulated. The reference
(``tests/analysis/bhscore_reference.py``) finds the best regions anew in each draw of layers and
correlates lists of units, as the published code does. It is timed for fewer draws, whose time is
then multiplied: its draws cost the same.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _machine import describe_machine, restart_without_tuning, versions

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.analysis.bhscore_reference import published
from unitdb.analysis import bh_interval, bh_score

_SUBJECTS, _ROIS, _IMAGES, _LAYERS = 3, 5, 50, 8
_UNITS, _QUICK_UNITS = 1_000_000, 4_000
_REPEATS = 100  # draws of a score


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--draws", type=int, default=2, help="draws that the reference is timed for"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--out", type=Path, help="JSON file with all times")
    options = parser.parse_args()
    restart_without_tuning()
    accuracies = _simulated(_QUICK_UNITS if options.quick else _UNITS)
    found = _measured(accuracies, options.repeats, options.draws)
    if options.out:
        machine = {"machine": describe_machine(), "versions": versions()}
        options.out.write_text(json.dumps(machine | found, indent=1) + "\n")


def _simulated(n_units: int) -> list[np.ndarray]:
    """Accuracies of (subjects, regions, units), later layers better from later regions."""
    rng = np.random.default_rng(0)
    layers = []
    for peak in np.linspace(0, _ROIS - 1, _LAYERS):
        mean = 0.35 - 0.05 * np.abs(np.arange(_ROIS) - peak)
        noise = rng.standard_normal((_SUBJECTS, _ROIS, n_units // _LAYERS), dtype=np.float32)
        layers.append(np.clip(mean[:, None].astype(np.float32) + 0.15 * noise, -1, 1))
    return layers


def _measured(accuracies: list[np.ndarray], repeats: int, draws: int) -> dict[str, object]:
    pooled = [np.concatenate(list(layer), axis=1) for layer in accuracies]
    reference: dict[str, np.ndarray] = {}

    def published_() -> None:
        reference["scores"] = published(pooled, n_repeats=draws)

    options = {"n_stimuli": _IMAGES, "n_repeats": _REPEATS}
    ways: dict[str, Callable[[], object]] = {
        "nonaka2021": lambda: bh_score(accuracies, method="nonaka2021", **options),
        "corrected": lambda: bh_score(accuracies, method="corrected", **options),
        "corrected, interval over both": lambda: bh_interval(accuracies, over="both", **options),
    }
    # All ways in turn, so that other work on the machine slows all of them.
    times: dict[str, list[float]] = {name: [] for name in ["formula by formula", *ways]}
    for _ in range(repeats):
        times["formula by formula"].append(_seconds(published_) * _REPEATS / draws)
        for name, run in ways.items():
            times[name].append(_seconds(run))
    scores = bh_score(accuracies, method="nonaka2021", **options)
    difference = float(np.abs(scores.repeats[:draws] - reference["scores"]).max())
    ratios = {
        name: float(np.median(np.array(times["formula by formula"]) / times[name])) for name in ways
    }
    n_units = sum(layer.shape[-1] for layer in accuracies)
    print(
        f"{n_units:,} units × {_SUBJECTS} subjects × {_ROIS} regions in {_LAYERS} layers, "
        f"{_REPEATS} draws; simulated accuracies"
    )
    for name, seconds in times.items():
        ratio = f"{ratios[name]:8.0f} times faster" if name in ratios else ""
        print(f"  {name:32} {np.median(seconds):10.3f} s {ratio}")
    print(f"  nonaka2021 to formula by formula: max |Δ| {difference:.0e}")
    return {
        "data": "simulated",
        "n_units": n_units,
        "seconds": times,
        "ratios": ratios,
        "max_difference": difference,
        "draws_timed": draws,
    }


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
