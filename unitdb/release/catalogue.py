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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unitdb.errors import CatalogueError, CorruptReleaseError, UnknownReleaseError
from unitdb.files import SUMS, check_downloaded, read_sums, sha256_file, write_text
from unitdb.release.manifest import read_manifest
from unitdb.release.names import (
    SHA256_PATTERN,
    VERSION_PATTERN,
    bounded_text,
    check_paths,
    matching,
    typed,
)
from unitdb.schema import NAME_PATTERN

__all__ = [
    "CATALOGUE",
    "LOCK",
    "Catalogue",
    "Entry",
    "aliases",
    "backup_of",
    "default_root",
    "listed_entry",
    "named_version",
    "parse_catalogue",
    "save_catalogue",
    "version_key",
    "warn_if_lost",
    "warn_if_retracted",
]

CATALOGUE = "releases.json"
LOCK = ".releases.lock"
"""Held by whoever writes the catalogue."""
_FORMAT = 1
_LARGEST_SIGNATURE = 1 << 16
_NOTES = ("retracted", "errata")
"""What a catalogue says of a version beyond what its files say."""
_STORE = re.compile(r"^\[unitdb\]\s+store\s*=\s*1$", re.MULTILINE)
"""In ``.datalad/config`` of a store, which has had a catalogue since its first release."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One version of a release in the catalogue.

    Parameters
    ----------
    name, version, title : str
        What it is called.
    path : Path
        Its folder.
    simulated : bool
        True where any of its responses are simulated.
    schema : str
        Schema of its tables, MAJOR.MINOR.
    sha256 : str
        SHA-256 of its ``SHA256SUMS``: names the content of the whole release.
    aliases : tuple of str
        ``latest`` (newest version that is not retracted) and ``stable`` (newest of these from
        1.0.0 on), where they mean this version.
    retracted : str or None
        Why it should not be used any more.
    replacement : str or None
        The version to use instead.
    errata : tuple of str
        What has been found wrong with it, oldest first.
    n_bytes : int or None
        Size of all its files; None where the catalogue does not say.
    signature : str or None
        Its publisher's signature of name, version, hash, retraction and errata, as SSH or GPG write
        it (:mod:`unitdb.release.signing`).
    """

    name: str
    version: str
    title: str
    path: Path
    simulated: bool
    schema: str
    sha256: str
    aliases: tuple[str, ...]
    retracted: str | None
    replacement: str | None
    errata: tuple[str, ...] = ()
    n_bytes: int | None = None
    signature: str | None = None


def default_root() -> Path:
    """Folder of releases: the environment variable UNITDB_RELEASES, else ``releases`` here."""
    return Path(os.environ.get("UNITDB_RELEASES") or "releases")


def version_key(version: str) -> tuple[int, ...]:
    """Numbers of a version, for sorting: 1.10.0 comes after 1.9.0."""
    return tuple(int(part) for part in version.split("."))


