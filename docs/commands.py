"""Print docs/commands.md: the help of every command, so that the docs cannot drift from it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from unitdb.cli import main


def pages(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    """Give the help of a command, then of every command below it."""
    load = getattr(command, "load", None)
    command = load() if load else command
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings)
    yield f"## {context.command_path}\n\n```\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            if found is not None:
                yield from pages(found, inner, context)


def page() -> str:
    """Markdown of all help texts."""
    return "\n".join(
        ["# Commands\n\nWritten by `make docs`; do not edit.\n", *pages(main, "unitdb", None)]
    ).rstrip()


if __name__ == "__main__":
    click.echo(page())
