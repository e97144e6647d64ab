"""Server time of the browser's pages on a release, and its memory with several readers.

``.venv/bin/python benchmarks/browser.py RELEASE`` opens each page as a reader would, by Streamlit's
own test harness, and prints seconds from request to the last element: of the first visit, and of
visits with other parameters, which no cache knows; and seconds of all processors together, which
other programs disturb less. Nothing is drawn; the time of the browser on the
reader's side is not in it. Then several readers visit at a time, with Chromium, for the server's
memory (Linux). ``RELEASE`` is a folder; ``benchmarks/make_release.py`` makes one of the
published size (SIMULATED accuracies).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

import numpy as np
import streamlit as st
from _machine import describe_machine, versions
from playwright.sync_api import sync_playwright
from streamlit.testing.v1 import AppTest

import unitdb
from unitdb.browser import RELEASE_VARIABLE
from unitdb.browser._search import MOST

Parameters = dict[str, str | list[str]]
Visit = tuple[str, str, Parameters]
"""What is measured, its page and the page's parameters."""

_SCRIPT = "from unitdb.browser._app import show\nshow({page!r})"
_TIMEOUT = 600
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


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
    again = _visits(release, options.rounds, seed=1)
    together, memory = _together(options.release, again, options.sessions)
    simulated = " SIMULATED" if release.simulated else ""
    n_units = release.describe().n_units
    print(f"{release.label}{simulated}: {n_units:,} units")
    print(f"{'visit':<46}{'median s':>10}{'longest s':>11}{'of processor':>14}{'visits':>8}")
    for name, times in found.items():
        walls, processor = zip(*times, strict=True)
        line = f"{median(walls):>10.2f}{max(walls):>11.2f}{median(processor):>14.2f}"
        print(f"{name:<46}{line}{len(times):>8}")
    print(f"{len(again)} visits by {options.sessions} readers in Chromium: {together:.1f} s")
    print(f"largest memory of the server meanwhile: {memory:.2f} GB")
    if options.out:
        measured = {
            "release": release.label,
            "simulated": release.simulated,
            "n_units": n_units,
            "seconds": {name: [wall for wall, _ in times] for name, times in found.items()},
            "processor_seconds": {name: [own for _, own in times] for name, times in found.items()},
            "together": together,
            "memory_gb": memory,
            "machine": describe_machine(),
            "versions": versions(),
        }
        options.out.write_text(json.dumps(measured, indent=1) + "\n")


