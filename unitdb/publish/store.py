"""Stores of releases: DataLad datasets with Parquet in git-annex, text in git, a tag a release.

A store is a folder of releases like any other, that can be cloned, pushed and rerun. What is
published to a remote (:mod:`unitdb.publish.remote`) goes through such a folder of one's own.
"""

from __future__ import annotations

import shutil
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unitdb.errors import CorruptReleaseError, ProgramError, StoreError
from unitdb.files import SUMS, check_downloaded, locked, read_sums, sha256_file, write_text
from unitdb.programs import run
from unitdb.publish._owned import clear_stale, holding, remove_tree
from unitdb.publish._signing import Signer, sign_entry
from unitdb.publish.release import is_same, is_whole, refuse_other
from unitdb.release.catalogue import CATALOGUE, LOCK, Catalogue, save_catalogue
from unitdb.release.entries import aliases, listed_entry
from unitdb.release.manifest import read_manifest
from unitdb.release.placing import finish, place, sync_all

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["init_store", "is_store", "publish_to_folder", "save_catalogue_of_store"]

_MARK = "unitdb.store"
_NEW = ".work/new-store"
_STAGED = ".work/publish"
_TEXTS = {
    ".datalad/.gitattributes": "config annex.largefiles=nothing\nmetadata/aggregate* "
    "annex.largefiles=nothing\nmetadata/objects/** annex.largefiles=(anything)\n",
    ".gitattributes": "* annex.backend=MD5E\n"
    "* annex.largefiles=(largerthan=10mb)\n"
    "*.parquet annex.largefiles=anything\n"
    "**/.git* annex.largefiles=nothing\n",
    ".gitignore": "/.cache/\n/.stores/\n/.work/\n*.lock\n*.tmp\n",
}
_CONFIG = '[datalad "dataset"]\n\tid = {identifier}\n[unitdb]\n\tstore = 1\n'


def init_store(root: Path, *, identifier: str | None = None) -> None:
    """Make a folder a store; the releases that are in it already are saved with it.

    Parameters
    ----------
    root : Path
        A folder of releases, an empty one, or one to be made. A store is left as it is.
    identifier : str, optional
        Of the DataLad dataset; a new one by default.

    Raises
    ------
    StoreError
        It has other content than releases.
    BusyError
        Another process is at work in it, and does not come to an end.
    MissingProgramError, ProgramError
        git or git-annex is not there, or failed.
    """
    with _alone_in(root.resolve(), identifier):
        pass


def is_store(root: Path) -> bool:
    """Whether a commit of the folder says that it is a store."""
    if not (root / ".git").exists():
        return False
    try:
        mark = ("git", "config", "--blob", "HEAD:.datalad/config", "--get", _MARK)
        return run(*mark, folder=root).strip() == "1"
    except ProgramError:
        return False  # no commit yet, or not of ours


def publish_to_folder(release: Path, store: Path, signer: Signer | None = None) -> bool:
    """Publish a release to a folder, which becomes a store; whether that changed anything.

    Raises
    ------
    UnitdbError
        As :func:`unitdb.publish.publish`.
    """
    manifest = read_manifest(release)
    name, version, title = manifest.name, manifest.version, manifest.title
    store = store.resolve()
    with _alone_in(store):
        before = _state(store)
        target = store / name / version
        finish(store, name, version)
        if not target.exists() or target.resolve() != release.resolve():
            staged = _stage(release, target, store)
            with locked(store / LOCK):
                # Before it stands: there is no moment when it does without them.
                _copy_notes(release, store, name, version, signer, staged=staged)
                if staged is not None:
                    place(staged, target)
            finish(store, name, version)
        elif not is_whole(target):
            sums = read_sums(target)
            check_downloaded(target, sums)
            missing = [path for path in sums if not (target / path).is_file()]
            raise CorruptReleaseError(f"{target / missing[0]}: is missing")
        elif signer is not None:
            with locked(store / LOCK):
                _copy_notes(release, store, name, version, signer)
        log = Path(".runs") / name / f"{version}.json"
        paths = [Path(name) / version, Path(CATALOGUE)]
        if (release.resolve().parents[1] / log).exists():
            if not (store / log).exists():
                text = (release.resolve().parents[1] / log).read_text(encoding="utf-8")
                write_text(store / log, text)
            paths.append(log)
        _commit(store, f"{name} {version}", *paths)
        tag = f"{name}-{version}"
        if not run("git", "tag", "--list", tag, folder=store).strip():
            settings, kind = (signer.tag_options(), "--sign") if signer else ((), "--annotate")
            run("git", *settings, "tag", kind, "-m", title, tag, folder=store)
        return _state(store) != before


def save_catalogue_of_store(root: Path, message: str) -> None:
    """Commit ``releases.json`` where the folder of releases is a store."""
    if is_store(root):
        with _alone_in(root.resolve()):
            _commit(root, message, Path(CATALOGUE))


@contextmanager
def _alone_in(root: Path, identifier: str | None = None) -> Iterator[None]:
    """Be the only publisher in a folder, which is a sound store from then on."""
    if not is_store(root):
        _check_content(root)  # before anything is written there
    with holding(root / ".work" / "publish.lock"):
        if is_store(root):
            clear_stale(root / ".git")
            _complete(root)
        elif (root / ".git").exists():
            _mark(root)
        else:
            _make(root, identifier or str(uuid.uuid4()))
        yield