class Catalogue:
    """The releases in a folder.

    Parameters
    ----------
    root : Path, optional
        The folder that holds ``releases.json`` and the releases; :func:`default_root` where it is
        not given. Read anew by each call.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        self.root = Path(root) if root is not None else default_root()

    def __repr__(self) -> str:
        return f"Catalogue({str(self.root)!r})"

    def entries(self) -> list[Entry]:
        """All versions of all releases, by name, then newest first.

        Raises
        ------
        CatalogueError
            ``releases.json`` is damaged.
        """
        return [
            _entry(self.root, name, version, release)
            for name, release in self.contents(needed="")["releases"].items()
            for version in sorted(release["versions"], key=version_key, reverse=True)
        ]

    def resolve(self, reference: str) -> Path:
        """Folder of the release that ``name``, ``name@version`` or ``name@alias`` means.

        A retracted version is returned with a warning that gives the reason.

        Raises
        ------
        UnknownReleaseError
            No such name or version; gives the nearest.
        CatalogueError
            ``releases.json`` is damaged.
        """
        needed = reference.partition("@")[0]
        releases, where = self.contents(needed=needed)["releases"], f"catalogue {self.root}"
        name, version = named_version(releases, reference, where=where, hint="unitdb releases")
        entry = _entry(self.root, name, version, releases[name])
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

        Raises
        ------
        CatalogueError
            ``releases.json`` is damaged.
        """
        contents = self.listed(needed=needed)
        releases = contents["releases"]
        for folder in sorted(self.root.glob("*/*")):
            sums, name, version = folder / SUMS, folder.parent.name, folder.name
            named = not name.startswith(".") and re.fullmatch(VERSION_PATTERN, version)
            if not named or not (sums.is_file() or sums.is_symlink()):
                continue
            try:
                _check_names(name, version)
                versions = releases.setdefault(name, {"versions": {}})["versions"]
                known = versions.get(version)
                check_downloaded(folder, [SUMS])
                if not sums.is_file():  # a link to a device, which never ends
                    continue
                if known is not None and known["sha256"] == sha256_file(sums):
                    continue
                if known is None or backup_of(folder).exists():
                    notes = {key: known[key] for key in _NOTES if key in known} if known else {}
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

        Raises
        ------
        CorruptReleaseError
            Its ``datapackage.json`` cannot be read, or is of another release than the folder.
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
        """What ``releases.json`` holds, whatever stands beside it; else as :meth:`contents`."""
        path = self.root / CATALOGUE
        check_downloaded(self.root, [CATALOGUE])
        try:
            text = bounded_text(path)
        except FileNotFoundError:
            warn_if_lost(self.root)
            return {"catalogue": _FORMAT, "releases": {}}
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


def parse_catalogue(text: str, *, where: str, needed: str | None = None) -> dict[str, Any]:
    """Read the text of a ``releases.json``, and see that each entry of it can be used.

    Parameters
    ----------
    text : str
        The text.
    where : str
        Where it is from, for messages.
    needed : str, optional
        The release that is looked for, or an empty text: entries of others that cannot be used
        are left out, with a warning. What is written back must have all of them.

    Raises
    ------
    CatalogueError
        It is damaged, of another format, or an entry names a path that leaves its folder.
    """
    try:
        contents = json.loads(text)
        if typed(contents["catalogue"], int) != _FORMAT:
            raise CatalogueError(
                f"{where}: format {contents['catalogue']!r}; this unitdb reads {_FORMAT}"
            )
        for name, release in list(contents["releases"].items()):
            try:
                release["aliases"] = {}
                for version in typed(release["versions"], dict):
                    _check_names(name, version)
                    _entry(Path(), name, version, release)
            except _NOT_AS_WRITTEN as cause:
                del contents["releases"][name]
                named = name if contents["releases"] else needed  # where none is left
                _pass_over(f"{where}: release {name[:80]!r}: {_told(cause)}", named, needed)
    except json.JSONDecodeError as cause:
        raise CatalogueError(f"{where}: cannot be read: {cause}") from cause
    except _NOT_AS_WRITTEN as cause:
        if isinstance(cause, CatalogueError):
            raise
        raise CatalogueError(f"{where}: not as unitdb writes it: {_told(cause)}") from cause
    return dict(contents)


_NOT_AS_WRITTEN = (KeyError, TypeError, AttributeError, ValueError, RecursionError)


def _pass_over(problem: str, name: str | None, needed: str | None) -> None:
    if needed is None or name == needed:
        raise CatalogueError(f"{problem}; the entry is not as unitdb writes it")
    warnings.warn(f"passed over in the catalogue: {problem}", stacklevel=4)


def _told(cause: Exception) -> str:
    return f"{cause}" if type(cause) in (ValueError, TypeError) else f"{cause!r}"


def _check_names(name: str, version: str) -> None:
    """Raise ValueError where they would not do as names of folders."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise ValueError(f"the name {name[:80]!r} cannot be a folder")
    check_paths([name])
    if not re.fullmatch(VERSION_PATTERN, version):
        raise ValueError(f"the version {version[:80]!r} is not MAJOR.MINOR.PATCH")


def listed_entry(contents: dict[str, Any], name: str, version: str) -> Entry | None:
    """What a catalogue's contents say of a version; its path is relative to the catalogue."""
    release = contents["releases"].get(name, {"versions": {}})
    if version not in release["versions"]:
        return None
    return _entry(Path(), name, version, {"aliases": {}, **release})


