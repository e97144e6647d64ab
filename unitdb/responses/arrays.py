"""Stimuli and responses held in plain arrays: numpy, MATLAB, HDF5 and Parquet files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unitdb.activations import Stimuli, arrayfiles
from unitdb.errors import DatasetError
from unitdb.responses.spec import ArrayResponses, DatasetSpec
from unitdb.responses.stimuli_spec import ArrayStimuli
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
        ids += _ids(arrays, part.stimulus_ids, split, len(stack))
        images += list(stack)
    return Stimuli(
        ids=tuple(ids), sources=(spec.file,) * len(ids), read=lambda index: images[index]
    )


def _images(stack: NDArray[Any], spec: ArrayStimuli, *, where: str) -> NDArray[np.uint8]:
    if stack.dtype != np.uint8:
        raise DatasetError(f"{where}: images have type {stack.dtype}, expected uint8")
    if stack.ndim == 2 and spec.shape and stack.shape[1] == spec.shape[0] * spec.shape[1]:
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
    arrays = read_arrays(path, [*_keys(spec, "responses"), *masks])
    values: list[NDArray[np.float64]] = []
    ids: list[str] = []
    splits: list[str] = []
    for split, part in spec.parts.items():
        block = arrays[part.responses]
        if block.dtype.kind not in "fiub":
            raise DatasetError(
                f"{path}: {part.responses!r} holds {block.dtype}, expected real numbers"
            )
        if block.ndim != 2 or (values and block.shape[1] != values[0].shape[1]):
            raise DatasetError(
                f"{path}: {part.responses!r} has shape {block.shape}, expected (samples, voxels) "
                "with the same voxels in every split"
            )
        values.append(np.asarray(block, dtype=np.float64))
        ids += _ids(arrays, part.stimulus_ids, split, len(block))
        splits += [split] * len(block)
    return Responses(
        dataset=dataset.name,
        subject=subject,
        values=np.concatenate(values),
        stimulus_ids=np.array(ids, dtype=np.str_),
        split=np.array(splits, dtype=np.str_),
        rois={
            roi: np.ones(values[0].shape[1], dtype=bool)
            if key is None
            else _mask(arrays[key], where=f"{path}: {key!r}")
            for roi, key in ((roi, spec.masks[roi]) for roi in dataset.rois)
        },
        condition=dataset.condition,
    )


def _mask(array: NDArray[Any], *, where: str) -> NDArray[np.bool_]:
    """Voxels of an ROI; anything but true and false (a NaN, an ROI's number) is refused."""
    if array.dtype.kind not in "fiub" or not np.isin(array, (0, 1)).all():
        raise DatasetError(f"{where}: a mask holds 0 and 1, or True and False, and nothing else")
    return np.asarray(array.ravel() == 1)


def _keys(spec: ArrayStimuli | ArrayResponses, values: str) -> list[str]:
    named = [getattr(part, values) for part in spec.parts.values()]
    return named + [part.stimulus_ids for part in spec.parts.values() if part.stimulus_ids]


def _ids(arrays: dict[str, NDArray[Any]], key: str | None, split: str, n_rows: int) -> list[str]:
    if key is None:
        width = max(3, len(str(n_rows)))
        return [f"{split}-{row:0{width}d}" for row in range(1, n_rows + 1)]
    # MATLAB pads the rows of a character array with spaces.
    return [str(value).rstrip() for value in arrays[key].ravel()]
