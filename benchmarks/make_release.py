"""A release of the published size, with SIMULATED accuracies, to measure queries on.

``.venv/bin/python benchmarks/make_release.py FOLDER`` writes ``FOLDER/full/1.0.0``: all units of
AlexNet and VGG19, five subjects, nine ROIs, 698 million accuracies. ``--scale 0.01`` keeps a
hundredth of the channels of each layer. Layer shapes are real; the accuracies are made up, and the
release says so wherever it says anything.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import combinations, product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from _machine import describe_machine, versions
from scipy.stats import zscore

from unitdb.analysis import best_units, channel_blocks
from unitdb.axes import usual_axes
from unitdb.build.identity import BY_FORMULA
from unitdb.publish import (
    ReleaseInfo,
    publish_release,
    release as release_module,
    write_partition,
    write_table,
)
from unitdb.schema import get_table
from unitdb.tables import (
    AtHand,
    HierarchyTables,
    RecurrenceTable,
    Scope,
    accuracy_rows,
    agreement,
    by_formula,
    intersubject_rows,
    layer_reliability_rows,
    layer_summary_rows,
    partition_keys,
    table_of,
)
from unitdb.tables.discovery import read_p_and_q, save_p, write_q
from unitdb.tables.rows import histogram_rows, unit_summary_rows

_ALEXNET = {
    "conv1": (96, 55, 55),
    "conv2": (256, 27, 27),
    "conv3": (384, 13, 13),
    "conv4": (384, 13, 13),
    "conv5": (256, 13, 13),
    "fc6": (4096,),
    "fc7": (4096,),
    "fc8": (1000,),
}
_VGG19 = {
    **{f"conv1_{i}": (64, 224, 224) for i in (1, 2)},
    **{f"conv2_{i}": (128, 112, 112) for i in (1, 2)},
    **{f"conv3_{i}": (256, 56, 56) for i in (1, 2, 3, 4)},
    **{f"conv4_{i}": (512, 28, 28) for i in (1, 2, 3, 4)},
    **{f"conv5_{i}": (512, 14, 14) for i in (1, 2, 3, 4)},
    "fc6": (4096,),
    "fc7": (4096,),
    "fc8": (1000,),
}
NETWORKS = {"alexnet": _ALEXNET, "vgg19": _VGG19}
ROIS = ("V1", "V2", "V3", "V4", "LOC", "FFA", "PPA", "LVC", "HVC")
SUBJECTS = ("sim-01", "sim-02", "sim-03", "sim-04", "sim-05")
_DATASET, _BUILDS = "simulated", {"alexnet": "a" * 12, "vgg19": "b" * 12}
_NONE = "0" * 64
_N_TRAIN, _N_TEST, _KEPT = 1200, 50, 10
_OF_NETWORKS = ("hierarchy", "best_roi", "recurrence")
_STIMULI = [
    f"{split}-{i:04d}" for split, n in (("test", _N_TEST), ("train", _N_TRAIN)) for i in range(n)
]


def main() -> None:
    """Write the release, and say how large and how fast."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", type=float, default=1.0, help="share of channels kept")
    parser.add_argument("--name", default="full")
    parser.add_argument(
        "--bare",
        action="store_true",
        help="no BH scores, intervals and Spearman correlations, and no verification",
    )
    parser.add_argument(
        "--writing",
        action="store_true",
        help="write the accuracies alone, say how fast, no release",
    )
    parser.add_argument("--out", type=Path, help="JSON file of what was measured")
    options = parser.parse_args()
    staged = options.folder / ".staged" / options.name
    staged.mkdir(parents=True)
    if options.writing:
        print(json.dumps(_writing(staged, options.scale), indent=1))
        shutil.rmtree(staged)
        return
    seconds, n_accuracies = _stage(staged, options.scale, bare=options.bare)
    sizes = {
        table: sum(path.stat().st_size for path in (staged / table).rglob("*.parquet"))
        for table in ("accuracy", "unit_summary")
    }
    kept = ("activation", "prediction")
    n_kept = sum((staged / f"{table}.parquet").stat().st_size for table in kept)
    started = time.perf_counter()
    with patch.object(release_module, "verify") if options.bare else nullcontext():
        release = publish_release(staged, options.folder, info=_info(options.name))
    found = {
        "accuracies": n_accuracies,
        "bytes_per_accuracy": sizes["accuracy"] / n_accuracies,
        "bytes_per_accuracy_with_summary": sum(sizes.values()) / n_accuracies,
        "bytes_image_by_image": n_kept,
        "accuracies_written_per_second": n_accuracies / seconds["accuracy"],
        "seconds": seconds | {"publish": time.perf_counter() - started},
    }
    print(f"{release}: SIMULATED accuracies")
    print(json.dumps(found, indent=1))
    if options.out:
        found |= {"machine": describe_machine(), "versions": versions()}
        options.out.write_text(json.dumps(found, indent=1) + "\n")


