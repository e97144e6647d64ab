"""A staged folder of tables becomes a release: metadata, checksums, verification, rename."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from unitdb.errors import CatalogueError, ReleaseExistsError, SchemaError, UnknownReleaseError
from unitdb.files import (
    SUMS,
    files_below,
    is_absent,
    locked,
    read_sums,
    sha256_file,
    write_text,
)
from unitdb.publish import _card, _datapackage, _prov
from unitdb.publish._signing import find_signer, sign_entry
from unitdb.release.catalogue import CATALOGUE, LOCK, Catalogue, save_catalogue
from unitdb.release.entries import aliases, listed_entry
from unitdb.release.manifest import MANIFEST
from unitdb.release.placing import finish, mark_replaced, place, sync_all
from unitdb.schema import TABLES
from unitdb.verification.reading import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from unitdb.publish.info import ReleaseInfo

__all__ = [
    "add_erratum",
    "is_same",
    "is_whole",
    "metadata_texts",
    "publish_release",
    "refuse_other",
    "retract",
]


def publish_release(
    staged: Path,
    root: Path,
    *,
    info: ReleaseInfo,
    replace: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make the tables in ``staged`` the release ``root/name/version``.

    Writes the metadata and ``SHA256SUMS``, verifies the whole by an independent re-read, renames
    the folder into place and lists it in ``root/releases.json``. Killed at any moment, it leaves
    no half-made release, and the next call completes what is missing.

    Parameters
    ----------
    staged : Path
        Folder with all tables, on the same file system as ``root``; it is used up.
    root : Path
        Folder of releases.
    info : ReleaseInfo
        What the release is.
    replace : bool
        Replace a release of this version that differs: only for local rebuilds that nobody has
        used yet.
    progress : callable, optional
        Called with the number of partitions verified and of all.

    Returns
    -------
    Path
        The release. Where the same release stands there already, whole, nothing is changed.

    Raises
    ------
    ReleaseExistsError
        This version exists with other content, or the catalogue lists other content.
    SchemaError
        A table is missing or a file is no part of a release.
    CorruptReleaseError
        Verification failed; nothing is published.
    """
    target = root / info.name / info.version
    finish(root, info.name, info.version)
    _write_metadata(staged, info)
    same = is_same(staged, target)
    if not (same and is_whole(target)):
        if not replace:
            refuse_other(staged, root, target)
        verify(staged, staged=True, progress=progress)
        sync_all(staged)
        with locked(root / LOCK):
            if not target.exists():
                mark_replaced(target)
            place(staged, target)
    if staged.exists():
        shutil.rmtree(staged)
    finish(root, info.name, info.version)
    return target


def refuse_other(staged: Path, root: Path, target: Path) -> None:
    """See that this version is not, and is not listed as, something else.

    Parameters
    ----------
    staged : Path
        The release that is to stand there.
    root : Path
        Folder of releases.
    target : Path
        ``root/name/version``.

    Raises
    ------
    ReleaseExistsError
        It is; says where.
    CatalogueError
        ``releases.json`` is damaged.
    """
    listed = listed_entry(Catalogue(root).contents(), target.parent.name, target.name)
    if target.exists() and not is_same(staged, target):
        what = f"{target} exists with other content"
    elif listed is not None and listed.sha256 != sha256_file(staged / SUMS):
        what = f"{root / CATALOGUE} lists {target.parent.name} {target.name} with other content"
    else:
        return
    raise ReleaseExistsError(
        f"{what}, and releases are immutable: raise `version` in the recipe (or pass --replace "
        "while nobody uses it)"
    )


def retract(
    root: Path,
    name: str,
    version: str,
    *,
    reason: str,
    replacement: str | None = None,
    sign: str | None = None,
) -> None:
    """Mark a version as not to be used any more; it stays, and opens with a warning.

    Parameters
    ----------
    root : Path
        Folder of releases.
    name, version : str
        The release.
    reason : str
        Why, in a sentence.
    replacement : str, optional
        The version to use instead.
    sign : str, optional
        Key to sign it with, as of :func:`unitdb.publish.publish`; one that is signed needs it.

    Raises
    ------
    UnknownReleaseError
        No such release, or no such replacement.
    SignatureError
        It is signed, and ``sign`` is not given; or it cannot be signed.
    CatalogueError
        The reason is empty.
    """
    reason = _sentence(reason, "the reason of a retraction")
    signer = None if sign is None else find_signer(sign)
    finish(root, name, version)
    with locked(root / LOCK):
        contents = Catalogue(root).contents()
        release = contents["releases"].get(name, {"versions": {}})
        versions = release["versions"]
        for wanted in (version, replacement):
            if wanted is not None and wanted not in versions:
                known = [f"{name}@{known}" for known in versions]
                raise UnknownReleaseError(f"{name}@{wanted}", known, where=f"catalogue {root}")
        before = listed_entry(contents, name, version)
        versions[version]["retracted"] = {"reason": reason, "replacement": replacement}
        release["aliases"] = aliases(versions)
        sign_entry(contents, name, version, signer=signer, known=[before])
        save_catalogue(root, contents)


