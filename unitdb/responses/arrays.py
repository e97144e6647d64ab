"""Stimuli and responses held in plain arrays: numpy, MATLAB, HDF5 and Parquet files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unitdb.activations import Stimuli, arrayfiles
from unitdb.errors import DatasetError
from unitdb.responses.arrays_spec import ArrayPart, ArrayResponses
from unitdb.responses.naming import array_ids, read_names
from unitdb.responses.presentations import ShownRows, by_run, presentations, runs_of
from unitdb.responses.selectors import evaluate, keys_of, parse
from unitdb.responses.sets import Chosen, Found, assemble, check_rows_apart
from unitdb.responses.sets_spec import (
    CROSS_VALIDATION,
    TRAIN,
    condition_of,
    named_parts,
    time_name,
)
from unitdb.responses.spec import DatasetSpec
from unitdb.responses.stimuli_spec import ArrayStimuli, ImagePart
from unitdb.responses.types import Responses

__all__ = ["array_responses", "array_stimuli", "read_arrays"]

Rows = NDArray[np.intp]


def read_arrays(path: Path, keys: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Read some arrays of a file, or of a folder of files; nothing is unpickled.

    Parameters
    ----------
    path : Path
        The file or folder, of any kind that :mod:`unitdb.activations.arrayfiles` lists.
    keys : iterable of str
        Names of the arrays.

    Raises
    ------
    DatasetError
        The file is missing or damaged, of another kind, or has no such array.
    """
    return arrayfiles.read_arrays(path, keys, error=DatasetError)


def array_stimuli(spec: ArrayStimuli, data: Path) -> Stimuli:
    """Stimuli whose images stand in arrays.

    Parameters
    ----------
    spec : ArrayStimuli
        Where they stand, and how.
    data : Path
        Folder that the paths in the spec are relative to.

    Raises
    ------
    DatasetError
        Images of another shape or type than described.
    """
    path = data / spec.file
    named = [part.stimulus_ids for part in spec.parts.values() if part.stimulus_ids]
    arrays = read_arrays(path, [*(part.images for part in spec.parts.values()), *named])
    ids: list[str] = []
    images: list[NDArray[np.uint8]] = []
    for split, part in spec.parts.items():
        stack = _images(arrays[part.images], spec, where=f"{path}: {part.images!r}")
        rows = _Rows(split, np.arange(len(stack)), len(stack), f"images of {part.images!r}")
        ids += _ids(part.stimulus_ids, arrays, part, rows, data, path)
        images += list(stack)
    return Stimuli(
        ids=tuple(ids), sources=(spec.file,) * len(ids), read=lambda index: images[index]
    )


def _images(stack: NDArray[Any], spec: ArrayStimuli, *, where: str) -> NDArray[np.uint8]:
    if stack.dtype != np.uint8:
        raise DatasetError(f"{where}: images have type {stack.dtype}, expected uint8")
    if stack.ndim == 2 and spec.shape and stack.shape[1] == spec.shape[0] * spec.shape[1]:
        if spec.order is None:
            raise DatasetError(
                f"{where}: images are flattened; say how with `order`: C, row by row, or F, column "
                "by column as MATLAB does"
            )
        flat = stack.reshape(len(stack), *spec.shape, order="C")
        if spec.order == "F":
            flat = stack.reshape(len(stack), *spec.shape[::-1]).swapaxes(1, 2)
        stack = flat
    if stack.ndim == 3:
        stack = np.repeat(stack[..., None], 3, axis=3)
    if stack.ndim != 4 or stack.shape[3] != 3:
        raise DatasetError(
            f"{where}: images have shape {stack.shape}, expected (n, height, width[, 3]) or "
            "(n, height · width) with `shape`"
        )
    return np.ascontiguousarray(stack)


