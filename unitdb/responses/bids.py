"""BIDS: preprocessed BOLD images, events and ROI masks → responses, one sample a presentation.

Per run, in this order:

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
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unitdb.activations.hdf5 import check_expansion
from unitdb.errors import DatasetError, MissingExtraError, closest
from unitdb.reads import note_read, why_missing
from unitdb.responses.naming import read_names, stimulus_id
from unitdb.responses.spec import BidsPart, BidsResponses, DatasetSpec
from unitdb.responses.types import Responses

__all__ = ["bids_responses", "block_means", "clean", "normalised"]

Floats = NDArray[np.float64]

_SLAB = 64 * 2**20
_ENTITIES = ("sub", "ses", "task", "acq", "dir", "run")
_SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6, "unknown": 1.0}
_SAME_PLACE = 1e-3  # mm


@dataclass(frozen=True, kw_only=True)
class _Event:
    onset: float
    duration: float
    stimulus: str


def bids_responses(
    dataset: DatasetSpec, spec: BidsResponses, subject: str, data: Path
) -> Responses:
    """Responses of one subject in a BIDS dataset; no more than one run is in memory.

    Raises
    ------
    DatasetError
        Images, events or masks that are missing, damaged or do not fit together; names the file.
    ResponsesError
        Responses that contradict themselves.
    MissingExtraError
        nibabel is not installed.
    """
    root = data / spec.root
    masks = {roi: _union(root, spec.masks[roi], subject) for roi in dataset.rois}
    _check_masks(masks)
    union = np.logical_or.reduce([mask.voxels for mask in masks.values()])
    values: list[Floats] = []
    ids: list[str] = []
    splits: list[str] = []
    for split, part in spec.parts.items():
        events = _by_run(root, part.events, subject)
        names = read_names(data / part.names) if part.names else None
        confounds = _by_run(root, part.confounds, subject) if part.confounds else {}
        for bold in _by_run(root, part.bold, subject).values():
            shown = _events(_of_run(events, bold, "events"), part, names)
            run, seconds = _series(bold, union, next(iter(masks.values())))
            regressors = (
                _confounds(_of_run(confounds, bold, "confounds"), spec.regress, len(run))
                if spec.regress
                else np.empty((len(run), 0))
            )
            cleaned = normalised(clean(run, regressors, trend=spec.trend), spec.normalise)
            blocks = [_volumes(event, seconds, spec.shift, len(run), where=bold) for event in shown]
            values.append(block_means(cleaned, blocks))
            ids += [event.stimulus for event in shown]
            splits += [split] * len(shown)
    return Responses(
        dataset=dataset.name,
        subject=subject,
        values=np.concatenate(values),
        stimulus_ids=np.array(ids, dtype=np.str_),
        split=np.array(splits, dtype=np.str_),
        rois={roi: mask.voxels[union] for roi, mask in masks.items()},
        condition=dataset.condition,
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


def _series(path: Path, voxels: NDArray[np.bool_], mask: _Mask) -> tuple[Floats, float]:
    """Time series of some voxels, array of shape (n_volumes, n_voxels), and the repetition time."""
    image = _load(path)
    if len(image.shape) != 4 or image.shape[:3] != voxels.shape:
        raise DatasetError(
            f"{path}: has shape {image.shape}, the masks {voxels.shape} ({mask.path})"
        )
    _check_place(path, image.affine, mask)
    seconds = float(image.header.get_zooms()[3]) * _SECONDS[image.header.get_xyzt_units()[1]]
    if not seconds > 0:
        raise DatasetError(f"{path}: the header states no repetition time")
    n_volumes = image.shape[3]
    found = np.empty((n_volumes, int(voxels.sum())))
    step = max(1, _SLAB // (8 * voxels.size))
    for start in range(0, n_volumes, step):
        with _naming(path):
            slab = np.asarray(image.dataobj[..., start : start + step], dtype=np.float64)
        found[start : start + step] = slab[voxels].T
    return found, seconds


@dataclass(frozen=True, kw_only=True, eq=False)
class _Mask:
    path: Path
    voxels: NDArray[np.bool_]
    affine: Floats


def _union(root: Path, patterns: Sequence[str], subject: str) -> _Mask:
    paths = [path for pattern in patterns for path in _files(root, pattern, subject)]
    found: _Mask | None = None
    for path in paths:
        image = _load(path)
        with _naming(path):
            voxels = np.asarray(image.dataobj) > 0
        if found is None:
            found = _Mask(path=path, voxels=voxels.reshape(voxels.shape[:3]), affine=image.affine)
            continue
        if voxels.shape != found.voxels.shape:
            raise DatasetError(
                f"{path}: has shape {voxels.shape}, {found.path} {found.voxels.shape}"
            )
        _check_place(path, image.affine, found)
        found = _Mask(path=found.path, voxels=found.voxels | voxels, affine=found.affine)
    assert found is not None  # noqa: S101 - _files gives at least one
    return found


def _check_masks(masks: Mapping[str, _Mask]) -> None:
    first = next(iter(masks.values()))
    for roi, mask in masks.items():
        if not mask.voxels.any():
            raise DatasetError(f"{mask.path}: ROI {roi!r} has no voxels")
        if mask.voxels.shape != first.voxels.shape:
            raise DatasetError(
                f"{mask.path}: has shape {mask.voxels.shape}, {first.path} {first.voxels.shape}"
            )
        _check_place(mask.path, mask.affine, first)


def _check_place(path: Path, affine: Floats, mask: _Mask) -> None:
    if not np.allclose(affine, mask.affine, rtol=0, atol=_SAME_PLACE):
        raise DatasetError(
            f"{path}: its voxels lie elsewhere than those of {mask.path} (other affine); resample "
            "one to the other"
        )


def _load(path: Path) -> Any:
    try:
        import nibabel as nib
    except ModuleNotFoundError:
        raise MissingExtraError(
            f"{path}: read with nibabel, which is not installed: pip install 'unitdb[build]'"
        ) from None
    with _naming(path):
        note_read(path)
        image: Any = nib.load(path, keep_file_open=True)
    n_bytes = math.prod(image.shape) * image.get_data_dtype().itemsize
    check_expansion(n_bytes, path, error=DatasetError)
    return image


class _naming:  # noqa: N801 - reads as a verb
    """Name the file in what its reader complains of."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, cause: BaseException | None, trace: object) -> None:
        from nibabel.filebasedimages import ImageFileError

        damage = (OSError, EOFError, ValueError, zlib.error, ImageFileError)
        if isinstance(cause, damage) and not isinstance(cause, DatasetError):
            raise DatasetError(f"{self._path}: cannot be read: {cause}") from cause


