"""Rows as the commands print them or write them to a file."""

from __future__ import annotations

from pathlib import Path

import click
import pyarrow as pa

from unitdb.cli import terminal
from unitdb.cli.options import taking
from unitdb.files import write_text
from unitdb.query import export

__all__ = ["result_options", "write_results"]

_SHOWN_ROWS = 100
_ENDINGS = (*(f".{name}" for name in export.FORMATS), ".txt")
_TEXT = ("csv", "json")


result_options = taking(
    click.option(
        "--format",
        "format_",
        type=click.Choice(["table", *export.FORMATS]),
        help="How to print the rows.  [default: table]",
    ),
    click.option(
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write to FILE; its ending (.csv, .json, .parquet, .arrow, .txt) gives the format.",
    ),
)
"""Options of commands that print rows."""


def write_results(rows: export.Rows, format_: str | None, output: Path | None) -> None:
    """Print rows, or write them to ``output``, in the format asked for or that its ending says."""
    ending = output.suffix.removeprefix(".").lower() if output is not None else "table"
    if format_ is None and ending not in {*export.FORMATS, "table", "txt"}:
        raise click.UsageError(
            f"--output {output}: end it in {', '.join(_ENDINGS)}, or say --format"
        )
    chosen = format_ or ending
    if chosen not in export.FORMATS:
        _write_text(rows if isinstance(rows, pa.Table) else rows.read_all(), output)
    elif output is not None:
        export.writer(output, chosen)(rows, output)
    elif chosen not in _TEXT:
        raise click.UsageError(f"{chosen} is not text: give --output FILE")
    else:
        shown = terminal.output()
        export.writer(shown, chosen)(rows, shown)


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
        terminal.echo(
            f"the first {shown.num_rows} of {table.num_rows:,} rows; "
            "--output FILE or --format csv gives all",
            err=True,
        )
