"""DataLad datasets in the data folder: every file known by key and address, fetched when asked for.

A file whose publisher states a checksum is registered under it. Of the others the first download
records one; from then on they are held to it like the rest.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from unitdb.errors import ProgramError, SourceError
from unitdb.files import locked
from unitdb.programs import find_program, json_lines, run
from unitdb.sources.choice import chosen, fitting
from unitdb.sources.folder import data_folder
from unitdb.sources.spec import DatasetFile, DatasetFiles

__all__ = ["FileState", "check", "drop", "get", "install", "states"]

Progress = Callable[[str, int, int], None]
State = Literal["here", "not here", "damaged"]

_HERE = "here"  # what git-annex calls this repository
_UNVERIFIED = ("VURL", "URL")  # keys without a checksum
_RECORDED = "SHA256E"
_SECONDS_TO_ANSWER = 10
_BUSY = "transfer already in progress"
_ATTEMPTS, _SECONDS_BETWEEN = 5, 1.0


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
        Whether its content is here; found damaged only by :func:`check`.
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


def install(name: str, files: DatasetFiles, *, data: Path | None = None) -> Path:
    """Make the dataset's folder: a DataLad dataset that knows its files, and has none of them yet.

    Parameters
    ----------
    name : str
        Name of the dataset.
    files : DatasetFiles
        Where its files come from.
    data : Path, optional
        Data folder; as :func:`~unitdb.sources.data_folder` finds it where it is not given.

    Returns
    -------
    Path
        The dataset's folder. Where it is installed already, files that are new to dataset.yaml are
        added.

    Raises
    ------
    SourceError
        A folder of that name is something else, or has a file under another checksum.
    MissingProgramError, ProgramError
        git, git-annex or DataLad are not there, or failed.
    """
    folder = _folder(name, data)
    for program in ("git", "git-annex", "datalad"):
        find_program(program)
    with _alone(folder):
        if folder.exists() and not (folder / ".datalad").is_dir():
            raise SourceError(
                f"{folder} is there already and no DataLad dataset; move it away, or use another "
                "data folder (--data, UNITDB_DATA)"
            )
        if not folder.exists():
            _new(folder, files)
        elif files.datalad is None:
            _register(folder, files.download)
    return folder


def get(
    name: str,
    files: DatasetFiles,
    *,
    data: Path | None = None,
    subjects: Sequence[str] | None = None,
    rois: Sequence[str] | None = None,
    patterns: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> list[FileState]:
    """Download files; what has begun is continued, and what arrives is verified.

    Parameters
    ----------
    name, files, data
        As for :func:`install`, which is done first where it was not.
    subjects, rois : sequence of str, optional
        Whose files, and of which ROIs; all where not given.
    patterns : sequence of str, optional
        Paths, with ``*`` for anything; only files that fit one of them.
    progress : callable, optional
        Called with the name of a file, the bytes done and the bytes to do.

    Returns
    -------
    list of FileState
        The files that were asked for.

    Raises
    ------
    SourceError
        Files that cannot be had, or that are not what their checksum says; names the first.
    UnknownSubjectError, UnknownRoiError
        No file is of that subject or ROI.
    """
    paths = chosen(name, files, subjects, rois, patterns)
    folder = install(name, files, data=data)
    with _alone(folder):
        if files.datalad is not None:
            paths = fitting(name, files, _tracked(folder), subjects, patterns)
        failed = _download(folder, paths, progress)
        _record_checksums(folder, paths)
        found = _states(folder, paths)
    if failed:
        why = _why_not(folder, failed[0], files)
        more = f" ({len(failed)} files in all)" if len(failed) > 1 else ""
        raise SourceError(f"{name}: {failed[0]['file']} cannot be had{more}: {why}")
    for state in found:
        if state.state != "here":
            raise SourceError(f"{name}: {state.path} has not come; try again")
    return found


def _download(folder: Path, paths: Sequence[str], progress: Progress | None) -> list[Any]:
    """Download what is not here; gives what git-annex says of the files that failed."""
    command = ("git-annex", "get", "--json", "--json-progress", "--json-error-messages", "--")
    failed: list[Any] = []
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_SECONDS_BETWEEN)
        failed = []
        for line in json_lines(*command, *paths, folder=folder):
            action = line.get("action", line)
            if "byte-progress" in line and progress:
                done = int(line["byte-progress"])
                progress(action["file"], done, int(line.get("total-size") or done))
            elif line.get("success") is False:
                failed.append(line)
        # One whose unitdb was killed may take a moment to end.
        if not any(_BUSY in _said(line) for line in failed):
            break
    return failed


def _said(line: dict[str, Any]) -> str:
    return " ".join(" ".join(line["error-messages"] or [line.get("note", "")]).split())


def states(name: str, files: DatasetFiles, *, data: Path | None = None) -> list[FileState]:
    """What is here of an installed dataset, without looking into the files.

    Raises
    ------
    SourceError
        It is not installed.
    """
    folder = _installed(name, data)
    return _states(folder, _registered(folder, chosen(name, files)))


def check(name: str, files: DatasetFiles, *, data: Path | None = None) -> list[FileState]:
    """Read all that is here again, and compare it with its checksum.

    git-annex sets a damaged file aside, so that the next :func:`get` downloads it anew.

    Raises
    ------
    SourceError
        The dataset is not installed.
    """
    folder = _installed(name, data)
    with _alone(folder):
        paths = _registered(folder, chosen(name, files))
        before = {state.path: state for state in _states(folder, paths)}
        here = [path for path, state in before.items() if state.state == "here"]
        command = ("git-annex", "fsck", "--json", "--json-error-messages", "--")
        lines = list(json_lines(*command, *here, folder=folder)) if here else []
    wrong = {line["file"]: line for line in lines if not line["success"]}
    unread = set(here) - {line["file"] for line in lines}
    if unread:
        raise SourceError(f"{name}: {min(unread)} was not read ({len(unread)} files in all)")
    found = []
    for path, state in before.items():
        if path in wrong:
            said = " ".join(" ".join(wrong[path]["error-messages"]).split())
            state = FileState(path=path, key=state.key, state="damaged", detail=said)
        elif state.state == "here" and not state.has_checksum:
            state = FileState(
                path=path, key=state.key, state="here", detail="no checksum to compare it with"
            )
        found.append(state)
    return found


def drop(
    name: str,
    files: DatasetFiles,
    *,
    data: Path | None = None,
    subjects: Sequence[str] | None = None,
    rois: Sequence[str] | None = None,
    patterns: Sequence[str] | None = None,
    force: bool = False,
) -> list[FileState]:
    """Remove the content of files, which stay known and can be had again.

    Parameters
    ----------
    name, files, data, subjects, rois, patterns
        As for :func:`get`, but files of all subjects, or of all ROIs, are not those of one.
    force : bool
        Remove also what no other place is known to have.

    Returns
    -------
    list of FileState
        The files afterwards.

    Raises
    ------
    SourceError
        A file would be lost; names it.
    """
    folder = _installed(name, data)
    with _alone(folder):
        asked = chosen(name, files, subjects, rois, patterns, shared=False)
        if files.datalad is not None:
            asked = fitting(name, files, _tracked(folder), subjects, patterns)
        paths = _registered(folder, asked)
        options = ("--force",) if force else ()
        command = ("git-annex", "drop", "--json", "--json-error-messages", *options, "--")
        failed = [
            line for line in json_lines(*command, *paths, folder=folder) if not line["success"]
        ]
        found = _states(folder, paths)
    if failed:
        raise SourceError(
            f"{name}: {failed[0]['file']} is kept: no other place is sure to have it "
            f"({len(failed)} such files; --force removes them all the same)"
        )
    return found


def _folder(name: str, data: Path | None) -> Path:
    # Absolute: programs are started in it and in the folder above.
    return data_folder(data).absolute() / name


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_name(f".{folder.name}.lock")):
        yield


def _new(folder: Path, files: DatasetFiles) -> None:
    """Make the dataset aside, and put it in place when it is complete."""
    temporary = folder.with_name(f".{folder.name}.unfinished")
    _remove(temporary)
    try:
        if files.datalad is not None:
            _clone(files.datalad, temporary)
            if files.version is not None:
                run("git", "checkout", "--quiet", "--detach", files.version, folder=temporary)
        else:
            settings = ("-c", "text2git", "--description", "unitdb")
            run("datalad", "create", *settings, temporary, folder=folder.parent)
            _register(temporary, files.download)
        temporary.rename(folder)
    except BaseException:
        _remove(temporary)
        raise


def _clone(address: str, folder: Path) -> None:
    try:
        run("datalad", "clone", "--", address, folder, folder=folder.parent)
    except ProgramError as cause:  # which tells of each of its attempts
        said = re.findall(r"fatal: (.*?)(?=$|;|'?\])", str(cause))
        raise SourceError(f"{address} cannot be cloned: {said[-1] if said else cause}") from cause


def _remove(folder: Path) -> None:
    if not folder.exists():
        return
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)  # git-annex takes the right to write from what holds its objects
    shutil.rmtree(folder)


def _register(folder: Path, files: Sequence[DatasetFile]) -> None:
    """Add files that the dataset does not know yet, by key and address."""
    known = {state.path: state for state in _states(folder, ["."])}
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


def _record_checksums(folder: Path, paths: Sequence[str]) -> None:
    """Give files that came without a checksum that of what arrived."""
    arrived = [
        state
        for state in _states(folder, paths)
        if state.state == "here" and not state.has_checksum
    ]
    if not arrived:
        return
    paths = [state.path for state in arrived]
    _each(("git-annex", "migrate", "--backend", _RECORDED), folder, paths)
    _commit(folder, f"Record the checksums of {len(arrived)} files as first downloaded", paths)
    for state in arrived:  # their other name would keep the content on disk when they are dropped
        run("git-annex", "drop", "--force", "--key", state.key, folder=folder)


def _registered(folder: Path, paths: Sequence[str]) -> list[str]:
    """Those of some paths that the dataset knows: dataset.yaml may have got new ones since."""
    known = _tracked(folder)
    found = [path for path in paths if path == "." or path in known]
    folders = [path for path in paths if any(name.startswith(f"{path}/") for name in known)]
    if not found + folders:
        raise SourceError(f"{folder}: has none of {', '.join(paths[:3])}")
    return found + folders


def _tracked(folder: Path) -> list[str]:
    """Paths that git knows, below a dataset's folder."""
    return run("git", "ls-files", "-z", folder=folder).split("\0")[:-1]


