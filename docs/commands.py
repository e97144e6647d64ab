"""Print docs/commands.md: the help of every command, so that the docs cannot drift from it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from unitdb.cli import main


def commands(command: click.Command, path: list[str]) -> Iterator[tuple[list[str], click.Command]]:
    """Give every command below ``command``, itself first, with its words."""
    context = click.Context(command, info_name=" ".join(path))
    load = getattr(command, "load", None)
    command = load() if load else command
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from commands(inner, [*path, name])


def page() -> str:
    """Markdown of all help texts."""
    parts = ["# Commands", "", "Written by `make docs`; do not edit.", ""]
    for path, command in commands(main, ["unitdb"]):
        words = " ".join(path)
        context = click.Context(command, info_name=words, max_content_width=88)
        parts += [f"## {words}", "", "```", command.get_help(context), "```", ""]
    return "\n".join(parts).rstrip()


if __name__ == "__main__":
    click.echo(page())
