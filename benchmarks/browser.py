"""Server time of the browser's pages on a release, and its memory with several readers.

``.venv/bin/python benchmarks/browser.py RELEASE`` opens each page as a reader would, by Streamlit's
own test harness, and prints seconds from request to the last element: of the first visit, and of
visits with other parameters, which no cache knows. Nothing is drawn; the time of the browser on the
reader's side is not in it. ``RELEASE`` is a folder; ``benchmarks/make_release.py`` makes one of the
published size (SIMULATED accuracies).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
import streamlit as st
from _machine import describe_machine, versions
from streamlit.testing.v1 import AppTest

import unitdb
from unitdb.browser import RELEASE_VARIABLE

_SCRIPT = "from unitdb.browser._app import show\nshow({page!r})"
_TIMEOUT = 600


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("release", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--out", type=Path, help="JSON file of what was measured")
    options = parser.parse_args()
    os.environ[RELEASE_VARIABLE] = str(options.release)
    release = unitdb.open(options.release)
    visits = _visits(release, options.rounds)
    _seconds("methods", {})  # modules are loaded when the server starts
    st.cache_data.clear()
    st.cache_resource.clear()
    found = {"first page, release not opened": [_seconds("overview", {})]}
    for name, page, parameters in visits:
        found.setdefault(name, []).append(_seconds(page, parameters))
    with ThreadPoolExecutor(options.sessions) as readers:
        started = time.perf_counter()
        again = _visits(release, options.rounds, seed=1)
        list(readers.map(lambda visit: _seconds(*visit[1:]), again))
        together = time.perf_counter() - started
    simulated = " SIMULATED" if release.simulated else ""
    n_units = release.describe().n_units
    print(f"{release.label}{simulated}: {n_units:,} units")
    print(f"{'visit':<44}{'median s':>10}{'longest s':>11}{'visits':>8}")
    for name, seconds in found.items():
        print(f"{name:<44}{median(seconds):>10.2f}{max(seconds):>11.2f}{len(seconds):>8}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{len(again)} visits by {options.sessions} readers at a time: {together:.1f} s")
    print(f"largest memory of the server: {memory:.2f} GB")
    if options.out:
        measured = {
            "release": release.label,
            "simulated": release.simulated,
            "n_units": n_units,
            "seconds": found,
            "together": together,
            "memory_gb": memory,
            "machine": describe_machine(),
            "versions": versions(),
        }
        options.out.write_text(json.dumps(measured, indent=1) + "\n")


def _visits(
    release: unitdb.Release, rounds: int, seed: int = 0
) -> list[tuple[str, str, dict[str, str]]]:
    """Name, page and parameters of visits; two seeds ask for different thresholds and units."""
    rng = np.random.default_rng(seed)
    layers = release.layers
    rois = release.values("roi")
    visits: list[tuple[str, str, dict[str, str]]] = []
    for number in range(rounds):
        roi = rois[number % len(rois)]
        layer = layers[int(rng.integers(len(layers)))]
        minimum = f"{0.1 + 0.02 * number + 0.01 * seed:.2f}"
        where = {"model": layer.model, "layer": layer.layer, "roi": roi}
        unit = f"{layer.name}/{int(rng.integers(layer.n_units))}"
        visits += [
            ("find units: threshold on the mean", "units", {"minimum": minimum}),
            ("find units: ROI and threshold", "units", {"roi": roi, "minimum": minimum}),
            ("find units: lowest of any subject", "units", {"by": "min_r", "minimum": minimum}),
            (
                "find units: a layer, in every subject",
                "units",
                {**where, "everybody": "true", "minimum": minimum},
            ),
            ("unit", "unit", {"unit": unit}),
            ("layer", "layer", where),
            ("networks", "networks", {"roi": roi}),
            ("subjects", "subjects", where),
        ]
    largest = max(layers, key=lambda layer: layer.n_units)
    where = {"model": largest.model, "layer": largest.layer, "roi": rois[seed]}
    visits.append(("unit of the largest layer", "unit", {"unit": f"{largest.name}/{1 + seed}"}))
    visits.append(("largest layer", "layer", where))
    return visits


def _seconds(page: str, parameters: dict[str, str]) -> float:
    app = AppTest.from_string(_SCRIPT.format(page=page), default_timeout=_TIMEOUT)
    for key, value in parameters.items():
        app.query_params[key] = value
    started = time.perf_counter()
    app.run()
    seconds = time.perf_counter() - started
    problems = [element.value for element in (*app.exception, *app.warning)]
    if problems:
        raise SystemExit(f"{page} {parameters}: {problems[0]}")
    return seconds


if __name__ == "__main__":
    main()
