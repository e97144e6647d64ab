"""The command ``unitdb app``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from unitdb.browser import server

__all__ = ["app"]


@click.command()
@click.argument("release", required=False)
@click.pass_context
def app(ctx: click.Context, release: str | None) -> None:
    """Look at a release in the browser.

    In Python: unitdb.browser.run(RELEASE)
    """
    root: Path | None = ctx.obj
    command, environment = server(release, releases=root)
    # This process becomes the server, so that a signal to the one is a signal to the other.
    os.execve(command[0], command, environment)  # noqa: S606
