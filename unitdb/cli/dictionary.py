"""``unitdb schema``: what tables, views and columns hold."""

from __future__ import annotations

import json

import click

from unitdb.cli import terminal
from unitdb.schema import (
    SCHEMA_VERSION,
    TABLES,
    VIEWS,
    data_dictionary,
    frictionless,
    get_table,
)

__all__ = ["schema"]


@click.command()
@click.argument("table", required=False)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="Text to read, Markdown for docs, or JSON (Frictionless Table Schema).",
)
def schema(table: str | None, format_: str) -> None:
    """Explain the tables and views, or the columns of TABLE.

    In Python: unitdb.schema.TABLES, unitdb.schema.VIEWS
    """
    if table in VIEWS:
        terminal.echo(_section(table))
        return
    spec = get_table(table) if table is not None else None
    if format_ == "markdown":
        terminal.echo(data_dictionary() if spec is None else _section(spec.name))
    elif format_ == "json":
        shown = TABLES.values() if spec is None else [spec]
        tables = {one.name: {"row": one.row, **frictionless(one)} for one in shown}
        content = {"schema": SCHEMA_VERSION, "tables": tables}
        terminal.echo(json.dumps(content, indent=2, ensure_ascii=False))
    elif spec is None:
        rows = [[one.name, one.row, ", ".join(one.primary_key)] for one in TABLES.values()]
        rows += [[one.name, one.row, "(view)"] for one in VIEWS.values()]
        terminal.print_table(["table", "a row is", "primary key"], rows)
    else:
        rows = [
            [c.name, c.logical_type, c.unit or "", ". ".join(filter(None, [c.description, c.null]))]
            for c in spec.columns
        ]
        title = f"{spec.name}: a row is {spec.row}"
        terminal.print_table(["column", "type", "unit", "meaning"], rows, title=title)


def _section(name: str) -> str:
    start = data_dictionary().partition(f"\n## {name}\n")[2]
    return f"## {name}\n" + start.partition("\n## ")[0].rstrip()
