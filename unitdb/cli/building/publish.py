"""Commands ``unitdb publish``, ``retract`` and ``errata``."""

from __future__ import annotations

from pathlib import Path

import click

from unitdb.cli import terminal
from unitdb.publish import (
    add_erratum,
    publish as publish_release,
    retract as retract_release,
    save_catalogue_of_store,
)
from unitdb.release import Catalogue, Release, open_release

__all__ = ["errata", "publish", "retract"]

_signing = click.option(
    "--sign",
    is_flag=False,
    flag_value="",
    metavar="[KEY]",
    help="Sign by an SSH key (a file) or a GPG key (its name); without KEY by that of git's "
    "settings (user.signingkey, gpg.format). Give it last.",
)


@click.command()
@click.argument("release")
@click.option(
    "--to",
    "target",
    required=True,
    metavar="STORE",
    help="A folder, a RIA store (ria+file:///…, ria+ssh://…) or a git remote.",
)
@_signing
@click.pass_obj
def publish(root: Path, /, release: str, target: str, sign: str | None) -> None:
    """Publish a RELEASE to a store: a DataLad dataset of releases, with a git tag for each.

    A folder becomes a store where it is empty or holds releases only. What is there already is left
    as it is; retraction and errata go along. A signature is of name, version, all files, retraction
    and errata; fetch and verify check it (--key). A new tag is signed too.

    In Python: unitdb.publish.publish(FOLDER, STORE)
    """
    opened = open_release(release, releases=root)
    changed = publish_release(opened.path, target, sign=sign)
    terminal.echo(f"{opened.label} {'published to' if changed else 'is already in'} {target}")


@click.command()
@click.argument("release")
@click.option("--reason", required=True, help="Why, in a sentence.")
@click.option("--replacement", metavar="VERSION", help="The version to use instead.")
@_signing
@click.pass_obj
def retract(
    root: Path,
    /,
    release: str,
    reason: str,
    replacement: str | None,
    sign: str | None,
) -> None:
    """Mark a RELEASE as not to be used any more; it stays, and opens with a warning.

    In Python: unitdb.publish.retract(DIR, NAME, VERSION, reason=…)
    """
    folder, opened = _found(root, release)
    retract_release(
        folder, opened.name, opened.version, reason=reason, replacement=replacement, sign=sign
    )
    save_catalogue_of_store(folder, f"Retract {opened.label}")
    terminal.echo(f"{opened.label} is retracted: {reason}")


@click.command()
@click.argument("release")
@click.option("--add", "text", metavar="TEXT", help="What has been found wrong, in a sentence.")
@_signing
@click.pass_obj
def errata(root: Path, /, release: str, text: str | None, sign: str | None) -> None:
    """List what has been found wrong with a RELEASE, or add to it.

    In Python: unitdb.publish.add_erratum(DIR, NAME, VERSION, TEXT)
    """
    if sign is not None and text is None:
        raise click.UsageError("--sign signs what is added: give --add TEXT too")
    folder, opened = _found(root, release)
    if text is not None:
        add_erratum(folder, opened.name, opened.version, text, sign=sign)
        save_catalogue_of_store(folder, f"Erratum of {opened.label}")
    for entry in Catalogue(folder).entries():
        if (entry.name, entry.version) == (opened.name, opened.version):
            for known in entry.errata:
                terminal.echo(known)


def _found(root: Path, release: str) -> tuple[Path, Release]:
    opened = open_release(release, releases=root)
    return opened.path.resolve().parents[1], opened