def array_responses(
    dataset: DatasetSpec,
    spec: ArrayResponses,
    subject: str,
    data: Path,
    *,
    tests: Collection[str] | None = None,
) -> Responses:
    """Responses of one subject that stand in arrays.

    Parameters
    ----------
    dataset, spec : DatasetSpec, ArrayResponses
        Its dataset.yaml.
    subject : str
    data : Path
        Folder that the paths in the spec are relative to.
    tests : collection of str, optional
        Test sets that are read, as of :class:`~unitdb.responses.sets.Chosen`.

    Raises
    ------
    DatasetError
        Arrays that are missing or not two-dimensional, or a row that trains and is tested.
    ResponsesError
        Arrays that contradict each other.
    UnknownConditionError
        A test set that there is not.
    """
    path = data / spec.file.replace("{subject}", subject)
    chosen = Chosen(spec, tests, where=dataset.name)
    arrays = read_arrays(path, _keys_of(spec, [part for _, part in chosen.parts]))
    found: list[Found] = []
    taken: list[tuple[str, str, Rows]] = []
    for name, part in chosen.parts:
        block = arrays[part.responses]
        if block.dtype.kind not in "fiub":
            raise DatasetError(
                f"{path}: {part.responses!r} holds {block.dtype}, expected real numbers"
            )
        n_voxels = found[0].values.shape[1] if found else None
        if block.ndim != 2 or not block.size or block.shape[1] != (n_voxels or block.shape[1]):
            raise DatasetError(
                f"{path}: {part.responses!r} has shape {block.shape}, expected (samples, voxels) "
                "with the same voxels in every set"
            )
        runs = None
        if spec.volumes is not None:
            runs = runs_of(spec.volumes, arrays, len(block), where=str(path))
        rows = _rows(arrays, part, len(block), runs, path)
        taken.append((name, f"{path}: {part.responses!r}", rows))
        if spec.volumes is None or runs is None:
            found.append(_samples(name, part, rows, arrays, path=path, data=data))
            continue
        shown = _shown(name, part, rows, arrays, path=path, data=data)
        volumes = by_run(spec.volumes, np.asarray(block, dtype=np.float64), runs, where=str(path))
        found += presentations(shown, spec.volumes, volumes, runs, chosen, where=str(path))
    check_rows_apart(taken)
    chosen.check([each.split for each in found], near=_times(spec))
    rois = {
        roi: np.ones(found[0].values.shape[1], dtype=bool)
        if key is None
        else _mask(arrays[key], spec.order, where=f"{path}: {key!r}")
        for roi, key in ((roi, spec.masks[roi]) for roi in dataset.rois)
    }
    return assemble(dataset, subject, found, rois, data=data)


def _times(spec: ArrayResponses) -> list[str]:
    """Names of the test sets that all windows make."""
    return [
        time_name(condition_of(name, part), time)
        for name, part in named_parts(spec)
        if spec.volumes is not None and getattr(part, "windows", None) is not None
        for time in part.windows.times(spec.volumes.repetition_time)
    ]


def _keys_of(spec: ArrayResponses, parts: Sequence[ArrayPart]) -> list[str]:
    """Keys of all arrays that some parts take."""
    masks = [key for key in spec.masks.values() if key is not None]
    conditions = [part.rows for part in parts if part.rows is not None]
    named_in = {key for condition in conditions for key in keys_of(parse(condition))}
    columns = [getattr(part, "target_column", None) for part in parts]
    runs = None if spec.volumes is None else spec.volumes.runs
    keys = [part.responses for part in parts] + [part.stimulus_ids for part in parts]
    keys += [*columns, runs, *masks, *sorted(named_in)]
    return list(dict.fromkeys(key for key in keys if key is not None))


def _samples(
    name: str,
    part: ArrayPart,
    rows: Rows,
    arrays: Mapping[str, NDArray[Any]],
    *,
    path: Path,
    data: Path,
) -> Found:
    """Samples of a part whose rows are samples."""
    block = arrays[part.responses]
    split = name if name in (TRAIN, CROSS_VALIDATION) else "test"
    ids, targets = _named(split, part, rows, arrays, path=path, data=data)
    values = np.asarray(block[rows], dtype=np.float64)
    return Found(name=name, part=part, values=values, ids=ids, targets=targets)


def _shown(
    name: str,
    part: ArrayPart,
    rows: Rows,
    arrays: Mapping[str, NDArray[Any]],
    *,
    path: Path,
    data: Path,
) -> ShownRows:
    """Rows of a part whose rows are volumes."""
    ids, targets = _named(name, part, rows, arrays, path=path, data=data)
    return ShownRows(name=name, part=part, rows=rows, ids=ids, targets=targets)


