"""Commands ``unitdb candidates …``: sets of pictures and categories to identify among."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import click

from unitdb.candidates import (
    CandidateSet,
    Places,
    find_candidates,
    make_file,
    open_candidates,
    stored_sets,
)
from unitdb.cli import terminal
from unitdb.cli.building.build import CACHE, DATASETS
from unitdb.cli.building.datasets import DATA
from unitdb.cli.progress import progress_bars
from unitdb.cli.terminal import print_table

__all__ = ["candidates"]

_SHORT = 12
_CACHE = ".cache"


@click.group()
def candidates() -> None:
    """Make, list and show sets of candidates for identification."""


@candidates.command("make")
@click.argument("spec", type=click.Path(path_type=Path, dir_okay=False))
@DATA
@CACHE
@DATASETS
@click.pass_obj
def make(
    root: Path, spec: Path, data: Path | None, cache: Path | None, datasets: tuple[Path, ...]
) -> None:
    """Compute the candidate sets that the file SPEC describes; what is stored is found again.

    In Python: unitdb.candidates.make_file(SPEC, places=unitdb.candidates.Places(…))
    """
    places = Places(
        folder=spec.parent, cache=cache or root / _CACHE, data=data, datasets=tuple(datasets)
    )
    with progress_bars() as progress:
        made = make_file(spec, places=places, progress=progress)
    for number, found in enumerate(made):
        if number:
            terminal.echo()
        _print_head(found)


@candidates.command("list")
@CACHE
@click.pass_obj
def list_candidates(root: Path, cache: Path | None) -> None:
    """List the candidate sets that are stored.

    In Python: unitdb.candidates.stored_sets(CACHE)
    """
    rows = [
        [folder.name[:_SHORT], "", "", "", "", "", "damaged: make it again"]
        if one is None
        else [
            one.name,
            one.sha256[:_SHORT],
            f"{len(one.ids):,}",
            one.model or "",
            str(len(one.layers)),
            _units(one.n_units),
            one.source,
        ]
        for folder, one in stored_sets(cache or root / _CACHE).items()
    ]
    if not rows:
        terminal.echo(f"no candidate sets in {(cache or root / _CACHE).absolute()}", err=True)
        return
    print_table(["set", "sha256", "candidates", "model", "layers", "units", "from"], rows)


@candidates.command("show")
@click.argument("name")
@click.option(
    "--top", type=click.IntRange(min=0), default=10, show_default=True, help="Candidates shown."
)
@CACHE
@click.pass_obj
def show(root: Path, name: str, top: int, cache: Path | None) -> None:
    """Show a stored set: layers, and its first candidates. NAME may be NAME@HASH.

    In Python: unitdb.candidates.open_candidates(unitdb.candidates.find_candidates(NAME, CACHE))
    """
    found = open_candidates(find_candidates(name, cache or root / _CACHE))
    _print_head(found)
    terminal.echo()
    print_table(
        ["layer", "units", "first", "last"],
        [
            [layer, f"{len(units):,}", f"{units[0]:,}", f"{units[-1]:,}"]
            for layer, units in ((layer, found.units(layer)) for layer in found.layers)
        ],
    )
    terminal.echo()
    rows = zip(found.ids, found.labels, found.n_pictures.tolist(), strict=True)
    print_table(
        ["candidate", "label", "pictures"],
        [[one, label, f"{n:,}" if n else "not known"] for one, label, n in islice(rows, top)],
    )


def _print_head(found: CandidateSet) -> None:
    terminal.echo(f"{found.name}: {len(found):,} candidates")
    if found.description:
        terminal.echo(found.description)
    n_units = tuple(len(found.units(layer)) for layer in found.layers)
    terminal.echo(f"layers:  {', '.join(found.layers)} ({_units(n_units)} units each)")
    terminal.echo(f"model:   {found.model or 'not stated'}")
    terminal.echo(f"from:    {found.source}")
    terminal.echo(f"sha256:  {found.sha256}")


def _units(n_units: tuple[int, ...]) -> str:
    least, most = min(n_units), max(n_units)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"
