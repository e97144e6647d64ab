"""git, git-annex, DataLad and what signs as programs: quiet, without prompts, wherever they are."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any

from unitdb.errors import MissingProgramError, ProgramError
from unitdb.extras import install_hint
from unitdb.watching import SECONDS, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = ["PROGRAMS", "find_program", "inheriting", "json_lines", "mend", "run"]

_FROM_ELSEWHERE = {
    "git": "install it from https://git-scm.com (apt-get install git, brew install git)",
    "ssh-keygen": "install OpenSSH, 8.1 or newer (apt-get install openssh-client)",
    "gpg": "install it from https://gnupg.org (apt-get install gnupg, brew install gnupg)",
}
PROGRAMS = ("git", "git-annex", "datalad", "ssh-keygen", "gpg")
"""Programs that are run; all but git-annex and DataLad come from elsewhere than pip."""

_LINES = 12  # of a program's complaints; git names the file in the first of several
_inherited: ContextVar[tuple[int, ...]] = ContextVar("inherited", default=())
# `git rev-parse --local-env-vars`, but for settings given by GIT_CONFIG_…
_OF_A_REPOSITORY = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_DIR", "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS", "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_WORK_TREE",
}  # fmt: skip


def find_program(name: str) -> str:
    """Path of a program: of the virtual environment this runs in, or on PATH.

    Raises
    ------
    MissingProgramError
        It is not installed; says how to mend that.
    """
    found = shutil.which(name, path=_search_path())
    if found is None:
        raise MissingProgramError(f"{name} is not installed: {mend(name)}")
    return found


def mend(name: str) -> str:
    """Say what installs a program.

    Parameters
    ----------
    name : str
        The program, for example ``"git-annex"``.

    Returns
    -------
    str
        A command, or words.
    """
    return _FROM_ELSEWHERE.get(name) or install_hint("datalad")


@contextmanager
def inheriting(descriptor: int | None) -> Iterator[None]:
    """Let programs that are run in the block inherit a file, such as that of a lock.

    Parameters
    ----------
    descriptor : int or None
        The file; None for none.
    """
    added = () if descriptor is None else (descriptor,)
    token = _inherited.set((*_inherited.get(), *added))
    try:
        yield
    finally:
        _inherited.reset(token)


def run(*command: str | Path, folder: Path, text: str | None = None, show: bool = False) -> str:
    """Run a program to its end.

    Parameters
    ----------
    command : str or Path
        The program and its arguments.
    folder : Path
        Where it works.
    text : str, optional
        Its standard input; empty where it is not given.
    show : bool
        Let its standard error through, for what takes long and tells of its progress.

    Returns
    -------
    str
        Its standard output.

    Raises
    ------
    MissingProgramError
        It is not installed.
    ProgramError
        It failed, with the last lines that it wrote; or it showed no sign of work for too long
        (:mod:`unitdb.watching`).
    """
    program, *arguments = map(str, command)
    with subprocess.Popen(  # noqa: S603 - no shell; arguments that may come from files follow `--`
        [find_program(program), *arguments],
        cwd=folder,
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if show else subprocess.PIPE,
        text=True,
        pass_fds=_inherited.get(),
    ) as process:
        try:
            with watched(process, _name(command)):
                said, complaints = process.communicate(text or "")
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise ProgramError(_failure(command, process.returncode, complaints or said))
    return said


def json_lines(*command: str | Path, folder: Path, text: str | None = None) -> Iterator[Any]:
    """Run a program that writes a JSON value a line, and give the values as they come.

    A program of that kind says in a value (``success: false``) what failed; its exit code then adds
    nothing. One that ends with an error and without such a value has not done its work.

    Raises
    ------
    MissingProgramError
        It is not installed.
    ProgramError
        It died, failed without saying of what, or showed no sign of work for too long.
    """
    program, *arguments = map(str, command)
    # Files, not pipes: a program that says much on one of them never waits for the other.
    with tempfile.TemporaryFile("w+") as wanted, tempfile.TemporaryFile("w+") as complaints:
        wanted.write(text or "")
        wanted.seek(0)
        with subprocess.Popen(  # noqa: S603
            [find_program(program), *arguments],
            cwd=folder,
            env=_environment(),
            stdin=wanted,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            preexec_fn=_end_with_parent(),
        ) as process:
            said = False
            try:
                with watched(process, _name(command)):
                    for line in process.stdout or ():
                        if line.strip():
                            value = json.loads(line)
                            said = said or value.get("success") is False
                            yield value
            except json.JSONDecodeError:
                pass  # the line that it was writing when it died
            except BaseException:
                process.terminate()
                raise
        if process.returncode < 0 or (process.returncode and not said):
            complaints.seek(0)
            raise ProgramError(_failure(command, process.returncode, complaints.read()))


@cache
def _end_with_parent() -> Callable[[], object] | None:
    """What a child calls before it becomes the program, so that it ends when we are killed.

    git-annex would hold its locks for ever. Linux alone has this (prctl, PR_SET_PDEATHSIG); the
    library is loaded here, as nothing that takes a lock may be done between fork and exec.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(1, signal.SIGTERM, 0, 0, 0)


def _search_path() -> str:
    # What is started as .venv/bin/unitdb does not find its neighbours by PATH.
    return os.pathsep.join(filter(None, (sysconfig.get_path("scripts"), os.environ.get("PATH"))))


def _environment() -> dict[str, str]:
    # Without what git tells its hooks, or commands for a dataset would go to their repository.
    found = {name: value for name, value in os.environ.items() if name not in _OF_A_REPOSITORY}
    found["PATH"] = _search_path()
    found |= {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "LC_ALL": "C.UTF-8"}
    found |= {"DATALAD_LOG_LEVEL": "error", "DATALAD_UI_PROGRESSBAR": "none"}
    found.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    if not _has_identity(found["PATH"]):
        for role in ("AUTHOR", "COMMITTER"):
            found.setdefault(f"GIT_{role}_NAME", "unitdb")
            found.setdefault(f"GIT_{role}_EMAIL", "unitdb@localhost")
    return found


@cache
def _has_identity(path: str) -> bool:
    """Whether the user has told git a name; where not, commits are unitdb's."""
    git = shutil.which("git", path=path)
    asked = [git or "git", "config", "--get-regexp", r"^user\.(name|email)$"]
    if git is None:
        return False
    try:
        done = subprocess.run(asked, capture_output=True, check=False, cwd=os.sep, timeout=SECONDS)  # noqa: S603
    except subprocess.TimeoutExpired:
        return False
    return done.stdout.count(b"\n") >= 2


def _failure(command: Sequence[str | Path], code: int, output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if len(lines) > _LINES:
        lines = [*lines[: _LINES // 2], "…", *lines[-_LINES // 2 :]]
    said = "; ".join(lines) or f"exit code {code}"
    return f"{_name(command)}: {said}"


def _name(command: Sequence[str | Path]) -> str:
    return " ".join(map(str, command[:2]))
