"""Predictions of a job, read as activations are: from files, some units of a layer at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import ActivationsError, UnknownLayerError
from unitdb.sealed import map_npy

if TYPE_CHECKING:
    from unitdb.predictions.blocks import Block

__all__ = ["Predictions"]

Place = tuple[int, int]


class Predictions:
    """Stored predictions of a test set: of units of each layer, from each ROI of each subject.

    Raw activations, in the order of the samples of the test set (``HeldOut.rows``). Files are those
    of the blocks, hashed and mapped into memory.

    Parameters
    ----------
    units : mapping of str to array of shape (n_stored,)
        Flat C-order indices of the units of each layer whose predictions are stored, ascending.
    blocks : mapping of (str, (int, int)) to sequence of Block
        Of the test set, done: by layer, and the positions of ROI and subject.
    """

    def __init__(
        self,
        units: Mapping[str, NDArray[np.int32]],
        blocks: Mapping[tuple[str, Place], Sequence[Block]],
    ) -> None:
        self._units, self._blocks = units, blocks

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, in the network's order."""
        return tuple(self._units)

    def units(self, layer: str) -> NDArray[np.int32]:
        """Flat C-order indices of the stored units of a layer, ascending."""
        try:
            return self._units[layer]
        except KeyError:
            raise UnknownLayerError(layer, self.layers, where="the stored predictions") from None

    def n_units(self, layer: str) -> int:
        """Count the stored units of a layer."""
        return len(self.units(layer))

    def block(
        self, layer: str, start: int, stop: int, *, roi: int, subject: int
    ) -> NDArray[np.float32]:
        """Read the predictions of consecutive stored units.

        Parameters
        ----------
        layer : str
        start, stop : int
            Positions in ``units(layer)``, ``0 <= start <= stop <= n_units(layer)``.
        roi, subject : int
            Positions of the ROI and of the subject in the dataset.

        Returns
        -------
        array of shape (n_samples, stop - start)
            float32, raw.

        Raises
        ------
        UnknownLayerError
            No such layer.
        ActivationsError
            Positions out of range.
        """
        if not 0 <= start <= stop <= self.n_units(layer):
            raise ActivationsError(
                f"layer {layer!r} has predictions of {self.n_units(layer)} units; there is no "
                f"block {start}:{stop}"
            )
        parts: list[NDArray[np.float32]] = []
        first = 0
        for block in self._blocks[layer, (roi, subject)]:
            if not len(block.stored):
                continue
            found = map_npy(block.stored_predictions)
            low, high = max(start - first, 0), min(stop - first, found.shape[1])
            if low < high or not parts:
                parts.append(found[:, low : max(low, high)])
            first += found.shape[1]
        return np.concatenate(parts, axis=1)
