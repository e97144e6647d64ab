"""Rows of the tables of identification, and what is wrong with those of a release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unitdb.matching import AMONG
from unitdb.measures.candidacy import Among
from unitdb.measures.identify_step import NUMBERS, IdentifyStep
from unitdb.recipes import Job
from unitdb.sealed import map_npy
from unitdb.tables import Rows, constant, ordered

__all__ = [
    "candidate_rows",
    "exchange_rows",
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
_ENDINGS = ("", "_trained", "_within", "_between")


def _keys(job: Job, among: Among) -> dict[str, str]:
    return {
        "dataset": job.dataset.spec.name,
        "condition": among.condition,
        "model": job.model.spec.name,
        "set": among.set.name,
    }


def set_row(among: Among, features_sha256: str) -> dict[str, Any]:
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
        "features_sha256": features_sha256,
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


def exchange_rows(job: Job, among: Among, step: IdentifyStep) -> Rows:
    """Rows of ``identification_exchange`` of a step."""
    found = step.results()
    subject = PEOPLE if step.subject is None else job.dataset.subjects[step.subject].subject
    fixed = _keys(job, among) | {"subject": subject}
    return [
        fixed
        | {"layer": layer, "roi": job.dataset.rois[roi], "method": method, "trials": kind}
        | {"among": AMONG[int(drawn)], "n": int(n), "chance": chance}
        for kind in step.kinds
        for place, drawn, n, chance in found[f"{kind}-curve"].tolist()
        for roi, layer, method in [step.places[int(place)]]
    ]


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
