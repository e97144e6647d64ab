"""What the axes of a layer's activation are: which one counts channels, and which places.

A letter an axis, in the order of the shape:

``N``       units without a place, each a channel of its own
``C``, ``D``  channels: filters of a convolution, features of a transformer
``H``, ``W``  rows and columns of the map
``T``       tokens, or points in time

so ``CHW`` of torch's convolutions, ``HWC`` of TensorFlow's, ``TD`` of transformers. Units count in
C order of the shape, whatever its axes are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

__all__ = ["AXES_PATTERN", "Place", "axes_problem", "place_of", "usual_axes"]

AXES_PATTERN = r"N|[CDHWT]{2,4}"

_CHANNELS, _ALL = "NCD", "NCDHWT"


@dataclass(frozen=True, kw_only=True)
class Place:
    """How the place of a unit along one axis follows from its index: ``unit // step % size``."""

    step: int
    size: int

    def expression(self, unit: str) -> str:
        """SQL of the place; ``unit`` is the SQL of the index."""
        return f"{unit} // {self.step} % {self.size}"


def axes_problem(axes: str, shape: Sequence[int]) -> str | None:
    """Why these cannot be the axes of a layer of that shape; None where they can.

    Parameters
    ----------
    axes : str
        A letter an axis.
    shape : sequence of int
        Of the activation of one image.
    """
    if not axes or set(axes) - set(_ALL) or len(set(axes)) < len(axes):
        return f"{axes!r} is not of letters {', '.join(_ALL)}, each once at the most"
    if sum(letter in _CHANNELS for letter in axes) != 1 or ("N" in axes and axes != "N"):
        return f"{axes!r} has not one axis of channels: one of C and D, or N alone"
    if ("H" in axes) != ("W" in axes):
        return f"{axes!r} has one of H and W, which go together"
    if axes in ("C", "D"):
        return f"{axes!r} has no place: that is N"
    if len(axes) != len(shape):
        return f"{axes!r} has {len(axes)} axes, and the shape {tuple(shape)} {len(shape)}"
    return None


def usual_axes(shape: Sequence[int]) -> str | None:
    """Axes of torch's convolutions and linear maps, by their number: (N,) and (C, H, W)."""
    return {1: "N", 3: "CHW"}.get(len(shape))


def place_of(axes: str, shape: Sequence[int], letters: str) -> Place | None:
    """Where units lie along an axis; None where the layer has none of that kind.

    Parameters
    ----------
    axes : str
        Axes of the layer.
    shape : sequence of int
        Its shape.
    letters : str
        The axis: ``"NCD"`` the channel, ``"H"`` the row, ``"WT"`` the column (of a layer without a
        map, the token); the first letter that there is counts.
    """
    for letter in letters:
        if letter in axes:
            at = axes.index(letter)
            return Place(step=prod(shape[at + 1 :]), size=shape[at])
    return None
