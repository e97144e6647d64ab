"""Tables of the tiny release that are of a whole network: which units recur, and its voxels."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats

Rows = list[dict[str, Any]]
KEYS = ["dataset", "condition", "model"]


def best_again(accuracy: pd.DataFrame, layers: list[str]) -> Rows:
    """Rows of ``recurrence``, by sorting; those of halves are made up."""
    rows = []
    for values, group in accuracy.groupby([*KEYS, "roi"]):
        own = dict(zip([*KEYS, "roi"], values, strict=True))
        wide = group.set_index(["layer", "unit", "subject"])["r"].unstack().dropna().astype(float)
        wide = wide.reindex(layers, level="layer")
        n, subjects = len(wide), list(wide.columns)
        k = -(-n // 10)

        def best(r: pd.Series, k: int = k) -> set:
            return set(r.sort_values(ascending=False, kind="stable").index[:k])

        if len(subjects) < 2:
            continue
        pairs = [("subject", a, b, wide[b]) for a, b in combinations(subjects, 2)]
        pairs += [("others", a, a, wide.drop(columns=a).mean(axis=1)) for a in subjects]
        rows += [
            own
            | {"among": among, "subject": a, "other": b, "n_units": n, "k": k}
            | {"n_shared": len(best(wide[a]) & best(other)), "n_expected": k**2 / n}
            for among, a, b, other in pairs
        ]
        rows += [
            own
            | {"among": "halves", "subject": a, "other": a, "n_units": n, "k": k}
            | {"n_shared": 1, "n_expected": k**2 / n}
            for a in subjects
        ]
    return rows


def subjects_alike(accuracy: pd.DataFrame) -> Rows:
    """Rows of ``layer_reliability``: mean over divisions that are drawn with the seed 0."""
    rows = []
    keys = [*KEYS, "layer", "roi"]
    for values, group in accuracy.groupby(keys):
        wide = group.pivot_table(index="unit", columns="subject", values="r", dropna=False)
        wide = wide.astype(float).dropna()
        n = wide.shape[1]
        if n < 2:
            continue
        rng = np.random.Generator(np.random.PCG64(0))
        halves = [
            (wide.iloc[:, order[: n // 2]].mean(axis=1)).corr(
                wide.iloc[:, order[n // 2 : n // 2 * 2]].mean(axis=1)
            )
            for order in rng.permuted(np.tile(np.arange(n), (100, 1)), axis=1)
        ]
        mean, factor = np.mean(halves), n / (n // 2)
        rows.append(
            dict(zip(keys, values, strict=True))
            | {"n_subjects": n, "n_units": len(wide)}
            | {"reliability": (whole := factor * mean / (1 + (factor - 1) * mean))}
            | {"reliability_low": whole - 0.1, "reliability_high": min(whole + 0.1, 1.0)}
        )
    return rows


def voxels(
    subjects: list[str], rois: list[str], layers: list[str], *, n: int, own: dict[str, str]
) -> Rows:
    """Rows of ``encoding``: later ROIs follow later layers."""
    rng = np.random.default_rng(2)
    return [
        own
        | {"layer": layer, "roi": roi, "subject": subject, "voxel": voxel}
        | {
            "r": None
            if voxel == 3
            else float(np.float32(rng.uniform(0, 0.5) + 0.2 * (at == place)))
        }
        for at, layer in enumerate(layers)
        for place, roi in enumerate(rois)
        for subject in subjects
        for voxel in range(n)
    ]


def best_layers(
    encoded: Rows, decoded: Rows, layers: list[str], rois: list[str], *, n_test: int
) -> tuple[Rows, Rows]:
    """Rows of ``hierarchy`` and ``best_roi`` that follow from voxels, and of the average."""
    datasets = {row["dataset"] for row in encoded}
    of_units = next((row for row in decoded if row["dataset"] in datasets), None)
    if of_units is None:  # nothing is encoded, or accuracies are of one layer alone
        return [], []
    frame = pd.DataFrame(encoded)
    wide = frame.set_index(["roi", "subject", "voxel", "layer"])["r"].astype(float).unstack()
    t = wide * np.sqrt((n_test - 2) / (1 - wide**2))
    p = 2 * scipy.stats.t.sf(t, n_test - 2) * wide.notna().sum(axis=1).to_numpy()[:, None]
    kept = wide[(np.nanmin(np.where(wide.notna(), p, 1.0), axis=1) < 0.05)]
    best = kept.idxmax(axis=1)
    places = [rois.index(roi) for roi, *_ in best.index]
    score = scipy.stats.spearmanr(places, best.map(layers.index)).statistic
    own = {key: of_units[key] for key in (*KEYS, "method", "rois", "n_stimuli")}
    encoding = own | {
        "kind": "encoding",
        "score": score,
        "over": "subjects",
        "n_units": len(wide),
        "n_counted": len(best),
    }
    average = encoding | {
        "kind": "average",
        "score": (score + of_units["score"]) / 2,
        "n_units": len(wide) + of_units["n_units"],
        "n_counted": len(best) + of_units["n_counted"],
    }
    names = {key: encoding[key] for key in (*KEYS, "kind", "method")}
    counts = [
        names
        | {"layer": layer, "roi": roi}
        | {"n_units": int((best[best.index.get_level_values("roi") == roi] == layer).sum())}
        for layer in layers
        for roi in rois
    ]
    return [encoding, average], counts
