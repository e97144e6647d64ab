"""The catalogue of releases in a folder: names, versions, aliases and retractions.

``releases.json`` stands beside the releases. What it lists is completed with the releases found in
the folder, so that one is not lost whose publisher was killed before it could list it. The hash
that it lists of a version stays, whatever stands in the folder: only who replaces a release
(``build --replace``) writes another, and has what was replaced beside it until then.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

from unitdb.errors import CatalogueError, CorruptReleaseError
from unitdb.files import SUMS, check_downloaded, read_sums, sha256_file, write_text
from unitdb.release.entries import (
    FORMAT,
    Entry,
    aliases,
    check_names,
    entry_of,
    named_version,
    parse_catalogue,
    version_key,
    warn_if_retracted,
)
from unitdb.release.manifest import read_manifest
from unitdb.release.names import VERSION_PATTERN, bounded_text

__all__ = [
    "CATALOGUE",
    "LOCK",
    "NOTES",
    "Catalogue",
    "backup_of",
    "default_root",
    "save_catalogue",
    "warn_if_lost",
]

CATALOGUE = "releases.json"
LOCK = ".releases.lock"
"""Held by whoever writes the catalogue."""
NOTES = ("retracted", "errata")
"""What a catalogue says of a version beyond what its files say."""
_STORE = re.compile(r"^\[unitdb\]\s+store\s*=\s*1$", re.MULTILINE)
"""In ``.datalad/config`` of a store, which has had a catalogue since its first release."""


def default_root() -> Path:
    """Folder of releases: the environment variable UNITDB_RELEASES, else ``releases`` here."""
    return Path(os.environ.get("UNITDB_RELEASES") or "releases")


class Catalogue:
    """The releases in a folder.

    Parameters
    ----------
    root : Path, optional
        The folder that holds ``releases.json`` and the releases; :func:`default_root` where it is
        not given. Read anew by each call.

    Examples
    --------
    >>> catalogue = unitdb.Catalogue(release.path.parent.parent)
    >>> [(entry.name, entry.version) for entry in catalogue.entries()]
    [('tiny', '1.0.0')]
    >>> catalogue.resolve("tiny").name
    '1.0.0'
    >>> sorted(catalogue.contents())
    ['catalogue', 'releases']
    """

    def __init__(self, root: str | Path | None = None) -> None:
        self.root = Path(root) if root is not None else default_root()

    def __repr__(self) -> str:
        return f"Catalogue({str(self.root)!r})"

    def entries(self) -> list[Entry]:
        """All versions of all releases, by name, then newest first.

        Returns
        -------
        list of Entry
            One for each version.

        Raises
        ------
        CatalogueError
            ``releases.json`` is damaged.

        Examples
        --------
        >>> catalogue = unitdb.Catalogue(release.path.parent.parent)
        >>> [(entry.name, entry.version) for entry in catalogue.entries()]
        [('tiny', '1.0.0')]
        """
        return [
            entry_of(self.root, name, version, release)
            for name, release in self.contents(needed="")["releases"].items()
            for version in sorted(release["versions"], key=version_key, reverse=True)
        ]

    def resolve(self, reference: str) -> Path:
        """Folder of the release that ``name``, ``name@version`` or ``name@alias`` means.

        A retracted version is returned with a warning that gives the reason.

        Returns
        -------
        Path
            The release's folder.

        Raises
        ------
        UnknownReleaseError
            No such name or version; gives the nearest.
        CorruptReleaseError
            It is listed, and its folder is not there; names the command that gets it.
        CatalogueError
            ``releases.json`` is damaged.

        Examples
        --------
        >>> unitdb.Catalogue(release.path.parent.parent).resolve("tiny@latest").name
        '1.0.0'
        """
        needed = reference.partition("@")[0]
        releases, where = self.contents(needed=needed)["releases"], f"catalogue {self.root}"
        name, version = named_version(releases, reference, where=where, hint="unitdb releases")
        entry = entry_of(self.root, name, version, releases[name])
        if entry.command is not None:
            raise CorruptReleaseError(
                f"{name}@{version} is listed in {self.root / CATALOGUE}, but there is no "
                f"{entry.path}: {entry.command} gets it"
            )
        warn_if_retracted(entry)
        return entry.path

    def contents(self, *, needed: str | None = None) -> dict[str, Any]:
        """What ``releases.json`` should hold: what it lists, and the releases beside it.

        Where a folder holds other bytes than are listed, the listed hash stays, with a warning;
        but for a release whose replacement is not finished.

        Parameters
        ----------
        needed : str, optional
            The release that is looked for, as in :func:`parse_catalogue`: not where it is written.

        Returns
        -------
        dict
            Releases, versions, retractions and errata, as JSON has them.

        Raises
        ------
        CatalogueError
            ``releases.json`` is damaged.

        Examples
        --------
        >>> catalogue = unitdb.Catalogue(release.path.parent.parent)
        >>> list(catalogue.contents()["releases"])
        ['tiny']
        """
        contents = self.listed(needed=needed)
        releases = contents["releases"]
        for folder in sorted(self.root.glob("*/*")):
            sums, name, version = folder / SUMS, folder.parent.name, folder.name
            named = not name.startswith(".") and re.fullmatch(VERSION_PATTERN, version)
            if not named or not (sums.is_file() or sums.is_symlink()):
                continue
            try:
                check_names(name, version)
                versions = releases.setdefault(name, {"versions": {}})["versions"]
                known = versions.get(version)
                check_downloaded(folder, [SUMS])
                if not sums.is_file():  # a link to a device, which never ends
                    continue
                if known is not None and known["sha256"] == sha256_file(sums):
                    continue
                if known is None or backup_of(folder).exists():
                    notes = {key: known[key] for key in NOTES if key in known} if known else {}
                    versions[version] = {**self.describe(folder), **notes}
                else:
                    warnings.warn(
                        f"{folder} holds another build of {name} {version} than {CATALOGUE} lists; "
                        "unitdb verify says more",
                        stacklevel=2,
                    )
            except (CorruptReleaseError, OSError, ValueError) as cause:
                warnings.warn(f"passed over in the catalogue: {cause}", stacklevel=2)
        for release in releases.values():
            release["aliases"] = aliases(release["versions"])
        contents["releases"] = {
            n: found for n, found in sorted(releases.items()) if found["versions"]
        }
        return contents

    def describe(self, folder: Path) -> dict[str, Any]:
        """Make the entry of ``releases.json`` for the release in ``folder``, not retracted.

        Returns
        -------
        dict
            The entry, as JSON has it.

        Raises
        ------
        CorruptReleaseError
            Its ``datapackage.json`` cannot be read, or is of another release than the folder.

        Examples
        --------
        >>> unitdb.Catalogue(release.path.parent.parent).describe(release.path)["title"]
        'A tiny release (simulated)'
        """
        manifest = read_manifest(folder)
        if (manifest.name, manifest.version) != (folder.parent.name, folder.name):
            raise CorruptReleaseError(f"{folder} holds {manifest.name} {manifest.version}")
        return {
            "path": folder.relative_to(self.root).as_posix(),
            "title": manifest.title,
            "simulated": manifest.simulated,
            "schema": manifest.schema,
            "sha256": sha256_file(folder / SUMS),
            **_stated_size(folder),
            "retracted": None,
        }

    def listed(self, *, needed: str | None = None) -> dict[str, Any]:
        """What ``releases.json`` holds, whatever stands beside it; else as :meth:`contents`.

        Returns
        -------
        dict
            Releases, versions, retractions and errata, as JSON has them.

        Examples
        --------
        >>> unitdb.Catalogue(release.path.parent.parent).listed().keys()
        dict_keys(['catalogue', 'releases'])
        """
        path = self.root / CATALOGUE
        check_downloaded(self.root, [CATALOGUE])
        try:
            text = bounded_text(path)
        except FileNotFoundError:
            warn_if_lost(self.root)
            return {"catalogue": FORMAT, "releases": {}}
        except (OSError, ValueError) as cause:
            raise CatalogueError(f"{path}: cannot be read: {cause}") from cause
        return parse_catalogue(text, where=str(path), needed=needed)


def _stated_size(folder: Path) -> dict[str, int]:
    """``bytes``: the size of all files; nothing where git-annex has some of them elsewhere."""
    try:
        names = [SUMS, *read_sums(folder)]
        check_downloaded(folder, names)
        return {"bytes": sum((folder / name).stat().st_size for name in names)}
    except (OSError, CorruptReleaseError):
        return {}


def save_catalogue(root: Path, contents: dict[str, Any]) -> None:
    """Write ``releases.json``, where it is not so already; the caller holds :data:`LOCK`."""
    path = root / CATALOGUE
    text = json.dumps(contents, indent=2, ensure_ascii=False) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def backup_of(folder: Path) -> Path:
    """Where a release waits while another takes its place, until the catalogue lists that."""
    return folder.with_name(f".{folder.name}.replaced")


def warn_if_lost(root: Path) -> None:
    """Warn where a folder is a store, whose history has the catalogue that is missing."""
    if (root / CATALOGUE).exists():
        return
    try:
        is_store = _STORE.search((root / ".datalad" / "config").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if is_store:
        warnings.warn(
            f"{root / CATALOGUE} is missing, so that retractions and errata are not known; the "
            f"store's history has it: git -C {root} checkout HEAD -- {CATALOGUE}",
            stacklevel=4,
        )
