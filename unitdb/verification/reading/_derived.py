"""Hold tables that follow from others against the SELECTs of the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unitdb.errors import CorruptReleaseError
from unitdb.query.sandbox import literal, pattern
from unitdb.release.rows import split
from unitdb.schema import TABLES
from unitdb.verification.reading._references import shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa

__all__ = ["TOLERANCE", "Derived"]

TOLERANCE = 1e-6
"""Largest difference of a stored summary from the one computed anew: float32 and summing order.

Counts, ranks, and the extremes, which are values of the accuracies themselves, must be equal."""

_EXACT = {"min_r", "max_r"}
_PLACE = ("dataset", "condition", "model", "layer")

Keys = tuple[str, ...]


class Derived:
    """Rows that must follow from the accuracies of each partition.

    Parameters
    ----------
    folder : Path
        The release.
    schema : str
        Its schema, MAJOR.MINOR.
    small : mapping of str to pyarrow.Table
        All tables that are one file.
    """

    def __init__(self, folder: Path, schema: str, small: Mapping[str, pa.Table]) -> None:
        import duckdb

        self._folder = folder
        tables = {name: TABLES[name].at(schema) for name in ("unit_summary", *small)}
        self._tables = {name: table for name, table in tables.items() if table.follows}
        self._empty = {name: small[name].slice(0, 0) for name in small if name in self._tables}
        self._rows = {name: split(small[name], _PLACE) for name in self._empty}
        # What is checked beside has the other cores.
        self._duckdb = duckdb.connect(config={"autoload_known_extensions": False, "threads": 1})
        self._duckdb.register("subjects", small["subjects"])

    def check(self, keys: Keys, files: Mapping[str, str]) -> None:
        """Raise CorruptReleaseError where a row of a partition is not as others give it.

        Parameters
        ----------
        keys : tuple of str
            Dataset, condition, model and layer.
        files : mapping of str to str
            Paths of the partition's files by table.
        """
        for of, path in files.items():
            file = literal([pattern(str((self._folder / path).absolute()))])
            self._duckdb.execute(
                f"CREATE OR REPLACE TEMP VIEW {of} AS "
                f"SELECT * FROM read_parquet({file}, hive_partitioning = false)"
            )
        for name, empty in self._empty.items():
            self._duckdb.register(name, self._rows[name].pop(keys, empty))
        for name, table in self._tables.items():
            rest = [column for column in table.primary_key if column not in _PLACE]
            for follows in table.follows:
                self._check(name, keys, rest, follows.within)

    def check_all_taken(self) -> None:
        """Raise CorruptReleaseError where rows are of no partition."""
        for name, left in self._rows.items():
            if left:
                names = shown("/".join(keys) for keys in left)
                raise CorruptReleaseError(f"{name}: rows without accuracies: {names}")

    def _check(self, name: str, keys: Keys, rest: list[str], sql: str) -> None:
        head = self._duckdb.execute(f"SELECT * FROM ({sql}) LIMIT 0").description or []
        values = [column[0] for column in head if column[0] not in rest]
        both = ", ".join(f"stated.{value}, given.{value}" for value in values)
        wrong = " OR ".join(_differs(value) for value in values)
        by = ", ".join(rest)
        found = self._duckdb.execute(
            f"SELECT {by}, stated.there, given.there, {both} "
            f"FROM (SELECT *, true AS there FROM {name}) stated "
            f"FULL JOIN (SELECT *, true AS there FROM ({sql})) given USING ({by}) "
            f"WHERE stated.there IS NULL OR given.there IS NULL OR {wrong} ORDER BY {by} LIMIT 1"
        ).fetchone()
        if found is None:
            return
        place = f"{name}: {'/'.join(map(str, (*keys, *found[: len(rest)])))}"
        stated, given, *pairs = found[len(rest) :]
        if stated is None:
            raise CorruptReleaseError(f"{place}: the row is missing")
        if given is None:
            raise CorruptReleaseError(f"{place}: rows without accuracies")
        for value, own, expected in zip(values, pairs[::2], pairs[1::2], strict=True):
            if own is None or expected is None:
                same = own is expected
            else:
                same = abs(own - expected) <= (0 if value in _EXACT else TOLERANCE)
            if not same:
                raise CorruptReleaseError(
                    f"{place}: {value} is {_text(own)}, but the accuracies give {_text(expected)}"
                )


def _differs(value: str) -> str:
    """Condition that two values are not the same, or only one is NULL."""
    tolerance = 0 if value in _EXACT else TOLERANCE
    return (
        f"(stated.{value} IS NULL) != (given.{value} IS NULL) "
        f"OR abs(stated.{value}::DOUBLE - given.{value}::DOUBLE) > {tolerance}"
    )


def _text(value: Any) -> str:
    return "NULL" if value is None else str(value)
