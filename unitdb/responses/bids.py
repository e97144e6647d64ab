"""BIDS: preprocessed BOLD images, events and ROI masks → responses, one sample a presentation.

Masks that are not on the grid of the BOLD images are refused, or taken to it where dataset.yaml
asks for that (:mod:`unitdb.responses.bids_images`). Events are read and checked before any image
is. Then, per run, in this order:

1. of each volume only the voxels of the ROIs are kept; y is a voxel's time series, ȳ its mean;
2. trend and confounds are regressed out:  y ← y − X β̂,  X holding the powers 1 to ``trend`` of time
   and the confounds, all centred, and β̂ of least squares;
3. the run is normalised:  ``percent``  y ← 100 (y − ȳ) / ȳ,  or  ``zscore``  y ← (y − ȳ) / SD
   with ddof = 1;
4. the sample of an event is the mean of its volumes: from round((onset + shift) / TR) on, as many
   as round(duration / TR), at least one; halves are rounded up.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import DatasetError, StimulusMismatchError, closest
from unitdb.reads import note_read, why_missing
from unitdb.responses.bids_images import Grid, bold_grid, roi_voxels, time_series
from unitdb.responses.naming import file_id, read_names, stimulus_id
from unitdb.responses.spec import BidsPart, BidsResponses, DatasetSpec
from unitdb.responses.stimuli_spec import Split
from unitdb.responses.types import Responses
from unitdb.specs import as_id

__all__ = ["bids_responses", "block_means", "clean", "normalised"]

Floats = NDArray[np.float64]
Entities = tuple[str | None, ...]

_ENTITIES = ("sub", "ses", "task", "acq", "dir", "run")
_LISTED = 5
_HUGE = 1e15  # neighbouring floats are then an eighth apart: no time and no number of a picture


@dataclass(frozen=True, kw_only=True)
class _Event:
    onset: float
    duration: float
    stimulus: str
    line: int


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Files of a run, and the events in it that show a stimulus, in the order of their onsets."""

    split: str
    bold: Path
    confounds: Path | None
    events: Path
    shown: Sequence[_Event]


def bids_responses(
    dataset: DatasetSpec,
    spec: BidsResponses,
    subject: str,
    data: Path,
    *,
    stimuli: Collection[str] | None = None,
) -> Responses:
    """Responses of one subject in a BIDS dataset; no more than one run is in memory.

    Parameters
    ----------
    dataset, spec : DatasetSpec, BidsResponses
        Its dataset.yaml.
    subject : str
        The subject.
    data : Path
        Folder that the paths in the spec are relative to.
    stimuli : collection of str, optional
        Ids that there are. Events are held to them before any image is read.

    Raises
    ------
    DatasetError
        Images, events or masks that are missing, damaged or do not fit together; names the file.
    ResponsesError
        Responses that contradict themselves.
    StimulusMismatchError
        An event shows a stimulus that is not among ``stimuli``; names the file and the line.
    MissingExtraError
        nibabel is not installed.
    """
    root = data / spec.root
    runs: list[_Run] = []
    for split, part in spec.parts.items():
        names = read_names(data / part.names) if part.names else None
        runs += _runs(root, spec, split, subject, names)
    if stimuli is not None:
        _check_stimuli(runs, stimuli, dataset.name)
    grid = bold_grid(runs[0].bold)
    masks = {
        roi: roi_voxels(
            roi,
            [path for pattern in spec.masks[roi] for path in _files(root, pattern, subject)],
            grid,
            resample=spec.resample_masks,
        )
        for roi in dataset.rois
    }
    union = np.logical_or.reduce(list(masks.values()))
    return Responses(
        dataset=dataset.name,
        subject=subject,
        values=np.concatenate([_samples(run, spec, union, grid) for run in runs]),
        stimulus_ids=np.array([e.stimulus for run in runs for e in run.shown], dtype=np.str_),
        split=np.array([run.split for run in runs for _ in run.shown], dtype=np.str_),
        rois={roi: mask[union] for roi, mask in masks.items()},
        condition=dataset.condition,
    )


def _runs(
    root: Path, spec: BidsResponses, split: Split, subject: str, names: Mapping[float, str] | None
) -> Iterator[_Run]:
    part = spec.parts[split]
    bold = _by_run(root, part.bold, subject)
    people = sorted({run[0] or "" for run in bold})
    if len(people) > 1:
        raise DatasetError(
            f"{root}: {part.bold!r} fits files of several subjects, "
            f"{', '.join(people[:_LISTED])}: write {{subject}} where their ids stand"
        )
    events = _by_run(root, part.events, subject)
    regressed = part.confounds if spec.regress else None
    confounds = _by_run(root, regressed, subject) if regressed else {}
    for run, path in bold.items():
        events_path = _of_run(events, run, path, "events")
        yield _Run(
            split=split,
            bold=path,
            confounds=_of_run(confounds, run, path, "confounds") if regressed else None,
            events=events_path,
            shown=_events(events_path, part, names),
        )


