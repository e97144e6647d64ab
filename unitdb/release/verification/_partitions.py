"""Check one partition: accuracies complete and valid, and every summary of them right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unitdb.errors import CorruptReleaseError
from unitdb.release.rows import check_order, coded, distinct, read_rows
from unitdb.release.verification._significance import check_intervals
from unitdb.release.verification._summaries import (
    Decoded,
    layer_rows,
    pair_rows,
    ranks_by,
    unit_columns,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import pyarrow as pa

    from unitdb.release.verification._significance import Significance
    from unitdb.schema import Table

__all__ = ["TOLERANCE", "Referred", "check_pairs_and_layers", "check_units", "decoded", "read"]

TOLERANCE = 1e-6
"""Largest difference of a stored summary from the one computed anew: float32 and summing order.

Counts, ranks, and the extremes, which are values of the accuracies themselves, must be equal."""

_EXACT = {"n_subjects", "n_units", "n_undefined", "min_r", "max_r", "rank"}

Referred = dict[tuple[str, tuple[str, ...]], set[tuple[Any, ...]]]
"""Rows that foreign keys may refer to, by table and columns."""

Rows = dict[tuple[str, ...], dict[str, Any]]
"""Rows of a small table by primary key."""


def read(folder: Path, path: str, spec: Table, referred: Referred) -> pa.Table:
    """Read one Parquet file and check its schema, values, order and foreign keys.

    Raises
    ------
    SchemaError
        Names the file and what is not as the schema says.
    CorruptReleaseError
        The file cannot be read, or refers to rows that do not exist.
    """
    table = read_rows(folder / path)
    spec.validate(table, where=path)
    if not table.schema.equals(spec.arrow_schema()):
        raise CorruptReleaseError(f"{path}: columns are not declared as in the schema")
    check_order(table, spec, where=path)
    for key in spec.foreign_keys:
        orphans = sorted(distinct(table, key.columns) - referred[key.table, key.columns])
        if orphans:
            shown = ", ".join("/".join(orphan) for orphan in orphans[:5])
            raise CorruptReleaseError(
                f"{path}: {', '.join(key.columns)} not in table {key.table!r}: {shown}"
            )
    return table


def decoded(table: pa.Table, *, n_units: int, where: str) -> Decoded:
    """Accuracies of a partition as a matrix; all ROIs and subjects must have the same units.

    Raises
    ------
    CorruptReleaseError
        Names the ROI and subject whose units differ, or the unit that the layer does not have.
    """
    (roi_codes, rois), (subject_codes, subjects) = coded(table["roi"]), coded(table["subject"])
    group = roi_codes * np.int32(len(subjects)) + subject_codes
    starts = np.append(0, np.flatnonzero(group[1:] != group[:-1]) + 1)
    groups = [(rois[roi_codes[row]], subjects[subject_codes[row]]) for row in starts]
    units = table["unit"].to_numpy()
    first = units[: np.append(starts, len(units))[1]]
    for pair, one in zip(groups, np.split(units, starts[1:]), strict=True):
        if not np.array_equal(one, first):
            raise CorruptReleaseError(
                f"{where}: {'/'.join(pair)} has {len(one)} units and {'/'.join(groups[0])} "
                f"{len(first)}, or not the same ones"
            )
    if first[-1] >= n_units:
        raise CorruptReleaseError(
            f"{where}: unit {first[-1]} does not exist: the layer has {n_units} units"
        )
    return Decoded(groups, first, table["r"].to_numpy().reshape(len(groups), len(first)))


def check_units(data: Decoded, table: pa.Table, significance: Significance, *, where: str) -> None:
    """Raise CorruptReleaseError unless ``unit_summary`` is what the accuracies give."""
    codes, names = coded(table["roi"])
    stored_units = table["unit"].to_numpy()
    if names != list(dict.fromkeys(roi for roi, _ in data.groups)):
        raise CorruptReleaseError(f"{where}: ROIs are not those of the accuracies: {names}")
    for code, (roi, _, r) in enumerate(data.rois()):
        low, high = np.searchsorted(codes, [code, code + 1])
        if not np.array_equal(stored_units[low:high], data.units):
            raise CorruptReleaseError(f"{where}: {roi}: units are not those of the accuracies")
        stored = table.slice(low, high - low)
        expected = unit_columns(r)
        # The mean is right to within rounding, and the ranks follow from it exactly.
        expected["rank"] = ranks_by(stored["mean_r"].to_numpy())
        for column, values in expected.items():
            found = stored[column].to_numpy()
            wrong = ~_close(column, found, values)
            if wrong.any():
                at = int(np.argmax(wrong))
                raise CorruptReleaseError(
                    f"{where}: {roi}/{data.units[at]}: {column} is {found[at]}, "
                    f"but the accuracies give {values[at]}"
                )
        if "p" in stored.column_names:
            mean_r, p = (stored[column].to_numpy() for column in ("mean_r", "p"))
            significance.check_p(data, roi, mean_r, p, where=where)


def check_pairs_and_layers(
    data: Decoded,
    keys: tuple[str, ...],
    stored: Mapping[str, Rows],
    significance: Significance,
) -> None:
    """Take the partition's rows out of ``layer_summary`` and ``intersubject``, checking each.

    Parameters
    ----------
    data : Decoded
        Accuracies of the partition.
    keys : tuple of str
        The partition: dataset, condition, model, layer.
    stored : mapping of str to Rows
        Rows of the two tables; those of this partition are removed.
    significance : Significance
        Of the build.

    Raises
    ------
    CorruptReleaseError
        Names the row that is missing, or the value that the accuracies do not give.
    """
    layers = _check_rows("layer_summary", keys, layer_rows(data), stored["layer_summary"])
    pairs = _check_rows("intersubject", keys, pair_rows(data), stored["intersubject"])
    for table, rows in (("layer_summary", layers), ("intersubject", pairs)):
        check_intervals(table, rows)
    stated = {(key[-2], key[-1]): row.get("n_significant") for key, row in layers.items()}
    if all("n_significant" in row for row in layers.values()):
        significance.check_counts(data, stated, where="/".join(keys))


def _check_rows(
    table: str,
    keys: tuple[str, ...],
    expected: Iterable[tuple[tuple[str, ...], dict[str, Any]]],
    stored: Rows,
) -> Rows:
    """Take rows out of those stored, and return them."""
    taken = {}
    for rest, values in expected:
        place = f"{table}: {'/'.join(keys + rest)}"
        row = stored.pop(keys + rest, None)
        if row is None:
            raise CorruptReleaseError(f"{place}: the row is missing")
        taken[keys + rest] = row
        for column, value in values.items():
            found = np.nan if row[column] is None else row[column]
            if not _close(column, found, value):
                raise CorruptReleaseError(
                    f"{place}: {column} is {found}, but the accuracies give {value}"
                )
    return taken


def _close(column: str, found: Any, expected: Any) -> Any:
    tolerance = 0 if column in _EXACT else TOLERANCE
    return np.isclose(found, expected, rtol=0, atol=tolerance, equal_nan=True)
