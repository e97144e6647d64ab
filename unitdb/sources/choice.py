"""Which files of a dataset are meant by subjects, ROIs and patterns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from unitdb.errors import SourceError, UnknownRoiError, UnknownSubjectError, closest
from unitdb.sources.spec import DatasetFiles

__all__ = ["chosen", "fitting"]


def chosen(
    name: str,
    files: DatasetFiles,
    subjects: Sequence[str] | None = None,
    rois: Sequence[str] | None = None,
    patterns: Sequence[str] | None = None,
    *,
    shared: bool = True,
) -> list[str]:
    """Paths of the files of some subjects and ROIs, with those of all of them or without."""
    if files.datalad is not None:
        if rois is not None:
            raise SourceError(f"{name}: its files are not told apart by ROI")
        fetch = files.fetch or ["."]
        if subjects is None:
            return sorted({path.split("{subject}")[0].rstrip("/") or "." for path in fetch})
        return [path.replace("{subject}", subject) for subject in subjects for path in fetch]
    own = {file.subject for file in files.download if file.subject is not None}
    for subject in subjects or ():
        if subject not in own:
            raise UnknownSubjectError(subject, own, where=f"files of {name!r}")
    areas = {roi for file in files.download for roi in file.rois or ()}
    for roi in rois or ():
        if areas and roi not in areas:
            raise UnknownRoiError(roi, areas, where=f"files of {name!r}")
    found = [
        file.path
        for file in files.download
        if (subjects is None or (shared if file.subject is None else file.subject in subjects))
        and (rois is None or (shared if file.rois is None else set(rois) & set(file.rois)))
        and (patterns is None or any(fnmatchcase(file.path, pattern) for pattern in patterns))
    ]
    if not found:
        paths = [file.path for file in files.download]
        near = closest((patterns or [""])[0], paths) or paths[:3]
        raise SourceError(f"{name}: no file fits; there are, among others, {', '.join(near)}")
    return found


def fitting(
    name: str,
    files: DatasetFiles,
    tracked: Sequence[str],
    subjects: Sequence[str] | None,
    patterns: Sequence[str] | None,
) -> list[str]:
    """Paths in a clone of some subjects, that fit one of some patterns.

    Parameters
    ----------
    name : str
        Of the dataset.
    files : DatasetFiles
        A DataLad dataset.
    tracked : sequence of str
        Paths of all files in the clone.
    subjects, patterns : sequence of str, optional
        All where not given; patterns are those of :mod:`fnmatch`, whose ``*`` stands for ``/`` too.

    Raises
    ------
    UnknownSubjectError
        Nothing in the clone is of the subject.
    SourceError
        No file fits the patterns.
    """
    own = [re.escape(path).replace(r"\{subject\}", "([^/]+)") for path in files.fetch]
    own = [path for path in own if "([^/]+)" in path]
    matches = (re.match(f"{path}(/|$)", file) for file in tracked for path in own)
    known = sorted({match[1] for match in matches if match})
    for subject in subjects or ():
        if own and subject not in known:
            raise UnknownSubjectError(subject, known, where=f"files of {name!r}")
    of_subjects = chosen(name, files, subjects) if subjects or patterns is None else ["."]
    if patterns is None:
        return of_subjects
    found = [
        path
        for path in tracked
        if any(fnmatchcase(path, pattern) for pattern in patterns)
        and any(part in (".", path) or path.startswith(f"{part}/") for part in of_subjects)
    ]
    if not found:
        near = closest(patterns[0], tracked) or tracked[:3]
        raise SourceError(f"{name}: no file fits; there are, among others, {', '.join(near)}")
    return found
