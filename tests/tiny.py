"""A tiny simulated release: tables made by obvious pandas and scipy code, written by publish.

The images of sim-a are trained on or tested, so that p follows from its accuracies; those of sim-b
are cross-validated.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.stats

from tests.tiny_tables import (
    MODEL,
    N_TEST,
    N_VOXELS,
    ROIS,
    SHAPES,
    SUBJECTS,
    follow,
    of_network,
    summarise_layers,
    summarise_pairs,
    summarise_units,
)
from unitdb.axes import usual_axes
from unitdb.files import SUMS, files_below, sha256_file
from unitdb.pictures import thumbnail
from unitdb.publish import ReleaseInfo, write_partition, write_table
from unitdb.schema import TABLES, frictionless, tables_of

KEPT = {"conv1": (7, 13), "fc": (3,)}
# Of three rows and columns: kernel 4, stride 2, of 8 pixels.
FIELDS = {
    **{name: [0, 2, 4] for name in ("field_top", "field_left")},
    **{name: [3, 5, 7] for name in ("field_bottom", "field_right")},
}
CLASSES = [
    "tabby",
    "tiger cat",
    "fox",
    "zebra",
    "snail",
    "drum",
    "lemon",
    "bagel",
    "crane",
    "well*",
]
SIGNIFICANCE = '{"over_subjects":"stouffer, correlated by intersubject.prediction_r","test":"t"}'
BUILDS = {"sim-a": "0123456789ab", "sim-b": "ba9876543210"}
SHA = "0" * 64
RECIPE = "name: tiny\nversion: 1.0.0\n"

INFO = ReleaseInfo(
    name="tiny",
    version="1.0.0",
    title="A tiny release",
    description="Two simulated datasets and one network, for tests.",
    simulated=True,
    licence="CC0-1.0",
    citation="The unitdb developers. A tiny release.",
    recipe_text=RECIPE,
    recipe_sha256=SHA,
    changelog=[("1.0.0", "First release.")],
)


def arrow(table: str, rows: list[dict[str, Any]] | pd.DataFrame) -> pa.Table:
    """Rows with the schema's columns and types; NaN becomes NULL."""
    schema = TABLES[table].arrow_schema()
    if isinstance(rows, pd.DataFrame):
        every = rows.reindex(columns=schema.names)  # a column that is not there is NULL
        return pa.Table.from_pandas(every, schema=schema, preserve_index=False)
    return pa.Table.from_pylist(rows, schema=schema)


def accuracies() -> pd.DataFrame:
    """Accuracies of all datasets, NaN where there is none."""
    rng = np.random.default_rng(0)
    rows = []
    for dataset, subjects in SUBJECTS.items():
        for layer, shape in SHAPES.items():
            n_units = int(np.prod(shape))
            for roi in ROIS:
                shared = rng.normal(0.2, 0.15, n_units)
                for subject in subjects:
                    r = np.tanh(shared + rng.normal(0, 0.1, n_units)).astype(np.float32)
                    if layer == "conv1":
                        r[5] = np.nan  # constant in everybody
                        if subject == "S2":
                            r[7] = np.nan  # predicted as constant in one subject
                    rows += [
                        {
                            "dataset": dataset,
                            "condition": "perception",
                            "model": MODEL,
                            "layer": layer,
                            "roi": roi,
                            "subject": subject,
                            "unit": unit,
                            "r": r[unit],
                            # Of conv1 in S1 more than the reliability leaves room for.
                            "reliability": np.float32(0.01 * unit) if dataset == "sim-a" else None,
                            "build": BUILDS[dataset],
                        }
                        for unit in range(n_units)
                    ]
    return pd.DataFrame(rows)


def stimulus_ids(dataset: str) -> list[str]:
    """Names of the pictures of a dataset, sorted; one of them is HTML."""
    names = [f"{dataset} {n:02d}" for n in range(N_TEST - 1)]
    return sorted([*names, f"{dataset} <img src=x onerror=alert(1)>"])


