"""Stores elsewhere: RIA stores and git remotes, written through a clone of one's own.

The clone lies in ``.stores/`` beside the releases. All that it has can be had again, from the
releases and from the remote: where it is damaged, it is made anew.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from unitdb.errors import ProgramError, StoreError
from unitdb.files import write_text
from unitdb.programs import run
from unitdb.publish._owned import clear_stale, holding, remove_tree
from unitdb.publish._signing import Signer, find_signer
from unitdb.publish.store import init_store, is_store, publish_to_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["publish"]

_REMOTE = "target"
_STORAGE = f"{_REMOTE}-storage"
_ALIAS = "releases"
_LOCAL_RIA = "ria+file://"
_OPTION = re.compile(r"([\w+.-]+://)?([^/@]*@)?-")  # the target, its host or its user


def publish(release: Path, target: str, *, sign: str | None = None) -> bool:
    """Publish a release to a store.

    Started again after a kill, it completes what is missing.

    Parameters
    ----------
    release : Path
        Folder of the release.
    target : str
        Folder of the store, made where there is none; a RIA store (``ria+file:///…``,
        ``ria+ssh://…``); or a git remote (an address, or the folder of a bare repository).
    sign : str, optional
        Key to sign the release with, its retraction and errata, and a tag that is new: the file of
        an SSH key, the name of a GPG key, or "" for that of git's settings.

    Returns
    -------
    bool
        False where the store had all of it already.

    Raises
    ------
    StoreError
        The target would be an option of git or of ssh; the folder has other content than releases,
        or the remote takes none.
    ReleaseExistsError
        The store has other content under this version.
    CorruptReleaseError
        A file of the release is not as its checksum says; nothing is published.
    SignatureError
        It cannot be signed; or it is signed, its notes have changed, and ``sign`` is not given.
    BusyError
        Another process publishes there, and does not come to an end.
    MissingProgramError, ProgramError
        git, git-annex or DataLad is not there, or failed.
    """
    if _OPTION.match(target):
        raise StoreError(
            f"{target!r} begins with a dash where a name does, and would be an option of git or of "
            "ssh; a folder of this name is written ./-…"
        )
    signer = None if sign is None else find_signer(sign)
    if not _is_remote(target):
        return publish_to_folder(release, Path(target), signer)
    own = hashlib.sha256(target.encode()).hexdigest()[:12]
    store = release.resolve().parents[1] / ".stores" / own
    with holding(store.with_name(f"{own}.lock")), _holding_target(target):
        try:
            return _publish(release, store, target, signer)
        except ProgramError:
            # The clone may be damaged, or somebody else may have published since it was connected.
            if not _answers(target):
                raise
            remove_tree(store)
            return _publish(release, store, target, signer)


def _publish(release: Path, store: Path, target: str, signer: Signer | None) -> bool:
    _connect(store, target)
    changed = publish_to_folder(release, store, signer)
    before = _state(store)
    _push(store, target)
    return changed or _state(store) != before


def _state(store: Path) -> list[str]:
    """Commits and tags of the remote; what git-annex notes of who has what is no change."""
    refs = run("git", "ls-remote", _REMOTE, folder=store).splitlines()
    return [line for line in refs if not line.endswith("/git-annex")]


def _push(store: Path, target: str) -> None:
    """Bring content, then what git-annex knows of it, then commits and tags to the remote.

    In this order, what others find there is whole whenever we are killed.
    """
    storage = _STORAGE if target.startswith("ria+") else _REMOTE
    run("git", "annex", "copy", "--quiet", "--to", storage, folder=store)
    run("git", "fetch", "--quiet", _REMOTE, folder=store)  # git-annex writes there by itself
    run("git", "annex", "merge", "--quiet", folder=store)
    run("git", "push", "--quiet", _REMOTE, "git-annex", folder=store)
    branch = run("git", "symbolic-ref", "--short", "HEAD", folder=store).strip()
    run(
        "git",
        "push",
        "--quiet",
        "--atomic",
        _REMOTE,
        branch,
        "refs/tags/*:refs/tags/*",
        folder=store,
    )


# --- what a target is ---------------------------------------------------------------------------


def _is_remote(target: str) -> bool:
    return bool(
        "://" in target
        or re.match(r"[\w.-]+@?[\w.-]+:", target)  # user@host:path; a single letter is a drive
        or target.endswith(".git")
        or _is_bare(Path(target))
    )


def _is_bare(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir()


def _address(target: str) -> str:
    """What git calls the remote."""
    if target.startswith(_LOCAL_RIA):
        return str(Path(target.removeprefix(_LOCAL_RIA)) / "alias" / _ALIAS)
    if target.startswith("ria+ssh://"):
        host, _, path = target.removeprefix("ria+ssh://").partition("/")
        return f"ssh://{host}/{path}/alias/{_ALIAS}"
    return str(Path(target).resolve()) if Path(target).exists() else target


def _answers(target: str) -> bool:
    try:
        run("git", "ls-remote", "--", _address(target), folder=Path.cwd())
    except ProgramError:
        return target.startswith(_LOCAL_RIA)
    return True


def _has_releases(target: str) -> bool:
    try:
        return _has_commits(_address(target))
    except ProgramError:
        if target.startswith("ria+"):
            return False  # create-sibling-ria then says what is wrong, if anything is
        raise


def _has_commits(address: str | Path) -> bool:
    """Whether a repository has commits other than of git-annex's own."""
    heads = run("git", "ls-remote", "--heads", "--", address, folder=Path.cwd())
    return any(not line.endswith("/git-annex") for line in heads.splitlines())


@contextmanager
def _holding_target(target: str) -> Iterator[None]:
    """Be the only publisher of this machine to a remote on it, and clear what others have left."""
    if target.startswith(_LOCAL_RIA):
        folder = Path(target.removeprefix(_LOCAL_RIA))
        with holding(folder / ".unitdb.lock"):
            repository = folder / "alias" / _ALIAS
            if repository.exists():
                clear_stale(repository.resolve())
            yield
    elif _is_bare(Path(target)):
        with holding(Path(target) / "unitdb.lock"):
            clear_stale(Path(target))
            yield
    else:
        yield


# --- the clone ----------------------------------------------------------------------------------


def _connect(store: Path, target: str) -> None:
    """Make the folder that stands for a remote: a clone of what it has, or a new store."""
    if (store / ".git").exists() and not is_store(store):
        remove_tree(store)
    if not (store / ".git").exists() and _has_releases(target):
        _clone(store, target)
    init_store(store, identifier=_identifier(store))
    clear_stale(store / ".git")
    if _REMOTE in run("git", "remote", folder=store).split():
        branch = run("git", "symbolic-ref", "--short", "HEAD", folder=store).strip()
        run("git", "fetch", "--quiet", "--tags", _REMOTE, folder=store)
        if run("git", "branch", "--remotes", "--list", f"{_REMOTE}/{branch}", folder=store).strip():
            run("git", "merge", "--quiet", "--ff-only", f"{_REMOTE}/{branch}", folder=store)
    elif target.startswith("ria+"):
        _create_ria(store, target)
    else:
        address = _address(target)
        if _is_bare(Path(address)):
            run("git", "annex", "init", "--quiet", folder=Path(address))
        run("git", "remote", "add", "--fetch", "--", _REMOTE, address, folder=store)


def _identifier(store: Path) -> str:
    """Identifier of the dataset: the same for a clone that is made anew."""
    path = store.with_name(f"{store.name}.id")
    if not path.exists():
        write_text(path, f"{uuid.uuid4()}\n")
    return path.read_text(encoding="utf-8").strip()


def _create_ria(store: Path, target: str) -> None:
    if target.startswith(_LOCAL_RIA):
        _remove_half_made(Path(target.removeprefix(_LOCAL_RIA)), _identifier(store))
    create = ("datalad", "create-sibling-ria", "-s", _REMOTE, "--new-store-ok")
    run(*create, "--existing", "reconfigure", "--alias", _ALIAS, target, folder=store)


def _remove_half_made(ria: Path, identifier: str) -> None:
    """Remove a dataset that we were killed making: nothing has been pushed to it."""
    dataset, alias = ria / identifier[:3] / identifier[3:], ria / "alias" / _ALIAS
    if not (dataset / "HEAD").exists() or not _has_commits(dataset):
        remove_tree(dataset)
    if alias.is_symlink() and not alias.exists():
        alias.unlink()


def _clone(store: Path, target: str) -> None:
    """Clone what a remote has aside: a clone that was killed is no store."""
    staged = store.with_name(f"{store.name}.tmp")
    remove_tree(staged)
    staged.parent.mkdir(parents=True, exist_ok=True)
    if target.startswith("ria+"):
        run("datalad", "clone", f"{target}#~{_ALIAS}", staged, folder=store.parent)
        run("git", "remote", "rename", "origin", _REMOTE, folder=staged)
    else:
        clone = ("git", "clone", "--quiet", "-o", _REMOTE)
        run(*clone, "--", _address(target), staged, folder=store.parent)
        run("git", "annex", "init", "--quiet", folder=staged)
        if not is_store(staged):
            raise StoreError(f"{target} has commits, but is not a store of releases")
    remove_tree(store)
    staged.rename(store)
