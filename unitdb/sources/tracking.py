"""Files that came otherwise, in a DataLad dataset of their own: weights of networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unitdb.errors import MissingProgramError
from unitdb.files import locked
from unitdb.programs import find_program, run

__all__ = ["track"]


def track(folder: Path, paths: Sequence[str], *, message: str, address: str | None = None) -> bool:
    """Save files to the DataLad dataset in a folder, which becomes one where it is none.

    What is large is kept by git-annex, by its checksum. Called again, it does what is missing.

    Parameters
    ----------
    folder : Path
        Of the dataset.
    paths : sequence of str
        Files below it.
    message : str
        Of the commit.
    address : str, optional
        Where git-annex finds the first file again.

    Returns
    -------
    bool
        False where git-annex or DataLad is not installed: nothing is tracked.

    Raises
    ------
    ProgramError
        git, git-annex or DataLad complains.
    """
    try:
        for program in ("git", "git-annex", "datalad"):
            find_program(program)
    except MissingProgramError:
        return False
    with locked(folder.with_name(f".{folder.name}.lock")):
        if not (folder / ".datalad").is_dir():
            settings = ("--force", "-c", "text2git", "--description", "unitdb")
            run("datalad", "create", *settings, ".", folder=folder)
        run("git-annex", "add", "--quiet", "--", *paths, folder=folder)
        if address is not None:
            key = run("git-annex", "lookupkey", "--", paths[0], folder=folder).strip()
            run("git-annex", "registerurl", key, address, folder=folder)
        if run("git", "status", "--porcelain", "--", *paths, folder=folder):
            run("git", "commit", "--quiet", "--message", message, "--", *paths, folder=folder)
    return True
