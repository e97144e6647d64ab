"""Stores of releases: DataLad datasets with Parquet in git-annex, text in git, a tag a release.

A store is a folder of releases like any other, that can be cloned, pushed and rerun. What is
published to a remote goes through such a folder of one's own, ``.stores/…`` beside the releases.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path
from typing import Any

from unitdb.errors import CorruptReleaseError, ProgramError, StoreError
from unitdb.files import SUMS, locked, read_sums, sha256_file, write_text
from unitdb.programs import run
from unitdb.publish.release import finish, is_same, is_whole, place, refuse_other
from unitdb.release.catalogue import CATALOGUE, LOCK, Catalogue, aliases, save_catalogue
from unitdb.release.manifest import read_manifest

__all__ = ["init_store", "is_store", "publish", "save_catalogue_of_store"]

_MARK = "unitdb.store"
_ATTRIBUTES = """\
* annex.backend=MD5E
* annex.largefiles=(largerthan=10mb)
*.parquet annex.largefiles=anything
**/.git* annex.largefiles=nothing
"""
_IGNORED = "/.cache/\n/.stores/\n/.work/\n*.lock\n*.tmp\n"
_REMOTE = "target"
_ALIAS = "releases"


def init_store(root: Path) -> None:
    """Make a folder a store; the releases that are in it already are saved with it.

    Parameters
    ----------
    root : Path
        A folder of releases, an empty one, or one to be made. A store is left as it is.

    Raises
    ------
    StoreError
        It has other content than releases.
    MissingProgramError, ProgramError
        git, git-annex or DataLad is not there, or failed.
    """
    if is_store(root):
        return
    root = root.resolve()  # programs run in it
    _check_content(root)
    root.mkdir(parents=True, exist_ok=True)
    config = root / ".datalad" / "config"
    if not (config.exists() and 'datalad "dataset"' in config.read_text(encoding="utf-8")):
        run("datalad", "create", "--force", ".", folder=root)
    write_text(root / ".gitattributes", _ATTRIBUTES)
    write_text(root / ".gitignore", _IGNORED)
    run("git", "config", "--file", config, _MARK, "1", folder=root)
    run("datalad", "save", "-m", "Parquet in git-annex, text in git", folder=root)


def is_store(root: Path) -> bool:
    """Whether a commit of the folder says that it is a store."""
    if not (root / ".git").exists():
        return False
    try:
        mark = ("git", "config", "--blob", "HEAD:.datalad/config", "--get", _MARK)
        return run(*mark, folder=root).strip() == "1"
    except ProgramError:
        return False  # no commit yet, or not of ours


def publish(release: Path, target: str) -> bool:
    """Publish a release to a store.

    Started again after a kill, it completes what is missing.

    Parameters
    ----------
    release : Path
        Folder of the release.
    target : str
        Folder of the store, made where there is none; a RIA store (``ria+file:///…``,
        ``ria+ssh://…``); or a git remote (an address, or the folder of a bare repository).

    Returns
    -------
    bool
        False where the store had all of it already.

    Raises
    ------
    StoreError
        The folder has other content than releases.
    ReleaseExistsError
        The store has other content under this version.
    CorruptReleaseError
        A file of the release is not as its checksum says; nothing is published.
    MissingProgramError, ProgramError
        git, git-annex or DataLad is not there, or failed.
    """
    if not _is_remote(target):
        return _publish_to_folder(release, Path(target).resolve())
    own = hashlib.sha256(target.encode()).hexdigest()[:12]
    store = release.resolve().parents[1] / ".stores" / own
    with locked(store.with_name(f"{own}.lock")):
        _connect(store, target)
        changed = _publish_to_folder(release, store)
        before = run("git", "ls-remote", _REMOTE, folder=store)
        run("datalad", "push", "--to", _REMOTE, folder=store)
        run("git", "push", "--quiet", "--tags", _REMOTE, folder=store)
        return changed or run("git", "ls-remote", _REMOTE, folder=store) != before


def save_catalogue_of_store(root: Path, message: str) -> None:
    """Commit ``releases.json`` where the folder of releases is a store."""
    if is_store(root):
        run("datalad", "save", "-m", message, "--", CATALOGUE, folder=root)


def _publish_to_folder(release: Path, store: Path) -> bool:
    manifest = read_manifest(release)
    name, version, title = manifest.name, manifest.version, manifest.title
    init_store(store)
    with locked(store / ".work" / "publish.lock"):
        before = _state(store)
        target = store / name / version
        finish(store, name, version)
        if not target.exists() or target.resolve() != release.resolve():
            _copy_release(release, target, store)
            _copy_notes(release, store, name, version)
        log = Path(".runs") / name / f"{version}.json"
        paths = [Path(name) / version, Path(CATALOGUE)]
        if (release.resolve().parents[1] / log).exists():
            if not (store / log).exists():
                text = (release.resolve().parents[1] / log).read_text(encoding="utf-8")
                write_text(store / log, text)
            paths.append(log)
        run("datalad", "save", "-m", f"{name} {version}", "--", *paths, folder=store)
        tag = f"{name}-{version}"
        if not run("git", "tag", "--list", tag, folder=store).strip():
            run("git", "tag", "--annotate", "-m", title, tag, folder=store)
        return _state(store) != before


def _state(store: Path) -> str:
    return run("git", "for-each-ref", "refs/heads", "refs/tags", folder=store)


def _copy_release(release: Path, target: Path, store: Path) -> None:
    """Copy a release into the store, file by file against its checksums, and rename it into place.

    The files of an annexed release are links; their content is copied.
    """
    same = is_same(release, target)
    if same and is_whole(target):
        return
    refuse_other(release, store, target)
    staged = store / ".work" / f"publish-{target.parent.name}-{target.name}"
    shutil.rmtree(staged, ignore_errors=True)
    sums = read_sums(release)
    for name, expected in sums.items():
        (staged / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(release / name, staged / name)
        if sha256_file(staged / name) != expected:
            shutil.rmtree(staged)
            raise CorruptReleaseError(f"{release / name}: not as {SUMS} says")
    shutil.copyfile(release / SUMS, staged / SUMS)
    with locked(store / LOCK):
        place(staged, target)
    finish(store, target.parent.name, target.name)


def _copy_notes(release: Path, store: Path, name: str, version: str) -> None:
    """Give the store's catalogue the retraction and the errata of the release."""
    own = _listed(Catalogue(release.resolve().parents[1]).contents(), name, version)
    with locked(store / LOCK):
        contents = Catalogue(store).contents()
        listed = _listed(contents, name, version)
        if own.get("retracted") is not None:
            listed["retracted"] = own["retracted"]
        known = listed.get("errata", [])
        added = [text for text in own.get("errata", []) if text not in known]
        if added:
            listed["errata"] = [*known, *added]
        contents["releases"][name]["aliases"] = aliases(contents["releases"][name]["versions"])
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
        raise StoreError(f"{root} is a git repository, but not a store of releases")
    ours = {CATALOGUE, "recipes", *Catalogue(root).contents()["releases"]}
    others = sorted(p.name for p in root.iterdir() if p.name not in ours and p.name[0] != ".")
    if others:
        raise StoreError(
            f"{root} holds other things than releases ({', '.join(others[:5])}): "
            "a store needs a folder of its own"
        )


# --- remotes ------------------------------------------------------------------------------------


def _is_remote(target: str) -> bool:
    return bool(
        "://" in target
        or re.match(r"[\w.-]+@?[\w.-]+:", target)  # user@host:path; a single letter is a drive
        or target.endswith(".git")
        or _is_bare(Path(target))
    )


def _is_bare(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir()


def _connect(store: Path, target: str) -> None:
    """Make the folder that stands for a remote: a clone of what it has, or a new store."""
    address = str(Path(target).resolve()) if Path(target).exists() else target
    ria = target.startswith("ria+")
    if not (store / ".git").exists():
        _clone(store, target, address)
    init_store(store)
    if _REMOTE in run("git", "remote", folder=store).split():
        branch = run("git", "symbolic-ref", "--short", "HEAD", folder=store).strip()
        run("git", "fetch", "--quiet", "--tags", _REMOTE, folder=store)
        if run("git", "branch", "--remotes", "--list", f"{_REMOTE}/{branch}", folder=store).strip():
            run("git", "merge", "--quiet", "--ff-only", f"{_REMOTE}/{branch}", folder=store)
    elif ria:
        create = ("datalad", "create-sibling-ria", "-s", _REMOTE, "--new-store-ok")
        run(*create, "--alias", _ALIAS, target, folder=store)
    else:
        if _is_bare(Path(address)):
            run("git", "annex", "init", "--quiet", folder=Path(address))
        run("git", "remote", "add", _REMOTE, address, folder=store)


def _clone(store: Path, target: str, address: str) -> None:
    """Clone what a remote has, if anything, aside: a clone that was killed is no store."""
    staged = store.with_name(f"{store.name}.tmp")
    shutil.rmtree(staged, ignore_errors=True)
    staged.parent.mkdir(parents=True, exist_ok=True)
    if target.startswith("ria+"):
        if not _has_ria(target):
            return
        run("datalad", "clone", f"{target}#~{_ALIAS}", staged, folder=store.parent)
        run("git", "remote", "rename", "origin", _REMOTE, folder=staged)
    else:
        if not run("git", "ls-remote", "--heads", address, folder=store.parent).strip():
            return
        run("git", "clone", "--quiet", "-o", _REMOTE, address, staged, folder=store.parent)
        run("git", "annex", "init", "--quiet", folder=staged)
        if not is_store(staged):
            raise StoreError(f"{target} has commits, but is not a store of releases")
    shutil.rmtree(store, ignore_errors=True)
    staged.rename(store)


def _has_ria(target: str) -> bool:
    """Whether a RIA store has a dataset of releases; asked of git-annex's kind of folder."""
    if target.startswith("ria+file://"):
        return (Path(target.removeprefix("ria+file://")) / "alias" / _ALIAS).exists()
    host, _, path = target.removeprefix("ria+ssh://").partition("/")
    repository = f"ssh://{host}/{path}/alias/{_ALIAS}"
    try:
        return bool(run("git", "ls-remote", repository, folder=Path.cwd()).strip())
    except ProgramError:
        return False  # create-sibling-ria then says what is wrong, if anything is
