"""Commands about whole releases: listed, described, compared, fetched, traced, verified."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pyarrow as pa

from unitdb.cli import terminal
from unitdb.cli.opening import opened_release
from unitdb.cli.progress import progress_bars
from unitdb.cli.results import result_options, write_results
from unitdb.query import export
from unitdb.release import (
    Catalogue,
    check_signed,
    compare as compare_releases,
    fetch as fetch_release,
)

__all__ = ["compare", "describe", "fetch", "releases", "trace", "verify"]

_signed = click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Public key of the publisher, who must have signed the release: of SSH or GPG, or a file "
    "of allowed signers.",
)


@click.command()
@click.pass_obj
def releases(root: Path) -> None:
    """List the releases.

    In Python: Catalogue(DIR).entries()
    """
    catalogue = Catalogue(root)
    rows = [
        [
            f"{entry.name}@{entry.version}",
            "SIMULATED" if entry.simulated else "measured",
            ", ".join(entry.aliases),
            entry.title,
            "; ".join(
                [f"retracted: {entry.retracted}"] * (entry.retracted is not None)
                + [f"not here: {entry.command}"] * (entry.command is not None)
            ),
        ]
        for entry in catalogue.entries()
    ]
    if not rows:
        terminal.echo(f"no releases in {catalogue.root.absolute()}", err=True)
        return
    terminal.print_table(["release", "responses", "aliases", "title", "note"], rows)


@click.command()
@click.argument("release")
@click.pass_obj
def describe(root: Path, release: str) -> None:
    """Say what a release holds.

    In Python: unitdb.open(RELEASE).describe()
    """
    terminal.echo(str(opened_release(root, release).describe()))


@click.command()
@click.argument("before")
@click.argument("after")
@click.option(
    "--tolerance",
    type=float,
    default=1e-6,
    show_default=True,
    help="Largest difference of two accuracies that counts as none.",
)
@click.option("--by-layer", is_flag=True, help="Print the rows of layers and ROIs.")
@result_options
@click.pass_obj
def compare(
    root: Path,
    /,
    before: str,
    after: str,
    tolerance: float,
    by_layer: bool,
    format_: str | None,
    output: Path | None,
) -> None:
    """Say which units were added, removed or changed from one release to another.

    In Python: unitdb.compare(BEFORE, AFTER)
    """
    one, other = opened_release(root, before), opened_release(root, after)
    found = compare_releases(one, other, tolerance=tolerance)
    if not (by_layer or format_ or output):
        terminal.echo(str(found))
        return
    rows = pa.Table.from_pandas(found.cells if by_layer else found.units, preserve_index=False)
    labelled = export.with_provenance(
        rows,
        release=f"{found.before} → {found.after}",
        query=f"unitdb.compare(…, tolerance={tolerance!r})",
        citation=f"{one.citation} {other.citation}",
        simulated=one.simulated or other.simulated,
    )
    write_results(labelled, format_, output)


@click.command()
@click.argument("release")
@click.option(
    "--from",
    "source",
    required=True,
    envvar="UNITDB_SOURCE",
    show_envvar=True,
    metavar="ADDRESS|DIR",
    help="Where the releases lie, and their releases.json.",
)
@_signed
@click.option(
    "--replace",
    is_flag=True,
    help="Let it take the place of another build of this version, which is here or listed here.",
)
@click.pass_obj
def fetch(root: Path, /, release: str, source: str, key: Path | None, replace: bool) -> None:
    """Fetch a RELEASE (NAME or NAME@VERSION) of elsewhere; an interrupted fetch goes on.

    In Python: unitdb.release.fetch(RELEASE, source=ADDRESS)
    """
    with progress_bars() as progress:
        found = fetch_release(
            release,
            source=source,
            releases=root,
            key=key,
            replace=replace,
            progress=lambda done, total: progress("fetch", done, total),
        )
    terminal.echo(str(found))


@click.command()
@click.argument("release")
@click.argument("unit", metavar="MODEL/LAYER/UNIT")
@click.option("--roi", help="Only accuracies of this region.")
@click.option("--subject", help="Only accuracies of this subject.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print it.",
)
@click.pass_obj
def trace(
    root: Path,
    /,
    release: str,
    unit: str,
    roi: str | None,
    subject: str | None,
    format_: str,
) -> None:
    """Follow the accuracies of a unit back to the files they are from, with keys and versions.

    In Python: unitdb.open(RELEASE).trace("MODEL/LAYER/UNIT")
    """
    found = opened_release(root, release).trace(unit, roi=roi, subject=subject)
    terminal.echo(json.dumps(found.to_dict(), indent=2) if format_ == "json" else str(found))


@click.command()
@click.argument("release")
@click.option("--quick", is_flag=True, help="Leave out the bootstraps of intervals.")
@click.option("--explain", is_flag=True, help="Say of each column how it is checked; read nothing.")
@_signed
@click.pass_obj
def verify(root: Path, release: str, *, quick: bool, explain: bool, key: Path | None) -> None:
    """Read all of a release again and check it.

    In Python: unitdb.open(RELEASE).verify(), unitdb.release.check_signed(FOLDER, FILE)
    """
    opened = opened_release(root, release)
    if explain:
        from unitdb.verification import explain as fates

        for fate in fates(opened.schema_version):
            terminal.echo(str(fate))
        return
    signer = None if key is None else check_signed(opened.path, key)
    with progress_bars() as progress:
        report = opened.verify(
            quick=quick, progress=lambda done, total: progress("verify", done, total)
        )
    terminal.echo(str(report))
    if signer is not None:
        terminal.echo(f"  signed by {signer}")
