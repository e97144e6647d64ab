"""Rows of the published tables: what every table is made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unitdb.schema import get_table

__all__ = [
    "Rows",
    "Scope",
    "constant",
    "float32",
    "named",
    "ordered",
    "partition_keys",
    "set_row",
    "table_of",
]

Rows = list[dict[str, Any]]


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


def ordered(table: str, columns: Mapping[str, pa.Array]) -> pa.Table:
    """Columns in the order of the schema."""
    schema = get_table(table).arrow_schema()
    return pa.table([columns[name] for name in schema.names], schema=schema)


def constant(values: Mapping[str, str], n_rows: int) -> dict[str, pa.Array]:
    """Columns of one value each."""
    zeros = pa.array(np.zeros(n_rows, np.int32))
    return {name: named(zeros, [value]) for name, value in values.items()}


def named(codes: pa.Array, names: Sequence[str]) -> pa.Array:
    """Names by their indices, all of which are below the number of names."""
    return pa.DictionaryArray.from_arrays(codes, pa.array(names, pa.string()), safe=False)


def float32(values: NDArray[np.floating]) -> pa.Array:
    """Numbers, NULL where they are NaN."""
    return pa.array(values.astype(np.float32, copy=False), from_pandas=True)