def _writing(staged: Path, scale: float) -> dict[str, float]:
    """Write the accuracies of all layers, and nothing else."""
    seconds, n_accuracies, n_bytes = 0.0, 0, 0
    for model in NETWORKS:
        for layer, _, r, _ in _layers(model, scale):
            units = np.arange(r.shape[2], dtype=np.int32)
            started = time.perf_counter()
            rows = accuracy_rows(_scope(model), layer, units, r)
            path = write_partition(staged, "accuracy", partition_keys(_scope(model), layer), rows)
            seconds += time.perf_counter() - started
            n_accuracies += r.size
            n_bytes += path.stat().st_size
    return {
        "accuracies": n_accuracies,
        "bytes_per_accuracy": n_bytes / n_accuracies,
        "accuracies_written_per_second": n_accuracies / seconds,
    }


def _stage(staged: Path, scale: float, *, bare: bool) -> tuple[dict[str, float], int]:
    seconds = dict.fromkeys(("simulate", "accuracy", "unit_summary", "statistics"), 0.0)
    rows: dict[str, list] = defaultdict(list)
    n_accuracies = 0

    def timed(step: str, started: float) -> float:
        now = time.perf_counter()
        seconds[step] += now - started
        return now

    now = time.perf_counter()
    for model in NETWORKS:
        scope, p = _scope(model), staged.with_name(f"{staged.name}-p-{model}")
        hierarchy = HierarchyTables(scope, ROIS, n_stimuli=_N_TEST)
        recurrence = RecurrenceTable(scope)
        for layer, depth, r, shape in _layers(model, scale):
            now = timed("simulate", now)
            keys = partition_keys(scope, layer)
            units = np.arange(r.shape[2], dtype=np.int32)
            write_partition(staged, "accuracy", keys, accuracy_rows(scope, layer, units, r))
            now = timed("accuracy", now)
            blocks = channel_blocks(shape, units)
            tests = _statistics(rows, scope, layer, blocks, r, bare=bare)
            for table, found in histogram_rows(scope, layer, r).items():
                rows[table] += found
            save_p(p, layer, tests)
            if not bare:
                hierarchy.add(layer, blocks, AtHand(r).accuracies)
                recurrence.add(AtHand(r).accuracies)
            rows["layers"].append(
                {"model": model, "layer": layer, "depth": depth, "module": layer, "kind": "ReLU"}
                | {"shape": list(shape), "axes": usual_axes(shape), "n_units": len(units)}
            )
            for table, found in _kept_rows(scope, layer, r).items():
                rows[table] += found
            n_accuracies += r.size
            now = timed("statistics", now)
        write_q(p, list(NETWORKS[model]), n_rois=len(ROIS))
        if not bare:
            for table, found in (hierarchy.rows() | {"recurrence": recurrence.rows()}).items():
                rows[table] += found
        now = timed("statistics", now)
        for layer, _, r, _ in _layers(model, scale):
            now = timed("simulate", now)
            p_and_q = read_p_and_q(p, layer, n_rois=len(ROIS))
            units = np.arange(r.shape[2], dtype=np.int32)
            pieces = unit_summary_rows(scope, layer, units, r, p_and_q)
            write_partition(staged, "unit_summary", partition_keys(scope, layer), pieces)
            now = timed("unit_summary", now)
        shutil.rmtree(p)
    empty: dict[str, list] = {name: [] for name in _OF_NETWORKS}
    for table, found in (empty | rows | _small_tables()).items():
        write_table(staged, table, table_of(table, found))
    return seconds, n_accuracies


