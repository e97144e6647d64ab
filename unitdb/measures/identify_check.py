"""What tables of identification say of each other: the sentences of ``verify``."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from unitdb.analysis import q_values
from unitdb.candidates import layer_sha256
from unitdb.matching import of_counts
from unitdb.measures.protocol import Release
from unitdb.specs import content_sha256

__all__ = ["check_identification", "compared_sha256"]

_BYTES = 1 << 25  # of features that are hashed together
_PLACE = ("dataset", "condition", "model", "layer", "roi", "subject", "set", "method")
_ENDINGS = ("", "_trained", "_within", "_between")
_NEAR = 1e-9
_OF_SET = ("dataset", "condition", "model", "set")


def compared_sha256(
    ids: Sequence[str], layers: Mapping[str, tuple[NDArray[np.int32], NDArray[np.float32]]]
) -> str:
    """Hash of candidates and of their features and units in each layer, as they are compared."""
    hashes = []
    for layer, (units, features) in sorted(layers.items()):
        size = max(1, _BYTES // (4 * max(1, len(units))))
        blocks = (features[start : start + size] for start in range(0, len(features), size))
        hashes.append(layer_sha256(layer, units, blocks))
    return content_sha256([list(ids), hashes])


def check_identification(release: Release) -> Iterable[str]:
    """Sentences on rows that do not follow from each other."""
    yield from _check_sets(release)
    yield from _check_features(release)
    yield from _check_counts(release)
    yield from _check_summaries(release)


def _check_sets(release: Release) -> Iterator[str]:
    key = _OF_SET
    roles: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for row in release["candidates"].select([*key, "role"]).to_pylist():
        roles[tuple(row[name] for name in key)][row["role"]] += 1
    sets = {
        (build["dataset"], build["model"]): json.loads(build["inputs"]).get("candidates", {})
        for build in release["builds"].to_pylist()
    }
    for row in release["candidate_sets"].to_pylist():
        found = roles.pop(tuple(row[name] for name in key), Counter())
        for column, n in (
            ("n_candidates", found.total()),
            ("n_targets", found["target"]),
            ("n_trained", found["trained"]),
        ):
            if row[column] != n:
                where = "/".join(row[name] for name in key)
                yield f"candidate_sets: {where}: {column} is {row[column]}; candidates has {n}"
        if row["sha256"] != sets.get((row["dataset"], row["model"]), {}).get(row["set"]):
            yield f"candidate_sets: {row['set']}: sha256 is not that of builds.inputs"


def _check_features(release: Release) -> Iterator[str]:
    """Features that are published are those that predictions were compared with."""
    if "candidate_features" not in release:
        return
    units: dict[tuple[str, ...], NDArray[np.int32]] = {}
    every = release["candidate_units"].to_pandas()
    for (*place, _), of in every.groupby(["dataset", "model", "layer", "subject"], observed=True):
        units.setdefault(tuple(place), of["unit"].to_numpy(np.int32))
    table = release["candidate_features"]
    keys = table.select(["dataset", "model", "set", "layer"]).to_pandas()
    found: dict[tuple[str, str, str], dict[str, Any]] = defaultdict(dict)
    ids: dict[tuple[str, str, str], list[str]] = {}
    for (dataset, model, name, layer), rows in keys.groupby(
        list(keys), observed=True
    ).indices.items():
        part = table.slice(rows[0], len(rows))
        of = units.get((dataset, model, layer), np.empty(0, np.int32))
        values = pc.list_flatten(part["features"]).to_numpy()
        if len(values) != len(rows) * len(of):
            yield f"candidate_features: {name}/{layer}: not of {len(of)} units each"
            return
        found[dataset, model, name][layer] = of, values.reshape(len(rows), len(of))
        ids[dataset, model, name] = part["candidate"].to_pylist()
    for row in release["candidate_sets"].to_pylist():
        key = row["dataset"], row["model"], row["set"]
        if row["features_sha256"] != compared_sha256(ids.get(key, []), found[key]):
            yield (
                f"candidate_sets: {'/'.join(key)}: features_sha256 is not that of the features in "
                "candidate_features and candidate_units"
            )


def _check_counts(release: Release) -> Iterator[str]:
    table = release["identification"]
    number = {
        name: table[name].to_numpy(zero_copy_only=False).astype(np.float64)
        for name in table.column_names
        if name.startswith("n_") or name.endswith("_r")
    }

    def at(row: int) -> str:
        names = (*_PLACE, "stimulus", "trial")
        return "/".join(str(table[name][row].as_py()) for name in names)

    known = number["n_false"] > 0
    for ending in _ENDINGS:
        n, w, t = (number[f"{name}{ending}"] for name in ("n_false", "n_below", "n_equal"))
        if (wrong := w + t > n).any():
            row = int(wrong.argmax())
            yield f"identification: {at(row)}: more candidates below and equal than n_false{ending}"
        if (wrong := (n > number["n_false"]) | (w > number["n_below"])).any():
            yield f"identification: {at(int(wrong.argmax()))}: more counted{ending} than of all"
    # The best is no less similar than the true one, and is it where none is more similar.
    r, best = number["target_r"], number["best_r"]
    above = number["n_false"] - number["n_below"] - number["n_equal"]
    if (wrong := known & (best < r - _NEAR)).any():
        yield f"identification: {at(int(wrong.argmax()))}: best_r is below target_r"
    if (wrong := known & ((above == 0) != (best <= r + _NEAR))).any():
        yield f"identification: {at(int(wrong.argmax()))}: best_r contradicts n_below and n_equal"


def _check_summaries(release: Release) -> Iterator[str]:
    import pandas as pd

    rows = release["identification"].to_pandas()
    for name in _PLACE:
        rows[name] = rows[name].astype(str)
    rows["trials"] = np.where(rows["trial"] == 0, "means", "single")
    stated = {
        tuple(row[name] for name in (*_PLACE, "trials")): row
        for row in release["identification_summary"].to_pylist()
    }
    for key, of in rows.groupby([*_PLACE, "trials"], sort=False):
        row = stated.pop(tuple(key), None)
        if row is None:
            yield f"identification_summary: no row of {'/'.join(key)}"
            continue
        counts = [
            np.stack(
                [
                    pd.to_numeric(of[f"{name}{ending}"]).fillna(0).to_numpy(np.int64)
                    for name in ("n_false", "n_below", "n_equal")
                ]
            )
            for ending in _ENDINGS
        ]
        known = of["n_false"] > 0
        found: dict[str, Any] = of_counts(*counts)
        found |= {
            "n_predictions": int(known.sum()),
            "n_images": of.loc[known, "target"].nunique(),
            "n_units": int(of["n_units"].iloc[0]),
        }
        for name, value in found.items():
            own = np.nan if row[name] is None else row[name]
            if not (abs(own - value) <= _NEAR or (np.isnan(own) and np.isnan(value))):
                yield (
                    f"identification_summary: {'/'.join(key)}: {name} is {row[name]}; the "
                    f"predictions give {value}"
                )
        yield from _check_chance("/".join(key), row)
    for key in stated:
        yield f"identification_summary: {'/'.join(key)}: there are no predictions"
    yield from _check_discoveries(release)
    yield from _check_exchange(release)


def _check_exchange(release: Release) -> Iterator[str]:
    """Exchanged images among two candidates are what the summary has."""
    pairs = {
        tuple(row[name] for name in (*_PLACE, "trials")): row["chance"]
        for row in release["identification_exchange"].to_pylist()
        if (row["among"], row["n"]) == ("all", 2)
    }
    for row in release["identification_summary"].to_pylist():
        key = tuple(row[name] for name in (*_PLACE, "trials"))
        found, stated = pairs.get(key), row["chance_fold"]
        if stated is not None and not (found is not None and abs(found - stated) <= _NEAR):
            yield (
                f"identification_exchange: {'/'.join(key)}: among 2 candidates it is {found}; the "
                f"summary has chance_fold {stated}"
            )


def _check_discoveries(release: Release) -> Iterator[str]:
    """Q within the families of p, and as many candidates as the set has."""
    families: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    sets = {
        tuple(row[name] for name in _OF_SET): row["n_candidates"]
        for row in release["candidate_sets"].to_pylist()
    }
    for row in release["identification_summary"].to_pylist():
        names = ("dataset", "condition", "model", "subject", "set", "method", "trials")
        key = (*(row[name] for name in names), row["layer"].startswith("*"))
        families[key].append(row)
        if row["n_candidates"] != sets.get(tuple(row[name] for name in _OF_SET)):
            yield f"identification_summary: {key}: n_candidates is not that of the set"
    for key, rows in families.items():
        p, q = (np.array([row[name] for row in rows], dtype=float) for name in ("p", "q"))
        if not np.allclose(q_values(p), q, atol=_NEAR, rtol=0, equal_nan=True):
            where = "/".join(map(str, key[:-1]))
            yield f"identification_summary: {where}: q does not follow from p"


def _check_chance(where: str, row: dict[str, Any]) -> Iterator[str]:
    if row["rate"] is None:
        return
    specific = None if row["chance_fold"] is None else row["rate"] - row["chance_fold"]
    if (row["specific"] is None) != (specific is None) or (
        specific is not None and abs(specific - row["specific"]) > _NEAR
    ):
        yield f"identification_summary: {where}: specific is not rate less chance_fold"
    for low, high in (("rate_low", "rate_high"), ("specific_low", "specific_high")):
        if row[low] is not None and row[high] is not None and row[low] > row[high]:
            yield f"identification_summary: {where}: {low} is above {high}"
