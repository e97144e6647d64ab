"""Commands ``unitdb publish``, ``retract`` and ``errata``."""

from __future__ import annotations

from pathlib import Path

import click

from unitdb.cli import terminal
from unitdb.publish.release import add_erratum, retract as retract_release
from unitdb.publish.remote import publish as publish_release
from unitdb.publish.store import save_catalogue_of_store
from unitdb.release import Catalogue, Release, open_release

__all__ = ["errata", "publish", "retract"]


@click.command()
@click.argument("release")
@click.option(
    "--to",
    "target",
    required=True,
    metavar="STORE",
    help="A folder, a RIA store (ria+file:///…, ria+ssh://…) or a git remote.",
)
@click.pass_obj
def publish(root: Path | None, /, release: str, target: str) -> None:
    """Publish a RELEASE to a store: a DataLad dataset of releases, with a git tag for each.

    A folder becomes a store where it is empty or holds releases only. What is there already is left
    as it is; retraction and errata go along.

    In Python: unitdb.publish.publish(FOLDER, STORE)
    """
    opened = open_release(release, releases=root)
    changed = publish_release(opened.path, target)
    terminal.echo(f"{opened.label} {'published to' if changed else 'is already in'} {target}")


@click.command()
@click.argument("release")
@click.option("--reason", required=True, help="Why, in a sentence.")
@click.option("--replacement", metavar="VERSION", help="The version to use instead.")
@click.pass_obj
def retract(root: Path | None, /, release: str, reason: str, replacement: str | None) -> None:
    """Mark a RELEASE as not to be used any more; it stays, and opens with a warning.

    In Python: unitdb.publish.retract(DIR, NAME, VERSION, reason=…)
    """
    folder, opened = _found(root, release)
    retract_release(folder, opened.name, opened.version, reason=reason, replacement=replacement)
    save_catalogue_of_store(folder, f"Retract {opened.label}")
    terminal.echo(f"{opened.label} is retracted: {reason}")


@click.command()
@click.argument("release")
@click.option("--add", "text", metavar="TEXT", help="What has been found wrong, in a sentence.")
@click.pass_obj
def errata(root: Path | None, /, release: str, text: str | None) -> None:
    """List what has been found wrong with a RELEASE, or add to it.

    In Python: unitdb.publish.add_erratum(DIR, NAME, VERSION, TEXT)
    """
    folder, opened = _found(root, release)
    if text is not None:
        add_erratum(folder, opened.name, opened.version, text)
        save_catalogue_of_store(folder, f"Erratum of {opened.label}")
    for entry in Catalogue(folder).entries():
        if (entry.name, entry.version) == (opened.name, opened.version):
            for known in entry.errata:
                terminal.echo(known)


def _found(root: Path | None, release: str) -> tuple[Path, Release]:
    opened = open_release(release, releases=root)
    return opened.path.resolve().parents[1], opened
