"""Where features of candidates lie: in memory, in a store, or in one as means over pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unitdb.activations import Activations
from unitdb.responses import category_means

__all__ = ["Layer", "in_memory", "layer_sha256", "means"]


@dataclass(frozen=True, eq=False)
class Layer:
    """Features of all candidates in one layer.

    Parameters
    ----------
    units : array of shape (n_units,)
        Flat C-order indices, int32, ascending.
    part : callable
        From first and last candidate to their features, of all units; may be read-only.
    """

    units: NDArray[np.int32]
    part: Callable[[int, int], NDArray[np.floating]]


def layer_sha256(
    layer: str, units: NDArray[np.integer], features: Iterable[NDArray[np.floating]]
) -> list[str]:
    """Hashes of the units (int32) and of the features (float32) of a layer, both little-endian.

    Parameters
    ----------
    layer : str
    units : array of shape (n_units,)
    features : iterable of array of shape (some candidates, n_units)
        Those of all candidates, block by block.

    Returns
    -------
    list of str
        The layer, and both hashes.
    """
    digest = hashlib.sha256()
    for block in features:
        digest.update(np.ascontiguousarray(block, dtype="<f4").data)
    return [layer, hashlib.sha256(units.astype("<i4").tobytes()).hexdigest(), digest.hexdigest()]


def in_memory(array: NDArray[np.float32], units: NDArray[np.int32]) -> Layer:
    """Features in an array of shape (n_candidates, n_units)."""
    return Layer(units, lambda start, stop: array[start:stop])


def means(activations: Activations, members: Sequence[NDArray[np.intp]]) -> Mapping[str, Layer]:
    """Means over rows of stored activations, one candidate after the other."""

    def one(layer: str) -> Layer:
        return Layer(
            activations.units(layer),
            lambda start, stop: category_means(activations.mapped(layer), members[start:stop]),
        )

    return {layer: one(layer) for layer in activations.layers}
