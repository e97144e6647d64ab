"""What a ``releases.json`` says of each version, held to its types, and what its names mean."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unitdb.errors import CatalogueError, UnknownReleaseError
from unitdb.release.names import (
    SHA256_PATTERN,
    VERSION_PATTERN,
    check_paths,
    matching,
    typed,
)
from unitdb.schema import NAME_PATTERN

__all__ = [
    "FORMAT",
    "Entry",
    "aliases",
    "check_names",
    "entry_of",
    "listed_entry",
    "named_version",
    "parse_catalogue",
    "version_key",
    "warn_if_retracted",
]

FORMAT = 1
"""Of the catalogues that this unitdb reads and writes."""
_LARGEST_SIGNATURE = 1 << 16
_NOT_AS_WRITTEN = (KeyError, TypeError, AttributeError, ValueError, RecursionError)


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

    @property
    def command(self) -> str | None:
        """What gets it, where its folder is not there: it was removed, or a fetch was killed."""
        if self.path.exists():
            return None
        return f"unitdb fetch {self.name}@{self.version} --from ADDRESS"


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
        if typed(contents["catalogue"], int) != FORMAT:
            raise CatalogueError(
                f"{where}: format {contents['catalogue']!r}; this unitdb reads {FORMAT}"
            )
        for name, release in list(contents["releases"].items()):
            try:
                release["aliases"] = {}
                for version in typed(release["versions"], dict):
                    check_names(name, version)
                    entry_of(Path(), name, version, release)
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


def _pass_over(problem: str, name: str | None, needed: str | None) -> None:
    if needed is None or name == needed:
        raise CatalogueError(f"{problem}; the entry is not as unitdb writes it")
    warnings.warn(f"passed over in the catalogue: {problem}", stacklevel=4)


def _told(cause: Exception) -> str:
    return f"{cause}" if type(cause) in (ValueError, TypeError) else f"{cause!r}"


def check_names(name: str, version: str) -> None:
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
    return entry_of(Path(), name, version, {"aliases": {}, **release})


def entry_of(root: Path, name: str, version: str, release: dict[str, Any]) -> Entry:
    """Make the entry of a version, from what a catalogue in ``root`` says of its release.

    Raises
    ------
    KeyError, TypeError, AttributeError, ValueError
        It is not as unitdb writes it.
    """
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


def version_key(version: str) -> tuple[int, ...]:
    """Numbers of a version, for sorting: 1.10.0 comes after 1.9.0."""
    return tuple(int(part) for part in version.split("."))
