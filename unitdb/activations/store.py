"""Activations on disk: a folder of memory-mapped arrays, one a layer, that names its stimuli."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import StringConstraints, ValidationError, model_validator

from unitdb.activations.units import UnitSelection
from unitdb.errors import ActivationsError, StimulusMismatchError, UnknownLayerError
from unitdb.npy import map_npy
from unitdb.resolution import resolution_of
from unitdb.schema import NAME_PATTERN
from unitdb.specs import Spec

__all__ = ["FORMAT", "Activations", "StoreMeta", "StoredArray", "StoredLayer", "describe_array"]

FORMAT = 1
"""Version of the layout of the folder; part of every key."""

META = "meta.json"

_FILE = rf"^{NAME_PATTERN}$"
_LONGEST = 200
"""A layer's name with its depth before and an ending after it."""

_LISTED = 5
_REMEDY = "(remove the folder to extract it again)"


class StoredArray(Spec):
    """A ``.npy`` file of the store: what it must be, and the hash of its bytes."""

    file: Annotated[str, StringConstraints(pattern=_FILE, max_length=_LONGEST)]
    dtype: str
    shape: tuple[int, ...]
    n_bytes: int
    sha256: str


class StoredLayer(Spec):
    """A layer's activations, array of shape (n_stimuli, n_selected), and the units' indices."""

    name: str
    activations: StoredArray
    units: StoredArray
    precision: str = "float32"
    """What they were computed or given in, where that is less than the array's type."""


class StoreMeta(Spec):
    """``meta.json``: what the store holds, and what that depends on."""

    format: int
    key: str
    model: str
    model_sha256: str
    stimuli_key: str
    selection: UnitSelection
    stimulus_ids: tuple[str, ...]
    layers: tuple[StoredLayer, ...]

    @model_validator(mode="after")
    def _shapes_agree(self) -> StoreMeta:
        for layer in self.layers:
            if layer.activations.shape != (len(self.stimulus_ids), *layer.units.shape):
                raise ValueError(
                    f"layer {layer.name!r} of shape {layer.activations.shape} does not fit "
                    f"{len(self.stimulus_ids)} stimuli and units of shape {layer.units.shape}"
                )
        return self


