"""From accuracies to rows of the published tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unitdb.analysis import (
    Blocks,
    histogram,
    lead_over_others,
    mean_over_subjects,
    subject_reliability_interval,
    summarise_layer,
    summarise_units,
)
from unitdb.schema import get_table
from unitdb.tables.statistics import Agreement, Tested

__all__ = [
    "Rows",
    "Scope",
    "accuracy_rows",
    "histogram_rows",
    "intersubject_rows",
    "layer_reliability_rows",
    "layer_summary_rows",
    "partition_keys",
    "set_row",
    "table_of",
    "unit_summary_rows",
]

Rows = list[dict[str, Any]]

Accuracies = Iterable[NDArray[np.float32]]
"""Accuracies of a layer: for each ROI (n_subjects, n_units); NaN where there is none."""

_PATTERN_COLUMNS = [
    column.name
    for column in get_table("layer_summary").columns
    if column.name.startswith(("mean_low", "mean_high", "n_pattern", "n_cand", "pattern", "ident"))
]

_AT_ONCE = 2**16
"""Units whose rows are made at once."""


def table_of(name: str, rows: Rows) -> pa.Table:
    """Rows as an Arrow table of the schema; NaN, and a column that a row lacks, become NULL."""
    schema = get_table(name).arrow_schema()
    columns = [
        pa.array([row.get(field.name) for row in rows], type=field.type, from_pandas=True)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What the accuracies of a build are of: all that rows need to know.

    Parameters
    ----------
    build : str
        Identifier of the build.
    dataset, condition, model : str
        What was decoded from what.
    rois, subjects : tuple of str
        In the order of rows, by code point.
    """

    build: str
    dataset: str
    condition: str
    model: str
    rois: tuple[str, ...]
    subjects: tuple[str, ...]


def set_row(
    dataset: str,
    condition: str,
    *,
    n_samples: int,
    n_targets: int | None = None,
    n_presentations: int | None = None,
    targets: str = "pictures",
    averaged: bool = True,
    time: float | None = None,
    level: float | None = None,
    prior: str | None = None,
    labels: str | None = None,
) -> dict[str, Any]:
    """Row of ``test_sets``; as many targets as samples by default."""
    return {
        "dataset": dataset,
        "condition": condition,
        "time": time,
        "level": level,
        "prior": prior,
        "targets": targets,
        "labels": labels,
        "n_samples": n_samples,
        "n_targets": n_samples if n_targets is None else n_targets,
        "averaged": averaged,
        "n_presentations": n_presentations,
    }


def partition_keys(scope: Scope, layer: str) -> dict[str, str]:
    """Values of the columns that the large tables are partitioned by."""
    return {
        "dataset": scope.dataset,
        "condition": scope.condition,
        "model": scope.model,
        "layer": layer,
    }


def accuracy_rows(
    scope: Scope,
    layer: str,
    units: NDArray[np.int32],
    r: Accuracies,
    reliability: Accuracies | None = None,
) -> Iterator[pa.Table]:
    """Table ``accuracy`` of one layer, in pieces, in the order of rows: all subjects of a unit."""
    n = len(scope.subjects)
    of_rois = repeat(None) if reliability is None else reliability
    for roi, of_roi, reliable in zip(scope.rois, r, of_rois, strict=False):
        fixed = {**partition_keys(scope, layer), "roi": roi, "build": scope.build}
        for start in range(0, len(units), _AT_ONCE):
            some = units[start : start + _AT_ONCE]
            columns = _constant(fixed, n * len(some))
            columns["unit"] = pa.array(np.repeat(some, n), pa.int32())
            codes = np.tile(np.arange(n, dtype=np.int32), len(some))
            columns["subject"] = _named(pa.array(codes), scope.subjects)
            for name, values in (("r", of_roi), ("reliability", reliable)):
                columns[name] = (
                    pa.nulls(n * len(some), pa.float32())
                    if values is None
                    else _float32(values[:, start : start + _AT_ONCE].T.ravel())
                )
            yield _ordered("accuracy", columns)