def _check_stimuli(runs: Sequence[_Run], stimuli: Collection[str], dataset: str) -> None:
    known = frozenset(stimuli)
    unknown = [(run, e) for run in runs for e in run.shown if e.stimulus not in known]
    if not unknown:
        return
    run, event = unknown[0]
    others = sorted({e.stimulus for _, e in unknown} - {event.stimulus})
    near = closest(event.stimulus, stimuli)
    raise StimulusMismatchError(
        f"{run.events}: line {event.line}: {event.stimulus!r} is not among the {len(known)} "
        f"stimuli of dataset {dataset!r}"
        + (f"; near: {', '.join(near)}" if near else "")
        + (f"; nor are {len(others)} other ids: {', '.join(others[:_LISTED])}" if others else "")
    )


def _samples(run: _Run, spec: BidsResponses, voxels: NDArray[np.bool_], grid: Grid) -> Floats:
    """Samples of a run; array of shape (n_events, n_voxels)."""
    series, seconds = time_series(run.bold, voxels, grid)
    n = len(series)
    blocks = [_volumes(event, seconds, spec.shift, n, where=run.bold) for event in run.shown]
    confounds = _confounds(run.confounds, spec.regress, n) if run.confounds else np.empty((n, 0))
    n_regressors = spec.trend + confounds.shape[1]
    if n_regressors and n_regressors >= n - 1:
        raise DatasetError(
            f"{run.bold}: the run has {n} volumes, of which {n_regressors} regressors and the mean "
            "leave nothing"
        )
    return block_means(
        normalised(clean(series, confounds, trend=spec.trend), spec.normalise), blocks
    )


def clean(run: Floats, confounds: Floats, *, trend: int) -> Floats:
    """Regress trend and confounds out of time series, whose means stay.

    Parameters
    ----------
    run : array of shape (n_volumes, n_voxels)
    confounds : array of shape (n_volumes, n_confounds)
    trend : int
        Degree of the polynomial of time that is taken away; 0 leaves the trend.

    Returns
    -------
    array of shape (n_volumes, n_voxels)
        y − X β̂, as the module says.
    """
    time = np.linspace(-1, 1, len(run))
    design = np.column_stack([*(time**power for power in range(1, trend + 1)), confounds])
    if not design.shape[1]:
        return run
    design -= design.mean(axis=0)
    mean = run.mean(axis=0)
    weights = np.linalg.lstsq(design, run - mean, rcond=None)[0]
    return np.asarray(run - design @ weights)


def normalised(run: Floats, way: str | None) -> Floats:
    """Normalise the time series of a run; a voxel without mean or variance becomes 0.

    Parameters
    ----------
    run : array of shape (n_volumes, n_voxels)
    way : {'percent', 'zscore'} or None
        100 (y − ȳ) / ȳ, or (y − ȳ) / SD with ddof = 1, or nothing.
    """
    if way is None:
        return run
    mean = run.mean(axis=0)
    centred = run - mean
    scale = mean / 100 if way == "percent" else run.std(axis=0, ddof=1)
    still = (run.max(axis=0) == run.min(axis=0)) | (scale == 0)
    return np.where(still, 0.0, centred / np.where(still, 1.0, scale))


def block_means(run: Floats, blocks: Sequence[slice]) -> Floats:
    """Mean of the volumes of each block; array of shape (n_blocks, n_voxels)."""
    return np.stack([run[block].mean(axis=0) for block in blocks])


def _volumes(event: _Event, seconds: float, shift: float, n: int, *, where: Path) -> slice:
    # Half up, not to the even neighbour: blocks half a volume off would be early and late by turns.
    first = math.floor((event.onset + shift) / seconds + 0.5)
    stop = first + max(1, math.floor(event.duration / seconds + 0.5))
    if first < 0 or stop > n:
        raise DatasetError(
            f"{where}: the event at {event.onset:g} s ({event.stimulus}) needs the volumes {first} "
            f"to {stop - 1}; the run has {n}, one every {seconds:g} s (shift: {shift:g} s)"
        )
    return slice(first, stop)


def _files(root: Path, pattern: str, subject: str) -> list[Path]:
    asked = pattern.replace("{subject}", subject)
    try:
        found = sorted(root.glob(asked))
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
        inner = [path for folder in folders for path in sorted(folder.glob(part))]
        if not inner:
            names = sorted({path.name for folder in folders for path in folder.glob("*")})
            near = closest(part, names, most=_LISTED) or names[:_LISTED]
            return f"for {part!r} there {'are: ' + ', '.join(near) if near else 'is nothing'}"
        folders = [path for path in inner if path.is_dir()]
    return "there are links alone"


