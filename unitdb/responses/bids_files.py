"""Files of a BIDS dataset: those that fit a pattern, by the run that their names tell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from unitdb.errors import DatasetError, closest
from unitdb.files import matching
from unitdb.reads import why_missing

__all__ = ["Run", "by_run", "entities_in", "entities_of", "files_of", "of_run", "told_by"]

Run = tuple[str | None, ...]
"""Values of the entities in the names of files that tell a run."""

_OF_RUN = ("sub", "ses", "task", "acq", "dir", "run")
_LISTED = 5


def files_of(root: Path, pattern: str, subject: str) -> list[Path]:
    """Files below ``root`` that fit a pattern, sorted; hidden ones are none.

    Raises
    ------
    DatasetError
        There is none, one is not downloaded, or the pattern is none.
    """
    asked = pattern.replace("{subject}", subject)
    try:
        found = matching(root, asked)
    except (ValueError, NotImplementedError, OSError) as cause:
        raise DatasetError(f"{root}: {asked!r} is no pattern of files: {cause}") from None
    if not found:
        raise DatasetError(f"{root}: no file fits {asked!r}; {_where_it_ends(root, asked)}")
    absent = next((path for path in found if not path.exists()), None)
    if absent is not None:
        raise DatasetError(f"{absent}: {why_missing(absent)}")
    return found


def _where_it_ends(root: Path, asked: str) -> str:
    """What there is in place of the first part of a pattern that nothing fits."""
    if not root.is_dir():
        return "there is no such folder"
    folders = [root]
    for part in PurePosixPath(asked).parts:
        inner = [path for folder in folders for path in matching(folder, part)]
        if not inner:
            names = sorted({path.name for folder in folders for path in matching(folder, "*")})
            near = closest(part, names, most=_LISTED) or names[:_LISTED]
            return f"for {part!r} there {'are: ' + ', '.join(near) if near else 'is nothing'}"
        folders = [path for path in inner if path.is_dir()]
    return "there are links alone"


def entities_of(path: Path) -> dict[str, str]:
    """Entities in a file name (``sub-01`` …) and their values; a run's 1 and 01 are the same."""
    return entities_in(path.name)


def entities_in(name: str) -> dict[str, str]:
    """Entities in a name, as of :func:`entities_of`."""
    named = dict(re.findall(r"(?:^|_)([a-z]+)-([A-Za-z0-9]+)", name))
    if "run" in named:
        named["run"] = named["run"].lstrip("0") or "0"
    return named


def told_by(run: Run) -> dict[str, str]:
    """Entities that tell a run, and their values."""
    return {key: value for key, value in zip(_OF_RUN, run, strict=True) if value is not None}


def by_run(root: Path, pattern: str, subject: str) -> dict[Run, Path]:
    """Files that fit a pattern, by their run, of which there may be one.

    Raises
    ------
    DatasetError
        As of :func:`files_of`; or two files are of one run.
    """
    found: dict[Run, Path] = {}
    for path in files_of(root, pattern, subject):
        named = entities_of(path)
        other = found.setdefault(tuple(named.get(entity) for entity in _OF_RUN), path)
        if other != path:
            raise DatasetError(f"{path} and {other} are of the same run; narrow {pattern!r}")
    return found


def of_run(files: Mapping[Run, Path], run: Run, bold: Path, what: str) -> Path:
    """File of the run of a BOLD image.

    Raises
    ------
    DatasetError
        There is none; names the nearest.
    """
    path = files.get(run)
    if path is None:
        near = closest(bold.name, [file.name for file in files.values()])
        raise DatasetError(f"{bold}: there are no {what} of this run; near: {', '.join(near)}")
    return path
