"""Hold a release against the catalogue above it, which alone knows which build was published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.errors import CorruptReleaseError
from unitdb.files import SUMS, check_downloaded, sha256_file
from unitdb.release.catalogue import CATALOGUE, backup_of, warn_if_lost
from unitdb.release.entries import listed_entry, parse_catalogue

if TYPE_CHECKING:
    from pathlib import Path

    from unitdb.release.manifest import Manifest

__all__ = ["check_listed"]


def check_listed(folder: Path, manifest: Manifest) -> tuple[str, ...]:
    """Check that the catalogue lists this very build; return what cannot be known.

    Parameters
    ----------
    folder : Path
        The release, in its place.
    manifest : Manifest
        What it says of itself.

    Raises
    ------
    CorruptReleaseError
        The catalogue lists another build, or describes it otherwise.
    CatalogueError
        ``releases.json`` is damaged.
    """
    root = folder.resolve().parents[1]
    path = root / CATALOGUE
    unknown = "whether it is the build that was published, is retracted or has errata"
    check_downloaded(root, [CATALOGUE])
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        warn_if_lost(root)
        return (f"{unknown}: there is no {CATALOGUE} above it",)
    except (OSError, ValueError) as cause:
        raise CorruptReleaseError(f"{path}: cannot be read: {cause}") from cause
    listed = parse_catalogue(text, where=str(path), needed=manifest.name)
    entry = listed_entry(listed, manifest.name, manifest.version)
    if entry is None:
        return (f"{unknown}: {path} does not list it",)
    if backup_of(folder.resolve()).exists():
        return (f"{unknown}: it replaces {backup_of(folder).name}, and is not listed yet",)
    found = sha256_file(folder / SUMS)
    if entry.sha256 != found:
        raise CorruptReleaseError(
            f"{folder}: {SUMS} has the hash {found}, but {CATALOGUE} lists {entry.sha256}: this is "
            "another build than the one that was listed; put that one back (git log, unitdb "
            "fetch), or publish this one as another version"
        )
    for what, stated, own in (
        ("path", str(entry.path), f"{manifest.name}/{manifest.version}"),
        ("title", entry.title, manifest.title),
        ("simulated", entry.simulated, manifest.simulated),
        ("schema", entry.schema, manifest.schema),
    ):
        if stated != own:
            raise CorruptReleaseError(
                f"{path}: {manifest.name} {manifest.version}: {what} is {stated!r}, but the "
                f"release says {own!r}"
            )
    return (f"whether {CATALOGUE} itself is as its publisher wrote it: a signature tells (--key)",)
