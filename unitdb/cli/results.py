"""Rows as the commands print them or write them to a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from unitdb.cli import terminal
from unitdb.files import write_text
from unitdb.query import export

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

__all__ = ["result_options", "write_results"]

_SHOWN_ROWS = 100
_WRITERS: dict[str, Callable[[pa.Table, export.Destination], None]] = {
    "csv": export.write_csv,
    "json": export.write_json,
    "parquet": export.write_parquet,
}
_ENDINGS = (*(f".{name}" for name in _WRITERS), ".txt")


def result_options(command: Any) -> Any:
    """Options of commands that print rows."""
    command = click.option(
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write to FILE; its ending (.csv, .json, .parquet, .txt) gives the format.",
    )(command)
    return click.option(
        "--format",
        "format_",
        type=click.Choice(["table", *_WRITERS]),
        help="How to print the rows.  [default: table]",
    )(command)


def write_results(table: pa.Table, format_: str | None, output: Path | None) -> None:
    """Print rows, or write them to ``output``, in the format asked for or that its ending says."""
    ending = output.suffix.removeprefix(".").lower() if output is not None else "table"
    if format_ is None and ending not in {*_WRITERS, "table", "txt"}:
        raise click.UsageError(
            f"--output {output}: end it in {', '.join(_ENDINGS)}, or say --format"
        )
    write = _WRITERS.get(format_ or ending)
    if write is None:
        _write_text(table, output)
    elif output is not None:
        write(table, output)
    elif format_ == "parquet":
        raise click.UsageError("Parquet is not text: give --output FILE")
    else:
        write(table, sys.stdout.buffer)


def _write_text(table: pa.Table, output: Path | None) -> None:
    header = table.column_names
    if output is not None:
        write_text(output, terminal.aligned(header, terminal.cells(table)) + "\n")
        return
    shown = table.slice(0, _SHOWN_ROWS)
    origin = export.provenance(table)
    title = origin["release"] + (" SIMULATED" if origin["simulated"] else "")
    terminal.print_table(header, terminal.cells(shown), title=title)
    if table.num_rows > shown.num_rows:
        click.echo(
            f"the first {shown.num_rows} of {table.num_rows:,} rows; "
            "--output FILE or --format csv gives all",
            err=True,
        )