def unit_summary_rows(
    scope: Scope,
    layer: str,
    units: NDArray[np.int32],
    r: Accuracies,
    p_and_q: Iterable[tuple[NDArray[np.float32], NDArray[np.float32]]],
) -> Iterator[pa.Table]:
    """Table ``unit_summary`` of one layer, a piece for each ROI, in the order of rows."""
    lead = lead_over_others(_means(r))
    for roi, of_roi, leads, (p, q) in zip(scope.rois, r, lead, p_and_q, strict=True):
        found = summarise_units(of_roi)
        order = np.argsort(found.rank)
        yield _ordered(
            "unit_summary",
            _constant({**partition_keys(scope, layer), "roi": roi}, len(units))
            | {
                "unit": pa.array(units[order], pa.int32()),
                "n_subjects": pa.array(found.n_subjects[order], pa.int32()),
                "mean_r": _float32(found.mean[order]),
                "sd_r": _float32(found.sd[order]),
                "min_r": _float32(found.minimum[order]),
                "max_r": _float32(found.maximum[order]),
                "rank": pa.array(found.rank[order], pa.int32()),
                "lead_r": pa.array(leads[order], from_pandas=True),
                "p": pa.array(p[order], pa.float32(), from_pandas=True),
                "q": pa.array(q[order], pa.float32(), from_pandas=True),
            },
        )


def _means(r: Accuracies) -> NDArray[np.float32]:
    """Mean accuracies over subjects as they are published, (n_rois, n_units)."""
    return np.stack([mean_over_subjects(of_roi).astype(np.float32) for of_roi in r])


def histogram_rows(scope: Scope, layer: str, r: Accuracies) -> dict[str, Rows]:
    """Rows of the histograms of one layer: of accuracies, and of measures over subjects."""
    means = _means(r)
    of_subjects, of_means, of_measures = [], [], []
    for roi, of_roi, mean, lead in zip(scope.rois, r, means, lead_over_others(means), strict=True):
        keys = partition_keys(scope, layer) | {"roi": roi}
        for subject, of_subject in zip(scope.subjects, of_roi, strict=True):
            of_subjects += _bins(keys | {"subject": subject}, of_subject)
        of_means += _bins(keys, mean)
        complete, preferred = ~np.isnan(of_roi).any(axis=0), lead > 0
        some = {
            "n_complete": complete,
            "n_preferred": preferred,
            "n_complete_preferred": complete & preferred,
        }
        for measure, values, limit in (
            ("mean_r", mean, 100),
            ("min_r", np.fmin.reduce(of_roi), 100),
            ("max_r", np.fmax.reduce(of_roi), 100),
            ("lead_r", lead, 200),
        ):
            of_measures += _bins(keys | {"measure": measure}, values, some, limit=limit)
    return {
        "accuracy_histogram": of_subjects,
        "unit_histogram": of_means,
        "summary_histogram": of_measures,
    }


def _bins(
    keys: dict[str, str],
    r: NDArray[np.float32],
    some: Mapping[str, NDArray[np.bool_]] | None = None,
    *,
    limit: int = 100,
) -> Rows:
    """Units of each bin, and how many of them are among some."""
    counted = {"n_units": _counts(r, limit)}
    counted |= {name: _counts(r[chosen], limit) for name, chosen in (some or {}).items()}
    return [
        keys | {"bin": bin_} | {name: counts.get(bin_, 0) for name, counts in counted.items()}
        for bin_ in counted["n_units"]
    ]


def _counts(r: NDArray[np.float32], limit: int) -> dict[int, int]:
    bins, counts = histogram(r, limit=limit)
    return dict(zip(bins.tolist(), counts.tolist(), strict=True))


