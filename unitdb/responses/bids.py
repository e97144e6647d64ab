"""BIDS: preprocessed BOLD images, events and ROI masks → responses, one sample a presentation.

Masks that are not on the grid of the BOLD images are refused, or taken to it where dataset.yaml
asks for that (:mod:`unitdb.responses.bids_images`). Events (:mod:`unitdb.responses.bids_events`)
and times of volumes (:mod:`unitdb.responses.bids_timing`) are read and checked before any image
is. Then, per run, in this order:

1. of each volume only the voxels of the ROIs are kept; y is a voxel's time series, ȳ its mean;
2. trend and confounds are regressed out:  y ← y − X β̂,  X holding the powers 1 to ``trend`` of time
   and the confounds, all centred, and β̂ of least squares (:func:`nilearn.signal.clean`);
3. the run is normalised:  ``percent``  y ← 100 (y − ȳ) / ȳ,  or  ``zscore``  y ← (y − ȳ) / SD
   with ddof = 1;
4. the sample of an event is the mean of its volumes: from round((onset + shift − removed − start)
   / TR) on, as many as round(duration / TR), at least one; halves are rounded up. ``removed`` are
   the seconds at the start of the run that the image has no longer, ``start`` is the StartTime of
   its sidecar. Windows take single volumes: round((onset + time − removed − start) / TR).

Test sets may share runs, which are read once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import DatasetError, StimulusMismatchError, closest
from unitdb.responses.bids_events import check_kept, read_confounds, read_events
from unitdb.responses.bids_files import Run, by_run, of_run
from unitdb.responses.bids_images import Grid, bold_grid, roi_voxels, time_series
from unitdb.responses.bids_missing import check_absent, check_left_out, masks_of, without
from unitdb.responses.bids_spec import BidsPart, BidsResponses
from unitdb.responses.bids_volumes import ShownRun, Taken, check_apart, taken_of, timed_run
from unitdb.responses.naming import read_names
from unitdb.responses.series import clean, normalised
from unitdb.responses.sets import Chosen, Found, assemble
from unitdb.responses.sets_spec import condition_of, time_name
from unitdb.responses.spec import DatasetSpec
from unitdb.responses.types import Responses

__all__ = ["bids_responses", "block_means", "clean", "normalised"]

Floats = NDArray[np.float64]

_LISTED = 5


def bids_responses(
    dataset: DatasetSpec,
    spec: BidsResponses,
    subject: str,
    data: Path,
    *,
    tests: Collection[str] | None = None,
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
    tests : collection of str, optional
        Test sets that are read, as of :class:`~unitdb.responses.sets.Chosen`.
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
    UnknownConditionError
        A test set that there is not.
    MissingExtraError
        nibabel is not installed.
    """
    root = data / spec.root
    chosen = Chosen(spec, tests, where=dataset.name)
    check_absent(spec.absent_masks, [p for of in spec.masks.values() for p in of], dataset.subjects)
    files = {name: _files(root, dataset, name, part, subject) for name, part in chosen.parts}
    _check_used(files, dict(chosen.parts))
    runs = [
        run
        for name, part in chosen.parts
        for run in _runs(root, spec, name, part, subject, files[name], data)
    ]
    if stimuli is not None:
        _check_stimuli(runs, stimuli, dataset.name)
    timed = [timed_run(run, spec, root) for run in runs]
    check_apart(timed, chosen)
    taken = [each for run in timed for each in taken_of(run, spec, chosen)]
    order = list(dict.fromkeys(each.key for each in taken))
    conditions = {name: condition_of(name, part) for name, part in chosen.parts}
    chosen.check([n if time is None else time_name(conditions[n], time) for n, time in order])
    numbers = _run_numbers(runs)
    grid = bold_grid(runs[0].bold)
    masks = {
        roi: roi_voxels(
            roi,
            masks_of(root, spec.masks[roi], subject, dataset.subjects, spec.absent_masks),
            grid,
            resample=spec.resample_masks,
        )
        for roi in dataset.rois
    }
    union = np.logical_or.reduce(list(masks.values()))
    samples = _samples(taken, spec, union, grid)
    found = []
    for key in order:
        of_set = [(each, values) for each, values in samples if each.key == key]
        first = of_set[0][0].run
        events = [event for each, _ in of_set for event in each.events]
        column = getattr(first.part, "target_column", None)
        held_out = getattr(first.part, "hold_out", None) == "runs"
        found.append(
            Found(
                name=first.name,
                part=first.part,
                time=key[1],
                values=np.concatenate([values for _, values in of_set]),
                ids=[event.stimulus for event in events],
                targets=None if column is None else [event.target or "" for event in events],
                certain=None
                if getattr(first.part, "certain", None) is None
                else [event.certain for event in events],
                runs=np.concatenate(
                    [np.full(len(each.events), numbers[each.run.bold]) for each, _ in of_set]
                )
                if held_out
                else None,
            )
        )
    return assemble(
        dataset, subject, found, {roi: mask[union] for roi, mask in masks.items()}, data=data
    )


