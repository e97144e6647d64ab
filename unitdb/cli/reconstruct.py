"""``unitdb reconstruct``: pictures of a release, or of a recipe that is built first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pyarrow as pa

from unitdb.cli import terminal
from unitdb.cli.results import result_options, write_results
from unitdb.errors import NotKeptError, QueryError
from unitdb.query import export
from unitdb.release import Release, open_release

__all__ = ["reconstruct"]

_RECIPES = (".yaml", ".yml")


@click.command()
@click.argument("release_or_recipe")
@click.option("--method", help="Of the release's methods.")
@click.option("--subject", help="A person, or mean.")
@click.option("--source", help="brain, shuffled, recovery, projection, mean, …")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the pictures into a folder too, PNG.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="UNITDB_DATA",
    show_envvar=True,
    help="Folder of measured responses, of a recipe.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Build a recipe in N processes.")
@result_options
@click.pass_obj
def reconstruct(
    root: Path,
    /,
    release_or_recipe: str,
    pictures: Path | None,
    data: Path | None,
    workers: int | None,
    format_: str | None,
    output: Path | None,
    **chosen: Any,
) -> None:
    """Print the scores of reconstructed pictures beside those of shuffled brains.

    Of a recipe (.yaml) its release is built first, or found.

    In Python: unitdb.open(RELEASE).reconstructions(METHOD)
    """
    if release_or_recipe.lower().endswith(_RECIPES):
        opened = _built(root, Path(release_or_recipe), data=data, workers=workers)
    else:
        opened = open_release(release_or_recipe, releases=root)
    found = opened.reconstructions(**chosen)
    if pictures is not None:
        files = found.save(pictures)
        terminal.echo(f"{len(files)} pictures in {pictures}", err=True)
    if not (format_ or output):
        terminal.echo(str(found))
        return
    rows = export.with_provenance(
        pa.Table.from_pandas(found.scores, preserve_index=False),
        release=opened.label,
        query="release.reconstructions(…).scores",
        citation=opened.citation,
        simulated=opened.simulated,
    )
    write_results(rows, format_, output)


def _built(root: Path, recipe: Path, *, data: Path | None, workers: int | None) -> Release:
    from unitdb.cli.building import reconstruct as building  # for who builds

    if not recipe.exists():
        raise QueryError(f"{recipe}: there is no such recipe")
    if not building.asks_for_pictures(recipe):
        raise NotKeptError(f"{recipe}: its key `reconstruction` asks for no pictures")
    return open_release(building.build(root, recipe, data=data, workers=workers))