def _statistics(
    rows: dict[str, list],
    scope: Scope,
    layer: str,
    blocks: np.ndarray,
    r: np.ndarray,
    *,
    bare: bool,
) -> list[np.ndarray]:
    """Add a layer's rows to the tables of summaries; returns p of its units by ROI."""
    found = []
    for roi, of_roi in zip(scope.rois, r, strict=True):
        tested = by_formula(of_roi, [_N_TEST] * len(of_roi))
        rows["layer_summary"] += layer_summary_rows(scope, layer, roi, of_roi, tested=tested)
        if bare:
            rows["intersubject"] += _pearson_rows(scope, layer, roi, of_roi)
        else:
            pairs = agreement(of_roi, blocks=blocks)
            rows["intersubject"] += intersubject_rows(scope, layer, roi, pairs)
        rows["layer_reliability"] += layer_reliability_rows(
            scope, layer, roi, of_roi, blocks=blocks
        )
        found.append(tested.p)
    return found


def _kept_rows(scope: Scope, layer: str, r: np.ndarray) -> dict[str, list]:
    """Activations of the best units, and predictions that correlate with them by r."""
    rng = np.random.default_rng(len(layer))
    rows: dict[str, list] = {"activation": [], "prediction": []}
    keys = partition_keys(scope, layer)
    for unit in best_units(r, _KEPT).tolist():
        true = rng.normal(size=len(_STIMULI)).astype(np.float32)
        rows["activation"] += [
            keys | {"unit": unit, "stimulus": name, "activation": value}
            for name, value in zip(_STIMULI, true.tolist(), strict=True)
        ]
        t = zscore(true[:_N_TEST].astype(np.float64))
        for (i, roi), (j, subject) in product(enumerate(scope.rois), enumerate(scope.subjects)):
            other = rng.normal(size=_N_TEST)
            rest = zscore(other - other.mean() - t * (t @ other) / (t @ t))
            predicted = r[i, j, unit] * t + np.sqrt(1 - r[i, j, unit] ** 2) * rest
            own = keys | {"unit": unit, "roi": roi, "subject": subject}
            rows["prediction"] += [
                own | {"stimulus": name, "predicted": value}
                for name, value in zip(_STIMULI[:_N_TEST], predicted.tolist(), strict=True)
            ]
    return rows


def _pearson_rows(scope: Scope, layer: str, roi: str, r: np.ndarray) -> list[dict[str, Any]]:
    columns = dict.fromkeys(get_table("intersubject").column_names)
    matrix = np.corrcoef(r)
    return [
        columns
        | partition_keys(scope, layer)
        | {"roi": roi, "subject_a": scope.subjects[a], "subject_b": scope.subjects[b]}
        | {"n_units": r.shape[1], "pearson_r": matrix[a, b]}
        for a, b in combinations(range(len(r)), 2)
    ]


def _layers(model: str, scale: float) -> Iterator[tuple[str, int, np.ndarray, tuple[int, ...]]]:
    """Layer, depth, simulated accuracies (n_rois, n_subjects, n_units), and shape."""
    layers = NETWORKS[model]
    for depth, (layer, (n_channels, *plane)) in enumerate(layers.items()):
        shape = (max(1, round(n_channels * scale)), *plane)
        rng = np.random.default_rng([depth, len(model)])
        yield layer, depth, _simulated(rng, shape, depth / (len(layers) - 1)), shape


