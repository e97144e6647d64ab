"""BData: the HDF5 files in which Kamitani Lab publishes fMRI, as its library bdpy writes them.

A file holds a matrix of samples × columns, some of which are voxels and some describe the sample
(run, label, stimulus), and for each key of its metadata one value a column. Older files call the
two ``dataSet`` and ``metaData``, newer ones ``dataset`` and ``metadata``; the newer may hold value
maps (``vmap``), from numbers to names. The layout is that of bdpy 0.26, ``bdpy/bdata/bdata.py``
(https://github.com/KamitaniLab/bdpy).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unitdb.activations.hdf5 import (
    check_filled,
    find_dataset,
    holds,
    names_in,
    open_hdf5,
    read_values,
    text_of,
)
from unitdb.errors import DatasetError, closest
from unitdb.reads import why_missing
from unitdb.responses.arrays_spec import BDataPart, BDataResponses
from unitdb.responses.naming import Numbered, read_names, stimulus_id
from unitdb.responses.selectors import evaluate, keys_of, parse
from unitdb.responses.sets import Chosen, Found, assemble, check_rows_apart
from unitdb.responses.spec import DatasetSpec
from unitdb.responses.types import ROI_OF_ALL, Responses
from unitdb.texts import fits

__all__ = ["BData", "bdata_responses", "open_bdata"]

Floats = NDArray[np.float64]

_SLAB = 64 * 2**20
_DIGITS = 6
_PLACES = (("voxel_x", "voxel_y", "voxel_z"), ("voxel_i", "voxel_j", "voxel_k"))


@dataclass(frozen=True, kw_only=True, eq=False)
class BData:
    """An open BData file: its metadata in memory, its samples read when asked for.

    Parameters
    ----------
    path : Path
        The file, for messages.
    samples : h5py.Dataset of shape (n_samples, n_columns)
        The matrix.
    metadata : dict of str to array of shape (n_columns,)
        One value a column for each key; NaN where it does not apply.
    names : dict of str to dict of float to str
        Value maps.
    """

    path: Path
    samples: Any
    metadata: Mapping[str, Floats]
    names: Mapping[str, Mapping[float, str]]

    def columns(self, condition: str) -> NDArray[np.bool_]:
        """Columns whose metadata meet a condition, such as ``ROI_V1 = 1``.

        Parameters
        ----------
        condition : str
            As :mod:`unitdb.responses.selectors` describes.

        Returns
        -------
        array of shape (n_columns,), bool

        Raises
        ------
        DatasetError
            A key that the metadata do not have, or a value that no column has; says what is near.
        """
        return evaluate(parse(condition), self._metadata_of, where=f"{self.path}: metadata")

    def rows(self, condition: str | None) -> NDArray[np.intp]:
        """Samples whose columns meet a condition, such as ``DataType = 1 & Run = 3``; None: all.

        Raises
        ------
        DatasetError
            A key that the metadata do not have, a value that no sample has, or no sample meets the
            condition.
        """
        n_samples = self.samples.shape[0]
        if condition is None:
            return np.arange(n_samples)
        where = f"{self.path}: samples"
        holds_in = evaluate(parse(condition), lambda key: self.column(key)[None], where=where)
        found = np.flatnonzero(holds_in)
        if not len(found):
            raise DatasetError(f"{self.path}: none of {n_samples} samples has {condition}")
        return found

    def column(self, key: str) -> Floats:
        """Values of the one column of a key, such as ``Run``; array of shape (n_samples,).

        Raises
        ------
        DatasetError
            No such key, or it has not exactly one column.
        """
        places = np.flatnonzero(self._metadata_of(key)[0] == 1)
        if len(places) != 1:
            raise DatasetError(f"{self.path}: {key!r} has {len(places)} columns, expected one")
        values = np.asarray(self.samples[:, int(places[0])], dtype=np.float64)
        check_filled(values, self.samples, f"{self.path}: {key!r}", error=DatasetError)
        return values

    def labels(
        self,
        key: str,
        *,
        rows: NDArray[np.intp] | None = None,
        names: Mapping[float, str] | None = None,
    ) -> list[str]:
        """Names of the values of a column, by the file's own value map or another.

        Parameters
        ----------
        key : str
            Such as ``stimulus_name``.
        rows : array of int, optional
            The samples; all where it is not given.
        names : mapping of float to str, optional
            Used instead of the file's.

        Raises
        ------
        DatasetError
            No value map, or a value that it does not name.
        """
        found = self.names.get(key) if names is None else names
        if found is None:
            maps = f"value maps of {', '.join(self.names)}" if self.names else "no value maps"
            raise DatasetError(
                f"{self.path}: {key!r} holds numbers, and the file has {maps}: say in dataset.yaml "
                "how ids are made of them (`pattern`), or in which file they stand (`names`)"
            )
        rounded: dict[float, str] = {}
        for value, name in found.items():
            if rounded.setdefault(round(value, _DIGITS), name) != name:
                raise DatasetError(f"{self.path}: {key!r}: {value:.15g} stands for two names")
        return self._ids(key, Numbered(names=rounded), rows)

    def numbered(self, key: str, pattern: str, *, rows: NDArray[np.intp]) -> list[str]:
        """Ids made of the numbers of a column by a pattern of :mod:`unitdb.responses.naming`.

        Raises
        ------
        DatasetError
            A number is missing, or not one that the pattern takes.
        """
        return self._ids(key, Numbered(pattern=pattern), rows)

    def values(self, rows: NDArray[np.intp], columns: NDArray[np.bool_]) -> Floats:
        """Read some samples of some columns, a few samples at a time; (n_rows, n_chosen).

        Columns are read from the first to the last of them: whoever wants one layer of a file of
        many does not wait for the others.
        """
        values = np.empty((len(rows), int(columns.sum())))
        if not values.size:
            return values
        places = np.flatnonzero(columns)
        first, stop = int(places[0]), int(places[-1]) + 1
        step = max(1, _SLAB // ((stop - first) * self.samples.dtype.itemsize))
        for start in range(int(rows.min()), int(rows.max()) + 1, step):
            inside = (rows >= start) & (rows < start + step)
            if inside.any():
                slab = self.samples[start : start + step, first:stop]
                where = f"{self.path}: samples from {start} on"
                check_filled(slab, self.samples, where, error=DatasetError)
                values[inside] = slab[rows[inside] - start][:, columns[first:stop]]
        return values

    def _ids(self, key: str, by: Numbered, rows: NDArray[np.intp] | None) -> list[str]:
        chosen = self.rows(None) if rows is None else rows
        where, dtype = f"{self.path}: sample", self.samples.dtype
        return [
            stimulus_id(value, by, where=f"{where} {row}: {key!r}", dtype=dtype)
            for row, value in zip(chosen, self.column(key)[chosen].tolist(), strict=True)
        ]

    def _metadata_of(self, key: str) -> Floats:
        found = [values for name, values in self.metadata.items() if fits(name, key)]
        if not found:
            near = closest(key, self.metadata) or list(self.metadata)[:12]
            raise DatasetError(
                f"{self.path}: has no metadata {key!r}; there are: {', '.join(near)}"
            )
        return np.stack(found)


@contextmanager
def open_bdata(path: Path) -> Iterator[BData]:
    """Open a BData file of either layout.

    Raises
    ------
    DatasetError
        It is missing, truncated or no BData; names it.
    MissingExtraError
        h5py is not installed.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: {why_missing(path)}")
    with open_hdf5(path, error=DatasetError) as file:
        samples, meta = (
            next((name for name in names if holds(file, name)), names[-1])
            for names in (("dataSet", "dataset"), ("metaData", "metadata"))
        )
        matrix = find_dataset(file, samples, error=DatasetError)
        keys = [
            text_of(key, f"{path}: a key of {meta!r}", error=DatasetError)
            for key in _values(file, f"{meta}/key").ravel()
        ]
        values = np.asarray(_values(file, f"{meta}/value"), dtype=np.float64)
        if matrix.ndim != 2 or matrix.dtype.kind not in "fiub":
            raise DatasetError(
                f"{path}: {samples!r} holds {matrix.dtype} of shape {matrix.shape}, expected "
                "numbers of shape (samples, columns)"
            )
        if values.shape != (len(keys), matrix.shape[1]):
            raise DatasetError(
                f"{path}: the metadata have shape {values.shape}, expected ({len(keys)} keys, "
                f"{matrix.shape[1]} columns)"
            )
        repeated = sorted({key for key in keys if keys.count(key) > 1})
        if repeated:
            raise DatasetError(f"{path}: metadata stand twice: {', '.join(repeated)}")
        yield BData(
            path=path,
            samples=matrix,
            metadata=dict(zip(keys, values, strict=True)),
            names=_value_maps(file),
        )


