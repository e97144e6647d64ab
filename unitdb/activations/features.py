"""Activations that others have computed, from files: features of pictures, one set a layer.

``mat``      ``<folder>/<layer>/<stimulus>.mat``, bdpy's ``Features``; ids may have folders
``npy``      ``<folder>/<layer>/<stimulus>.npy``
``stacked``  ``<folder>/<layer>.npy``, all stimuli in one array, and ``<folder>/stimuli.txt``, their
             ids in its order, one a line
``zarr``     the same with ``<folder>/<layer>.zarr``
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from unitdb.activations.arrayfiles import read_arrays, read_npy
from unitdb.activations.axes import StatedAxes, axes_of, check_layers, stated_axes
from unitdb.activations.layers import LayerInfo
from unitdb.activations.zarrfiles import open_zarr
from unitdb.errors import (
    ActivationsError,
    StimulusMismatchError,
    UnknownLayerError,
    closest,
)
from unitdb.files import reached, visible
from unitdb.reads import note_read
from unitdb.specs import Name, RelativePath, Spec, as_id, check_alike, content_sha256
from unitdb.texts import read_list

__all__ = ["FeatureFiles", "FeatureModel", "LoadedFeatures", "load_features"]

_IDS = "stimuli.txt"
_LISTED = 5

Array = npt.NDArray[Any]


class FeatureFiles(Spec):
    """Where activations lie on disk, and in which form.

    Parameters
    ----------
    folders : list of str
        Below the data folder; a stimulus lies in one of them (say, training and test).
    format : {'mat', 'npy', 'stacked', 'zarr'}
        As the module describes.
    key : str
        Name of the array in ``.mat`` files.
    precision : {'float16', 'bfloat16'}, optional
        What they were computed in, where the files hold more: which units are constant follows it.
        Files of type float16 need not say so.
    """

    folders: Annotated[list[RelativePath], Field(min_length=1)]
    format: Literal["mat", "npy", "stacked", "zarr"] = "mat"
    key: str = "feat"
    precision: Literal["float16", "bfloat16"] | None = None


class FeatureModel(Spec):
    """A network of which the activations are at hand, not the network.

    Parameters
    ----------
    name : str
        Name in the database.
    title : str
        Title in one line.
    features : FeatureFiles
        The activations.
    layers : dict of str to str
        Layer name → name of its folder or file, in the order of depth.
    axes : str or dict of str to str, optional
        What the axes of activations are, a letter each (``CHW``, ``HWC``, ``TD``, ``DT``, ``N``; C
        and D channels, H and W the map, T tokens): of all layers with so many axes, or by layer.
        Needed for layers of more than one axis; an axis of length 1 before them is the picture's.
    licence, source, citation : str
        Licence of the features, where they come from, how to cite them.
    """

    no_number = frozenset({"name", "title", "licence", "source", "citation"})

    name: Name
    title: str
    features: FeatureFiles
    layers: Annotated[dict[Name, RelativePath], Field(min_length=1)]
    axes: StatedAxes = None
    licence: str
    source: str
    citation: str

    @model_validator(mode="after")
    def _axes_have_their_layers(self) -> FeatureModel:
        check_layers(self.axes, self.layers)
        check_alike(self.layers, "layers")
        return self

    @property
    def factory(self) -> str:
        """What stands in the database in place of the callable that makes a network."""
        return f"files: {', '.join(self.features.folders)}"

    @property
    def preprocessing(self) -> dict[str, str]:
        """What stands in the database in place of the way from pictures to input."""
        return {"features": self.features.format}


class _Table(Protocol):
    """Activations of a layer by stimulus."""

    @property
    def ids(self) -> Sequence[str]:
        """Stimuli that it has."""

    def row(self, stimulus: str) -> Array:
        """Activation of a stimulus, of any shape."""

    def place(self, stimulus: str) -> str:
        """Where it lies, for messages."""

    def files(self) -> Iterable[Path]:
        """All files that hold it."""


@dataclass(frozen=True, kw_only=True)
class LoadedFeatures:
    """Activations in files, with what identifies them; stands where a network would.

    Parameters
    ----------
    spec : FeatureModel
        What they are.
    layers : tuple of LayerInfo
        The layers asked for, in the model's order.
    tables : mapping of str to table
        Where the activations of each of them lie.
    weights_sha256 : str
        Hash of the names and bytes of all files of all layers.
    model_sha256 : str
        Identity: hash of that and of the layers.
    """

    spec: FeatureModel
    layers: tuple[LayerInfo, ...]
    tables: Mapping[str, _Table]
    weights_sha256: str
    model_sha256: str
    checked_on: tuple[str, ...] = ()

    def given(self, layer: LayerInfo, stimulus: str) -> Array:
        """Activation of a stimulus as the file has it, array of shape (n_units,) in C order.

        Raises
        ------
        ActivationsError
            It cannot be read, is not numbers, not finite in float32, of half precision where others
            are not, or has another shape than the others of the layer; names the file.
        """
        table = self.tables[layer.name]
        place = table.place(stimulus)
        values = table.row(stimulus)
        if values.dtype.kind not in "fiub":
            raise ActivationsError(f"{place}: holds {values.dtype}, expected real numbers")
        shape = _shape(values, stated_axes(self.spec.axes, layer.name))
        if shape != layer.shape:
            raise ActivationsError(
                f"{place}: has shape {shape}, the other stimuli of layer {layer.name!r} "
                f"{layer.shape}"
            )
        if _precision(self.spec, values) != layer.precision:
            raise ActivationsError(
                f"{place}: holds {values.dtype}, the other stimuli of layer {layer.name!r} do not; "
                "say features: {precision: float16}, if all were computed in it"
            )
        flat = values.reshape(-1)
        with np.errstate(over="ignore"):
            finite = np.isfinite(flat.astype(np.float32)).all()
        if not finite:
            raise ActivationsError(f"{place}: the activation is not finite")
        return flat

    def check_stimuli(self, stimuli: Sequence[str]) -> None:
        """See that each layer has each stimulus.

        Raises
        ------
        StimulusMismatchError
            Names the layer and a few of the stimuli that it does not have.
        """
        for name, table in self.tables.items():
            known = set(table.ids)
            missing = [stimulus for stimulus in stimuli if stimulus not in known]
            if missing:
                near = closest(missing[0], table.ids) or list(table.ids[:_LISTED])
                raise StimulusMismatchError(
                    f"model {self.spec.name!r}: layer {name!r} has no activations of "
                    f"{len(missing)} of {len(stimuli)} stimuli: "
                    f"{', '.join(map(repr, missing[:_LISTED]))}; it has "
                    f"{', '.join(map(repr, near))}, … ({len(table.ids)} in all)"
                )


def load_features(
    spec: FeatureModel, *, folder: Path | None, layers: Sequence[str] | None = None
) -> LoadedFeatures:
    """Find the files of all layers, and read the first of each.

    Parameters
    ----------
    spec : FeatureModel
        What to load.
    folder : Path, optional
        The data folder.
    layers : sequence of str, optional
        Layers to keep (in the model's order, whatever the order here); all where it is not given.

    Raises
    ------
    UnknownLayerError
        A layer asked for is not in the model.
    ActivationsError
        Files that are missing or damaged, or a stimulus that stands twice.
    """
    for name in layers or ():
        if name not in spec.layers:
            raise UnknownLayerError(name, spec.layers, where=f"model {spec.name!r}")
    if folder is None:
        raise ActivationsError(
            f"model {spec.name!r} is read from a data folder: name it with --data or UNITDB_DATA"
        )
    tables = {name: _open(spec, layer, folder) for name, layer in spec.layers.items()}
    found = (_describe(name, depth, spec, tables[name]) for depth, name in enumerate(spec.layers))
    kept = tuple(layer for layer in found if layers is None or layer.name in layers)
    content = _files_sha256(tables, folder)
    return LoadedFeatures(
        spec=spec,
        layers=kept,
        tables={layer.name: tables[layer.name] for layer in kept},
        weights_sha256=content,
        model_sha256=content_sha256({"spec": spec.identity(), "features": content}),
    )


def _describe(name: str, depth: int, spec: FeatureModel, table: _Table) -> LayerInfo:
    values = table.row(table.ids[0])
    shape = _shape(values, stated_axes(spec.axes, name))
    if 0 in shape:
        raise ActivationsError(f"{table.place(table.ids[0])}: has shape {shape}, no activation")
    axes = axes_of(
        shape,
        stated=spec.axes,
        layer=name,
        where=f"model {spec.name!r}: layer {name!r}",
        known="N" if len(shape) == 1 else None,
        error=ActivationsError,
    )
    return LayerInfo(
        name=name,
        depth=depth,
        module=spec.layers[name],
        kind=f"features ({spec.features.format})",
        shape=shape,
        axes=axes,
        n_units=math.prod(shape),
        precision=_precision(spec, values),
    )


def _precision(spec: FeatureModel, values: Array) -> str:
    return spec.features.precision or (
        "float16" if values.dtype.name == "float16" else "float32"  # whatever the order of bytes
    )


def _shape(values: Array, axes: str | None) -> tuple[int, ...]:
    """Shape of the activation of one picture; files often keep an axis of length 1 for it."""
    if axes is not None and values.ndim == len(axes):
        return values.shape
    shape = values.shape[1:] if values.ndim > 1 and values.shape[0] == 1 else values.shape
    return shape or (1,)


@dataclass(frozen=True, kw_only=True)
class _Files:
    """One file a stimulus."""

    by_id: Mapping[str, Path]
    key: str

    @property
    def ids(self) -> Sequence[str]:
        return list(self.by_id)

    def row(self, stimulus: str) -> Array:
        path = self.by_id[stimulus]
        if path.suffix == ".npy":
            return read_npy(path, error=ActivationsError)
        return read_arrays(path, [self.key], error=ActivationsError)[self.key]

    def place(self, stimulus: str) -> str:
        return str(self.by_id[stimulus])

    def files(self) -> Iterable[Path]:
        return self.by_id.values()


@dataclass(frozen=True, kw_only=True)
class _Stacks:
    """All stimuli of a folder in one array."""

    by_id: Mapping[str, tuple[Path, int]]
    arrays: Mapping[Path, Any]
    lists: Mapping[Path, Path]
    _slab: dict[tuple[Path, int], Array] = field(default_factory=dict, repr=False)

    @property
    def ids(self) -> Sequence[str]:
        return list(self.by_id)

    def row(self, stimulus: str) -> Array:
        path, row = self.by_id[stimulus]
        array = self.arrays[path]
        # A compressed chunk is read once for all neighbouring stimuli in it.
        n_rows = int(getattr(array, "chunks", [1])[0])
        start = row - row % n_rows
        if (path, start) not in self._slab:
            self._slab.clear()
            self._slab[path, start] = np.asarray(array[start : start + n_rows])
        # Kept as one picture among others: a first axis of length 1 is its own.
        return self._slab[path, start][row - start : row - start + 1]

    def place(self, stimulus: str) -> str:
        path, row = self.by_id[stimulus]
        return f"{path}: row {row} ({stimulus})"

    def files(self) -> Iterable[Path]:
        for path in self.arrays:
            yield self.lists[path]
            yield from [path] if path.is_file() else _files_of(path)


def _files_of(array: Path) -> list[Path]:
    # Not `visible`: the metadata of zarr arrays have names with dots in front.
    paths = (path for path in array.rglob("*") if not path.name.startswith("._"))
    # Links to nothing too: zarr would take a chunk that is not there for one never written.
    return sorted(path for path in paths if path.is_file() or path.is_symlink())


def _open(spec: FeatureModel, layer: str, data: Path) -> _Table:
    folders = [data / folder for folder in spec.features.folders]
    for folder in folders:
        if not folder.is_dir():
            raise ActivationsError(
                f"{folder}: no such folder of features; --data names the folder that it is in"
            )
    if spec.features.format in ("mat", "npy"):
        return _open_files(spec, layer, folders)
    return _open_stacks(spec, layer, folders)


def _open_files(spec: FeatureModel, layer: str, folders: Sequence[Path]) -> _Files:
    ending = f".{spec.features.format}"
    named: list[tuple[str, Path]] = []
    for folder in folders:
        inside = folder / layer
        if not inside.is_dir():
            folders_there = (path for path in folder.iterdir() if path.is_dir())
            raise _no_layer(inside, visible(folders_there, below=folder))
        others = {folder / each for each in spec.layers.values() if each != layer}
        below = [other for other in others if other.is_relative_to(inside)]
        found = [path for path in reached(inside) if path.suffix == ending]
        found = [path for path in found if not any(map(path.is_relative_to, below))]
        if not found:
            raise ActivationsError(f"{inside}: there are no files *{ending}")
        ids = (path.relative_to(inside).with_suffix("").as_posix() for path in found)
        named += zip(map(as_id, ids), found, strict=True)
    _check_unique([name for name, _ in named], spec, layer, folders)
    return _Files(by_id=dict(named), key=spec.features.key)


def _open_stacks(spec: FeatureModel, layer: str, folders: Sequence[Path]) -> _Stacks:
    ending = ".npy" if spec.features.format == "stacked" else ".zarr"
    arrays, lists, rows = {}, {}, []
    for folder in folders:
        path = folder / f"{layer}{ending}"
        if not path.exists():
            note_read(path)  # which says more of a link to nothing
            raise _no_layer(path, visible(folder.glob(f"*{ending}"), below=folder))
        arrays[path] = _map(path)
        lists[path] = folder / _IDS
        ids = read_list(lists[path], error=ActivationsError)
        if not ids:
            raise ActivationsError(f"{lists[path]}: names no stimulus")
        shape = tuple(arrays[path].shape)
        if shape[:1] != (len(ids),):
            raise ActivationsError(
                f"{path}: has shape {shape}, expected one row for each of the {len(ids)} stimuli "
                f"of {_IDS}"
            )
        rows += [(as_id(name), (path, row)) for row, name in enumerate(ids)]
    _check_unique([name for name, _ in rows], spec, layer, folders)
    return _Stacks(by_id=dict(rows), arrays=arrays, lists=lists)


def _map(path: Path) -> Any:
    """Open an array without reading it."""
    if path.suffix == ".npy":
        return read_npy(path, error=ActivationsError, in_memory=False)
    for file in _files_of(path):
        note_read(file)
    return open_zarr(path, error=ActivationsError)


def _check_unique(
    ids: Sequence[str], spec: FeatureModel, layer: str, folders: Sequence[Path]
) -> None:
    repeated = [name for name, times in Counter(ids).items() if times > 1]
    if repeated:
        raise ActivationsError(
            f"model {spec.name!r}: layer {layer!r}: {len(repeated)} stimuli stand twice in "
            f"{' and '.join(map(str, folders))}: {', '.join(map(repr, repeated[:_LISTED]))}"
        )


def _no_layer(path: Path, others: Iterable[Path]) -> ActivationsError:
    names = sorted(other.name for other in others)
    near = closest(path.name, names)
    there = f"near: {', '.join(near)}" if near else f"there are: {', '.join(names[:12]) or 'none'}"
    return ActivationsError(f"{path}: no such layer; {there}")


def _files_sha256(tables: Mapping[str, _Table], data: Path) -> str:
    digest = hashlib.sha256()
    for table in tables.values():
        for path in table.files():
            note_read(path)
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
            digest.update(path.relative_to(data).as_posix().encode() + b"\0" + content)
    return digest.hexdigest()
