"""Rows of the tables of identification, and what is wrong with those of a release."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unitdb.analysis import q_values
from unitdb.matching import of_counts
from unitdb.measures.candidacy import Among
from unitdb.measures.identify_step import NUMBERS, IdentifyStep
from unitdb.measures.protocol import Release
from unitdb.recipes import Job
from unitdb.sealed import map_npy
from unitdb.tables import Rows, constant, ordered

__all__ = [
    "candidate_rows",
    "check_identification",
    "feature_tables",
    "prediction_table",
    "set_row",
    "summary_rows",
    "training_table",
    "unit_table",
]

PEOPLE = "*"
"""The subject of the mean of all people's predictions."""

_BYTES = 1 << 25  # of features in a piece of their table
_PLACE = ("dataset", "condition", "model", "layer", "roi", "subject", "set", "method")
_ENDINGS = ("", "_trained", "_within", "_between")
_NEAR = 1e-9
_OF_SET = ("dataset", "condition", "model", "set")


def _keys(job: Job, among: Among) -> dict[str, str]:
    return {
        "dataset": job.dataset.spec.name,
        "condition": among.condition,
        "model": job.model.spec.name,
        "set": among.set.name,
    }


def set_row(among: Among) -> dict[str, Any]:
    """Row of ``candidate_sets``."""
    job, given = among.set.job, among.set.given
    spec = among.set.spec.sets[among.set.name]
    roles = Counter(among.roles)
    return _keys(job, among) | {
        "kind": spec.kind,
        "targets": among.set.spec.targets_of(among.set.name),
        "n_candidates": len(among.ids),
        "n_targets": roles["target"],
        "n_trained": roles["trained"],
        "source": "the targets of the test set" if given is None else given.source,
        "sha256": None if given is None else given.sha256,
        "description": spec.description,
    }


def candidate_rows(among: Among) -> Rows:
    """Rows of ``candidates``."""
    labels, numbers = dict[str, str](), dict[str, int]()
    for each, rows, at in reversed(among.set.sources):
        for row, place in zip(rows.tolist(), at.tolist(), strict=True):
            labels[among.set.ids[place]] = each.labels[row]
            numbers[among.set.ids[place]] = int(each.n_pictures[row])
    keys = _keys(among.set.job, among)
    return [
        keys
        | {
            "candidate": name,
            "label": labels[name],
            "role": role,
            "category": among.set.categories[column],
            "n_pictures": numbers[name] or None,
        }
        for name, role, column in zip(among.ids, among.roles, among.columns.tolist(), strict=True)
    ]


def _predictions(job: Job, among: Among, step: IdentifyStep, kind: str) -> tuple[list[Any], ...]:
    """Stimulus, trial and target of each prediction of a kind."""
    first = job.dataset.subjects[step.subject or 0]
    decoded = sorted(set(first.targets(step.condition).tolist()))
    if kind == "means":
        return decoded, [0] * len(decoded), [among.true_of[name] for name in decoded]
    shown, of = first.shown(step.condition).tolist(), first.targets(step.condition).tolist()
    times: Counter[str] = Counter()
    trials = []
    for name in shown:
        times[name] += 1
        trials.append(times[name])
    return shown, trials, [among.true_of[name] for name in of]


def prediction_table(job: Job, among: Among, step: IdentifyStep) -> pa.Table:
    """Rows of ``identification`` of a step, in any order."""
    found = step.results()
    subject = PEOPLE if step.subject is None else job.dataset.subjects[step.subject].subject
    names = np.array(among.ids, dtype=object)
    one = len(step.trained) == 1
    parts = []
    for kind in step.kinds:
        stimuli, trials, targets = _predictions(job, among, step, kind)
        counts, r, best = (found[f"{kind}-{name}"] for name in ("counts", "r", "best"))
        for i, (roi, layer, method) in enumerate(step.places):
            fixed = _keys(job, among) | {"layer": layer, "roi": job.dataset.rois[roi]}
            fixed |= {"subject": subject, "method": method}
            columns: dict[str, pa.Array] = constant(fixed, len(stimuli))
            columns |= {
                "stimulus": pa.array(stimuli, pa.string()),
                "trial": pa.array(trials, pa.int32()),
                "target": pa.array(targets, pa.string()),
                "fold": pa.array(step.folds(kind), pa.int32(), mask=np.full(len(stimuli), one)),
                "n_units": pa.array(np.full(len(stimuli), found["n_units"][i]), pa.int32()),
            }
            columns |= _counts(counts[i], known=among.codes is not None)
            for name, values in zip(("target_r", "best_r", "chance_exchange"), r[i], strict=True):
                columns[name] = pa.array(values, pa.float64(), from_pandas=True)
            known = best[i] >= 0
            nearest = names[np.maximum(best[i], 0)].tolist()
            columns["best"] = pa.array(nearest, pa.string(), mask=~known)
            parts.append(ordered("identification", columns))
    return pa.concat_tables(parts)


