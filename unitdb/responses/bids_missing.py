"""Files of a BIDS dataset that are missing among others, as far as that can be known.

A run that has events should have an image (:mod:`unitdb.responses.bids` compares them). The
letters of a pattern of masks (``[LR]``) are a list of what is there. Masks that other subjects
have, each should have. dataset.yaml says where it is otherwise (``leave_out``, ``absent_masks``),
and what it says is held to the files too.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path, PurePosixPath

from unitdb.errors import DatasetError, closest
from unitdb.files import matching
from unitdb.responses.bids_files import Run, entities_in, files_of, told_by
from unitdb.responses.bids_masks import MaskTest, mask_path, mask_test

__all__ = ["check_absent", "check_left_out", "masks_of", "without"]

_LISTED = 5
_LETTERS = re.compile(r"(\[[^\]!-]+\])")  # [LR]; not a range, nor what none may be
_MOST_ALTERNATIVES = 256


def without(files: Mapping[Run, Path], leave_out: Sequence[str]) -> dict[Run, Path]:
    """Files of runs that are not left out; ``leave_out`` names them by entities: ``run-5``."""
    wanted = [entities_in(item).items() for item in leave_out]
    return {
        run: path
        for run, path in files.items()
        if not any(entities <= told_by(run).items() for entities in wanted)
    }


def check_left_out(
    leave_out: Sequence[str],
    runs: Collection[Run],
    subject: str,
    subjects: Collection[str],
    *,
    where: str,
) -> None:
    """See that each run that is left out is one.

    Parameters
    ----------
    leave_out : sequence of str
        By entities; those of another subject are for another time.
    runs : collection of Run
        Runs of all files of the subject.
    subject, subjects : str, collection of str
        The subject, and all of the dataset.
    where : str
        Key of dataset.yaml, for messages.

    Raises
    ------
    DatasetError
        One fits no run; names the nearest.
    """
    mine = {told_by(run).get("sub") for run in runs}
    for item in leave_out:
        wanted = entities_in(item)
        whose = wanted.get("sub")
        if whose not in {None, *mine} and {whose, f"sub-{whose}"} & set(subjects):
            continue
        if not any(wanted.items() <= told_by(run).items() for run in runs):
            names = ["_".join(f"{k}-{value}" for k, value in told_by(run).items()) for run in runs]
            near = closest(item, names) or sorted(names)[:_LISTED]
            raise DatasetError(
                f"{where}: {item!r} is no run of {subject}; there are: {', '.join(near)}"
            )


def masks_of(
    root: Path,
    patterns: Sequence[str],
    subject: str,
    subjects: Sequence[str],
    absent: Sequence[str],
) -> list[tuple[Path, MaskTest]]:
    """Mask files of an ROI, each with its test; a known mask that is missing is an error.

    Letters in brackets are a list: each of them, in each combination, must fit a file. What other
    subjects have, by the names of the files, each must have.

    Parameters
    ----------
    root : Path
        The dataset.
    patterns : sequence of str
        Of the masks, as :mod:`unitdb.responses.bids_masks` describes; ``{subject}`` stands for the
        subject's id.
    subject : str
        Whose masks.
    subjects : sequence of str
        All subjects; those of whom there are none do not count.
    absent : sequence of str
        Paths of masks that are not there, as is known.

    Raises
    ------
    DatasetError
        A mask is missing, not downloaded, or there though it is said not to be.
    """
    found: list[tuple[Path, MaskTest]] = []
    names = set[str]()
    paths = [mask_path(text) for text in patterns]
    for text, pattern in zip(patterns, paths, strict=True):
        for one in _alternatives(pattern.replace("{subject}", subject)):
            said = [path for path in absent if fnmatchcase(path, one)]
            there = next((path for path in said if os.path.lexists(root / path)), None)
            if there is not None:
                raise DatasetError(f"{root / there}: is there, though `absent_masks` names it")
            names |= {_without_subject(PurePosixPath(path).name, subject) for path in said}
            if not said or matching(root, one):
                found += [(p, mask_test(text)) for p in _called_for(root, one, pattern, subject)]
    if not found:
        raise DatasetError(f"{root}: `absent_masks` names all masks of {subject}: {paths[0]}")
    names |= {_without_subject(path.name, subject) for path, _ in found}
    for other in subjects:
        theirs = {
            _without_subject(path.name, other): path
            for pattern in paths
            if "{subject}" in pattern and other != subject
            for path in matching(root, pattern.replace("{subject}", other))
        }
        lacking = sorted(theirs.keys() - names)
        if lacking:
            raise DatasetError(
                f"{theirs[lacking[0]]}: {subject} has no such mask ({len(lacking)} of the "
                f"{len(theirs)} of {other} are missing); get it, narrow {paths[0]!r}, or name "
                "the path that it would have in `absent_masks`"
            )
    return sorted(set(found))


def _called_for(root: Path, one: str, pattern: str, subject: str) -> list[Path]:
    if _LETTERS.search(pattern) and not matching(root, one):
        names = sorted(path.name for path in matching(root, pattern.replace("{subject}", subject)))
        if names:
            raise DatasetError(
                f"{root}: no file fits {one!r}, which {pattern!r} calls for beside "
                f"{', '.join(names[:_LISTED])}; get it, write ? for the letters if anything may "
                "stand there, or name it in `absent_masks`"
            )
    return files_of(root, one, subject)


def check_absent(absent: Sequence[str], patterns: Sequence[str], subjects: Sequence[str]) -> None:
    """See that each mask that is said to be absent is one that is looked for.

    Raises
    ------
    DatasetError
        A path fits no pattern.
    """
    paths = [mask_path(text) for text in patterns]
    asked = [pattern.replace("{subject}", name) for pattern in paths for name in subjects]
    for path in absent:
        if not any(fnmatchcase(path, pattern) for pattern in asked):
            near = closest(path, asked) or asked[:_LISTED]
            raise DatasetError(
                f"absent_masks: {path!r} fits no pattern of masks; near: {', '.join(near)}"
            )


def _alternatives(pattern: str) -> Iterator[str]:
    """Patterns for each combination of the letters in brackets."""
    parts = [
        sorted(set(part[1:-1])) if _LETTERS.fullmatch(part) else [part]
        for part in _LETTERS.split(pattern)
    ]
    if math.prod(map(len, parts)) > _MOST_ALTERNATIVES:
        yield pattern
        return
    yield from ("".join(letters) for letters in product(*parts))


def _without_subject(name: str, subject: str) -> str:
    """Name of a file without the subject and the session in it."""
    bare = re.sub(r"(?<![A-Za-z0-9])(sub|ses)-[A-Za-z0-9]+_?", "", name)
    return re.sub(rf"(?<![A-Za-z0-9]){re.escape(subject)}(?![A-Za-z0-9])", "", bare)
