"""The files that a build has read: what they held, and which version of which dataset they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unitdb.errors import MissingProgramError, ProgramError, SourceError
from unitdb.files import sha256_file
from unitdb.programs import find_program, run

__all__ = ["InputFile", "Role", "Use", "code_commit", "describe_files", "merge_uses"]

# As git-annex names them, without the E that says that the key keeps the file's extension.
_ALGORITHMS = {
    "MD5": "md5",
    "SHA1": "sha1",
    "SHA224": "sha224",
    "SHA256": "sha256",
    "SHA384": "sha384",
    "SHA512": "sha512",
}

Role = Literal[
    "recipe", "dataset", "stimuli", "responses", "model", "candidates", "accuracies", "code"
]


@dataclass(frozen=True, kw_only=True)
class Use:
    """A file, and what it was read for.

    Parameters
    ----------
    path : Path
        The file.
    role : str
        What it is to the build.
    subject : str or None
        The subject whose numbers alone depend on it; None where it is not one.
    """

    path: Path
    role: Role
    subject: str | None = None


def merge_uses(uses: Iterable[Use]) -> tuple[Use, ...]:
    """Make one use of a file in a role of many; of no subject where they are of several."""
    found: dict[tuple[Path, Role], Use] = {}
    for use in uses:
        key = use.path, use.role
        several = key in found and found[key].subject != use.subject
        found[key] = Use(path=use.path, role=use.role) if several else use
    return tuple(found.values())


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file that was read.

    Parameters
    ----------
    path : str
        Below its DataLad dataset, or else below the folder that it was asked for in; with ``/``.
    size : int
        Bytes.
    sha256 : str
        Hash of its bytes.
    annex_key : str or None
        Its key, where git-annex has it.
    datalad_id : str or None
        Identifier of the DataLad dataset that it is a part of.
    git_commit : str or None
        Last commit that changed any of the files read of that dataset: it has all of them as they
        were read, and later commits to other files are not heard of.
    """

    path: str
    size: int
    sha256: str
    annex_key: str | None = None
    datalad_id: str | None = None
    git_commit: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Repository:
    """A git repository, and what it knows of some files below it."""

    top: Path
    commit: str | None
    datalad_id: str
    keys: Mapping[Path, str]
    unsaved: frozenset[Path]


def describe_files(
    paths: Iterable[Path], *, bases: Sequence[Path], sha256: Mapping[Path, str] | None = None
) -> dict[Path, InputFile]:
    """Say what files hold, and which version of which DataLad dataset they are.

    Parameters
    ----------
    paths : iterable of Path
        The files.
    bases : sequence of Path
        Folders that paths are given below where a file is in no DataLad dataset; of a file that is
        in none of them the name alone is given: no path of this machine is kept.
    sha256 : mapping of Path to str, optional
        Hashes that are known already.

    Raises
    ------
    MissingProgramError
        Files are in git-annex, which is not installed.
    SourceError
        The bytes of an annexed file are not those that its key names: git would not notice.
    """
    known = sha256 or {}
    ordered = sorted(set(paths))
    tops = {folder: _top(folder) for folder in {path.parent for path in ordered}}
    repositories = {
        top: _read_repository(top, [path for path in ordered if tops[path.parent] == top])
        for top in set(tops.values())
        if top is not None
    }
    found = {}
    for path in ordered:
        size, digest = path.stat().st_size, known.get(path) or sha256_file(path)
        top = tops[path.parent]
        repository = repositories[top] if top is not None else None
        if repository is None:
            found[path] = InputFile(path=_below(path, bases), size=size, sha256=digest)
            continue
        saved = path not in repository.unsaved
        if saved and path in repository.keys:
            _check_content(path, repository.keys[path], digest)
        found[path] = InputFile(
            path=_real(path).relative_to(repository.top).as_posix(),
            size=size,
            sha256=digest,
            annex_key=repository.keys.get(path) if saved else None,
            datalad_id=repository.datalad_id,
            git_commit=repository.commit if saved else None,
        )
    return found


def code_commit(folder: Path, *, without: Sequence[str] = ()) -> str | None:
    """Commit that last changed the code in a folder; None where it is not as a commit has it.

    Parameters
    ----------
    folder : Path
        The code.
    without : sequence of str
        Names in the folder that do not count.
    """
    top = _top(folder)
    if top is None:
        return None
    paths = [str(folder), *(f":(exclude){folder / name}" for name in without)]
    if not run("git", "ls-files", "--", *paths, folder=top).strip():
        return None  # installed into a folder that git does not know
    if run("git", "status", "--porcelain", "--", *paths, folder=top).strip():
        return None
    return run("git", "log", "-1", "--format=%H", "--", *paths, folder=top).strip() or None


