"""Releases of elsewhere: fetched from an address or a folder, and held to their checksums."""

from __future__ import annotations

import http.client
import shutil
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from unitdb.errors import (
    CorruptReleaseError,
    FetchError,
    ReleaseExistsError,
    UnknownReleaseError,
)
from unitdb.files import SUMS, locked, read_sums, sha256_file, sync
from unitdb.release.catalogue import (
    CATALOGUE,
    LOCK,
    Catalogue,
    aliases,
    default_root,
    parse_catalogue,
    save_catalogue,
)
from unitdb.release.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["fetch"]

_CHUNK = 1 << 20
_ATTEMPTS = 5
_SECONDS = 60.0


class _InterruptedError(Exception):
    """The connection ended before the file did."""


def fetch(
    reference: str,
    *,
    source: str,
    releases: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Fetch a release into a folder of releases.

    Parts that are there already, of an interrupted fetch too, are not fetched again. Every file is
    held to its checksum before the release is put in place, whole.

    Parameters
    ----------
    reference : str
        ``name``, ``name@version`` or ``name@alias`` of the source's catalogue.
    source : str
        Where ``releases.json`` and the releases lie: an http or https address, or a folder.
    releases : str or Path, optional
        Folder of releases to put it in; by default the environment variable UNITDB_RELEASES, else
        ``releases`` in the current folder.
    progress : callable, optional
        Called with the number of files fetched and of all.

    Returns
    -------
    Path
        Folder of the release. Where it is there already, nothing is fetched.

    Raises
    ------
    UnknownReleaseError
        The source has no such release; gives the nearest.
    FetchError
        The source does not answer, or stops answering; what was fetched is kept for the next call.
    CorruptReleaseError
        A file is not as its checksum says; names it. Nothing is put in place.
    ReleaseExistsError
        The folder has other content under this version.
    CatalogueError
        The source's ``releases.json`` is damaged.
    """
    root = Path(releases) if releases is not None else default_root()
    listed = parse_catalogue(
        _read_text(source, CATALOGUE), where=f"{source.rstrip('/')}/{CATALOGUE}"
    )
    name, version = _resolve(listed["releases"], reference, source)
    entry = listed["releases"][name]["versions"][version]
    target = root / name / version
    work = root / ".work" / f"fetch-{name}-{version}-{entry['sha256'][:12]}"
    with locked(work.with_name(f"{work.name}.lock")):
        if not target.exists():
            _fetch_files(f"{source.rstrip('/')}/{entry['path']}", entry["sha256"], work, progress)
            manifest = read_manifest(work)
            if (manifest.name, manifest.version) != (name, version):
                raise CorruptReleaseError(
                    f"{source}: {entry['path']} holds {manifest.name} {manifest.version}"
                )
            for path in [*work.rglob("*"), work]:
                sync(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            work.rename(target)
        elif sha256_file(target / SUMS) != entry["sha256"]:
            raise ReleaseExistsError(f"{target} exists with other content than {source} has")
        _list(root, name, version, entry)
    return target


def _resolve(releases: dict[str, Any], reference: str, source: str) -> tuple[str, str]:
    name, _, version = reference.partition("@")
    if name not in releases:
        raise UnknownReleaseError(name, sorted(releases), where=source)
    versions = releases[name]["versions"]
    names = {**{known: known for known in versions}, **aliases(versions)}
    wanted = version or "latest"
    if wanted not in names:
        raise UnknownReleaseError(f"{name}@{wanted}", [f"{name}@{n}" for n in names], where=source)
    return name, names[wanted]


def _list(root: Path, name: str, version: str, entry: dict[str, Any]) -> None:
    """List the release in the folder's catalogue, with its retraction and errata."""
    with locked(root / LOCK):
        contents = Catalogue(root).contents()
        versions = contents["releases"][name]["versions"]
        versions[version] |= {key: entry[key] for key in ("retracted", "errata") if key in entry}
        contents["releases"][name]["aliases"] = aliases(versions)
        save_catalogue(root, contents)


def _fetch_files(
    base: str, sha256: str, work: Path, progress: Callable[[int, int], None] | None
) -> None:
    """Fetch all files of a release into ``work``, or those that it has not got yet."""
    _fetch_file(base, SUMS, work / SUMS, sha256)
    sums = read_sums(work)
    for name in sums:
        _check_name(name, base)
    for done, (name, expected) in enumerate(sums.items(), 1):
        _fetch_file(base, name, work / name, expected)
        if progress:
            progress(done, len(sums))


def _check_name(name: str, base: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise CorruptReleaseError(f"{base}: {SUMS}: {name!r} leaves the folder of the release")


def _fetch_file(base: str, name: str, path: Path, sha256: str) -> None:
    """Fetch a file unless it is there, going on where an earlier call was interrupted."""
    if path.exists():
        return  # renamed only after its checksum was right
    part = path.with_name(f"{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    resumed = part.exists()
    _download(f"{base}/{name}", part)
    if sha256_file(part) != sha256 and resumed:
        part.unlink()  # what the earlier call left was of another file
        _download(f"{base}/{name}", part)
    if sha256_file(part) != sha256:
        part.unlink()
        raise CorruptReleaseError(f"{base}/{name}: not as its checksum says")
    part.rename(path)


def _download(address: str, part: Path) -> None:
    """Fetch a file to its end, as long as each attempt or one of a few brings more of it."""
    failures = 0
    while True:
        start = _size(part)
        try:
            _go_on(address, part, start)
        except FetchError:
            raise
        except (_InterruptedError, http.client.HTTPException, OSError) as cause:
            failures = 1 if _size(part) > start else failures + 1
            if failures >= _ATTEMPTS:
                raise FetchError(f"{address}: {cause}; run it again to go on from there") from cause
        else:
            return


def _go_on(address: str, part: Path, start: int) -> None:
    with (
        _opened(address, start) as (stream, first, size),
        part.open("ab" if first else "wb") as file,
    ):
        shutil.copyfileobj(stream, file, _CHUNK)
        fetched = file.tell() - first
    if size is not None and fetched < size:
        raise _InterruptedError(f"{fetched:,} of {size:,} bytes")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def _opened(address: str, start: int) -> Iterator[tuple[IO[bytes], int, int | None]]:
    """Give the bytes of a file from ``start`` on: the stream, where it starts, and how many."""
    if not _is_web(address):
        try:
            with Path(address).open("rb") as file:
                file.seek(start)
                yield file, start, None
        except FileNotFoundError:
            raise FetchError(f"{address}: no such file") from None
        return
    request = urllib.request.Request(  # noqa: S310 - http and https alone
        urllib.parse.quote(address, safe=":/@[]"),
        headers={"Range": f"bytes={start}-"} if start else {},
    )
    try:
        response = urllib.request.urlopen(request, timeout=_SECONDS)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            yield BytesIO(), start, 0  # all of it was there
            return
        if error.code < http.HTTPStatus.INTERNAL_SERVER_ERROR:
            raise FetchError(f"{address}: {error.code} {error.reason}") from None
        raise _InterruptedError(f"{error.code} {error.reason}") from None
    with response:
        # A server that does not know ranges sends all of it.
        first = start if response.status == http.HTTPStatus.PARTIAL_CONTENT else 0
        length = response.headers.get("Content-Length")
        yield response, first, None if length is None else int(length)


def _is_web(address: str) -> bool:
    return address.startswith(("http://", "https://"))


def _read_text(source: str, name: str) -> str:
    address = f"{source.rstrip('/')}/{name}"
    if "://" in source and not _is_web(source):
        raise FetchError(f"{source}: releases are fetched by http, https or from a folder")
    try:
        with _opened(address, 0) as (stream, _, _size):
            return stream.read().decode("utf-8")
    except FetchError as error:
        raise FetchError(f"{error} (is {source} a folder of releases?)") from None
    except (_InterruptedError, http.client.HTTPException, OSError, UnicodeDecodeError) as cause:
        raise FetchError(f"{address}: {cause}") from cause
