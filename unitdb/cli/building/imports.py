"""Commands ``unitdb import decodeddnn`` and ``unitdb import bhscore``."""

from __future__ import annotations

from pathlib import Path

import click

from unitdb.cli import terminal
from unitdb.cli.progress import progress_bars
from unitdb.imports import LAYOUTS, import_accuracies

__all__ = ["import_"]

_LISTED = 5


@click.group("import")
def import_() -> None:
    """Make a release of accuracies that others have published."""


def _command(layout: str) -> click.Command:
    @click.command(layout, short_help=LAYOUTS[layout].title)
    @click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
    @click.option("--name", default=layout, show_default=True, help="Name of the release.")
    @click.option("--version", default="1.0.0", show_default=True, help="MAJOR.MINOR.PATCH.")
    @click.option("--network", "networks", multiple=True, help="Network; repeat for several.")
    @click.option("--layer", "layers", multiple=True, help="Layer; repeat for several.")
    @click.option("--simulated", is_flag=True, help="Mark the release as simulated.")
    @click.pass_obj
    def command(
        root: Path,
        folder: Path,
        name: str,
        version: str,
        networks: tuple[str, ...],
        layers: tuple[str, ...],
        simulated: bool,
    ) -> None:
        with progress_bars() as progress:
            found = import_accuracies(
                layout,
                folder,
                releases=root,
                name=name,
                version=version,
                networks=networks,
                layers=layers,
                simulated=simulated,
                progress=progress,
            )
        for path in found.missing[:_LISTED]:
            terminal.echo(f"missing: {path}", err=True)
        if len(found.missing) > _LISTED:
            terminal.echo(f"missing: {len(found.missing):,} files in all", err=True)
        if found.unchecked:
            terminal.echo(
                f"numbers of units not known, files held against each other: "
                f"{', '.join(found.unchecked)}",
                err=True,
            )
        terminal.echo(str(found.release))

    command.help = (
        f"{LAYOUTS[layout].title}.\n\nFOLDER is where the publisher's archives were unpacked.\n\n"
        f"In Python: unitdb.imports.import_accuracies({layout!r}, FOLDER, releases=DIR)"
    )
    return command


for _layout in LAYOUTS:
    import_.add_command(_command(_layout))