def _files(root: Path, pattern: str, subject: str) -> list[Path]:
    asked = pattern.replace("{subject}", subject)
    found = sorted(root.glob(asked))
    if not found:
        raise DatasetError(f"{root}: no file fits {asked!r}")
    absent = next((path for path in found if not path.exists()), None)
    if absent is not None:
        raise DatasetError(f"{absent}: {why_missing(absent)}")
    return found


def _entities(path: Path) -> tuple[str | None, ...]:
    """Values of subject, session, task, … in a file name; a run's 1 and 01 are the same."""
    named = dict(re.findall(r"(?:^|_)([a-z]+)-([A-Za-z0-9]+)", path.name))
    if "run" in named:
        named["run"] = named["run"].lstrip("0") or "0"
    return tuple(named.get(entity) for entity in _ENTITIES)


def _by_run(root: Path, pattern: str, subject: str) -> dict[tuple[str | None, ...], Path]:
    found: dict[tuple[str | None, ...], Path] = {}
    for path in _files(root, pattern, subject):
        other = found.setdefault(_entities(path), path)
        if other != path:
            raise DatasetError(f"{path} and {other} are of the same run; narrow {pattern!r}")
    return found


def _of_run(files: Mapping[tuple[str | None, ...], Path], bold: Path, what: str) -> Path:
    path = files.get(_entities(bold))
    if path is None:
        near = closest(bold.name, [file.name for file in files.values()])
        raise DatasetError(f"{bold}: there are no {what} of this run; near: {', '.join(near)}")
    return path


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        note_read(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from enumerate(csv.DictReader(file, delimiter="\t"), 2)
    except (OSError, UnicodeDecodeError, csv.Error) as cause:
        raise DatasetError(f"{path}: cannot be read: {cause}") from None


def _cell(row: Mapping[str, str], column: str, path: Path, line: int) -> str:
    if row.get(column) is None:
        near = closest(column, row) or list(row)
        raise DatasetError(
            f"{path}: line {line}: has no column {column!r}; there are: {', '.join(map(str, near))}"
        )
    return row[column].strip()


def _number(row: Mapping[str, str], column: str, path: Path, line: int) -> float:
    text = _cell(row, column, path, line)
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise DatasetError(f"{path}: line {line}: {column} is {text!r}, expected a number")
    return value


def _events(path: Path, part: BidsPart, names: Mapping[float, str] | None = None) -> list[_Event]:
    """Events that show a stimulus, in the order of their onsets."""
    found = []
    for line, row in _rows(path):
        if any(_cell(row, key, path, line) not in values for key, values in part.keep.items()):
            continue
        name = _cell(row, part.stimulus, path, line)
        if name in ("", "n/a"):
            continue
        found.append(
            _Event(
                onset=_number(row, "onset", path, line),
                duration=_number(row, "duration", path, line),
                stimulus=_stimulus(row, part, names, path, line),
            )
        )
    if not found:
        kept = ", ".join(f"{key}: {values}" for key, values in part.keep.items())
        raise DatasetError(f"{path}: no event names a stimulus ({kept or part.stimulus})")
    return sorted(found, key=lambda event: event.onset)


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
        return Path(name).stem if part.stimulus == "stim_file" else name
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