def bdata_responses(
    dataset: DatasetSpec,
    spec: BDataResponses,
    subject: str,
    data: Path,
    *,
    tests: Collection[str] | None = None,
) -> Responses:
    """Responses of one subject in BData files, as they stand there; a sample is a presentation.

    Parameters
    ----------
    dataset, spec : DatasetSpec, BDataResponses
        Its dataset.yaml.
    subject : str
    data : Path
        Folder that the paths in the spec are relative to.
    tests : collection of str, optional
        Test sets that are read, as of :class:`~unitdb.responses.sets.Chosen`.

    Raises
    ------
    DatasetError
        Files that are missing or not as described, whose voxels differ, or a sample that trains and
        is tested.
    ResponsesError
        Responses that contradict themselves.
    UnknownConditionError
        A test set that there is not.
    """
    chosen = Chosen(spec, tests, where=dataset.name)
    read = [_read(spec, part, subject, data) for _, part in chosen.parts]
    check_rows_apart(
        [
            (name, str(each.path.resolve()), each.rows)
            for (name, _), each in zip(chosen.parts, read, strict=True)
        ]
    )
    _check_same_voxels(read)
    found = [
        Found(name=name, part=part, values=each.values, ids=each.ids, targets=each.targets)
        for (name, part), each in zip(chosen.parts, read, strict=True)
    ]
    rois = {roi: read[0].rois[roi] for roi in dataset.rois}
    return assemble(dataset, subject, found, rois, data=data)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """Samples of one set, and what is known of their voxels."""

    path: Path
    rows: NDArray[np.intp]
    values: Floats
    ids: list[str]
    targets: list[str] | None
    rois: dict[str, NDArray[np.bool_]]
    places: dict[str, Floats]


