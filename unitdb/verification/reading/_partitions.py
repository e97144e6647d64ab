"""Check one partition: accuracies complete and valid, and every summary of them right.

A partition is read a row group at a time and checked an ROI at a time, so that memory does not grow
with the number of ROIs and subjects of a layer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from unitdb.errors import CorruptReleaseError
from unitdb.release.rows import check_order, coded, distinct, read_rows, readable
from unitdb.verification.reading._significance import check_intervals
from unitdb.verification.reading._summaries import (
    Decoded,
    bin_rows,
    layer_rows,
    lead_over_others,
    pair_rows,
    ranks_by,
    reliability_rows,
    unit_columns,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from unitdb.schema import Table
    from unitdb.verification.reading._significance import Significance

__all__ = [
    "TOLERANCE",
    "Pieces",
    "Referred",
    "Rows",
    "check_derived_rows",
    "check_units",
    "decoded",
    "read",
]

TOLERANCE = 1e-6
"""Largest difference of a stored summary from the one computed anew: float32 and summing order.

Counts, ranks, and the extremes, which are values of the accuracies themselves, must be equal."""

_EXACT = {"n_subjects", "n_units", "n_undefined", "min_r", "max_r", "rank"}

Referred = dict[tuple[str, tuple[str, ...]], set[tuple[Any, ...]]]
"""Rows that foreign keys may refer to, by table and columns."""

Rows = dict[tuple[str, ...], dict[str, Any]]
"""Rows of a small table by primary key."""

Alike = dict[tuple[str, ...], float]
"""How predictions of two subjects correlate, by ROI and both."""


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
    _check_rows_of(table, spec, referred, where=path)
    check_order(table, spec, where=path)
    return table


class Pieces:
    """Rows of a partition by row group, each checked as :func:`read` does.

    Parameters
    ----------
    folder : Path
        The release.
    path : str
        The Parquet file.
    spec : Table
        Its table.
    keys : sequence of str
        Values of the partition's columns, as the folder says.
    referred : Referred
        Rows that foreign keys may refer to.

    Attributes
    ----------
    n_rows : int
        Rows read so far.
    builds : set of tuple of str
        Builds of the rows read so far, where the table says of them.
    """

    def __init__(
        self, folder: Path, path: str, spec: Table, keys: Sequence[str], referred: Referred
    ) -> None:
        self._file, self._path, self._spec = folder / path, path, spec
        self._keys, self._referred = tuple(keys), referred
        self.n_rows = 0
        self.builds: set[tuple[Any, ...]] = set()

    def __iter__(self) -> Iterator[pa.Table]:
        last: pa.Table | None = None
        with readable(self._file) as file:
            for group in range(file.num_row_groups):
                piece = file.read_row_group(group)
                self._check(piece)
                joined = piece if last is None else pa.concat_tables([last, piece])
                first_row = self.n_rows - (last is not None)
                check_order(joined, self._spec, where=self._path, first_row=first_row)
                self.n_rows += piece.num_rows
                last = piece.slice(piece.num_rows - 1)
                yield piece

    def _check(self, piece: pa.Table) -> None:
        _check_rows_of(piece, self._spec, self._referred, where=self._path)
        if distinct(piece, self._spec.partition_by) != {self._keys}:
            raise CorruptReleaseError(
                f"{self._path}: rows are of another partition than the folder says"
            )
        if "build" in piece.column_names:
            self.builds |= distinct(piece, ["build"])

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self._spec.column_names

    def by_roi(self, columns: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
        """Each ROI, and some columns of its rows."""
        roi = ""
        held: list[pa.Table] = []
        for piece in self:
            codes, names = coded(piece["roi"])
            starts = np.flatnonzero(np.diff(codes, prepend=-1))
            some = piece.select(columns)
            for start, stop in zip(starts, [*starts[1:], piece.num_rows], strict=True):
                name = names[codes[start]]
                if name != roi and held:
                    yield roi, pa.concat_tables(held)
                    held = []
                roi = name
                held.append(some.slice(start, stop - start))
        if held:
            yield roi, pa.concat_tables(held)


def _check_rows_of(table: pa.Table, spec: Table, referred: Referred, *, where: str) -> None:
    spec.validate(table, where=where)
    if not table.schema.equals(spec.arrow_schema()):
        raise CorruptReleaseError(f"{where}: columns are not declared as in the schema")
    for key in spec.foreign_keys:
        orphans = sorted(distinct(table, key.columns) - referred[key.table, key.columns])
        if orphans:
            shown = ", ".join("/".join(orphan) for orphan in orphans[:5])
            raise CorruptReleaseError(
                f"{where}: {', '.join(key.columns)} not in table {key.table!r}: {shown}"
            )


def decoded(pieces: Pieces, *, n_units: int, where: str) -> Decoded:
    """Accuracies of a partition as matrices; all ROIs and subjects must have the same units.

    Raises
    ------
    CorruptReleaseError
        Names the ROI and subject whose units differ, or the unit that the layer does not have.
    """
    parts: list[tuple[str, list[str], np.ndarray]] = []
    first: np.ndarray | None = None
    first_place = ""
    columns = ["unit", "subject", *(name for name in _MEASURED if name in pieces.columns)]
    reliability: dict[tuple[str, str], float] = {}
    for roi, table in pieces.by_roi(columns):
        codes, names = coded(table["subject"])
        unit, r = table["unit"].to_numpy(), table["r"].to_numpy()
        subjects = []
        for code in np.unique(codes):
            found, subject = unit[codes == code], names[code]
            if first is None:
                first, first_place = found, f"{roi}/{subject}"
            if not np.array_equal(found, first):
                raise CorruptReleaseError(
                    f"{where}: {roi}/{subject} has {len(found)} units and {first_place} "
                    f"{len(first)}, or not the same ones"
                )
            subjects.append(subject)
            if "reliability" in columns:
                reliability[roi, subject] = _mean(table["reliability"].filter(codes == code))
        # Units rise, and subjects within each: what is complete is a matrix.
        parts.append((roi, subjects, np.ascontiguousarray(r.reshape(-1, len(subjects)).T)))
    if first is None:
        raise CorruptReleaseError(f"{where}: there is no row")
    if first[-1] >= n_units:
        raise CorruptReleaseError(
            f"{where}: unit {first[-1]} does not exist: the layer has {n_units} units"
        )
    return Decoded(parts, first, reliability)


def _mean(values: pa.ChunkedArray) -> float:
    known = values.drop_null().to_numpy().astype(np.float64)
    return float(known.mean()) if len(known) else math.nan


_MEASURED = ("r", "reliability")
_STORED = ("unit", "n_subjects", "mean_r", "sd_r", "min_r", "max_r", "rank", "lead_r", "p")


def check_units(
    data: Decoded, pieces: Pieces, significance: Significance, alike: Alike, *, where: str
) -> None:
    """Raise CorruptReleaseError unless ``unit_summary`` is what the accuracies give.

    Parameters
    ----------
    data : Decoded
        Accuracies of the partition.
    pieces : Pieces
        Rows of ``unit_summary``.
    significance : Significance
        Of the build.
    alike : mapping of (str, str, str) to float
        From :func:`check_derived_rows`.
    where : str
        The file, for the message.
    """
    means, leads = [], []
    rois = list(data.rois())
    stored_rois = pieces.by_roi(_STORED)
    for roi, _, r in rois:
        name, table = next(stored_rois, (None, None))
        if name != roi or table is None:
            raise CorruptReleaseError(f"{where}: ROIs are not those of the accuracies: {name}")
        stored = _by_unit(table, data.units, where=f"{where}: {roi}")
        expected = unit_columns(r)
        # The mean is right to within rounding, and the ranks follow from it exactly.
        expected["rank"] = ranks_by(stored["mean_r"])
        for column, values in expected.items():
            _check_column(column, stored[column], values, data.units, where=f"{where}: {roi}")
        significance.check_p(data, roi, stored["mean_r"], stored["p"], alike, where=where)
        means.append(stored["mean_r"])
        leads.append(stored["lead_r"])
    more = next(stored_rois, None)
    if more is not None:
        raise CorruptReleaseError(f"{where}: ROIs are not those of the accuracies: {more[0]}")
    for (roi, _, _), found, expected_lead in zip(rois, leads, lead_over_others(means), strict=True):
        _check_column("lead_r", found, expected_lead, data.units, where=f"{where}: {roi}")


def _by_unit(table: pa.Table, units: np.ndarray, *, where: str) -> dict[str, np.ndarray]:
    """Columns of an ROI in the order of units."""
    stored = table["unit"].to_numpy()
    order = np.argsort(stored)
    if not np.array_equal(stored[order], units):
        raise CorruptReleaseError(f"{where}: units are not those of the accuracies")
    return {name: table[name].to_numpy()[order] for name in table.column_names}


def _check_column(
    column: str, found: np.ndarray, expected: np.ndarray, units: np.ndarray, *, where: str
) -> None:
    wrong = ~np.isclose(found, expected, rtol=0, atol=_tolerance(column), equal_nan=True)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise CorruptReleaseError(
            f"{where}/{units[at]}: {column} is {found[at]}, but the accuracies give {expected[at]}"
        )


def check_derived_rows(
    data: Decoded,
    keys: tuple[str, ...],
    stored: Mapping[str, Rows],
    significance: Significance,
) -> Alike:
    """Take the partition's rows out of the small tables of summaries, checking each.

    Parameters
    ----------
    data : Decoded
        Accuracies of the partition.
    keys : tuple of str
        The partition: dataset, condition, model, layer.
    stored : mapping of str to Rows
        Rows of ``layer_summary``, ``layer_reliability``, ``intersubject`` and the histograms; those
        of this partition are removed.
    significance : Significance
        Of the build.

    Returns
    -------
    mapping of (str, str, str) to float
        ``intersubject.prediction_r`` by ROI and both subjects; 1 where it is not known.

    Raises
    ------
    CorruptReleaseError
        Names the row that is missing, or the value that the accuracies do not give.
    """
    layers = _check_rows("layer_summary", keys, layer_rows(data), stored["layer_summary"])
    pairs = _check_rows("intersubject", keys, pair_rows(data), stored["intersubject"])
    with_intervals = {"layer_summary": layers, "intersubject": pairs}
    if "layer_reliability" in stored:
        with_intervals["layer_reliability"] = _check_rows(
            "layer_reliability", keys, reliability_rows(data), stored["layer_reliability"]
        )
    for table, checked in with_intervals.items():
        check_intervals(table, checked)
    stated = {(key[-2], key[-1]): row["n_significant"] for key, row in layers.items()}
    significance.check_counts(data, stated, where="/".join(keys))
    for table, rows in bin_rows(data).items():
        if table in stored:  # an older release has fewer
            _check_rows(table, keys, rows, stored[table])
    alike = {key[-3:]: row.get("prediction_r") for key, row in pairs.items()}
    return {pair: 1.0 if value is None else value for pair, value in alike.items()}


def _check_rows(
    table: str,
    keys: tuple[str, ...],
    expected: Iterable[tuple[tuple[Any, ...], dict[str, Any]]],
    stored: Rows,
) -> Rows:
    """Take rows out of those stored, and return them."""
    taken = {}
    for rest, values in expected:
        place = f"{table}: {'/'.join(map(str, keys + rest))}"
        row = stored.pop(keys + rest, None)
        if row is None:
            raise CorruptReleaseError(f"{place}: the row is missing")
        taken[keys + rest] = row
        for column, value in values.items():
            found = math.nan if row[column] is None else row[column]
            both_missing = math.isnan(found) and math.isnan(value)
            if not (both_missing or abs(found - value) <= _tolerance(column)):
                raise CorruptReleaseError(
                    f"{place}: {column} is {found}, but the accuracies give {value}"
                )
    return taken


def _tolerance(column: str) -> float:
    return 0.0 if column in _EXACT else TOLERANCE
