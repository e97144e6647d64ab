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
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import combinations, product
from pathlib import Path
from unittest.mock import patch

import numpy as np
from _machine import describe_machine, versions
from scipy.stats import zscore

from unitdb.analysis import Interval, PairInterval, best_units
from unitdb.imports import DatasetInfo, LayerAccuracies, NetworkInfo, stage_accuracies
from unitdb.measures import Agreement, accuracy_rows
from unitdb.publish import ReleaseInfo, publish_release, write_partition
from unitdb.tables import Origin, Rows, Scope, partition_keys

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
_DATASET = "simulated"
_NONE = "0" * 64
_N_TRAIN, _N_TEST, _KEPT = 1200, 50, 10
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
    staged = options.folder / ".staged" / options.name / "tables"
    staged.mkdir(parents=True)
    if options.writing:
        print(json.dumps(_writing(staged, options.scale), indent=1))
        shutil.rmtree(staged)
        return
    info, started = _info(options.name), time.perf_counter()
    with ExitStack() as stack:
        for name, function in _LEFT_OUT.items() if options.bare else ():
            stack.enter_context(patch(name, function))
        _stage(staged, options.scale, info)
        seconds = {"stage": time.perf_counter() - started}
        sizes = {
            table: sum(path.stat().st_size for path in (staged / table).rglob("*.parquet"))
            for table in ("accuracy", "unit_summary")
        }
        kept = ("activation", "prediction")
        n_kept = sum((staged / f"{table}.parquet").stat().st_size for table in kept)
        started = time.perf_counter()
        release = publish_release(staged, options.folder, info=info)
    shutil.rmtree(staged.parent)
    n_accuracies = json.loads((release / "datapackage.json").read_text())["unitdb"]["n_accuracies"]
    found = {
        "accuracies": n_accuracies,
        "bytes_per_accuracy": sizes["accuracy"] / n_accuracies,
        "bytes_per_accuracy_with_summary": sum(sizes.values()) / n_accuracies,
        "bytes_image_by_image": n_kept,
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
    for model, layer, shape, depth in _layers(scale):
        read = partial(_simulated, model, shape, depth)
        given = LayerAccuracies(model=model, layer=layer, r=read)
        decoded, results = given.read(_SIMULATED)
        scope = Scope(
            build=_origin(model).build,
            dataset=_DATASET,
            condition="perception",
            model=model,
            rois=tuple(sorted(ROIS)),
            subjects=SUBJECTS,
        )
        started = time.perf_counter()
        rows = accuracy_rows(scope, layer, decoded.units, results)
        path = write_partition(staged, "accuracy", partition_keys(scope, layer), rows)
        seconds += time.perf_counter() - started
        n_accuracies += len(decoded.units) * len(ROIS) * len(SUBJECTS)
        n_bytes += path.stat().st_size
    return {
        "accuracies": n_accuracies,
        "bytes_per_accuracy": n_bytes / n_accuracies,
        "accuracies_written_per_second": n_accuracies / seconds,
    }


def _stage(staged: Path, scale: float, info: ReleaseInfo) -> None:
    tables: dict[str, Rows] = {"stimuli": _stimulus_rows(), "activation": [], "prediction": []}
    accuracies = []
    for model, layer, shape, depth in _layers(scale):
        read = partial(_simulated, model, shape, depth)
        accuracies.append(
            LayerAccuracies(model=model, layer=layer, r=read, module=layer, kind="ReLU")
        )
        for table, rows in _kept_rows(model, layer, read()).items():
            tables[table] += rows
    stage_accuracies(
        staged,
        accuracies,
        info=info,
        dataset=_SIMULATED,
        networks=[
            NetworkInfo(name=name, title=f"{name}: layer shapes alone", origin=_origin(name))
            for name in NETWORKS
        ],
        columns={"recipe": "import simulated", "decoder": '{"simulated":true}'},
        tables=tables,
    )


def _origin(model: str) -> Origin:
    """No files: the build is named by the network, and accuracies are not hashed for a name."""
    return Origin(network=model, uses=(), described={}, folder=Path())


def _pearson(r: np.ndarray, **_: object) -> list[Agreement]:
    """Agreement of subjects by numpy, without intervals and ranks."""
    matrix = np.corrcoef(r)
    return [
        Agreement(
            pair=PairInterval(
                first=a,
                second=b,
                n_units=r.shape[1],
                n_blocks=0,
                pearson=Interval(value=matrix[a, b], low=np.nan, high=np.nan),
                spearman=None,
                partial=None,
            ),
            null=(),
        )
        for a, b in combinations(range(len(r)), 2)
    ]


_LEFT_OUT = {
    "unitdb.measures.intersubject.agreement": _pearson,
    "unitdb.measures.hierarchy.HierarchyTables.add": lambda *_: None,
    "unitdb.measures.recurrence.RecurrenceTable.add": lambda *_: None,
    "unitdb.measures.recurrence.RecurrenceTable.rows": lambda _: [],
    "unitdb.publish.release.verify": lambda *_, **__: None,
}
"""What --bare leaves out."""


def _kept_rows(model: str, layer: str, r: np.ndarray) -> dict[str, Rows]:
    """Activations of the best units, and predictions that correlate with them by r."""
    rng = np.random.default_rng(len(layer))
    rows: dict[str, Rows] = {"activation": [], "prediction": []}
    r = r.reshape(*r.shape[:2], -1)
    for unit in best_units(r, _KEPT).tolist():
        true = rng.normal(size=len(_STIMULI)).astype(np.float32)
        keys = {"dataset": _DATASET, "model": model, "layer": layer, "unit": unit}
        rows["activation"] += [
            keys | {"stimulus": name, "activation": value}
            for name, value in zip(_STIMULI, true.tolist(), strict=True)
        ]
        t = zscore(true[:_N_TEST].astype(np.float64))
        for (i, roi), (j, subject) in product(enumerate(ROIS), enumerate(SUBJECTS)):
            other = rng.normal(size=_N_TEST)
            rest = zscore(other - other.mean() - t * (t @ other) / (t @ t))
            predicted = r[i, j, unit] * t + np.sqrt(1 - r[i, j, unit] ** 2) * rest
            own = keys | {"condition": "perception", "roi": roi, "subject": subject}
            rows["prediction"] += [
                own | {"stimulus": name, "predicted": value}
                for name, value in zip(_STIMULI[:_N_TEST], predicted.tolist(), strict=True)
            ]
    return rows


def _layers(scale: float) -> Iterator[tuple[str, str, tuple[int, ...], float]]:
    """Network, layer, shape, and depth from 0 to 1."""
    for model, layers in NETWORKS.items():
        for depth, (layer, (n_channels, *plane)) in enumerate(layers.items()):
            shape = (max(1, round(n_channels * scale)), *plane)
            yield model, layer, shape, depth / (len(layers) - 1)


def _simulated(model: str, shape: tuple[int, ...], depth: float) -> np.ndarray:
    """Units differ by channel and place, the same in everybody; ROIs prefer a depth."""
    rng = np.random.default_rng([round(depth * (len(NETWORKS[model]) - 1)), len(model)])
    n_units = int(np.prod(shape))
    channel = rng.normal(0.15, 0.08, (shape[0], *[1] * (len(shape) - 1)))
    place = rng.normal(0, 0.03, (1, *shape[1:]))
    shared = (channel + place).astype(np.float32).ravel()
    shared += rng.standard_normal(n_units, dtype=np.float32) * np.float32(0.05)
    r = np.empty((len(ROIS), len(SUBJECTS), n_units), np.float32)
    for roi in sorted(ROIS):
        i = ROIS.index(roi)
        preferred = i / (len(ROIS) - 1)
        gain = np.float32(1.2 - abs(preferred - depth))
        for j in range(len(SUBJECTS)):
            noise = rng.standard_normal(n_units, dtype=np.float32) * np.float32(0.1)
            np.tanh(gain * shared + noise, out=r[i, j])
    return r.reshape(len(ROIS), len(SUBJECTS), *shape)


_SIMULATED = DatasetInfo(
    name=_DATASET,
    rois={roi: f"simulated {roi}" for roi in ROIS},
    subjects=SUBJECTS,
    n_test=_N_TEST,
    title="Simulated accuracies",
    licence="CC0-1.0",
    source="benchmarks/make_release.py",
    citation="none: simulated",
)


def _stimulus_rows() -> Rows:
    return [
        {"dataset": _DATASET, "stimulus": name, "split": name.partition("-")[0], "sha256": _NONE}
        | {"source": "none: simulated"}
        for name in _STIMULI
    ]


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