def _check_content(path: Path, key: str, sha256: str) -> None:
    """Raise SourceError where the bytes of an annexed file are not those that its key names."""
    backend, _, digest = key.partition("--")
    algorithm = _ALGORITHMS.get(backend.partition("-")[0].removesuffix("E"))
    if algorithm is None:
        return  # a key of other than the content: of an address, of time and size
    found = sha256
    if algorithm != "sha256":
        with path.open("rb") as file:
            found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != digest.partition(".")[0]:
        raise SourceError(
            f"{path}: its bytes are not those of its key {key}: they were changed or damaged after "
            "they were saved (unitdb datasets check NAME, or git annex fsck, says what else is)"
        )


def _real(path: Path) -> Path:
    """The path with links in its folders resolved, but itself as it is: annexed files are links."""
    return path.parent.resolve() / path.name


def _below(path: Path, bases: Sequence[Path]) -> str:
    real = _real(path)
    for base in bases:
        if real.is_relative_to(base.resolve()):
            return real.relative_to(base.resolve()).as_posix()
    return path.name


def _top(folder: Path) -> Path | None:
    """Top folder of the git repository that a folder is in; None without one, or without git."""
    try:
        find_program("git")
        return Path(run("git", "rev-parse", "--show-toplevel", folder=folder).strip())
    except (MissingProgramError, ProgramError):
        return None


def _read_repository(top: Path, paths: Sequence[Path]) -> _Repository | None:
    """What a repository knows of files below it; None where it is no DataLad dataset."""
    config = top / ".datalad" / "config"
    if not config.is_file():
        return None
    setting = ("git", "config", "--file", config, "--get", "datalad.dataset.id")
    try:
        identifier = run(*setting, folder=top).strip()
        run("git", "rev-parse", "--verify", "HEAD", folder=top)
    except ProgramError:
        return None  # it has no identifier, or no commit yet
    names = {path: _real(path).relative_to(top).as_posix() for path in paths}
    # All of the dataset: a line for each file would be longer than a command may be.
    tree = run("git", "ls-tree", "-r", "-z", "--name-only", "HEAD", folder=top)
    changed = run("git", "diff", "--name-only", "-z", "HEAD", folder=top)
    head, own = _shared_head(top)
    saved = set(tree.split("\0")) - set(changed.split("\0")) - own
    return _Repository(
        top=top,
        commit=_last_commit(top, sorted(saved.intersection(names.values())), head=head),
        datalad_id=identifier,
        keys=_annex_keys(top, names),
        unsaved=frozenset(path for path, name in names.items() if name not in saved),
    )


def _shared_head(top: Path) -> tuple[str, frozenset[str]]:
    """The commit that others have of what is checked out, and files that it has not as they are.

    On an adjusted branch git-annex keeps a commit of its own on top, in which files are unlocked;
    no clone has it. What it was made from is its basis.
    """
    branch = run("git", "rev-parse", "--abbrev-ref", "HEAD", folder=top).strip()
    if not branch.startswith("adjusted/"):
        return "HEAD", frozenset()
    basis = f"refs/basis/{branch}"
    adjusting = run("git", "rev-list", "--reverse", f"{basis}..HEAD", folder=top).split()
    if not adjusting:
        return basis, frozenset()
    # Commits after the first are the user's, and not yet in the basis: git annex sync brings them.
    later = run("git", "diff", "--name-only", "-z", adjusting[0], "HEAD", folder=top)
    return basis, frozenset(later.split("\0"))


def _last_commit(top: Path, names: Sequence[str], *, head: str) -> str | None:
    """Last commit up to ``head`` that changed any of the files."""
    if not names:
        return None
    asked = "\n".join([head, "--", *(f":(literal){name}" for name in names)])
    return run("git", "rev-list", "-1", "--stdin", folder=top, text=asked + "\n").strip() or None


def _annex_keys(top: Path, names: Mapping[Path, str]) -> dict[Path, str]:
    branches = ("refs/heads/git-annex", "refs/remotes/*/git-annex")
    if not run("git", "for-each-ref", *branches, folder=top).strip():
        return {}
    asked = "".join(f"{name}\0" for name in names.values())
    keys = run("git-annex", "lookupkey", "--batch", "-z", folder=top, text=asked).splitlines()
    return {path: key for path, key in zip(names, keys, strict=True) if key}
