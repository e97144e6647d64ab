"""A whole folder becomes a release of a catalogue: renames that a kill leaves to be finished."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from unitdb.files import locked, sync, write_text
from unitdb.release.catalogue import CATALOGUE, LOCK, Catalogue, backup_of, save_catalogue
from unitdb.release.entries import FORMAT, aliases, parse_catalogue
from unitdb.release.names import bounded_text

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["finish", "mark_replaced", "place", "set_aside", "sync_all"]


def mark_replaced(target: Path) -> None:
    """Note that the catalogue is to list what comes to stand there, though it lists other bytes.

    The caller holds the lock of the catalogue, and calls :func:`finish` at the end.
    """
    backup_of(target).mkdir(parents=True, exist_ok=True)


def set_aside(root: Path, name: str, version: str) -> None:
    """Move what stands there aside, with what the catalogue lists of it, which may then change.

    Until something else stands there, :func:`finish` puts both back. The caller holds the lock of
    the catalogue, and calls :func:`finish` at the end.
    """
    target = root / name / version
    entry = _versions(Catalogue(root).listed(), name).get(version)
    versions = {} if entry is None else {version: entry}
    listing = {"catalogue": FORMAT, "releases": {name: {"versions": versions}}}
    write_text(_listing_of(target), json.dumps(listing))
    if target.exists():
        target.rename(backup_of(target))
    else:
        mark_replaced(target)


def sync_all(folder: Path) -> None:
    """Bring a folder down to the disk, with all that is below it."""
    for path in [*folder.rglob("*"), folder]:
        sync(path)


def place(staged: Path, target: Path) -> None:
    """Rename a whole folder to where a release stands; what stands there already waits aside.

    Its files are on the disk (:func:`sync_all`). The caller holds the lock of the catalogue, and
    calls :func:`finish` then.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target.rename(backup_of(target))
    staged.rename(target)
    sync(target.parent)


def finish(root: Path, name: str, version: str) -> None:
    """Complete what a killed :func:`unitdb.publish.publish_release` left of ``root/name/version``.

    A replacement between its two renames is undone, and what was listed with it; what was replaced
    is listed as what it is now, and removed. A release that is not listed is listed in
    ``root/releases.json``. Where nothing is left to do, nothing is changed.

    Parameters
    ----------
    root : Path
        Folder of releases.
    name, version : str
        The release; there need not be one.

    Raises
    ------
    CatalogueError
        ``releases.json`` is damaged.
    """
    target = root / name / version
    backup = backup_of(target)
    with locked(root / LOCK):
        replaced = backup.exists() and target.exists()
        if backup.exists() and not target.exists():
            _list_as_before(root, name, version)
            if any(backup.iterdir()):
                backup.rename(target)
            else:  # there was none before
                backup.rmdir()
        for leftover in root.glob(f".{CATALOGUE}.*.tmp"):
            leftover.unlink()
        if target.exists():
            save_catalogue(root, Catalogue(root).contents())
        if replaced:
            shutil.rmtree(backup)
        _listing_of(target).unlink(missing_ok=True)


def _list_as_before(root: Path, name: str, version: str) -> None:
    """List again what :func:`set_aside` noted."""
    noted = _listing_of(root / name / version)
    if not noted.exists():
        return
    listing = parse_catalogue(bounded_text(noted), where=str(noted))
    contents = Catalogue(root).contents()
    versions = contents["releases"].setdefault(name, {})["versions"] = {
        **{key: entry for key, entry in _versions(contents, name).items() if key != version},
        **_versions(listing, name),
    }
    contents["releases"][name]["aliases"] = aliases(versions)
    save_catalogue(root, contents)


def _versions(contents: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = contents["releases"].get(name, {}).get("versions", {})
    return found


def _listing_of(target: Path) -> Path:
    """What the catalogue listed of a release that waits in :func:`backup_of`."""
    backup = backup_of(target)
    return backup.with_name(f"{backup.name}.json")