def add_erratum(root: Path, name: str, version: str, text: str, *, sign: str | None = None) -> None:
    """Add to the list of what has been found wrong with a version; it stays as it is.

    Parameters
    ----------
    root : Path
        Folder of releases.
    name, version : str
        The release.
    text : str
        What is wrong, in a sentence. Where it is listed already, nothing is changed.
    sign : str, optional
        Key to sign it with, as of :func:`unitdb.publish.publish`; one that is signed needs it.

    Raises
    ------
    UnknownReleaseError
        No such release.
    SignatureError
        It is signed, and ``sign`` is not given; or it cannot be signed.
    """
    text = _sentence(text, "an erratum")
    signer = None if sign is None else find_signer(sign)
    finish(root, name, version)
    with locked(root / LOCK):
        contents = Catalogue(root).contents()
        versions = contents["releases"].get(name, {"versions": {}})["versions"]
        if version not in versions:
            known = [f"{name}@{known}" for known in versions]
            raise UnknownReleaseError(f"{name}@{version}", known, where=f"catalogue {root}")
        before = listed_entry(contents, name, version)
        errata = versions[version].get("errata", [])
        if text not in errata:
            versions[version]["errata"] = [*errata, text]
        sign_entry(contents, name, version, signer=signer, known=[before])
        save_catalogue(root, contents)


def _sentence(text: str, what: str) -> str:
    """Text in one line; refused where nothing can be read in it."""
    words = " ".join(text.split())
    if not any(character.isalnum() for character in words):
        raise CatalogueError(f"{what} must say something, in a sentence (got {text!r})")
    return words


def is_same(staged: Path, target: Path) -> bool:
    """Whether the checksums of two folders are the same."""
    theirs = target / SUMS
    return theirs.exists() and theirs.read_bytes() == (staged / SUMS).read_bytes()


def is_whole(target: Path) -> bool:
    """Whether all files are there: of a clone, git-annex may have got none, or only some."""
    paths = [target / path for path in read_sums(target)]
    return all(path.is_file() and not is_absent(path) for path in paths)


def _write_metadata(staged: Path, info: ReleaseInfo) -> None:
    for leftover in staged.rglob(".*.tmp"):
        leftover.unlink()
    files = _table_files(staged)
    sums = {path: sha256_file(staged / path) for paths in files.values() for path in paths}
    texts = metadata_texts(staged, info, sums)
    unexpected = set(files_below(staged)) - set(sums) - set(texts) - {SUMS}
    if unexpected:
        raise SchemaError(f"{staged}: no part of a release: {', '.join(sorted(unexpected)[:5])}")
    for name, text in texts.items():
        write_text(staged / name, text)
        sums[name] = hashlib.sha256(text.encode()).hexdigest()
    write_text(staged / SUMS, "".join(f"{sums[path]}  {path}\n" for path in sorted(sums)))


def metadata_texts(folder: Path, info: ReleaseInfo, sums: Mapping[str, str]) -> dict[str, str]:
    """Make the metadata of a release: the same tables and description give the same text.

    Parameters
    ----------
    folder : Path
        Its tables.
    info : ReleaseInfo
        What it is.
    sums : mapping of str to str
        SHA-256 of each of their files.

    Returns
    -------
    dict of str to str
        Text of each file.

    Raises
    ------
    SchemaError
        A table is missing.
    """
    files = _table_files(folder)
    rows = {
        table: sum(pq.read_metadata(folder / path).num_rows for path in paths)
        for table, paths in files.items()
    }
    version = pq.read_table(folder / "builds.parquet")["unitdb_version"][0].as_py()
    return {
        MANIFEST: _json(_datapackage.datapackage(info, files, n_accuracies=rows["accuracy"])),
        "croissant.json": _json(
            _datapackage.croissant(info, files, sums) | _prov.generated_by(folder)
        ),
        "dataset_description.json": _json(
            _datapackage.dataset_description(info, unitdb_version=version)
        ),
        "CITATION.cff": _card.citation(info),
        "CHANGELOG.md": _card.changelog(info),
        "README.md": _card.card(info, rows),
        "recipe.yaml": info.recipe_text,
    }


def _table_files(staged: Path) -> dict[str, list[str]]:
    """Paths of the Parquet files of each table, relative to ``staged``."""
    present = files_below(staged)
    files = {
        name: [
            path
            for path in present
            if path == f"{name}.parquet"
            or (table.partition_by and path.startswith(f"{name}/") and path.endswith(".parquet"))
        ]
        for name, table in TABLES.items()
    }
    missing = [name for name, paths in files.items() if not paths and not TABLES[name].optional]
    if missing:
        raise SchemaError(f"{staged}: no file of table {', '.join(missing)}")
    return {name: paths for name, paths in files.items() if paths}


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, sort_keys=False) + "\n"