def _named(
    split: str,
    part: ArrayPart,
    rows: Rows,
    arrays: Mapping[str, NDArray[Any]],
    *,
    path: Path,
    data: Path,
) -> tuple[list[str], list[str] | None]:
    """Stimuli of some rows of a part, and their targets where a column holds them."""
    of_part = _Rows(split, rows, len(arrays[part.responses]), f"rows of {part.responses!r}")
    column = getattr(part, "target_column", None)
    return (
        _ids(part.stimulus_ids, arrays, part, of_part, data, path),
        None if column is None else _ids(column, arrays, part, of_part, data, path),
    )


def _mask(array: NDArray[Any], order: Literal["C", "F"] | None, *, where: str) -> NDArray[np.bool_]:
    """Voxels of an ROI; anything but true and false (a NaN, an ROI's number) is refused."""
    if array.dtype.kind not in "fiub" or not np.isin(array, (0, 1)).all():
        raise DatasetError(f"{where}: a mask holds 0 and 1, or True and False, and nothing else")
    if array.size and array.size != max(array.shape, default=1) and order is None:
        raise DatasetError(
            f"{where} is a volume of shape {array.shape}: say with `order` how the columns of the "
            "responses are its voxels: C, the last axis changing fastest, or F, the first, as in "
            "MATLAB"
        )
    return np.asarray(array.ravel(order=order or "C") == 1)


def _rows(
    arrays: Mapping[str, NDArray[Any]],
    part: ArrayPart,
    n_rows: int,
    runs: Rows | None,
    path: Path,
) -> Rows:
    """Samples that a part chooses, or volumes, of its runs."""
    if part.rows is None:
        chosen = np.arange(n_rows)
    else:
        chosen = _meeting(part.rows, arrays, part, n_rows, path)
    if part.runs is None or runs is None:
        return chosen
    unknown = sorted(set(part.runs) - set(runs.tolist()))
    if unknown:
        raise DatasetError(f"{path}: there is no run {unknown[0]}; there are 1 to {runs.max()}")
    return chosen[np.isin(runs[chosen], part.runs)]


def _meeting(
    condition: str,
    arrays: Mapping[str, NDArray[Any]],
    part: ArrayPart,
    n_rows: int,
    path: Path,
) -> Rows:
    """Samples that meet a condition."""

    def values_of(key: str) -> NDArray[np.float64]:
        array = arrays[key]
        if array.dtype.kind not in "fiub" or array.size != n_rows or max(array.shape) != n_rows:
            raise DatasetError(
                f"{path}: {key!r} holds {array.dtype} of shape {array.shape}, expected a number "
                f"for each of the {n_rows} samples of {part.responses!r}"
            )
        return np.asarray(array, dtype=np.float64).reshape(1, n_rows)

    where = f"{path}: samples of {part.responses!r}"
    chosen = np.flatnonzero(evaluate(parse(condition), values_of, where=where))
    if not len(chosen):
        raise DatasetError(f"{path}: none of {n_rows} samples has {condition}")
    return chosen


class _Rows(NamedTuple):
    """Rows of an array that a part takes: which of how many, and what they are, for messages."""

    split: str
    chosen: Rows
    n: int
    what: str


def _ids(
    key: str | None,
    arrays: Mapping[str, NDArray[Any]],
    part: ArrayPart | ImagePart,
    rows: _Rows,
    data: Path,
    path: Path,
) -> list[str]:
    """Ids of some rows of a part; without any in the file they count the rows."""
    if key is None:
        width = max(3, len(str(len(rows.chosen))))
        return [f"{rows.split}-{row:0{width}d}" for row in range(1, len(rows.chosen) + 1)]
    told, where = arrays[key], f"{path}: {key!r}"
    if told.size != rows.n:  # those of the next part would make up for it
        raise DatasetError(f"{where} holds {told.size} ids for {rows.n} {rows.what}")
    names = None if part.names is None else read_names(data / part.names, column=part.stimulus_ids)
    return array_ids(told.ravel()[rows.chosen], pattern=part.pattern, names=names, where=where)