@dataclass(frozen=True)
class Activations:
    """Activations of selected units to a set of stimuli, read from disk when asked for.

    Open one with :meth:`open`; :func:`unitdb.activations.extract` makes them. The object holds no
    open file and is cheap to send to another process.

    Parameters
    ----------
    folder : Path
        The store.
    meta : StoreMeta
        Its description.
    """

    folder: Path
    meta: StoreMeta

    @classmethod
    def open(cls, folder: Path) -> Activations:
        """Open a store, and check that all its files are there with the right shape and size.

        Raises
        ------
        ActivationsError
            Names the file that is missing or damaged.
        """
        path = folder / META
        try:
            meta = StoreMeta.model_validate_json(path.read_bytes())
        except OSError as cause:
            raise ActivationsError(f"{path}: cannot be read: {cause} {_REMEDY}") from None
        except ValidationError as cause:
            first = cause.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise ActivationsError(f"{path}: damaged: {place} {first['msg']} {_REMEDY}") from None
        if meta.format != FORMAT:
            raise ActivationsError(f"{path}: format {meta.format}; this unitdb reads {FORMAT}")
        store = cls(folder, meta)
        for array in store._arrays():
            store._load(array)
        return store

    @property
    def key(self) -> str:
        """Hash of model, layers, stimuli and selection: what decoding results depend on."""
        return self.meta.key

    @property
    def stimulus_ids(self) -> tuple[str, ...]:
        """Identifiers of the stimuli, in the order of rows."""
        return self.meta.stimulus_ids

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, in the model's order."""
        return tuple(self._by_name)

    def units(self, layer: str) -> npt.NDArray[np.int32]:
        """Flat C-order indices of the selected units, ascending; array of shape (n_selected,)."""
        return np.array(self._load(self._layer(layer).units))

    def n_units(self, layer: str) -> int:
        """Count the selected units of a layer."""
        return self._layer(layer).activations.shape[1]

    def resolution(self, layer: str) -> float:
        """By which units of a layer are constant, of the precision that they were computed in."""
        return resolution_of(self._layer(layer).precision)

    def block(self, layer: str, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Read the activations of consecutive selected units.

        Parameters
        ----------
        layer : str
            The layer.
        start, stop : int
            Positions in ``units(layer)``, ``0 <= start <= stop <= n_units(layer)``.

        Returns
        -------
        array of shape (n_stimuli, stop - start)
            float32, a copy in C order.

        Raises
        ------
        UnknownLayerError
            No such layer in the store.
        ActivationsError
            Positions out of range.
        """
        stored = self._layer(layer)
        if not 0 <= start <= stop <= stored.activations.shape[1]:
            raise ActivationsError(
                f"layer {layer!r} has {stored.activations.shape[1]} selected units; "
                f"there is no block {start}:{stop}"
            )
        return np.array(self._load(stored.activations)[:, start:stop], order="C")

    def mapped(self, layer: str) -> npt.NDArray[np.float32]:
        """Activations of all selected units of a layer, read from disk as they are used.

        Returns
        -------
        array of shape (n_stimuli, n_units(layer))
            float32; read-only.

        Raises
        ------
        UnknownLayerError
            No such layer in the store.
        """
        return self._load(self._layer(layer).activations)

    def rows(self, stimulus_ids: Sequence[str]) -> npt.NDArray[np.intp]:
        """Rows of the given stimuli, in their order (ids may repeat).

        Parameters
        ----------
        stimulus_ids : sequence of str
            Identifiers, for example one for each fMRI sample.

        Returns
        -------
        array of shape (len(stimulus_ids),)
            Row of each.

        Raises
        ------
        StimulusMismatchError
            Names a few of the ids that have no activations.
        """
        unknown = [id_ for id_ in dict.fromkeys(stimulus_ids) if id_ not in self._row_of]
        if unknown:
            raise StimulusMismatchError(
                f"{len(unknown)} stimulus ids have no activations in {self.folder}: "
                f"{', '.join(map(repr, unknown[:_LISTED]))}; "
                f"it has {', '.join(map(repr, self.stimulus_ids[:_LISTED]))}, …"
            )
        return np.array([self._row_of[id_] for id_ in stimulus_ids], dtype=np.intp)

    def verify(self) -> None:
        """Read every file and compare its hash with the one written at extraction.

        Raises
        ------
        ActivationsError
            Names the first file whose bytes have changed.
        """
        for array in self._arrays():
            path = self.folder / array.file
            if _sha256(path) != array.sha256:
                raise ActivationsError(
                    f"{path}: its bytes have changed since it was written {_REMEDY}"
                )

    @cached_property
    def _by_name(self) -> dict[str, StoredLayer]:
        return {layer.name: layer for layer in self.meta.layers}

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {id_: row for row, id_ in enumerate(self.stimulus_ids)}

    def _arrays(self) -> list[StoredArray]:
        return [array for layer in self.meta.layers for array in (layer.activations, layer.units)]

    def _layer(self, name: str) -> StoredLayer:
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownLayerError(
                name, self.layers, where=f"the activations of model {self.meta.model!r}"
            ) from None

    def _load(self, array: StoredArray) -> npt.NDArray[Any]:
        path = self.folder / array.file
        try:
            size = path.stat().st_size
            loaded: npt.NDArray[Any] = map_npy(path)
        except (OSError, EOFError, ValueError) as cause:
            raise ActivationsError(f"{path}: missing or damaged: {cause} {_REMEDY}") from None
        if (size, loaded.shape, str(loaded.dtype)) != (array.n_bytes, array.shape, array.dtype):
            raise ActivationsError(
                f"{path}: damaged: {size} bytes, {loaded.dtype} of shape {loaded.shape}; "
                f"expected {array.n_bytes} bytes, {array.dtype} of shape {array.shape} {_REMEDY}"
            )
        return loaded


def describe_array(path: Path) -> StoredArray:
    """Describe a ``.npy`` file that is complete."""
    array = map_npy(path)
    return StoredArray(
        file=path.name,
        dtype=str(array.dtype),
        shape=array.shape,
        n_bytes=path.stat().st_size,
        sha256=_sha256(path),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
