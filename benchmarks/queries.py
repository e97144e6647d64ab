"""Time and memory of queries of a release, beside pandas and the published files.

``.venv/bin/python benchmarks/queries.py RELEASE …`` measures each query in a process of its own:
first from its start, imports included, then warm. Of several releases, smallest first, it gives the
exponent of time against size. ``benchmarks/make_release.py`` makes releases; their accuracies are
SIMULATED. Baselines read the same numbers with pandas from Parquet, and from one MATLAB file for
each layer and subject, which is how accuracies have been published.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _machine import describe_machine, restart_without_tuning, versions

if TYPE_CHECKING:
    from unitdb import Release

ROI = "V4"


def _top_100(release: Release, _: Path) -> object:
    return release.units(roi=ROI).top(100).to_pandas()


def _top_100_with_thresholds(release: Release, _: Path) -> object:
    from unitdb import col

    units = release.units(roi=ROI).where(col.min_r > 0.1, col.sd_r < 0.2, every_subject=True)
    return units.top(100).to_pandas()


def _top_100_in_any_roi(release: Release, _: Path) -> object:
    return release.units().top(100).to_pandas()


def _preferred_roi(release: Release, _: Path) -> object:
    return release.units().better_in(ROI, by=0.02).top(100).to_pandas()


def _one_roi_over_another(release: Release, _: Path) -> object:
    return release.units(model="vgg19").better_in(ROI, "V1", by=0.05).top(100).to_pandas()


def _ten_per_layer(release: Release, _: Path) -> object:
    return release.units(roi=ROI).top(10, per="layer").to_pandas()


def _one_per_channel(release: Release, _: Path) -> object:
    return release.units(roi=ROI, model="vgg19").top(1, per="channel").to_pandas()


def _sample_of_1000(release: Release, _: Path) -> object:
    return release.units(roi=ROI).sample(1000, seed=0).to_pandas()


def _facets(release: Release, _: Path) -> object:
    from unitdb import col

    return release.units().where(col.mean_r > 0.3).facets()


def _page_of_50(release: Release, _: Path) -> object:
    return release.units(roi=ROI).sort("mean_r").page(50).rows


def _of_two_subjects(release: Release, _: Path) -> object:
    subjects = release.values("subject")[:2]
    return release.units(roi=ROI, subjects=subjects, layer="conv5_*").top(100).to_pandas()


def _one_unit(release: Release, _: Path) -> object:
    return release.unit("vgg19/conv1_1/12345")


def _distribution(release: Release, _: Path) -> object:
    return release.distribution("vgg19")


def _scatter(release: Release, _: Path) -> object:
    one, other, *_ = release.values("subject")
    return release.scatter("vgg19", "conv1_1", ROI, one, other)


def _figure_2_of_tables(release: Release, _: Path) -> object:
    return [
        release.layer_by_roi(measure, model=model)
        for measure in ("accuracy", "agreement")
        for model in release.values("model")
    ]


def _figure_2_of_accuracies(release: Release, _: Path) -> object:
    """Mean accuracy and correlations of all pairs of subjects, of each layer in one ROI."""
    found = {}
    for layer in release.layers:
        r = release.accuracies(layer.model, layer.layer, ROI).to_numpy().T
        found[layer.name] = r.mean(), np.corrcoef(r)[np.triu_indices(len(r), 1)].mean()
    return found


QUERIES = {
    "top 100 in one ROI": _top_100,
    "top 100 in one ROI, thresholds": _top_100_with_thresholds,
    "top 100 in any ROI": _top_100_in_any_roi,
    "top 100 that prefer an ROI": _preferred_roi,
    "top 100 better in one ROI than another": _one_roi_over_another,
    "top 10 of each layer": _ten_per_layer,
    "top 1 of each channel of VGG19": _one_per_channel,
    "sample of 1,000": _sample_of_1000,
    "facets of mean_r > 0.3": _facets,
    "first page of 50": _page_of_50,
    "top 100 over two subjects, conv5": _of_two_subjects,
    "all accuracies of a unit": _one_unit,
    "distribution, layers × ROIs of VGG19": _distribution,
    "two subjects over conv1_1": _scatter,
    "figure 2 from the tables": _figure_2_of_tables,
    "figure 2 from the accuracies, one ROI": _figure_2_of_accuracies,
}


# --- baselines: the same answers from the same numbers --------------------------------------------


def _pandas_top_100(folder: Path) -> object:
    import pandas as pd

    rows = pd.read_parquet(folder / "unit_summary", filters=[("roi", "==", ROI)])
    return rows.nlargest(100, "mean_r")


def _pandas_one_unit(folder: Path) -> object:
    import pandas as pd

    layer = folder / "accuracy/dataset=simulated/condition=perception/model=vgg19/layer=conv1_1"
    return pd.read_parquet(layer, filters=[("unit", "==", 12345)])


def _matfiles_top_100(folder: Path) -> object:
    """Mean over the subjects' files of each layer, then the best 100."""
    best: list[tuple[float, str, int]] = []
    for layer in sorted(folder.iterdir()):
        mean = np.mean([_read(file) for file in sorted(layer.iterdir())], axis=0)
        kept = np.argpartition(-mean, min(100, len(mean) - 1))[:100]
        best += [(mean[unit], layer.name, unit) for unit in kept]
    return sorted(best, reverse=True)[:100]


