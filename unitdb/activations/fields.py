"""Receptive fields: which part of a network's input can reach a unit, by its place in the map.

The network itself is asked. A row or column of its input is not a number (NaN), and no sum, product
or maximum with it is one: the rows or columns of a layer's map that are not a number are those that
it can reach, whatever the weights are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from unitdb.activations.layers import forward
from unitdb.activations.loading import LoadedModel
from unitdb.errors import ModelError
from unitdb.taps import find_tap

__all__ = ["Fields", "receptive_fields"]

_AXES = {"H": 2, "W": 3}
"""Axis of the map → axis of the input."""
_STRIP = 32
"""Pixels: what networks divide the sides of pictures by, at the most."""
Reached = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Fields:
    """Pixels of the network's input that reach a layer's units, by their places in the map.

    Parameters
    ----------
    top, bottom : tuple of int
        First and last row of pixels that reach each row of the map.
    left, right : tuple of int
        First and last column of pixels that reach each column of the map.
    """

    top: tuple[int, ...]
    bottom: tuple[int, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]


def receptive_fields(model: LoadedModel) -> dict[str, Fields]:
    """Find the receptive fields of the layers of a network that have a map.

    Takes a pass of one picture for each row and each column of the input: of a narrow strip, where
    the network takes strips and reaches no further in the whole picture.

    Parameters
    ----------
    model : LoadedModel

    Returns
    -------
    dict of str to Fields
        By layer; without layers that some place of the map is not reached in, or whose activations
        of a picture of noise are no numbers. Empty where the network refuses what is not a number.
    """
    size, where = model.spec.preprocessing.size, f"model {model.spec.name!r}"
    mapped = {one.name: one.axes for one in model.layers if set(_AXES) <= set(one.axes)}
    if not mapped:
        return {}
    modules = dict(model.module.named_modules(remove_duplicate=False))
    taps = {
        one.name: find_tap(modules, one.module, where=where)
        for one in model.layers
        if one.name in mapped
    }
    noise = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))

    def unknown(picture: torch.Tensor, letter: str) -> dict[str, Reached]:
        """Places along an axis of each layer's map where an activation is not a number."""
        found: dict[str, Reached] = {}

        def receive(name: str, activation: torch.Tensor) -> None:
            own = 1 + mapped[name].index(letter)
            others = [axis for axis in range(activation.ndim) if axis != own]
            found[name] = activation.isnan().any(dim=others).numpy()

        forward(model.module, picture, taps, receive, where=where)
        return found

    # Transforms of tiles, as NNPACK has them, would mix pixels that a convolution keeps apart.
    with torch.backends.nnpack.flags(enabled=False):
        try:
            unknown(torch.full_like(noise, torch.nan), "H")
        except ModelError:
            return {}
        ends = {letter: _ends(unknown, noise, letter) for letter in _AXES}
    return {
        name: Fields(top=rows[0], bottom=rows[1], left=columns[0], right=columns[1])
        for name in mapped
        if (rows := ends["H"].get(name)) and (columns := ends["W"].get(name))
    }


Ends = tuple[tuple[int, ...], tuple[int, ...]]


def _ends(
    unknown: Callable[[torch.Tensor, str], dict[str, Reached]], noise: torch.Tensor, letter: str
) -> dict[str, Ends]:
    """First and last pixel along an axis that reach each place of each layer's map."""
    never = {name for name, at in unknown(noise, letter).items() if at.any()}

    def reaches(within: torch.Tensor, pixel: int) -> dict[str, Reached]:
        picture = within.clone()
        picture.select(_AXES[letter], pixel).fill_(torch.nan)
        return unknown(picture, letter)

    n_pixels = noise.shape[_AXES[letter]]
    strip = noise.narrow(5 - _AXES[letter], 0, min(_STRIP, n_pixels))
    proof = (0, n_pixels // 2, n_pixels - 1)
    try:
        alike = all(_same(reaches(strip, pixel), reaches(noise, pixel)) for pixel in proof)
    except ModelError:  # it takes pictures of one size alone
        alike = False
    passes = [reaches(strip if alike else noise, pixel) for pixel in range(n_pixels)]
    found: dict[str, Ends] = {}
    for name in passes[0].keys() - never:
        reached = np.stack([of[name] for of in passes])  # pixels × places
        if reached.any(axis=0).all():
            first = reached.argmax(axis=0)
            last = len(reached) - 1 - reached[::-1].argmax(axis=0)
            found[name] = tuple(first.tolist()), tuple(last.tolist())
    return found


def _same(one: dict[str, Reached], other: dict[str, Reached]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)
