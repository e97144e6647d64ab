"""Releases of elsewhere: fetched from an address or a folder, and held to their checksums."""

from __future__ import annotations

import errno
import os
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unitdb.errors import (
    CorruptReleaseError,
    FetchError,
    ReleaseExistsError,
)
from unitdb.files import (
    SUMS,
    check_downloaded,
    is_pointer,
    locked,
    read_sums,
    sha256_file,
)
from unitdb.release.catalogue import (
    CATALOGUE,
    LOCK,
    NOTES,
    Catalogue,
    backup_of,
    save_catalogue,
)
from unitdb.release.entries import aliases, listed_entry, named_version, parse_catalogue
from unitdb.release.manifest import read_manifest
from unitdb.release.names import LARGEST_TEXT, bounded_text, check_paths
from unitdb.release.notes import with_notes_of_both
from unitdb.release.placing import finish, place, set_aside, sync_all
from unitdb.release.signing import check_signature
from unitdb.release.web import (
    Answer,
    BeyondError,
    CutError,
    LargerError,
    ask,
    is_address,
    pieces,
    read,
    retried,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["fetch"]

_PART = ".part"
_ENOUGH = 1 << 12  # bytes: a connection that brought so many is worth another


def fetch(
    reference: str,
    *,
    source: str | Path,
    releases: str | Path | None = None,
    key: str | Path | None = None,
    replace: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Fetch a release into a folder of releases.

    Parts that are there already, of an interrupted fetch too, are not fetched again. Every file is
    held to its checksum before the release is put in place, whole.

    Parameters
    ----------
    reference : str
        ``name``, ``name@version`` or ``name@alias`` of the source's catalogue.
    source : str or Path
        Where ``releases.json`` and the releases lie: an http or https address, or a folder.
    releases : str or Path, optional
        Folder of releases to put it in; by default the environment variable UNITDB_RELEASES, else
        ``releases`` in the current folder.
    key : str or Path, optional
        File of the publisher's public key (see
        :func:`unitdb.release.signing.check_signature`): what it has not signed is not fetched.
    replace : bool
        Let the source's build take the place of another one of the same version, which the folder
        has or its catalogue lists.
    progress : callable, optional
        Called with the number of files fetched and of all.

    Returns
    -------
    Path
        Folder of the release. Where it is there already, nothing is fetched. A retraction and
        errata that are listed here stay, with a warning where the source does not list them.

    Raises
    ------
    UnknownReleaseError
        The source has no such release; gives the nearest.
    FetchError
        The source does not answer, or stops answering; what was fetched is kept for the next call.
    CorruptReleaseError
        A file is not as its checksum says; names it. Nothing is put in place.
    NotDownloadedError
        The release is there already, in a clone that has the names of its files alone; or the
        source is such a clone.
    ReleaseExistsError
        The folder has, or its catalogue lists, other content under this version.
    SignatureError
        The release is not signed by ``key``.
    CatalogueError
        The source's ``releases.json`` is damaged.

    Examples
    --------
    >>> catalogue = str(release.path.parent.parent)
    >>> path = unitdb.fetch("tiny", source=catalogue, releases=folder)
    >>> unitdb.open(path).label
    'tiny@1.0.0'
    """
    source = str(source)
    root = Catalogue(releases).root
    listed = parse_catalogue(
        _read_text(source, CATALOGUE),
        where=f"{source.rstrip('/')}/{CATALOGUE}",
        needed=reference.partition("@")[0],
    )
    name, version = named_version(listed["releases"], reference, where=source)
    entry = listed["releases"][name]["versions"][version]
    if key is not None:
        check_signature(listed_entry(listed, name, version), key)
    target = root / name / version
    work = root / ".work" / f"fetch-{name}-{version}-{entry['sha256'][:12]}"
    with locked(work.with_name(f"{work.name}.lock")):
        if backup_of(target).exists():  # a replacement was killed
            if _has(target, entry):
                with locked(root / LOCK):
                    _list(root, name, version, entry)
            finish(root, name, version)
        if target.exists() and not replace:
            check_downloaded(target, [SUMS])
        other = _what_differs(root, target, entry)
        if other and not replace:
            raise ReleaseExistsError(
                f"{other} than {source} has (--replace lets that of {source} take its place)"
            )
        if not _has(target, entry):
            _fetch_files(f"{source.rstrip('/')}/{entry['path']}", entry, work, progress)
            manifest = read_manifest(work)
            if (manifest.name, manifest.version) != (name, version):
                raise CorruptReleaseError(
                    f"{source}: {entry['path']} holds {manifest.name} {manifest.version}"
                )
            sync_all(work)
            with locked(root / LOCK):
                if other:
                    set_aside(root, name, version)
                if any(entry.get(key) for key in (*NOTES, "signature")):
                    # Before it stands: there is no moment when it does without them.
                    _list(root, name, version, entry)
                place(work, target)
        else:
            check_downloaded(target, read_sums(target))
        with locked(root / LOCK):
            alone = _list(root, name, version, entry)
        finish(root, name, version)
    if alone:
        warnings.warn(
            f"{name}@{version}: {' and '.join(alone)} of {root / CATALOGUE} stays, which {source} "
            "does not list",
            stacklevel=2,
        )
    return target


def _has(target: Path, entry: dict[str, Any]) -> bool:
    sums = target / SUMS
    return sums.is_file() and sha256_file(sums) == entry["sha256"]


def _what_differs(root: Path, target: Path, entry: dict[str, Any]) -> str | None:
    """Say what is other content here under this version; None where nothing is."""
    name, version = target.parent.name, target.name
    if target.exists() and not _has(target, entry):
        return f"{target} exists with other content"
    listed = listed_entry(Catalogue(root).listed(), name, version)
    if listed is not None and listed.sha256 != entry["sha256"]:
        return f"{root / CATALOGUE} lists {name} {version} with other content"
    return None


def _list(root: Path, name: str, version: str, entry: dict[str, Any]) -> list[str]:
    """List the release in the folder's catalogue, with what either catalogue says against it.

    The caller holds the lock of the catalogue.

    Returns
    -------
    list of str
        What the folder's catalogue alone says against it, in words.
    """
    contents = Catalogue(root).listed()
    versions = contents["releases"].setdefault(name, {"versions": {}})["versions"]
    theirs = {**entry, "path": f"{name}/{version}"}
    own = versions.get(version, theirs)
    if own["sha256"] != entry["sha256"]:  # of another build: what is said against the version
        notes = {key: own[key] for key in NOTES if key in own}
        own = {key: value for key, value in theirs.items() if key != "signature"} | notes
    versions[version], alone = with_notes_of_both(own, theirs, name, version)
    for release in contents["releases"].values():
        release["aliases"] = aliases(release["versions"])
    save_catalogue(root, contents)
    return alone


def _fetch_files(
    base: str, entry: dict[str, Any], work: Path, progress: Callable[[int, int], None] | None
) -> None:
    """Fetch all files of a release into ``work``, or those that it has not got yet."""
    stated: int | None = entry.get("bytes")
    _fetch_file(base, SUMS, work / SUMS, entry["sha256"], most=LARGEST_TEXT)
    sums = read_sums(work)
    try:
        # Beside each file lies its part, while it comes.
        check_paths([SUMS, *sums, f"{SUMS}{_PART}", *(f"{name}{_PART}" for name in sums)])
    except ValueError as cause:
        raise CorruptReleaseError(f"{base}: {SUMS}: {cause}") from None
    left = None if stated is None else stated - _size(work / SUMS)
    _check_space(base, work, sums, left)
    for done, (name, expected) in enumerate(sums.items(), 1):
        _fetch_file(base, name, work / name, expected, most=left)
        if left is not None:
            left -= _size(work / name)
        if progress:
            progress(done, len(sums))


def _check_space(base: str, work: Path, sums: dict[str, str], n_bytes: int | None) -> None:
    """Raise FetchError where the disk has no room for what is not there yet."""
    here = sum(_size(work / name) + _size(work / f"{name}{_PART}") for name in sums)
    free = shutil.disk_usage(work).free
    if n_bytes is not None and n_bytes - here > free:
        raise FetchError(
            f"{base}: {(n_bytes - here) / 1e6:,.0f} MB are to come, and the disk of {work} has "
            f"{free / 1e6:,.0f} MB left"
        )


def _fetch_file(base: str, name: str, path: Path, sha256: str, *, most: int | None) -> None:
    """Fetch a file unless it is there, going on where an earlier call was interrupted."""
    if path.exists():
        return  # renamed only after its checksum was right
    if not is_address(base):
        check_downloaded(Path(base), [name])
    part = path.with_name(f"{path.name}{_PART}")
    part.parent.mkdir(parents=True, exist_ok=True)
    resumed = part.exists()
    _download(f"{base}/{name}", part, most)
    if sha256_file(part) != sha256 and resumed:
        part.unlink()  # what the earlier call left was of another file
        _download(f"{base}/{name}", part, most)
    if sha256_file(part) != sha256:
        absent = is_pointer(part)
        part.unlink()
        raise CorruptReleaseError(
            f"{base}/{name}: "
            + (
                "not downloaded there: the source has a pointer of git-annex in its place"
                if absent
                else "not as its checksum says"
            )
        )
    part.rename(path)


def _download(address: str, part: Path, most: int | None) -> None:
    """Fetch a file to its end, as long as each attempt or one of a few brings more of it."""
    reached = 0  # at the most: a server without ranges begins anew each time

    def once() -> None:
        nonlocal reached
        before = _size(part)
        reached = max(reached, before)
        if not is_address(address):
            _copy(Path(address), part, before)
            return
        try:
            with ask(address, f"bytes={before}-" if before else None) as answer:
                _write(answer, part, before, most)
        except BeyondError:
            if not before:
                raise
            # all of it was there

    try:
        retried(once, address, advanced=lambda: _size(part) >= reached + _ENOUGH)
    except FileNotFoundError as cause:
        raise FetchError(str(cause)) from None
    except LargerError as cause:
        part.unlink(missing_ok=True)
        raise CorruptReleaseError(f"{address}: {cause}") from None
    except FetchError as cause:
        raise FetchError(f"{cause}; run it again to go on from there") from cause
    except OSError as cause:
        raise FetchError(f"{part}: {cause.strerror or cause}") from cause


def _write(answer: Answer, part: Path, start: int, most: int | None) -> None:
    """Write what comes behind what is there, or anew where the server sends all of it."""
    first = start if answer.start == start else 0
    if answer.start not in {0, start}:
        raise CutError(f"the part from byte {answer.start:,} came, not that from {start:,}")
    stated = answer.length
    if stated is not None and stated > shutil.disk_usage(part.parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    bounds = [
        bound for bound in (None if most is None else most - first, stated) if bound is not None
    ]
    with part.open("r+b" if first else "wb") as file:
        file.seek(first)
        for piece in pieces(answer, max(min(bounds, default=LARGEST_TEXT), 0)):
            file.write(piece)
        file.truncate()


def _copy(source: Path, part: Path, start: int) -> None:
    """Copy what is not there yet of a file of this machine."""
    if not source.is_file():  # a pipe or a device never ends
        raise FileNotFoundError(f"{source}: no such file")
    with source.open("rb") as file, part.open("ab") as copy:
        file.seek(start)
        shutil.copyfileobj(file, copy)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _read_text(source: str, name: str) -> str:
    address = f"{source.rstrip('/')}/{name}"
    if "://" in source and not is_address(source):
        raise FetchError(f"{source}: releases are fetched by http, https or from a folder")
    try:
        if is_address(source):
            return read(address, most=LARGEST_TEXT)[0].decode("utf-8")
        check_downloaded(Path(source), [name])
        return bounded_text(Path(address))
    except FileNotFoundError:
        raise FetchError(f"{address}: no such file (is {source} a folder of releases?)") from None
    except FetchError as error:
        raise FetchError(f"{error} (is {source} a folder of releases?)") from None
    except (OSError, UnicodeDecodeError) as cause:
        raise FetchError(f"{address}: {cause}") from cause