def _read(spec: BDataResponses, part: BDataPart, subject: str, data: Path) -> _Part:
    with open_bdata(data / part.file.replace("{subject}", subject)) as bdata:
        rois = {roi: bdata.columns(condition) for roi, condition in spec.rois.items()}
        _check_rois(bdata, spec, rois)
        union = np.logical_or.reduce(list(rois.values()))
        rows = bdata.rows(part.rows)
        _check_one_kind(bdata, part, rows)
        column = getattr(part, "target_column", None)
        return _Part(
            path=bdata.path,
            rows=rows,
            values=bdata.values(rows, union),
            ids=_ids(bdata, part.stimulus, part, data, rows),
            targets=None if column is None else _ids(bdata, column, part, data, rows),
            rois={roi: mask[union] for roi, mask in rois.items()},
            places={
                key: bdata.metadata[key][union]
                for key in (key for keys in _PLACES for key in keys)
                if key in bdata.metadata
            },
        )


def _check_rois(bdata: BData, spec: BDataResponses, rois: dict[str, NDArray[np.bool_]]) -> None:
    voxels = bdata.metadata.get("VoxelData")
    for roi, mask in rois.items():
        place = f"{bdata.path}: ROI {roi!r} ({spec.rois[roi]})"
        if not mask.any():
            raise DatasetError(f"{place} has no voxels; {ROI_OF_ALL}")
        if voxels is not None and (voxels[mask] != 1).any():
            raise DatasetError(f"{place} has columns that are no voxels (VoxelData is not 1)")


def _check_one_kind(bdata: BData, part: BDataPart, rows: NDArray[np.intp]) -> None:
    """Refuse to mix training, test and imagery samples because nobody said which to take."""
    named = keys_of(parse(part.rows)) if part.rows else set()
    if "DataType" in bdata.metadata and "DataType" not in named:
        kinds = np.unique(bdata.column("DataType")[rows])
        if len(kinds) > 1:
            found = ", ".join(f"{kind:g}" for kind in kinds)
            raise DatasetError(
                f"{bdata.path}: the samples are of DataType {found}; say which to take, as in "
                f"`rows: DataType = {kinds[0]:g}`"
            )


def _ids(
    bdata: BData, column: str, part: BDataPart, data: Path, rows: NDArray[np.intp]
) -> list[str]:
    if part.pattern is None:
        names = read_names(data / part.names, column=column) if part.names else None
        return bdata.labels(column, rows=rows, names=names)
    return bdata.numbered(column, part.pattern, rows=rows)


def _check_same_voxels(parts: Sequence[_Part]) -> None:
    first, *others = parts
    for part in others:
        for roi, mask in first.rois.items():
            if not np.array_equal(mask, part.rois[roi]):
                raise DatasetError(
                    f"{part.path}: ROI {roi!r} has {int(part.rois[roi].sum())} voxels, which are "
                    f"not the {int(mask.sum())} of {first.path}"
                )
        for key in first.places.keys() & part.places.keys():
            if not np.array_equal(first.places[key], part.places[key], equal_nan=True):
                raise DatasetError(f"{part.path}: {key} of its voxels differ from {first.path}")


def _values(file: Any, name: str) -> NDArray[Any]:
    found = find_dataset(file, name, error=DatasetError)
    return read_values(found, f"{file.filename}: {name!r}", error=DatasetError)


def _value_maps(file: Any) -> dict[str, dict[float, str]]:
    if not holds(file, "vmap"):
        return {}
    return {
        key: {
            float(value): _name(file, f"vmap/{key}/{value}")
            for value in names_in(file, f"vmap/{key}", error=DatasetError)
        }
        for key in names_in(file, "vmap", error=DatasetError)
    }


def _name(file: Any, place: str) -> str:
    found = _values(file, place)
    if found.size != 1:
        raise DatasetError(f"{file.filename}: {place!r} holds {found.size} names, expected one")
    return text_of(found.item(), f"{file.filename}: {place!r}", error=DatasetError)