def _visits(release: unitdb.Release, rounds: int, seed: int = 0) -> list[Visit]:
    """Name, page and parameters of visits; two seeds ask for different thresholds and units."""
    rng = np.random.default_rng(seed)
    layers = release.layers
    rois, subjects = release.values("roi"), release.values("subject")
    largest = max(layers, key=lambda layer: layer.n_units)
    of_largest: Parameters = {"model": largest.model, "layer": largest.layer}
    # How many people reach an accuracy is counted unit by unit: the largest layer that may be.
    few = MOST["several subjects"] // len(subjects)
    counted = max((one for one in layers if one.n_units <= few), key=lambda layer: layer.n_units)
    of_counted: Parameters = {"model": counted.model, "layer": counted.layer}
    visits: list[Visit] = []
    for number in range(rounds):
        roi = rois[number % len(rois)]
        layer = layers[int(rng.integers(len(layers)))]
        minimum = f"{0.1 + 0.02 * number + 0.01 * seed:.2f}"
        lead = f"{0.02 * number + 0.01 * seed:.2f}"
        subject = subjects[number % max(1, len(subjects) - 1)]
        of_two = of_largest | {"roi": roi, "subject": [subject, subjects[-1]], "minimum": minimum}
        where = {"model": layer.model, "layer": layer.layer, "roi": roi}
        unit = f"{layer.name}/{int(rng.integers(layer.n_units))}"
        kept = release.kept(layer.name)
        visits += [
            ("find units: threshold on the mean", "units", {"minimum": minimum}),
            ("find units: ROI and threshold", "units", {"roi": roi, "minimum": minimum}),
            ("find units: lowest of any subject", "units", {"by": "min_r", "minimum": minimum}),
            ("find units: highest of any subject", "units", {"by": "max_r", "minimum": minimum}),
            ("find units: lead over other ROIs", "units", {"by": "lead_r", "minimum": lead}),
            ("find units: in every subject", "units", {"everybody": "true", "minimum": minimum}),
            (
                "find units: in 3 people, a large layer",
                "units",
                {**of_counted, "roi": roi, "people": "3", "minimum": minimum},
            ),
            ("find units: the 200 best", "units", {"keep": "units", "roi": roi, "each": "2"}),
            ("find units: the 200 best channels", "units", {"keep": "channels", "roi": roi}),
            ("find units: gallery", "units", {"view": "gallery", "roi": roi, "minimum": minimum}),
            ("find units: preferred ROI", "units", {"preferred": "true", "minimum": minimum}),
            ("find units: a kind of layer", "units", {"kind": layer.kind, "minimum": minimum}),
            ("find units: in one subject", "units", {"subject": subject, "minimum": minimum}),
            (
                "find units: rows of the map, a layer",
                "units",
                {**of_largest, "rows": f"{number}-20", "minimum": minimum},
            ),
            ("find units: two subjects of the largest layer", "units", of_two),
            ("find units: of the same, another minimum", "units", of_two | {"minimum": lead}),
            (
                "find units: a layer, in every subject",
                "units",
                {**where, "everybody": "true", "minimum": minimum},
            ),
            ("unit", "unit", {"unit": unit}),
            ("layer", "layer", where),
            ("networks", "networks", {"roi": roi}),
            ("subjects", "subjects", where),
            ("compare two networks", "compare", {"what": "networks", "roi": roi}),
        ]
        other = layers[int(rng.integers(len(layers)))]
        layers_two = {"what": "layers", "a": layer.name, "b": other.name}
        visits.append(("compare two layers", "compare", layers_two))
        if kept:
            two = {"what": "units", "a": kept[0], "b": kept[1 + number % (len(kept) - 1)]}
            visits.append(("compare two units", "compare", two))
            one = kept[number % len(kept)]
            visits.append(("unit that is kept", "unit", {"unit": one, "roi": roi}))
    where = {**of_largest, "roi": rois[seed]}
    visits.append(("unit of the largest layer", "unit", {"unit": f"{largest.name}/{1 + seed}"}))
    visits.append(("largest layer", "layer", where))
    return visits


def _seconds(page: str, parameters: Parameters) -> tuple[float, float]:
    """Seconds of a visit, and of all processors together."""
    app = AppTest.from_string(_SCRIPT.format(page=page), default_timeout=_TIMEOUT)
    for key, value in parameters.items():
        app.query_params[key] = value
    started = time.perf_counter(), time.process_time()
    app.run()
    seconds = time.perf_counter() - started[0], time.process_time() - started[1]
    refused = app.info if page == "units" else ()  # a search that is not carried out is quick
    problems = [one.value for one in (*app.exception, *app.warning, *app.error, *refused)]
    problems = [one for one in problems if "SIMULATED" not in one]
    if problems:
        raise SystemExit(f"{page} {parameters}: {problems[0]}")
    return seconds


def _together(release: Path, visits: list[Visit], n_sessions: int) -> tuple[float, float]:
    """Seconds, and the server's largest memory in GB, of visits by several readers at a time."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-c", "from unitdb.cli import main; main()", "app", str(release)]
    settings = {"STREAMLIT_SERVER_PORT": str(port), "STREAMLIT_SERVER_HEADLESS": "true"}
    server = subprocess.Popen(command, env=os.environ | settings, stdout=subprocess.DEVNULL)
    try:
        _wait(f"{address}/_stcore/health")
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
            pages = [browser.new_context().new_page() for _ in range(n_sessions)]
            started = time.perf_counter()
            for first in range(0, len(visits), n_sessions):
                pairs = list(zip(pages, visits[first : first + n_sessions], strict=False))
                for page, (_, name, parameters) in pairs:
                    url = f"{address}/{name}?{urlencode(parameters, doseq=True)}"
                    page.goto(url, wait_until="commit")
                for page, _ in pairs:
                    page.get_by_text("read-only: nothing").wait_for(timeout=1000 * _TIMEOUT)
            seconds = time.perf_counter() - started
            browser.close()
        status = Path(f"/proc/{server.pid}/status").read_text()
        kilobytes = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return seconds, int(kilobytes.split()[1]) / 2**20
    finally:
        server.terminate()
        server.wait(timeout=20)


def _wait(health: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(health, timeout=2).close()  # noqa: S310 - own server
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit("the server does not answer")


if __name__ == "__main__":
    main()