def _make(root: Path, identifier: str) -> None:
    """Make a new store: its repository aside, with its first commit, then in place by a rename."""
    _check_content(root)
    new = root / _NEW
    remove_tree(new)
    new.mkdir(parents=True)
    run("git", "init", "--quiet", folder=new)
    run("git", "annex", "init", "--quiet", folder=new)
    texts = {".datalad/config": _CONFIG.format(identifier=identifier), **_TEXTS}
    for name, text in texts.items():
        write_text(new / name, text)
    run("git", "add", "--", *texts, folder=new)
    run("git", "commit", "--quiet", "-m", "Parquet in git-annex, text in git", folder=new)
    with locked(root / LOCK):  # a store has a catalogue from its beginning
        save_catalogue(root, Catalogue(root).contents())
    for name, text in texts.items():
        write_text(root / name, text)
    (new / ".git").rename(root / ".git")
    _complete(root)


def _mark(root: Path) -> None:
    """Make a DataLad dataset that is there already a store."""
    with locked(root / LOCK):
        save_catalogue(root, Catalogue(root).contents())
    for name, text in _TEXTS.items():
        write_text(root / name, text)
    run("git", "config", "--file", ".datalad/config", _MARK, "1", folder=root)
    _commit(root, "Parquet in git-annex, text in git", Path(".datalad/config"), *map(Path, _TEXTS))


def _complete(root: Path) -> None:
    """Save the releases that a new store has, and texts that it lacks."""
    if (root / _NEW).exists():
        _commit(root, "Releases that were there", Path())
        remove_tree(root / _NEW)
    missing = [name for name in _TEXTS if not (root / name).exists()]
    for name in missing:
        write_text(root / name, _TEXTS[name])
    if missing:
        _commit(root, "Parquet in git-annex, text in git", *map(Path, missing))


def _commit(store: Path, message: str, *paths: Path) -> None:
    """Commit files as they are, Parquet by git-annex; where nothing is new, nothing is done."""
    run("git", "annex", "add", "--quiet", "--", *paths, folder=store)
    if run("git", "diff", "--cached", "--name-only", "--", *paths, folder=store):
        run("git", "commit", "--quiet", "-m", message, "--", *paths, folder=store)


def _state(store: Path) -> str:
    return run("git", "show-ref", "--head", "--tags", folder=store)


def _stage(release: Path, target: Path, store: Path) -> Path | None:
    """Copy a release to where it can be renamed from, file by file against its checksums.

    The files of an annexed release are links; their content is copied.

    Returns
    -------
    Path or None
        The whole copy; None where the release stands in the store already.
    """
    if is_same(release, target) and is_whole(target):
        return None
    refuse_other(release, store, target)
    staged = store / _STAGED / target.parent.name / target.name
    shutil.rmtree(staged, ignore_errors=True)
    sums = read_sums(release)
    for name, expected in sums.items():
        (staged / name).parent.mkdir(parents=True, exist_ok=True)
        check_downloaded(release, [name])
        shutil.copyfile(release / name, staged / name)
        if sha256_file(staged / name) != expected:
            shutil.rmtree(staged)
            raise CorruptReleaseError(f"{release / name}: not as {SUMS} says")
    shutil.copyfile(release / SUMS, staged / SUMS)
    sync_all(staged)
    return staged


def _copy_notes(
    release: Path,
    store: Path,
    name: str,
    version: str,
    signer: Signer | None,
    *,
    staged: Path | None = None,
) -> None:
    """Give the store's catalogue the retraction, the errata and the signature of the release.

    The caller holds the lock of the catalogue. What is still to be put in place is listed.
    """
    source = Catalogue(release.resolve().parents[1]).contents()
    own = _listed(source, name, version)
    contents = Catalogue(store).contents()
    known_entries = [listed_entry(found, name, version) for found in (contents, source)]
    versions = contents["releases"].setdefault(name, {"versions": {}})["versions"]
    if staged is not None:
        versions.setdefault(version, Catalogue(store / _STAGED).describe(staged))
    listed = versions[version]
    if own.get("retracted") is not None:
        listed["retracted"] = own["retracted"]
    known = listed.get("errata", [])
    added = [text for text in own.get("errata", []) if text not in known]
    if added:
        listed["errata"] = [*known, *added]
    contents["releases"][name]["aliases"] = aliases(versions)
    sign_entry(contents, name, version, signer=signer, known=known_entries)
    save_catalogue(store, contents)


def _listed(contents: dict[str, Any], name: str, version: str) -> dict[str, Any]:
    found: dict[str, Any] = (
        contents["releases"].get(name, {"versions": {}})["versions"].get(version, {})
    )
    return found


def _check_content(root: Path) -> None:
    if not root.exists():
        return
    if not root.is_dir():
        raise StoreError(f"{root} is not a folder")
    if (root / ".git").exists() and not (root / ".datalad").exists():
        raise StoreError(
            f"{root} is a git repository, but not a store of releases; where a publish that was "
            f"killed has left it, and only there, remove it: rm -rf {root / '.git'}"
        )
    ours = {CATALOGUE, "recipes", *Catalogue(root).contents()["releases"]}
    others = sorted(p.name for p in root.iterdir() if p.name not in ours and p.name[0] != ".")
    if others:
        raise StoreError(
            f"{root} holds other things than releases ({', '.join(others[:5])}): "
            "a store needs a folder of its own"
        )