def _matfiles_one_unit(folder: Path) -> object:
    return [_read(file)[12345] for file in sorted((folder / "vgg19-conv1_1").iterdir())]


def _matfiles_figure_2(folder: Path) -> object:
    found = {}
    for layer in sorted(folder.iterdir()):
        r = [_read(file) for file in sorted(layer.iterdir())]
        pairs = [np.corrcoef(a, b)[0, 1] for a, b in combinations(r, 2)]
        found[layer.name] = np.mean(r), np.mean(pairs)
    return found


def _read(file: Path) -> np.ndarray:
    import h5py

    with h5py.File(file) as opened:
        return opened["accuracy"][:, 0]


def _write_matfiles(release: Release, folder: Path) -> None:
    """The published layout of one ROI: a compressed MATLAB 7.3 file for each layer and subject."""
    import h5py

    for layer in release.layers:
        r = release.accuracies(layer.model, layer.layer, ROI)
        place = folder / f"{layer.model}-{layer.layer}"
        place.mkdir()
        for subject in r:
            with h5py.File(place / f"{subject}.mat", "w", userblock_size=512) as file:
                values = r[subject].to_numpy()[:, None]
                file.create_dataset("accuracy", data=values, compression="gzip")


BASELINES: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "pandas: top 100 in one ROI": ("parquet", "top 100 in one ROI", _pandas_top_100),
    "pandas: all accuracies of a unit": ("parquet", "all accuracies of a unit", _pandas_one_unit),
    "MATLAB files: top 100 in one ROI": ("mat", "top 100 in one ROI", _matfiles_top_100),
    "MATLAB files: all accuracies of a unit, one ROI": (
        *("mat", "all accuracies of a unit"),
        _matfiles_one_unit,
    ),
    "MATLAB files: figure 2, one ROI": (
        *("mat", "figure 2 from the accuracies, one ROI"),
        _matfiles_figure_2,
    ),
}


# --- measuring ------------------------------------------------------------------------------------


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("releases", type=Path, nargs="*")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, help="JSON file of all that was measured")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        _measure_here(options.releases[0], options.one, options.repeats)
        return
    restart_without_tuning()
    found: dict[str, Any] = {"imports": _imports(options.repeats), "releases": {}}
    print(f"import unitdb: {found['imports']:.0f} ms")
    for folder in options.releases:
        measured = {name: _measure(folder, name, options.repeats) for name in QUERIES}
        found["releases"][folder.as_posix()] = {
            "accuracies": _n_accuracies(folder),
            "queries": measured,
        }
        _print(folder, measured)
    largest = options.releases[-1]
    found["baselines"] = _baselines(largest, found["releases"][largest.as_posix()]["queries"])
    if len(options.releases) > 1:
        found["exponents"] = _exponents(found["releases"])
    if options.out:
        found |= {"machine": describe_machine(), "versions": versions()}
        options.out.write_text(json.dumps(found, indent=1) + "\n")