def _entities(path: Path) -> Entities:
    """Values of subject, session, task, … in a file name; a run's 1 and 01 are the same."""
    named = dict(re.findall(r"(?:^|_)([a-z]+)-([A-Za-z0-9]+)", path.name))
    if "run" in named:
        named["run"] = named["run"].lstrip("0") or "0"
    return tuple(named.get(entity) for entity in _ENTITIES)


def _by_run(root: Path, pattern: str, subject: str) -> dict[Entities, Path]:
    found: dict[Entities, Path] = {}
    for path in _files(root, pattern, subject):
        other = found.setdefault(_entities(path), path)
        if other != path:
            raise DatasetError(f"{path} and {other} are of the same run; narrow {pattern!r}")
    return found


def _of_run(files: Mapping[Entities, Path], run: Entities, bold: Path, what: str) -> Path:
    path = files.get(run)
    if path is None:
        near = closest(bold.name, [file.name for file in files.values()])
        raise DatasetError(f"{bold}: there are no {what} of this run; near: {', '.join(near)}")
    return path


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a table with their lines; a cell that a line lacks is missing in its row."""
    try:
        note_read(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter="\t")
            header = next(lines, [])
            twice = [name for name, n in Counter(header).items() if n > 1]
            if twice:
                raise DatasetError(f"{path}: the column {twice[0]!r} stands twice")
            for cells in filter(None, lines):
                yield lines.line_num, dict(zip(header, cells, strict=False))
    except (OSError, UnicodeDecodeError, csv.Error) as cause:
        raise DatasetError(f"{path}: cannot be read: {cause}") from None


def _cell(row: Mapping[str, str], column: str, path: Path, line: int) -> str:
    if column not in row:
        near = closest(column, row) or list(row)
        raise DatasetError(
            f"{path}: line {line}: has no column {column!r}; there are: {', '.join(near)}"
        )
    return row[column].strip()


def _number(
    row: Mapping[str, str], column: str, path: Path, line: int, *, least: float = -_HUGE
) -> float:
    text = _cell(row, column, path, line)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= _HUGE:
        wanted = "a number" if least < 0 else f"a number from {least:g} on"
        raise DatasetError(f"{path}: line {line}: {column} is {text!r}, expected {wanted}")
    return value


def _events(path: Path, part: BidsPart, names: Mapping[float, str] | None = None) -> list[_Event]:
    """Events that show a stimulus, in the order of their onsets."""
    found = []
    for line, row in _rows(path):
        if any(_cell(row, key, path, line) not in values for key, values in part.keep.items()):
            continue
        if _cell(row, part.stimulus, path, line) in ("", "n/a"):
            continue
        found.append(
            _Event(
                onset=_number(row, "onset", path, line),
                duration=_number(row, "duration", path, line, least=0),
                stimulus=_stimulus(row, part, names, path, line),
                line=line,
            )
        )
    if not found:
        kept = ", ".join(f"{key}: {values}" for key, values in part.keep.items())
        raise DatasetError(f"{path}: no event names a stimulus ({kept or part.stimulus})")
    found.sort(key=lambda event: event.onset)
    for one, other in pairwise(found):
        if one.onset == other.onset:
            raise DatasetError(
                f"{path}: lines {one.line} and {other.line} both show a stimulus at "
                f"{one.onset:g} s ({one.stimulus}, {other.stimulus}); choose one with `keep`"
            )
    return found


def _stimulus(
    row: Mapping[str, str],
    part: BidsPart,
    names: Mapping[float, str] | None,
    path: Path,
    line: int,
) -> str:
    pattern = part.pattern
    if pattern is None and names is None:
        name = _cell(row, part.stimulus, path, line)
        return file_id(name) if part.stimulus == "stim_file" else as_id(name)
    value = _number(row, part.stimulus, path, line)
    where = f"{path}: line {line}: {part.stimulus!r}"
    return stimulus_id(value, pattern=pattern or "", names=names, where=where)


def _confounds(path: Path, columns: Sequence[str], n_volumes: int) -> Floats:
    """Confounds of a run; n/a, which fMRIPrep writes where a derivative has no past, becomes 0."""
    found = [
        [
            0.0 if _cell(row, column, path, line) == "n/a" else _number(row, column, path, line)
            for column in columns
        ]
        for line, row in _rows(path)
    ]
    if len(found) != n_volumes:
        raise DatasetError(f"{path}: has {len(found)} rows, the run has {n_volumes} volumes")
    return np.array(found, dtype=np.float64)