def layer_summary_rows(
    scope: Scope,
    layer: str,
    roi: str,
    r: NDArray[np.float32],
    *,
    tested: Tested | None,
    patterns: Sequence[Mapping[str, Any]] | None = None,
    chance: Sequence[float] | None = None,
    reliability: NDArray[np.float32] | None = None,
) -> Rows:
    """Rows of ``layer_summary`` of one layer and ROI.

    Parameters
    ----------
    scope, layer, roi
        What they are of.
    r : array of shape (n_subjects, n_units)
        Accuracies.
    tested : Tested, optional
        Their significance, where it is known.
    patterns : sequence of mapping, optional
        For each subject what :func:`Predicted` has.
    chance : sequence of float, optional
        For each subject the mean accuracy of controls.
    reliability : array of shape (n_subjects, n_units), optional
        Of predictions over presentations.
    """
    rows = []
    for at, (subject, of_subject) in enumerate(zip(scope.subjects, r, strict=True)):
        found = summarise_layer(of_subject)
        pattern: dict[str, Any] = dict.fromkeys(_PATTERN_COLUMNS)
        if patterns is not None:
            pattern |= patterns[at]
            # Of a sample of the units; how far their mean scatters over images is that of all.
            mean = pattern.pop("mean_of_patterns", None)
            for end in ("mean_low", "mean_high"):
                if pattern[end] is not None:
                    # No mean correlation lies beyond ±1, however far its interval is moved.
                    pattern[end] = min(max(pattern[end] + found.mean - mean, -1.0), 1.0)
        rows.append(
            partition_keys(scope, layer)
            | {
                "roi": roi,
                "subject": subject,
                "n_units": found.n_units,
                "n_undefined": found.n_undefined,
                "mean_r": found.mean,
                "sd_r": found.sd,
                "q05_r": found.quantiles[0.05],
                "q25_r": found.quantiles[0.25],
                "median_r": found.quantiles[0.5],
                "q75_r": found.quantiles[0.75],
                "q95_r": found.quantiles[0.95],
                "n_significant": None if tested is None else tested.n_significant[at],
                "chance_r": None if chance is None else chance[at],
                "mean_reliability": None if reliability is None else _mean(reliability[at]),
            }
            | pattern
        )
    return rows


def intersubject_rows(
    scope: Scope,
    layer: str,
    roi: str,
    found: Sequence[Agreement],
    predictions: NDArray[np.float64] | None = None,
) -> Rows:
    """Rows of ``intersubject`` of one layer and ROI.

    Parameters
    ----------
    scope, layer, roi
        What they are of.
    found : sequence of Agreement
        Of every pair.
    predictions : array of shape (n_subjects, n_subjects), optional
        Correlations of their predictions.
    """
    rows = []
    for one in found:
        pair = one.pair
        row = {
            "roi": roi,
            "subject_a": scope.subjects[pair.first],
            "subject_b": scope.subjects[pair.second],
            "n_units": pair.n_units,
            "n_blocks": pair.n_blocks,
            "prediction_r": None
            if predictions is None
            else float(predictions[pair.first, pair.second]),
            "chance_r": one.chance,
            "p": one.p,
        }
        for name in ("pearson", "spearman", "partial"):
            interval = getattr(pair, name)
            for end, column in (("value", "r"), ("low", "low"), ("high", "high")):
                row[f"{name}_{column}"] = None if interval is None else getattr(interval, end)
        rows.append(partition_keys(scope, layer) | row)
    return rows


def layer_reliability_rows(
    scope: Scope,
    layer: str,
    roi: str,
    r: NDArray[np.float32],
    *,
    blocks: Blocks,
) -> Rows:
    """Row of ``layer_reliability`` of one layer and ROI; none of one subject."""
    if len(r) < 2:
        return []
    found = subject_reliability_interval(r, blocks)
    row = {
        "roi": roi,
        "n_subjects": len(r),
        "n_units": int((~np.isnan(r).any(axis=0)).sum()),
        "reliability": found.value,
        "reliability_low": found.low,
        "reliability_high": found.high,
    }
    return [partition_keys(scope, layer) | row]


def _mean(values: NDArray[np.float32]) -> float:
    known = values[~np.isnan(values)].astype(np.float64)
    return float(known.mean()) if len(known) else np.nan


def _ordered(table: str, columns: Mapping[str, pa.Array]) -> pa.Table:
    schema = get_table(table).arrow_schema()
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _constant(values: Mapping[str, str], n_rows: int) -> dict[str, pa.Array]:
    zeros = pa.array(np.zeros(n_rows, np.int32))
    return {name: _named(zeros, [value]) for name, value in values.items()}


def _named(codes: pa.Array, names: Sequence[str]) -> pa.Array:
    """Names by their indices, all of which are below the number of names."""
    return pa.DictionaryArray.from_arrays(codes, pa.array(names, pa.string()), safe=False)


def _float32(values: NDArray[np.floating]) -> pa.Array:
    return pa.array(values.astype(np.float32, copy=False), from_pandas=True)
