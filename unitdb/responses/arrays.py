"""Stimuli and responses held in plain arrays: numpy, MATLAB, HDF5 and Parquet files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unitdb.activations import Stimuli, arrayfiles
from unitdb.errors import DatasetError
from unitdb.responses.naming import array_ids, read_names
from unitdb.responses.selectors import evaluate, keys_of, parse
from unitdb.responses.spec import ArrayPart, ArrayResponses, DatasetSpec
from unitdb.responses.stimuli_spec import ArrayStimuli, ImagePart
from unitdb.responses.types import Responses

__all__ = ["array_responses", "array_stimuli", "read_arrays"]


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

    Raises
    ------
    DatasetError
        Images of another shape or type than described.
    """
    path = data / spec.file
    arrays = read_arrays(path, _keys(spec, "images"))
    ids: list[str] = []
    images: list[NDArray[np.uint8]] = []
    for split, part in spec.parts.items():
        stack = _images(arrays[part.images], spec, where=f"{path}: {part.images!r}")
        rows = _Rows(split, np.arange(len(stack)), len(stack), f"images of {part.images!r}")
        ids += _ids(arrays.get(part.stimulus_ids or ""), part, rows, data, path)
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
    dataset: DatasetSpec, spec: ArrayResponses, subject: str, data: Path
) -> Responses:
    """Responses of one subject that stand in arrays.

    Raises
    ------
    DatasetError
        Arrays that are missing or not two-dimensional.
    ResponsesError
        Arrays that contradict each other.
    """
    path = data / spec.file.replace("{subject}", subject)
    masks = [key for key in spec.masks.values() if key is not None]
    conditions = [part.rows for part in spec.parts.values() if part.rows is not None]
    named_in = {key for condition in conditions for key in keys_of(parse(condition))}
    arrays = read_arrays(path, [*_keys(spec, "responses"), *masks, *sorted(named_in)])
    values: list[NDArray[np.float64]] = []
    ids: list[str] = []
    splits: list[str] = []
    for split, part in spec.parts.items():
        block = arrays[part.responses]
        if block.dtype.kind not in "fiub":
            raise DatasetError(
                f"{path}: {part.responses!r} holds {block.dtype}, expected real numbers"
            )
        if block.ndim != 2 or not block.size or (values and block.shape[1] != values[0].shape[1]):
            raise DatasetError(
                f"{path}: {part.responses!r} has shape {block.shape}, expected (samples, voxels) "
                "with the same voxels in every split"
            )
        rows = _rows(arrays, part, len(block), path)
        values.append(np.asarray(block[rows], dtype=np.float64))
        of_part = _Rows(split, rows, len(block), f"rows of {part.responses!r}")
        ids += _ids(arrays.get(part.stimulus_ids or ""), part, of_part, data, path)
        splits += [split] * len(rows)
    return Responses(
        dataset=dataset.name,
        subject=subject,
        values=np.concatenate(values),
        stimulus_ids=np.array(ids, dtype=np.str_),
        split=np.array(splits, dtype=np.str_),
        rois={
            roi: np.ones(values[0].shape[1], dtype=bool)
            if key is None
            else _mask(arrays[key], spec.order, where=f"{path}: {key!r}")
            for roi, key in ((roi, spec.masks[roi]) for roi in dataset.rois)
        },
        condition=dataset.condition,
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
    arrays: dict[str, NDArray[Any]], part: ArrayPart, n_rows: int, path: Path
) -> NDArray[np.intp]:
    """Samples that a part chooses."""
    if part.rows is None:
        return np.arange(n_rows)

    def values_of(key: str) -> NDArray[np.float64]:
        array = arrays[key]
        if array.dtype.kind not in "fiub" or array.size != n_rows or max(array.shape) != n_rows:
            raise DatasetError(
                f"{path}: {key!r} holds {array.dtype} of shape {array.shape}, expected a number "
                f"for each of the {n_rows} samples of {part.responses!r}"
            )
        return np.asarray(array, dtype=np.float64).reshape(1, n_rows)

    where = f"{path}: samples of {part.responses!r}"
    chosen = np.flatnonzero(evaluate(parse(part.rows), values_of, where=where))
    if not len(chosen):
        raise DatasetError(f"{path}: none of {n_rows} samples has {part.rows}")
    return chosen


def _keys(spec: ArrayStimuli | ArrayResponses, values: str) -> list[str]:
    named = [getattr(part, values) for part in spec.parts.values()]
    return named + [part.stimulus_ids for part in spec.parts.values() if part.stimulus_ids]


class _Rows(NamedTuple):
    """Rows of an array that a part takes: which of how many, and what they are, for messages."""

    split: str
    chosen: NDArray[np.intp]
    n: int
    what: str


def _ids(
    told: NDArray[Any] | None, part: ArrayPart | ImagePart, rows: _Rows, data: Path, path: Path
) -> list[str]:
    """Ids of some rows of a part; without any in the file they count the rows."""
    if told is None:
        width = max(3, len(str(len(rows.chosen))))
        return [f"{rows.split}-{row:0{width}d}" for row in range(1, len(rows.chosen) + 1)]
    where = f"{path}: {part.stimulus_ids!r}"
    if told.size != rows.n:  # those of the next part would make up for it
        raise DatasetError(f"{where} holds {told.size} ids for {rows.n} {rows.what}")
    names = None if part.names is None else read_names(data / part.names, column=part.stimulus_ids)
    return array_ids(told.ravel()[rows.chosen], pattern=part.pattern, names=names, where=where)
