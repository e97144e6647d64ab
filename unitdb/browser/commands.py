"""The command ``unitdb app``."""

from __future__ import annotations

from pathlib import Path

import click

from unitdb.browser import run

__all__ = ["app"]


@click.command()
@click.argument("release", required=False)
@click.pass_context
def app(ctx: click.Context, release: str | None) -> None:
    """Look at a release in the browser.

    In Python: unitdb.browser.run(RELEASE)
    """
    root: Path | None = ctx.obj
    ctx.exit(run(release, releases=root))
