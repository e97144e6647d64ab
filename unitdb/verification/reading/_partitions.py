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
from unitdb.verification.reading._derived import TOLERANCE
from unitdb.verification.reading._significance import check_intervals
from unitdb.verification.reading._summaries import Decoded, pair_rows, reliability_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from unitdb.schema import Table
    from unitdb.verification.reading._significance import Significance

__all__ = [
    "Pieces",
    "Referred",
    "Rows",
    "check_derived_rows",
    "decoded",
    "read",
    "summaries",
]

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
    for roi, table in pieces.by_roi(("unit", "subject", "r")):
        codes, names = coded(table["subject"])
        unit, r = table["unit"].to_numpy(), table["r"].to_numpy()
        n = int(np.searchsorted(unit, unit[0], side="right"))
        subjects = [names[code] for code in codes[:n]]
        if first is None:
            first = unit[np.flatnonzero(np.diff(unit, prepend=unit[0] - 1))]
            first_place = f"{roi}/{subjects[0]}"
        # Units rise, and subjects within each: what is complete is a matrix.
        whole = unit.shape == (len(first) * n,) and np.array_equal(
            unit.reshape(-1, n), np.broadcast_to(first[:, None], (len(first), n))
        )
        if not whole or (codes.reshape(-1, n) != codes[:n]).any():
            raise CorruptReleaseError(
                f"{where}: {_odd(unit, codes, names, first, roi)} and {first_place} "
                f"{len(first)}, or not the same ones"
            )
        parts.append((roi, subjects, np.ascontiguousarray(r.reshape(-1, n).T)))
    if first is None:
        raise CorruptReleaseError(f"{where}: there is no row")
    if first[-1] >= n_units:
        raise CorruptReleaseError(
            f"{where}: unit {first[-1]} does not exist: the layer has {n_units} units"
        )
    return Decoded(parts, first)


def _odd(
    unit: np.ndarray, codes: np.ndarray, names: Sequence[str], expected: np.ndarray, roi: str
) -> str:
    """The first subject whose units are not those expected, and how many it has."""
    for code, name in enumerate(names):
        own = unit[codes == code]
        if not np.array_equal(own, expected):
            return f"{roi}/{name} has {len(own)} units"
    return f"{roi} has {len(unit)} rows"


def summaries(
    data: Decoded, pieces: Pieces, *, where: str
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Columns ``mean_r`` and ``p`` of ``unit_summary`` in each ROI, in the order of units.

    Parameters
    ----------
    data : Decoded
        Accuracies of the partition.
    pieces : Pieces
        Rows of ``unit_summary``.
    where : str
        The file, for the message.

    Raises
    ------
    CorruptReleaseError
        Units or ROIs are not those of the accuracies.
    """
    found = {}
    for roi, table in pieces.by_roi(("unit", "mean_r", "p")):
        unit = table["unit"].to_numpy()
        order = np.argsort(unit)
        if not np.array_equal(unit[order], data.units):
            raise CorruptReleaseError(f"{where}: {roi}: units are not those of the accuracies")
        found[roi] = (table["mean_r"].to_numpy()[order], table["p"].to_numpy()[order])
    differ = sorted(found.keys() ^ {roi for roi, _, _ in data.parts})
    if differ:
        raise CorruptReleaseError(f"{where}: ROIs are not those of the accuracies: {differ[0]}")
    return found


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
        Rows of ``layer_summary``, ``layer_reliability`` and ``intersubject``; those of this
        partition are removed.
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
    layers = {keys + place: stored["layer_summary"].pop(keys + place) for place in data.groups}
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
            if not (both_missing or abs(found - value) <= TOLERANCE):
                raise CorruptReleaseError(
                    f"{place}: {column} is {found}, but the accuracies give {value}"
                )
    return taken
