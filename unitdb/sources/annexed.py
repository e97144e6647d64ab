"""Files of a DataLad dataset as git-annex knows them: their keys, and which of them are here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unitdb.errors import ProgramError, SourceError
from unitdb.programs import json_lines, run
from unitdb.sources.spec import DatasetFile

__all__ = ["FileState", "record_checksums", "register", "registered", "states_of", "tracked"]

State = Literal["here", "not here", "damaged"]

_HERE = "here"  # what git-annex calls this repository
_UNVERIFIED = ("VURL", "URL")  # keys without a checksum
_RECORDED = "SHA256E"


@dataclass(frozen=True, kw_only=True)
class FileState:
    """What is known of a file of an installed dataset.

    Parameters
    ----------
    path : str
        Below the dataset's folder.
    key : str
        Its key in git-annex.
    state : {'here', 'not here', 'damaged'}
        Whether its content is here; found damaged only by :func:`~unitdb.sources.check`.
    detail : str
        What is wrong, in words.
    """

    path: str
    key: str
    state: State
    detail: str = ""

    @property
    def has_checksum(self) -> bool:
        """Whether the key says what the content must be."""
        return self.key.partition("-")[0] not in _UNVERIFIED

    @property
    def size(self) -> int | None:
        """Bytes, where the key states them."""
        fields = self.key.partition("--")[0].split("-")[1:]
        sizes = [int(field[1:]) for field in fields if field.startswith("s")]
        return sizes[0] if sizes else None


def register(folder: Path, files: Sequence[DatasetFile]) -> None:
    """Add files that the dataset does not know yet, by key and address."""
    known = {state.path: state for state in states_of(folder, ["."])}
    for file in files:
        if file.path in known:
            _check_same(folder, file, known[file.path])
    new = [file for file in files if file.path not in known]
    keyed = [file for file in new if file.key is not None]
    if keyed:
        keys = "".join(f"{file.key} {file.path}\n" for file in keyed)
        addresses = "".join(f"{file.key} {file.address}\n" for file in keyed)
        _each(("git-annex", "fromkey", "--force", "--batch"), folder, text=keys)
        _each(("git-annex", "registerurl", "--batch"), folder, text=addresses)
    for file in new:
        if file.key is None:
            command = ("git-annex", "addurl", "--relaxed", "--raw", "--file", file.path)
            _each(command, folder, [file.address])
    if new:
        paths = [file.path for file in new]
        _commit(folder, f"Register {len(new)} files by their addresses", paths)


def _check_same(folder: Path, file: DatasetFile, known: FileState) -> None:
    """See that a file that is registered is the one that dataset.yaml means."""
    if file.md5 is None or file.md5 in known.key or not known.has_checksum:
        return
    path = folder / file.path
    if known.state == "here" and not known.key.startswith("MD5"):
        with path.open("rb") as content:
            if hashlib.file_digest(content, "md5").hexdigest() == file.md5:
                return
    raise SourceError(
        f"{path} is registered as {known.key}, which is not known to be what dataset.yaml has (md5 "
        f"{file.md5}); move {folder} away and install it anew"
    )


def _each(
    command: tuple[str, ...],
    folder: Path,
    arguments: Sequence[str] = (),
    *,
    text: str | None = None,
) -> None:
    """Run a git-annex command of which every step must succeed."""
    options = ("--json", "--json-error-messages", "--")
    for line in json_lines(*command, *options, *arguments, folder=folder, text=text):
        if not line["success"]:
            raise ProgramError(f"{' '.join(command[:2])}: {' '.join(line['error-messages'])}")


def _commit(folder: Path, message: str, paths: Sequence[str]) -> None:
    # What users put beside these files is theirs, and may not be published.
    run("git", "add", "--", *paths, folder=folder)
    run("git", "commit", "--quiet", "--message", message, "--", *paths, folder=folder)


def record_checksums(folder: Path, paths: Sequence[str]) -> None:
    """Give files that came without a checksum that of what arrived."""
    arrived = [
        state
        for state in states_of(folder, paths)
        if state.state == "here" and not state.has_checksum
    ]
    if not arrived:
        return
    paths = [state.path for state in arrived]
    _each(("git-annex", "migrate", "--backend", _RECORDED), folder, paths)
    _commit(folder, f"Record the checksums of {len(arrived)} files as first downloaded", paths)
    for state in arrived:  # their other name would keep the content on disk when they are dropped
        run("git-annex", "drop", "--force", "--key", state.key, folder=folder)


def registered(folder: Path, paths: Sequence[str]) -> list[str]:
    """Those of some paths that the dataset knows: dataset.yaml may have got new ones since.

    Raises
    ------
    SourceError
        It knows none of them.
    """
    known = tracked(folder)
    found = [path for path in paths if path == "." or path in known]
    folders = [path for path in paths if any(name.startswith(f"{path}/") for name in known)]
    if not found + folders:
        raise SourceError(f"{folder}: has none of {', '.join(paths[:3])}")
    return found + folders


def tracked(folder: Path) -> list[str]:
    """Paths that git knows, below a dataset's folder."""
    return run("git", "ls-files", "-z", folder=folder).split("\0")[:-1]


def states_of(folder: Path, paths: Sequence[str]) -> list[FileState]:
    """Key of each file, and whether its content is here."""

    def find(where: str) -> dict[str, str]:
        command = ("git-annex", "find", where, "--json", "--")
        return {line["file"]: line["key"] for line in json_lines(*command, *paths, folder=folder)}

    known, here = find("--anything"), find(f"--in={_HERE}")
    return [
        FileState(path=path, key=key, state="here" if path in here else "not here")
        for path, key in sorted(known.items())
    ]