def noise(seed: int) -> bytes:
    """A picture."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return thumbnail(pixels.repeat(12, axis=0).repeat(12, axis=1))


def kept(accuracy: pd.DataFrame) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of ``activation`` and ``prediction``: the latter correlate by r with the former."""
    rng = np.random.default_rng(1)
    activations, predictions = [], []
    for (dataset, model, layer, unit), group in accuracy.groupby(
        ["dataset", "model", "layer", "unit"]
    ):
        if unit not in KEPT.get(layer, ()):
            continue
        stimuli = stimulus_ids(dataset)
        true = rng.normal(size=N_TEST).astype(np.float32)
        true[-1] = 5  # the picture whose name is HTML drives all units most
        own = {"dataset": dataset, "model": model, "layer": layer, "unit": unit}
        activations += [
            {**own, "stimulus": name, "activation": float(value)}
            for name, value in zip(stimuli, true, strict=True)
        ]
        t = scipy.stats.zscore(true.astype(np.float64))
        for row in group.to_dict("records"):
            other = rng.normal(size=N_TEST)
            residual = scipy.stats.zscore(other - np.polyval(np.polyfit(t, other, 1), t))
            r = 0.0 if np.isnan(row["r"]) else float(row["r"])
            predicted = 1 + 2 * (r * t + np.sqrt(1 - r**2) * residual)
            if np.isnan(row["r"]):
                predicted = np.ones(N_TEST)
            place = {key: row[key] for key in ("condition", "roi", "subject")}
            predictions += [
                {**own, **place, "stimulus": name, "presentation": 1, "predicted": float(value)}
                for name, value in zip(stimuli, predicted, strict=True)
            ]
    return activations, predictions


def small_tables() -> dict[str, list[dict[str, Any]]]:
    """Rows of the tables that the numbers refer to."""
    datasets = [
        {
            "dataset": dataset,
            "title": f"Simulated dataset {dataset}",
            "simulated": True,
            "licence": "CC0-1.0",
            "source": "tests/tiny.py",
            "citation": "none",
            "n_subjects": len(subjects),
            "n_stimuli": N_TEST,
            "voxel_selection": True,
            "zscore": True,
            "pictures": "CC0, noise" if dataset == "sim-a" else None,
        }
        for dataset, subjects in SUBJECTS.items()
    ]
    rois = [
        {"dataset": dataset, "roi": roi, "place": place, "description": f"area {roi}"}
        for dataset in SUBJECTS
        for place, roi in enumerate(ROIS)
    ]
    subjects = [
        {
            "dataset": dataset,
            "subject": subject,
            "roi": roi,
            "n_voxels": N_VOXELS,
            "n_train": 20,
            "n_test": N_TEST,
            "responses_sha256": SHA,
        }
        for dataset, names in SUBJECTS.items()
        for subject in names
        for roi in ROIS
    ]
    test_sets = [
        {
            "dataset": dataset,
            "condition": "perception",
            "time": None,
            "level": None,
            "prior": None,
            "targets": "pictures",
            "labels": None,
            "n_samples": N_TEST,
            "n_targets": N_TEST,
            "averaged": True,
            "n_presentations": 2 if dataset == "sim-a" else None,
        }
        for dataset in SUBJECTS
    ]
    stimuli = [
        {
            "dataset": dataset,
            "stimulus": stimulus,
            "split": "test" if dataset == "sim-a" else "cross-validation",
            "sha256": SHA,
            "source": "noise",
            "thumbnail": noise(n) if dataset == "sim-a" else None,
        }
        for dataset in SUBJECTS
        for n, stimulus in enumerate(stimulus_ids(dataset))
    ]
    models = [
        {
            "model": MODEL,
            "title": "A network",
            "weights_sha256": SHA,
            "model_sha256": SHA,
            "factory": "tests.tiny:net",
            "preprocessing": '{"crop":1.0,"fit":"centre","size":8}',
            "licence": "CC0-1.0",
            "source": "none",
            "citation": "none",
            "checked_on": None,
            "n_layers": len(SHAPES),
        }
    ]
    layers = [
        {
            "model": MODEL,
            "layer": layer,
            "depth": depth,
            "module": layer,
            "kind": "ReLU",
            "shape": list(shape),
            "axes": usual_axes(shape),
            "n_units": int(np.prod(shape)),
            "classes": CLASSES if layer == "fc" else None,
            **(FIELDS if layer == "conv1" else {}),
        }
        for depth, (layer, shape) in enumerate(SHAPES.items())
    ]
    builds = [
        {
            "build": build,
            "recipe": "import tiny",
            "recipe_sha256": SHA,
            "dataset": dataset,
            "model": MODEL,
            "decoder": json.dumps({"alpha": 100}),
            "units": '{"sample":null,"seed":0}',
            "n_folds": None if dataset == "sim-a" else 5,
            "seed": 0,
            "inputs": json.dumps(
                {
                    "model": SHA,
                    "responses": dict.fromkeys(SUBJECTS[dataset], SHA),
                    "stimuli": "tiny",
                }
            ),
            "unitdb_version": "0.1.0",
            "code_sha256": SHA,
            "packages": "{}",
            "significance": SIGNIFICANCE if dataset == "sim-a" else None,
            "reliability": '{"divisions":100}' if dataset == "sim-a" else None,
            "encoding": '{"units":1000}' if dataset == "sim-a" else None,
        }
        for dataset, build in BUILDS.items()
    ]
    return {
        "datasets": datasets,
        "rois": rois,
        "subjects": subjects,
        "test_sets": test_sets,
        "stimuli": stimuli,
        "models": models,
        "layers": layers,
        "builds": builds,
        "inputs": [
            {
                "build": build,
                "role": "responses",
                "path": f"{dataset}/{subject}.npy",
                "subject": subject,
                "size": 8,
                "sha256": SHA,
                "annex_key": f"MD5E-s8--{subject}.npy",
                "datalad_id": "00000000-0000-0000-0000-000000000000",
                "git_commit": "0" * 40,
            }
            for dataset, build in BUILDS.items()
            for subject in SUBJECTS[dataset]
        ],
    }


