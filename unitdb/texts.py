"""Text files of others: tables of events and confounds, lists of names. Every row, or an error.

One door for all of them, on Python's own ``csv``. Cells are text and stay so: ``001``, ``1e5``,
``NA`` and ``true`` are what they are. A byte order mark and any kind of line end are read. Bytes
that are not UTF-8, quotes that do not close, cells over several lines, and rows of another length
than the header name their line. An empty line is no row; where rows have one cell it may be one,
and is an error unless nothing follows it.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from unitdb.errors import UnitdbError, closest
from unitdb.reads import note_read, why_missing

__all__ = [
    "Table",
    "fits",
    "is_missing",
    "number",
    "read_list",
    "read_rows",
    "read_table",
    "read_text",
]

Rows: TypeAlias = "list[tuple[int, list[str]]]"

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NO_DELIMITER = "\x1f"
_INVISIBLE = {
    "\0": "a NUL character",
    "\ufeff": "a byte order mark, which belongs to the beginning of a file",
    _NO_DELIMITER: "a control character (0x1f)",
}
_SHOWN = 60


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of a text table by the names of their columns.

    Parameters
    ----------
    path : Path
        Where it stands.
    columns : sequence of str
        Names in the header, without spaces around them.
    rows : sequence of (int, mapping of str to str)
        Number of the line, from 1, and its cells, without spaces around them.
    error : type
        What is raised where a column is missing.
    """

    path: Path
    columns: Sequence[str]
    rows: Sequence[tuple[int, Mapping[str, str]]]
    error: type[UnitdbError]

    def check_column(self, column: str) -> None:
        """Raise where there is no such column; names the nearest."""
        if column not in self.columns:
            near = closest(column, self.columns) or self.columns
            raise self.error(f"{self.path}: has no column {column!r}; there are: {', '.join(near)}")


def read_text(path: Path, *, error: type[UnitdbError]) -> str:
    """Text of a UTF-8 file, its lines ended by newlines, without a byte order mark.

    Raises
    ------
    error
        The file is missing, or holds what is no text; names the line.
    """
    try:
        note_read(path)
        content = path.read_bytes()
    except FileNotFoundError:
        raise error(f"{path}: cannot be read: {why_missing(path)}") from None
    except OSError as cause:
        raise error(f"{path}: cannot be read: {cause.strerror}") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        line = len(re.findall(rb"\r\n?|\n", content[: cause.start])) + 1
        raise error(
            f"{path}: cannot be read: line {line}: the byte 0x{content[cause.start]:02x} is not "
            "UTF-8; save it as UTF-8"
        ) from None
    text = io.StringIO(text, newline=None).read()
    for character, name in _INVISIBLE.items():
        if character in text:
            line = text[: text.index(character)].count("\n") + 1
            raise error(f"{path}: cannot be read: line {line}: holds {name}")
    return text


def read_rows(path: Path, *, delimiter: str | None = "\t", error: type[UnitdbError]) -> Rows:
    """Cells of each row with the number of its line; cells have no spaces around them.

    Parameters
    ----------
    path : Path
        A UTF-8 file.
    delimiter : str, optional
        Between cells; without one a line is one cell. Cells in double quotes may hold it.
    error : type
        Of the exception to raise.

    Raises
    ------
    error
        As the module describes; names the line.
    """
    text = read_text(path, error=error)
    return list(_rows(text, path, delimiter or _NO_DELIMITER, error))


def read_table(path: Path, *, error: type[UnitdbError]) -> Table:
    """Read a table whose first row names its columns; tabs stand between cells.

    Raises
    ------
    error
        As of :func:`read_rows`; also a column that stands twice, or a row that is longer or shorter
        than the header (empty cells at its end, which programs add, are none).
    """
    rows = read_rows(path, error=error)
    columns = rows[0][1] if rows else []
    twice = [name for name, times in Counter(columns).items() if times > 1 and name]
    if twice:
        raise error(f"{path}: the column {twice[0]!r} stands twice")
    for line, cells in rows[1:]:
        if len(cells) < len(columns) or any(cells[len(columns) :]):
            raise error(
                f"{path}: line {line}: has {len(cells)} cells, the header has {len(columns)}"
            )
    found = [(line, dict(zip(columns, cells, strict=False))) for line, cells in rows[1:]]
    return Table(path=path, columns=[name for name in columns if name], rows=found, error=error)


def read_list(path: Path, *, error: type[UnitdbError]) -> list[str]:
    """Names, one a line.

    Raises
    ------
    error
        As of :func:`read_rows`; also a line with a tab in it, which is a row of a table.
    """
    rows = read_rows(path, delimiter=None, error=error)
    for line, (name,) in rows:
        if "\t" in name:
            raise error(f"{path}: line {line}: expected one name a line: {name[:_SHOWN]!r}")
    return [name for _, (name,) in rows]


def fits(name: str, pattern: str) -> bool:
    """Whether a name fits a pattern, in which ``*`` stands for anything, and all else for itself.

    Anything is any number of characters: ``/``, line ends, or none.
    """
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL) is not None


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value: ``n/a`` in any case, as BIDS has it, or empty."""
    return cell.lower() in ("", "n/a")


def number(cell: str) -> float | None:
    """Value of a cell that is a finite number in plain digits; None where it is none.

    Python reads more as numbers: ``1_000``, ``nan``, digits of other scripts.
    """
    value = float(cell) if _NUMBER.fullmatch(cell) else math.nan
    return value if math.isfinite(value) else None


def _rows(
    text: str, path: Path, delimiter: str, error: type[UnitdbError]
) -> Iterator[tuple[int, list[str]]]:
    lines = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    n_columns, before, empty = 0, 0, 0
    while True:
        try:
            cells = next(lines, None)
        except csv.Error as cause:
            why = "a quote is not closed" if "end of data" in str(cause) else str(cause)
            raise error(f"{path}: line {before + 1}: cannot be read: {why}") from None
        if cells is None:
            return
        if lines.line_num > before + 1:
            raise error(f"{path}: line {before + 1}: a cell in quotes does not end on its line")
        before = lines.line_num
        cells = [cell.strip() for cell in cells]
        if cells in ([], [""]):
            empty = empty or before
            continue
        n_columns = n_columns or len(cells)
        if empty and n_columns == 1:
            raise error(f"{path}: line {empty}: is empty; leave it out, or write what is missing")
        empty = 0
        yield before, cells