def save_catalogue(root: Path, contents: dict[str, Any]) -> None:
    """Write ``releases.json``, where it is not so already; the caller holds :data:`LOCK`."""
    path = root / CATALOGUE
    text = json.dumps(contents, indent=2, ensure_ascii=False) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def _entry(root: Path, name: str, version: str, release: dict[str, Any]) -> Entry:
    listed = release["versions"][version]
    check_paths([listed["path"]])
    retracted = listed["retracted"]
    if retracted is not None:
        typed(retracted["reason"], str)
        if retracted["replacement"] is not None:
            matching(retracted["replacement"], VERSION_PATTERN)
    return Entry(
        name=name,
        version=version,
        title=typed(listed["title"], str),
        path=root / listed["path"],
        simulated=typed(listed["simulated"], bool),
        schema=matching(listed["schema"], r"[0-9.]{1,20}"),
        sha256=matching(listed["sha256"], SHA256_PATTERN),
        aliases=tuple(a for a, target in release["aliases"].items() if target == version),
        retracted=retracted["reason"] if retracted else None,
        replacement=retracted["replacement"] if retracted else None,
        errata=tuple(typed(one, str) for one in typed(listed.get("errata", []), list)),
        n_bytes=None if listed.get("bytes") is None else _size(listed["bytes"]),
        signature=None if listed.get("signature") is None else _signature(listed["signature"]),
    )


def _size(n_bytes: Any) -> int:
    if typed(n_bytes, int) < 0:
        raise ValueError(f"{n_bytes} is no number of bytes")
    return int(n_bytes)


def _signature(text: Any) -> str:
    if len(typed(text, str)) > _LARGEST_SIGNATURE:
        raise ValueError(f"a signature is larger than {_LARGEST_SIGNATURE >> 10} KiB")
    return matching(text, r"-----BEGIN (SSH|PGP) SIGNATURE-----\n[\x20-\x7e\n]*")


def warn_if_retracted(entry: Entry) -> None:
    """Warn with the reason where a version is retracted."""
    if entry.retracted is not None:
        instead = f"; use {entry.name}@{entry.replacement}" if entry.replacement else ""
        warnings.warn(
            f"{entry.name}@{entry.version} is retracted: {entry.retracted}{instead}", stacklevel=4
        )


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


def named_version(
    releases: Mapping[str, Any], reference: str, *, where: str, hint: str = ""
) -> tuple[str, str]:
    """Name and version that ``name``, ``name@version`` or ``name@alias`` means.

    Without a version it is the latest; the newest, where all are retracted.

    Parameters
    ----------
    releases : mapping
        ``releases`` of a ``releases.json``.
    reference : str
    where, hint : str
        For the error.

    Raises
    ------
    UnknownReleaseError
        No such name or version; gives the nearest.
    """
    name, _, version = reference.partition("@")
    if name not in releases:
        raise UnknownReleaseError(name, sorted(releases), where=where, hint=hint)
    versions = releases[name]["versions"]
    newest = sorted(versions, key=version_key, reverse=True)
    named = dict(zip(newest, newest, strict=True)) | aliases(versions)
    if not version and newest:
        return name, named.get("latest", newest[0])
    if version not in named:
        known = [f"{name}@{one}" for one in named]
        raise UnknownReleaseError(reference, known, where=where, hint=hint)
    return name, named[version]


def aliases(versions: dict[str, Any]) -> dict[str, str]:
    """Version that each alias means (see :class:`Entry`), from a release's versions."""
    usable = [version for version, listed in versions.items() if listed["retracted"] is None]
    stable = [version for version in usable if version_key(version)[0] >= 1]
    candidates = {"latest": usable, "stable": stable}
    return {alias: max(found, key=version_key) for alias, found in candidates.items() if found}