def stage(folder: Path, accuracy: pd.DataFrame | None = None) -> Path:
    """Write all tables of the tiny release to ``folder``."""
    accuracy = accuracies() if accuracy is None else accuracy
    for table, rows in small_tables().items():
        write_table(folder, table, arrow(table, rows))
    write_table(folder, "layer_summary", arrow("layer_summary", summarise_layers(accuracy)))
    write_table(folder, "intersubject", arrow("intersubject", summarise_pairs(accuracy)))
    made = of_network(accuracy) | dict(
        zip(("activation", "prediction"), kept(accuracy), strict=True)
    )
    for table, rows in made.items():
        write_table(folder, table, arrow(table, rows))
    summary = summarise_units(accuracy)
    frames = {
        "accuracy": accuracy,
        "unit_summary": arrow("unit_summary", summary).to_pandas(),
        "subjects": pd.DataFrame(small_tables()["subjects"]),
    }
    for table in ("accuracy_histogram", "unit_histogram", "summary_histogram"):
        write_table(folder, table, arrow(table, follow(table, **frames)))
    for table, frame in (("accuracy", accuracy), ("unit_summary", summary)):
        spec = TABLES[table]
        for values, part in frame.groupby(list(spec.partition_by)):
            names = dict(zip(spec.partition_by, map(str, values), strict=True))
            part = part.sort_values(list(spec.order))
            write_partition(folder, table, names, arrow(table, part))
    for table, spec in TABLES.items():
        if not (spec.partition_by or spec.optional) and not (folder / f"{table}.parquet").exists():
            write_table(folder, table, arrow(table, []))
    return folder


def remake_sums(folder: Path) -> None:
    """Make the checksums fit what was changed, those of the catalogue above too."""
    names = [name for name in files_below(folder) if name != SUMS]
    lines = [f"{sha256_file(folder / name)}  {name}\n" for name in names]
    (folder / SUMS).write_text("".join(lines))
    catalogue = folder.parent.parent / "releases.json"
    if catalogue.exists():
        contents = json.loads(catalogue.read_text())
        listed = contents["releases"][folder.parent.name]["versions"][folder.name]
        listed["sha256"] = sha256_file(folder / SUMS)
        own = json.loads((folder / "datapackage.json").read_text()).get("unitdb", {})
        listed |= {name: own[name] for name in ("schema", "simulated") if name in own}
        catalogue.write_text(json.dumps(contents))


def make_older(folder: Path, version: str) -> None:
    """Make a release what it would be under an older schema of the same MAJOR."""
    manifest = folder / "datapackage.json"
    package = json.loads(manifest.read_text())
    package["unitdb"]["schema"] = version
    known = tables_of(version)
    for resource in list(package["resources"]):
        table = TABLES[resource["name"]]
        paths = resource["path"] if table.partition_by else [resource["path"]]
        if table.name not in known:
            package["resources"].remove(resource)
            for path in paths:
                (folder / path).unlink()
            continue
        older = table.at(version)
        resource["schema"] = frictionless(older)
        for path in paths if older != table else ():
            rows = pq.ParquetFile(folder / path).read(list(older.column_names))
            pq.write_table(rows.cast(older.arrow_schema()), folder / path)
    manifest.write_text(json.dumps(package))
    remake_sums(folder)
