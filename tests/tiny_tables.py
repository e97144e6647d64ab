"""What the tiny release is of, and the tables that follow from its accuracies."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.stats

from tests import tiny_network
from unitdb.schema import TABLES

SUBJECTS = {"sim-a": ["S1", "S2", "S3"], "sim-b": ["S1"]}
ROIS = ["V1", "V4"]
SHAPES = {"conv1": (2, 3, 3), "fc": (10,)}
MODEL = "net"
N_TEST, N_VOXELS = 100, 40
PREDICTIONS_ALIKE = 0.3


def follow(table: str, **tables: pd.DataFrame) -> pd.DataFrame:
    """Rows of a derived table, by the SELECTs of the schema (tests/verification tests those)."""
    spec, found = TABLES[table], pd.DataFrame()
    with duckdb.connect() as connection:
        for name, frame in tables.items():
            connection.register(name, pa.Table.from_pandas(frame, preserve_index=False))
        for follows in spec.follows:
            rows = connection.sql(follows.sql).to_arrow_table().to_pandas()
            found = rows if found.empty else found.merge(rows, on=list(spec.primary_key))
            published = found.astype({n: np.float32 for n in found if n in ("mean_r", "lead_r")})
            connection.register(table, pa.Table.from_pandas(published, preserve_index=False))
    return found.sort_values(list(spec.order), ignore_index=True)


def summarise_units(accuracy: pd.DataFrame) -> pd.DataFrame:
    keys = ["dataset", "condition", "model", "layer", "roi"]
    summary = follow("unit_summary", accuracy=accuracy)
    tested = accuracy[accuracy["dataset"] == "sim-a"].dropna(subset=["r"]).astype({"r": float})
    z = scipy.stats.norm.isf(chance(tested["r"]))
    combined = tested.assign(z=z).groupby([*keys, "unit"])["z"].agg(["sum", "count"])
    n = combined["count"]
    scale = np.sqrt(n + n * (n - 1) * PREDICTIONS_ALIKE)
    p = scipy.stats.norm.sf(combined["sum"] / scale).astype(np.float32)
    summary = summary.join(pd.Series(p, combined.index, name="p"), on=[*keys, "unit"])
    families = ["dataset", "condition", "model", "roi"]
    summary["q"] = summary.groupby(families)["p"].transform(discovery)
    return summary


def chance(r: pd.Series) -> pd.Series:
    """One-sided p of accuracies."""
    t = r * np.sqrt((N_TEST - 2) / (1 - r**2))
    return pd.Series(scipy.stats.t.sf(t, N_TEST - 2), r.index)


def discovery(p: pd.Series) -> pd.Series:
    """Benjamini-Hochberg q of a family."""
    known = p.dropna()
    q = scipy.stats.false_discovery_control(known) if len(known) else known
    return pd.Series(q, known.index, dtype=np.float64).reindex(p.index)


def summarise_layers(accuracy: pd.DataFrame) -> pd.DataFrame:
    keys = ["dataset", "condition", "model", "layer", "roi", "subject"]
    r = accuracy[accuracy["dataset"] == "sim-a"].astype({"r": float}).groupby(keys)["r"]
    n = r.agg(lambda of_row: (discovery(chance(of_row)) < 0.05).sum()).rename("n_significant")
    summary = follow("layer_summary", accuracy=accuracy).join(n, on=keys)
    return summary.astype({"n_significant": "Int32"})


def hierarchy(accuracy: pd.DataFrame) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of ``hierarchy`` and ``best_roi``, without intervals."""
    scores, best_rois, empty = [], [], pd.Series(dtype=int)
    keys = ["dataset", "condition", "model"]
    for values, group in accuracy.groupby(keys):
        wide = group.set_index(["layer", "subject", "unit", "roi"])["r"].unstack()
        layers = [layer for layer in SHAPES if layer in wide.index]
        p = 2 * wide.apply(chance) * wide.notna().sum(axis=1).to_numpy()[:, None]
        kept = wide.max(axis=1) > 0
        kept &= p.min(axis=1) < 0.05
        place = wide[kept].apply(lambda row: ROIS.index(row.idxmax()), axis=1)
        depth = [layers.index(layer) for layer, *_ in place.index]
        own = {
            **dict(zip(keys, values, strict=True)),
            "kind": "decoding",
            "method": "corrected",
        }
        if len(layers) < 2:
            continue
        score = scipy.stats.spearmanr(depth, place).statistic
        scores.append(
            {
                **own,
                "score": None if np.isnan(score) else score,
                "over": "units",
                "n_units": len(wide),
                "n_counted": len(place),
                "rois": ROIS,
                "n_stimuli": N_TEST,
            }
        )
        best_rois += [
            {
                **own,
                "layer": layer,
                "roi": roi,
                "n_units": int((place.get(layer, empty) == at).sum()),
            }
            for layer in layers
            for at, roi in enumerate(ROIS)
        ]
    return scores, best_rois


def of_network(accuracy: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Rows of the tables that are of all layers of a network, and of voxels."""
    scores, best_rois = hierarchy(accuracy)
    layers, own = list(SHAPES), {"dataset": "sim-a", "condition": "perception", "model": MODEL}
    people = SUBJECTS["sim-a"] if (accuracy["dataset"] == "sim-a").any() else []
    encoded = tiny_network.voxels(people, ROIS, layers, n=N_VOXELS, own=own)
    more = tiny_network.best_layers(encoded, scores, layers, ROIS, n_test=N_TEST)
    return {
        "hierarchy": scores + more[0],
        "best_roi": best_rois + more[1],
        "encoding": encoded,
        "recurrence": tiny_network.best_again(accuracy, layers),
        "layer_reliability": tiny_network.subjects_alike(accuracy),
    }


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
                    "prediction_r": PREDICTIONS_ALIKE,
                }
            )
    return rows
