"""A tiny simulated release: tables made by obvious pandas code, written through publish."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from unitdb.publish import ReleaseInfo, write_partition, write_table
from unitdb.schema import TABLES

SUBJECTS = {"sim-a": ["S1", "S2", "S3"], "sim-b": ["S1"]}
ROIS = ["V1", "V4"]
SHAPES = {"conv1": (2, 3, 3), "fc": (10,)}
MODEL = "net"
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
                            "build": BUILDS[dataset],
                        }
                        for unit in range(n_units)
                    ]
    return pd.DataFrame(rows)


def summarise_units(accuracy: pd.DataFrame) -> pd.DataFrame:
    keys = ["dataset", "condition", "model", "layer", "roi"]
    accuracy = accuracy.astype({"r": np.float64})
    summary = (
        accuracy.groupby([*keys, "unit"])["r"]
        .agg(n_subjects="count", mean_r="mean", sd_r="std", min_r="min", max_r="max")
        .reset_index()
    )
    ranks = summary.astype({"mean_r": np.float32}).groupby(keys)["mean_r"]
    summary["rank"] = ranks.rank(method="first", ascending=False).astype("Int32")
    return summary


def summarise_layers(accuracy: pd.DataFrame) -> pd.DataFrame:
    r = accuracy.astype({"r": np.float64}).groupby(
        ["dataset", "condition", "model", "layer", "roi", "subject"]
    )["r"]
    summary = pd.DataFrame(
        {
            "n_units": r.size(),
            "n_undefined": r.size() - r.count(),
            "mean_r": r.mean(),
            "sd_r": r.std(),
            "q05_r": r.quantile(0.05),
            "q25_r": r.quantile(0.25),
            "median_r": r.median(),
            "q75_r": r.quantile(0.75),
            "q95_r": r.quantile(0.95),
        }
    )
    return summary.reset_index()


def summarise_pairs(accuracy: pd.DataFrame) -> list[dict[str, Any]]:
    rows = []
    keys = ["dataset", "condition", "model", "layer", "roi"]
    for values, group in accuracy.groupby(keys):
        wide = group.astype({"r": np.float64}).pivot_table(
            index="unit", columns="subject", values="r"
        )
        for a, b in combinations(sorted(wide.columns), 2):
            both = wide[[a, b]].dropna()
            rows.append(
                {
                    **dict(zip(keys, values, strict=True)),
                    "subject_a": a,
                    "subject_b": b,
                    "n_units": len(both),
                    "pearson_r": both[a].corr(both[b]),
                    "spearman_r": both[a].rank().corr(both[b].rank()),
                }
            )
    return rows


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
            "n_stimuli": 2,
            "voxel_selection": True,
            "zscore": True,
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
            "n_voxels": 40,
            "n_train": 20,
            "n_test": 20,
            "responses_sha256": SHA,
        }
        for dataset, names in SUBJECTS.items()
        for subject in names
        for roi in ROIS
    ]
    stimuli = [
        {
            "dataset": dataset,
            "stimulus": f"{dataset} {n}",
            "split": "cross-validation",
            "sha256": SHA,
            "source": "noise",
        }
        for dataset in SUBJECTS
        for n in range(2)
    ]
    models = [
        {
            "model": MODEL,
            "title": "A network",
            "weights_sha256": SHA,
            "model_sha256": SHA,
            "factory": "tests.tiny:net",
            "preprocessing": "{}",
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
            "n_units": int(np.prod(shape)),
        }
        for depth, (layer, shape) in enumerate(SHAPES.items())
    ]
    builds = [
        {
            "build": build,
            "recipe": "tiny",
            "recipe_sha256": SHA,
            "dataset": dataset,
            "model": MODEL,
            "decoder": json.dumps({"alpha": 100}),
            "units": '{"sample":null,"seed":0}',
            "n_folds": 5,
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
        }
        for dataset, build in BUILDS.items()
    ]
    return {
        "datasets": datasets,
        "rois": rois,
        "subjects": subjects,
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
    for table, frame in (("accuracy", accuracy), ("unit_summary", summarise_units(accuracy))):
        spec = TABLES[table]
        for values, part in frame.groupby(list(spec.partition_by)):
            keys = dict(zip(spec.partition_by, map(str, values), strict=True))
            part = part.sort_values(list(spec.primary_key))
            write_partition(folder, table, keys, arrow(table, part))
    return folder
