"""The door to the terminal: texts, and tables that are ruled there and plain in a pipe or a file.

All that commands print goes through it, so that no title, name or value of a release steers the
terminal.
"""

from __future__ import annotations

import codecs
import math
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from unitdb.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

__all__ = ["aligned", "cells", "echo", "output", "print_table"]


def echo(text: str = "", *, err: bool = False) -> None:
    """Print a text, of several lines where it has them, to standard output or error."""
    click.echo(printable(text, lines=True), err=err)


def output() -> BinaryIO:
    """Standard output for bytes of text (UTF-8); on a terminal printed by :func:`echo`."""
    return cast("BinaryIO", _Shown()) if sys.stdout.isatty() else sys.stdout.buffer


class _Shown:
    """Takes UTF-8 in pieces, as writers of files give it."""

    closed = False

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: Any) -> int:
        text = self._decoder.decode(bytes(data))
        click.echo(printable(text, lines=True), nl=False)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def writable(self) -> bool:
        return True


def cells(table: pa.Table) -> list[list[str]]:
    """Values of a result as text, row by row: floats with 4 significant digits, NULL empty."""
    columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def aligned(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns of equal width, two spaces apart, a line for each row."""
    lines = [[printable(cell) for cell in line] for line in (header, *rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
    """Print to standard output; the title is left out of a pipe, so that it holds rows only."""
    console = Console()
    if not console.is_terminal:
        echo(aligned(header, rows))
        return
    table = Table(title=Text(printable(title)) if title else None)
    for name in header:
        table.add_column(Text(printable(name)))
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table)


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