def _measure_here(folder: Path, name: str, repeats: int) -> None:
    """In a process of its own: the first time from ``import``, then warm."""
    started = time.perf_counter()
    import unitdb

    release = unitdb.open(folder)
    if name in QUERIES:
        QUERIES[name](release, folder)
        first = time.perf_counter() - started
        warm = _times(lambda: QUERIES[name](release, folder), repeats)
    else:
        _, _, baseline = BASELINES[name]
        warm = _times(lambda: baseline(folder), 1)
        first = warm[0]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"first_ms": 1e3 * first, "warm_ms": warm, "peak_mb": peak}))


def _times(run: Callable[[], object], repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - started))
    return times


def _measure(folder: Path, name: str, repeats: int) -> dict[str, object]:
    starts = [_process(folder, name, repeats) for _ in range(3)]
    best = min(starts, key=lambda found: found["first_ms"])
    warm = [time for found in starts for time in found["warm_ms"]]
    return {
        "fresh_process_ms": best["first_ms"],
        "warm_ms": statistics.median(warm),
        "warm_least_ms": min(warm),
        "peak_mb": max(found["peak_mb"] for found in starts),
    }


def _process(folder: Path, name: str, repeats: int) -> dict[str, object]:
    command = [sys.executable, __file__, folder, "--one", name, "--repeats", repeats]
    done = subprocess.run(
        [str(part) for part in command], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def _imports(repeats: int) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import unitdb"], check=True)
        times.append(1e3 * (time.perf_counter() - started))
    return min(times)


def _n_accuracies(folder: Path) -> int:
    import unitdb

    return unitdb.open(folder).describe().n_accuracies


def _baselines(folder: Path, queries: dict[str, dict]) -> dict[str, object]:
    import unitdb

    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        matfiles = Path(temporary)
        _write_matfiles(unitdb.open(folder), matfiles)
        print(f"\n{'baseline':<50} {'ms':>10} {'MB':>7} {'times unitdb, warm':>20}")
        for name, (kind, query, run) in BASELINES.items():
            place = matfiles if kind == "mat" else folder
            started = time.perf_counter()
            run(place)
            milliseconds = 1e3 * (time.perf_counter() - started)
            ratio = milliseconds / queries[query]["warm_ms"]
            found[name] = {"ms": milliseconds, "times_unitdb_warm": ratio}
            print(f"{name:<50} {milliseconds:>10,.0f} {'':>7} {ratio:>20,.0f}")
    return found


def _exponents(releases: dict[str, dict]) -> dict[str, float]:
    """Slope of log time against log size, by least squares."""
    sizes = np.log([found["accuracies"] for found in releases.values()])
    exponents = {}
    print(f"\n{'time ∝ accuracies ^ exponent':<42} exponent")
    for name in QUERIES:
        times = np.log([found["queries"][name]["warm_least_ms"] for found in releases.values()])
        exponents[name] = float(np.polyfit(sizes, times, 1)[0])
        print(f"{name:<42} {exponents[name]:>8.2f}")
    return exponents


def _print(folder: Path, measured: dict[str, dict]) -> None:
    print(f"\n{folder}: {_n_accuracies(folder):,} accuracies, SIMULATED where so marked")
    print(f"{'query':<42} {'fresh process':>14} {'warm':>9} {'least':>9} {'peak MB':>8}")
    for name, found in measured.items():
        print(
            f"{name:<42} {found['fresh_process_ms']:>11,.0f} ms {found['warm_ms']:>6,.1f} ms "
            f"{found['warm_least_ms']:>6,.1f} ms {found['peak_mb']:>8,.0f}"
        )


if __name__ == "__main__":
    main()
