"""A whole folder becomes a release of a catalogue: renames that a kill leaves to be finished."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from unitdb.files import locked, sync
from unitdb.release.catalogue import CATALOGUE, LOCK, Catalogue, backup_of, save_catalogue

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["finish", "mark_replaced", "place"]


def mark_replaced(target: Path) -> None:
    """Note that the catalogue is to list what comes to stand there, though it lists other bytes.

    The caller holds the lock of the catalogue, and calls :func:`finish` at the end.
    """
    backup_of(target).mkdir(parents=True, exist_ok=True)


def place(staged: Path, target: Path) -> None:
    """Rename a whole folder to where a release stands; what stands there already waits aside.

    The caller holds the lock of the catalogue, and calls :func:`finish` then.
    """
    for path in [*staged.rglob("*"), staged]:
        sync(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target.rename(backup_of(target))
    staged.rename(target)
    sync(target.parent)


def finish(root: Path, name: str, version: str) -> None:
    """Complete what a killed :func:`unitdb.publish.publish_release` left of ``root/name/version``.

    A replacement between its two renames is undone; what was replaced is listed as what it is now,
    and removed. A release that is not listed is listed in ``root/releases.json``. Where nothing is
    left to do, nothing is changed.

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
