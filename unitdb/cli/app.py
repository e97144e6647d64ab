"""The commands ``unitdb app`` and ``unitdb report``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from unitdb.browser import server

if TYPE_CHECKING:
    from collections.abc import Callable

    from unitdb.release import Release

__all__ = ["app", "report", "report_writer"]


@click.command()
@click.argument("release", required=False)
@click.option(
    "--pictures",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of your own copies of pictures that a release may not carry: DATASET/NAME.png "
    "(or .jpg …); NAME.png too where the release is of one dataset.",
)
@click.pass_context
def app(ctx: click.Context, release: str | None, pictures: Path | None) -> None:
    """Look at a release in the browser.

    In Python: unitdb.browser.run(RELEASE)
    """
    root: Path = ctx.obj
    command, environment = server(release, releases=root, pictures=pictures)
    # This process becomes the server, so that a signal to the one is a signal to the other.
    os.execve(command[0], command, environment)  # noqa: S606


@click.command()
@click.argument("release")
@click.option(
    "--html",
    "path",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write.",
)
@click.pass_context
def report(ctx: click.Context, release: str, path: Path) -> None:
    """Write the figures of a release as one static page.

    Figures are SVG inside the page; nothing in it is fetched from elsewhere.

    In Python: unitdb.browser.report.write(release, path)
    """
    from unitdb.errors import QueryError
    from unitdb.release import open_release

    writing = report_writer()
    if not path.absolute().parent.is_dir():
        raise QueryError(f"{path.parent}: no such folder")
    writing(open_release(release, releases=ctx.obj), path)
    click.echo(str(path))


def report_writer() -> Callable[[Release, Path], None]:
    """What writes the page of a release.

    Raises
    ------
    MissingExtraError
        A package of the extra plot is not installed.
    """
    from unitdb.browser.report import write

    return write
