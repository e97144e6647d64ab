"""DataLad datasets in the data folder: every file known by key and address, fetched when asked for.

A file whose publisher states a checksum is registered under it. Of the others the first download
records one; from then on they are held to it like the rest.
"""

from __future__ import annotations

import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unitdb.datafolder import data_folder
from unitdb.errors import ProgramError, SourceError
from unitdb.files import locked
from unitdb.programs import find_program, json_lines, run
from unitdb.sources.annexed import (
    FileState,
    record_checksums,
    register,
    registered,
    states_of,
    tracked,
)
from unitdb.sources.choice import chosen, fitting
from unitdb.sources.spec import DatasetFiles

__all__ = ["check", "drop", "get", "install", "states"]

Progress = Callable[[str, int, int], None]

_SECONDS_TO_ANSWER = 10
_BUSY = "transfer already in progress"
_ATTEMPTS, _SECONDS_BETWEEN = 5, 1.0


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
            register(folder, files.download)
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
            paths = fitting(name, files, tracked(folder), subjects, patterns)
        failed = _download(folder, paths, progress)
        record_checksums(folder, paths)
        found = states_of(folder, paths)
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

    Returns
    -------
    list of FileState
        Of all files, those that are not here too.

    Raises
    ------
    SourceError
        It is not installed.
    """
    folder = _installed(name, data)
    return states_of(folder, registered(folder, chosen(name, files)))


def check(name: str, files: DatasetFiles, *, data: Path | None = None) -> list[FileState]:
    """Read all that is here again, and compare it with its checksum.

    git-annex sets a damaged file aside, so that the next :func:`get` downloads it anew.

    Returns
    -------
    list of FileState
        Of all files, those that are not here too.

    Raises
    ------
    SourceError
        The dataset is not installed.
    """
    folder = _installed(name, data)
    with _alone(folder):
        paths = registered(folder, chosen(name, files))
        before = {state.path: state for state in states_of(folder, paths)}
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
            asked = fitting(name, files, tracked(folder), subjects, patterns)
        paths = registered(folder, asked)
        options = ("--force",) if force else ()
        command = ("git-annex", "drop", "--json", "--json-error-messages", *options, "--")
        failed = [
            line for line in json_lines(*command, *paths, folder=folder) if not line["success"]
        ]
        found = states_of(folder, paths)
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
            register(temporary, files.download)
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
    key = next((state.key for state in states_of(folder, [line["file"]])), "")
    return (
        f"{addresses[0]} answers, but what came is not {key}: the transfer broke off (try again), "
        f"or the file there is another one now. git-annex: {said}"
    )
