"""Which units of a layer are kept."""

from __future__ import annotations

import hashlib
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from unitdb.activations.layers import LayerInfo
from unitdb.specs import Spec

__all__ = ["UnitSelection", "select_units"]


class UnitSelection(Spec):
    """All units of each layer, or a random sample of them.

    Parameters
    ----------
    sample : int or None
        Units kept of each layer (all where it has fewer); None keeps all.
    seed : int
        Seed of the sample.
    """

    sample: Annotated[int, Field(gt=0)] | None
    seed: Annotated[int, Field(ge=0)] = 0


def select_units(layer: LayerInfo, selection: UnitSelection) -> npt.NDArray[np.int32]:
    """Units of ``layer`` that ``selection`` keeps, ascending.

    Every unit has a pseudo-random priority that depends on nothing but the seed, the layer's name,
    its number of units and the unit; the sample is the units of smallest priority. A smaller sample
    is therefore a subset of a larger one, on every machine and with every version of numpy.

    Parameters
    ----------
    layer : LayerInfo
        The layer; its name and number of units matter.
    selection : UnitSelection
        How many units, and the seed.

    Returns
    -------
    array of shape (n_selected,)
        Flat C-order indices, int32, ascending.
    """
    if selection.sample is None or selection.sample >= layer.n_units:
        return np.arange(layer.n_units, dtype=np.int32)
    name = f"{selection.seed}/{layer.name}/{layer.n_units}".encode()
    start = np.frombuffer(hashlib.sha256(name).digest()[:8], dtype="<u8")
    priorities = _splitmix64(start + np.arange(layer.n_units, dtype=np.uint64))
    chosen = np.argpartition(priorities, selection.sample)[: selection.sample]
    return np.sort(chosen).astype(np.int32)


def _splitmix64(counters: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Mix each counter (Steele, Lea & Flood 2014); a bijection, so that priorities never tie."""
    x = counters * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