def _states(folder: Path, paths: Sequence[str]) -> list[FileState]:
    def find(where: str) -> dict[str, str]:
        command = ("git-annex", "find", where, "--json", "--")
        return {line["file"]: line["key"] for line in json_lines(*command, *paths, folder=folder)}

    known, here = find("--anything"), find(f"--in={_HERE}")
    return [
        FileState(path=path, key=key, state="here" if path in here else "not here")
        for path, key in sorted(known.items())
    ]


def _installed(name: str, data: Path | None) -> Path:
    folder = _folder(name, data)
    if not (folder / ".datalad").is_dir():
        raise SourceError(
            f"{name} is not installed in {folder.parent}: unitdb datasets install {name}"
        )
    return folder


def _why_not(folder: Path, line: dict[str, Any], files: DatasetFiles) -> str:
    """Say in plain words why a download failed; git-annex says only that it did."""
    addresses = [file.address for file in files.download if file.path == line["file"]]
    said = _said(line)
    if _BUSY in said:
        return "another git-annex is downloading it; wait for it, or end it"
    if not addresses:
        return said
    asked = urllib.request.Request(addresses[0], method="HEAD")  # noqa: S310 - checked by the spec
    try:
        with urllib.request.urlopen(asked, timeout=_SECONDS_TO_ANSWER):  # noqa: S310
            pass
    except urllib.error.HTTPError as cause:
        return f"{addresses[0]} answers {cause.code} {cause.reason}"
    except OSError as cause:
        return f"{addresses[0]} does not answer ({cause}); what has arrived is kept, try again"
    key = next((state.key for state in _states(folder, [line["file"]])), "")
    return (
        f"{addresses[0]} answers, but what came is not {key}: the transfer broke off (try again), "
        f"or the file there is another one now. git-annex: {said}"
    )