def _simulated(rng: np.random.Generator, shape: tuple[int, ...], depth: float) -> np.ndarray:
    """Units differ by channel and place, the same in everybody; ROIs prefer a depth."""
    n_units = int(np.prod(shape))
    channel = rng.normal(0.15, 0.08, (shape[0], *[1] * (len(shape) - 1)))
    place = rng.normal(0, 0.03, (1, *shape[1:]))
    shared = (channel + place).astype(np.float32).ravel()
    shared += rng.standard_normal(n_units, dtype=np.float32) * np.float32(0.05)
    r = np.empty((len(ROIS), len(SUBJECTS), n_units), np.float32)
    for i, roi in enumerate(sorted(ROIS)):
        preferred = ROIS.index(roi) / (len(ROIS) - 1)
        gain = np.float32(1.2 - abs(preferred - depth))
        for j in range(len(SUBJECTS)):
            noise = rng.standard_normal(n_units, dtype=np.float32) * np.float32(0.1)
            np.tanh(gain * shared + noise, out=r[i, j])
    return r


def _scope(model: str) -> Scope:
    return Scope(
        build=_BUILDS[model],
        dataset=_DATASET,
        condition="perception",
        model=model,
        rois=tuple(sorted(ROIS)),
        subjects=SUBJECTS,
    )


def _small_tables() -> dict[str, list]:
    dataset = {"dataset": _DATASET}
    unstated = "none: simulated"
    return {
        "datasets": [
            dataset
            | {"title": "Simulated accuracies", "simulated": True, "licence": "CC0-1.0"}
            | {"source": "benchmarks/make_release.py", "citation": unstated}
            | {"n_subjects": len(SUBJECTS), "n_stimuli": len(_STIMULI)}
            | {"voxel_selection": True, "zscore": True, "pictures": None}
        ],
        "rois": [
            dataset | {"roi": roi, "place": place, "description": f"simulated {roi}"}
            for place, roi in enumerate(ROIS)
        ],
        "subjects": [
            dataset
            | {"subject": subject, "roi": roi, "n_voxels": None, "n_train": None, "n_test": _N_TEST}
            | {"responses_sha256": None}
            for subject in SUBJECTS
            for roi in ROIS
        ],
        "stimuli": [
            dataset
            | {"stimulus": name, "split": name.partition("-")[0], "sha256": _NONE}
            | {"source": unstated, "thumbnail": None}
            for name in _STIMULI
        ],
        "models": [
            {"model": model, "title": f"{model}: layer shapes alone", "weights_sha256": None}
            | {"model_sha256": None, "factory": unstated, "preprocessing": "{}"}
            | {"licence": unstated, "source": unstated, "citation": unstated}
            | {"checked_on": None, "n_layers": len(layers)}
            for model, layers in NETWORKS.items()
        ],
        "builds": [
            {"build": build, "recipe": "simulated", "recipe_sha256": _NONE, "model": model}
            | dataset
            | {"decoder": '{"simulated":true}', "units": '{"sample":null,"seed":0}'}
            | {"n_folds": None, "seed": 0, "inputs": "{}", "unitdb_version": "0.1.0"}
            | {"code_sha256": _NONE, "packages": "{}"}
            | {"significance": BY_FORMULA, "reliability": None, "encoding": None}
            for model, build in _BUILDS.items()
        ],
        "inputs": [],
        "encoding": [],
    }


def _info(name: str) -> ReleaseInfo:
    return ReleaseInfo(
        name=name,
        version="1.0.0",
        title="SIMULATED accuracies of the published size",
        description="Made-up numbers in the shapes of AlexNet and VGG19, to measure queries on.",
        simulated=True,
        licence="CC0-1.0",
        citation="none: simulated",
        recipe_text="# made by benchmarks/make_release.py\n",
        recipe_sha256=_NONE,
        changelog=[("1.0.0", "First version.")],
    )


if __name__ == "__main__":
    main()