def _run_numbers(runs: Sequence[ShownRun]) -> dict[Path, int]:
    """Number of each run by its image, from 1; two names of one image are one run."""
    images = list(dict.fromkeys(run.bold.resolve() for run in runs))
    return {run.bold: 1 + images.index(run.bold.resolve()) for run in runs}


@dataclass(frozen=True, kw_only=True)
class _Files:
    """Images and events of a part, by their runs."""

    bold: Mapping[Run, Path]
    events: Mapping[Run, Path]


def _files(root: Path, dataset: DatasetSpec, name: str, part: BidsPart, subject: str) -> _Files:
    bold, events = (by_run(root, pattern, subject) for pattern in (part.bold, part.events))
    people = sorted({run[0] or "" for run in bold})
    if len(people) > 1:
        raise DatasetError(
            f"{root}: {part.bold!r} fits files of several subjects, "
            f"{', '.join(people[:_LISTED])}: write {{subject}} where their ids stand"
        )
    where = f"{root}: {name}.leave_out"
    runs = bold.keys() | events.keys()
    check_left_out(part.leave_out, runs, subject, dataset.subjects, where=where)
    kept = _Files(bold=without(bold, part.leave_out), events=without(events, part.leave_out))
    if not kept.bold:
        raise DatasetError(f"{where}: leaves no run of {subject}")
    return kept


def _check_used(files: Mapping[str, _Files], parts: Mapping[str, BidsPart]) -> None:
    """Refuse events that no image is read for: of the run the image is missing, or misnamed."""
    images = {run: path for of_part in files.values() for run, path in of_part.bold.items()}
    for name, of_part in files.items():
        unused = [path for run, path in of_part.events.items() if run not in images]
        if unused:
            near = closest(unused[0].name, [path.name for path in images.values()])
            raise DatasetError(
                f"{unused[0]}: there is no BOLD image of this run, nor of {len(unused) - 1} others "
                f"with events; near: {', '.join(near)}; get it, narrow `events` "
                f"({parts[name].events!r}), or name the run in `leave_out`"
            )


def _runs(
    root: Path,
    spec: BidsResponses,
    name: str,
    part: BidsPart,
    subject: str,
    files: _Files,
    data: Path,
) -> Iterator[ShownRun]:
    names = read_names(data / part.names, column=part.stimulus) if part.names else None
    events = {run: of_run(files.events, run, path, "events") for run, path in files.bold.items()}
    check_kept(list(events.values()), part)
    regressed = part.confounds if spec.regress else None
    confounds = by_run(root, regressed, subject) if regressed else {}
    for run, path in files.bold.items():
        yield ShownRun(
            name=name,
            part=part,
            bold=path,
            confounds=of_run(confounds, run, path, "confounds") if regressed else None,
            events=events[run],
            shown=read_events(events[run], part, names),
        )


def _check_stimuli(runs: Sequence[ShownRun], stimuli: Collection[str], dataset: str) -> None:
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


def _samples(
    taken: Sequence[Taken], spec: BidsResponses, voxels: NDArray[np.bool_], grid: Grid
) -> list[tuple[Taken, Floats]]:
    """Samples (n_events, n_voxels) of all that is taken of each run, which is read once."""
    together: dict[tuple[Path, Path | None], list[Taken]] = {}
    for each in taken:
        together.setdefault((each.run.bold, each.run.confounds), []).append(each)
    values: dict[Taken, Floats] = {}
    for (bold, confounds), sets in together.items():
        series = _series(bold, confounds, spec, voxels, grid)
        values |= {each: block_means(series, each.blocks) for each in sets}
    return [(each, values[each]) for each in taken]


def _series(
    bold: Path, path: Path | None, spec: BidsResponses, voxels: NDArray[np.bool_], grid: Grid
) -> Floats:
    """Time series of a run, cleaned and normalised; array of shape (n_volumes, n_voxels)."""
    series = time_series(bold, voxels, grid)
    n = len(series)
    confounds = read_confounds(path, spec.regress, n) if path else np.empty((n, 0))
    n_regressors = spec.trend + confounds.shape[1]
    if n_regressors and n_regressors >= n - 1:
        raise DatasetError(
            f"{bold}: the run has {n} volumes, of which {n_regressors} regressors and the mean "
            "leave nothing"
        )
    cleaned = clean(series, confounds, trend=spec.trend)
    try:
        return normalised(cleaned, spec.normalise)
    except DatasetError as cause:
        raise DatasetError(f"{bold}: {cause}") from cause


def block_means(run: Floats, blocks: Sequence[slice]) -> Floats:
    """Mean of the volumes of each block; array of shape (n_blocks, n_voxels)."""
    return np.stack([run[block].mean(axis=0) for block in blocks])