def _counts(counts: NDArray[np.int32], *, known: bool) -> dict[str, pa.Array]:
    """Columns of counts of the predictions of a place; NULL where categories are not known."""
    found = {}
    categorised = counts[2:, 0].sum(axis=0) > 0
    for of_kind, ending in zip(counts, _ENDINGS, strict=True):
        missing = ~categorised if ending in _ENDINGS[2:] else np.zeros(counts.shape[2], bool)
        if ending in _ENDINGS[2:] and not known:
            missing[:] = True
        for name, values in zip(("n_false", "n_below", "n_equal"), of_kind, strict=True):
            found[f"{name}{ending}"] = pa.array(values, pa.int32(), mask=missing)
    return found


def summary_rows(job: Job, among: Among, step: IdentifyStep) -> Rows:
    """Rows of ``identification_summary`` of a step."""
    found = step.results()
    subject = PEOPLE if step.subject is None else job.dataset.subjects[step.subject].subject
    rows = []
    for kind in step.kinds:
        for i, (roi, layer, method) in enumerate(step.places):
            numbers = dict(zip(NUMBERS, found[f"{kind}-summary"][i].tolist(), strict=True))
            rows.append(
                _keys(job, among)
                | numbers
                | {
                    "layer": layer,
                    "roi": job.dataset.rois[roi],
                    "subject": subject,
                    "method": method,
                    "trials": kind,
                    "n_predictions": int(numbers["n"]),
                    "n_images": int(found[f"{kind}-images"][i]),
                    "n_candidates": int(numbers["n_candidates"]),
                    "n_units": int(found["n_units"][i]),
                }
            )
    return rows


def training_table(job: Job, among: Among, number: int) -> pa.Table:
    """Rows of ``candidate_training`` of a subject, in any order."""
    subject = job.dataset.subjects[number]
    fold, column = np.nonzero(among.trained(subject))
    columns = constant(_keys(job, among) | {"subject": subject.subject}, len(fold)) | {
        "fold": pa.array(fold, pa.int32()),
        "candidate": pa.array(np.array(among.ids, dtype=object)[column].tolist(), pa.string()),
    }
    return ordered("candidate_training", columns)


def unit_table(
    job: Job, layer: str, subject: str, units: NDArray[np.int32], scale: NDArray[np.float64]
) -> pa.Table:
    """Rows of ``candidate_units`` of a layer and a subject."""
    fixed = {
        "dataset": job.dataset.spec.name,
        "model": job.model.spec.name,
        "layer": layer,
        "subject": subject,
    }
    columns = constant(fixed, len(units)) | {
        "unit": pa.array(units, pa.int32()),
        "mean": pa.array(scale[0]),
        "sd": pa.array(scale[1]),
    }
    return ordered("candidate_units", columns)


def feature_tables(
    key: tuple[str, str, str, str], ids: Sequence[str], path: Path
) -> Iterator[pa.Table]:
    """Rows of ``candidate_features`` of a layer of a set, some candidates at a time."""
    features = map_npy(path)
    fixed = dict(zip(("dataset", "model", "set", "layer"), key, strict=True))
    size = max(1, _BYTES // (4 * features.shape[1]))
    for start in range(0, len(ids), size):
        block = np.asarray(features[start : start + size])
        ends = np.arange(0, block.size + 1, block.shape[1], dtype=np.int32)
        columns = constant(fixed, len(block)) | {
            "candidate": pa.array(ids[start : start + size], pa.string()),
            "features": pa.ListArray.from_arrays(pa.array(ends), pa.array(block.ravel())),
        }
        yield ordered("candidate_features", columns)


def check_identification(release: Release) -> Iterable[str]:
    """Sentences on rows that do not follow from each other."""
    yield from _check_sets(release)
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
