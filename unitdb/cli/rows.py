"""Commands that print or write rows of a release, and names to select them by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from unitdb.cli import terminal
from unitdb.cli.opening import opened_release
from unitdb.cli.results import result_options, write_results
from unitdb.cli.selection import selected, selection
from unitdb.query import export

__all__ = ["export_", "sql", "units", "values"]


@click.command()
@click.argument("release")
@selection
@click.option("--code", is_flag=True, help="Print the Python that does the same, and no rows.")
@click.option("--explain", is_flag=True, help="Print the SQL and its plan, and no rows.")
@click.option(
    "--masks",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a boolean array of each layer to FILE (.npz or .pt), and print no rows.",
)
@result_options
@click.pass_obj
def units(
    root: Path,
    /,
    release: str,
    code: bool,
    explain: bool,
    masks: Path | None,
    format_: str | None,
    output: Path | None,
    **options: Any,
) -> None:
    """Find units.

    In Python: unitdb.open(RELEASE).units(…).where(…).top(N)
    """
    rows = "--output" if output is not None else "--format" if format_ is not None else ""
    given = {"--code": code, "--explain": explain, "--masks": masks is not None, rows: bool(rows)}
    answers = [option for option, is_given in given.items() if is_given]
    if len(answers) > 1:
        raise click.UsageError(f"{answers[0]} prints no rows: it does not go with {answers[1]}")
    found = selected(opened_release(root, release), options)
    if code or explain:
        terminal.echo(found.code() if code else found.explain())
        return
    if masks is not None:
        found.write_masks(masks)
        return
    ending = output.suffix.removeprefix(".").lower() if output is not None else "table"
    streamed = (format_ or ending) in export.FORMATS
    write_results(found.to_reader(ordered=True) if streamed else found.to_arrow(), format_, output)


@click.command()
@click.argument("release")
@click.argument("column")
@click.pass_obj
def values(root: Path, release: str, column: str) -> None:
    """List the names that units can be selected by; COLUMN is model, layer, roi and so on.

    In Python: unitdb.open(RELEASE).values(COLUMN)
    """
    for name in opened_release(root, release).values(column):
        terminal.echo(name)


@click.command("export")
@click.argument("release")
@click.option("--table", help="Table to write: unitdb schema lists them.  [default: unit_summary]")
@click.option(
    "--format",
    "format_",
    type=click.Choice([*export.FORMATS, "duckdb"]),
    help="Format of the file; what its name ends in by default.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file; of an ending in .duckdb, a database of all tables for this machine.",
)
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the reconstructed pictures into a folder instead, PNG.",
)
@click.pass_obj
def export_(
    root: Path,
    /,
    release: str,
    table: str | None,
    format_: str | None,
    output: Path | None,
    pictures: Path | None,
) -> None:
    """Write a table of a release to one file, all of it as a DuckDB database, or its pictures.

    In Python: unitdb.open(RELEASE).export(TABLE, FILE), .to_duckdb(FILE), and
    .reconstructions().save(DIR)
    """
    if (output is None) == (pictures is None):
        raise click.UsageError("say one of --output FILE and --pictures DIR")
    opened = opened_release(root, release)
    if pictures is not None:
        files = opened.reconstructions().save(pictures)
        terminal.echo(f"{len(files)} pictures in {pictures}")
        return
    if output is None:
        return
    if (format_ or output.suffix) not in {"duckdb", ".duckdb"}:
        opened.export(table or "unit_summary", output, format=format_)  # type: ignore[arg-type]
    elif table is not None:
        raise click.UsageError("a DuckDB file has all tables: leave out --table")
    else:
        opened.to_duckdb(output)
    terminal.echo(str(output))


@click.command()
@click.argument("release")
@click.argument("query")
@result_options
@click.pass_obj
def sql(root: Path, /, release: str, query: str, format_: str | None, output: Path | None) -> None:
    """Run a SELECT over the tables of a release.

    In Python: unitdb.open(RELEASE).sql(QUERY)
    """
    write_results(opened_release(root, release).sql_arrow(query), format_, output)
