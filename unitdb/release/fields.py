"""Receptive fields of units: the part of a picture that can reach a unit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.query import Layer

__all__ = ["SIDES", "ReceptiveField", "field_of"]

SIDES = ("field_top", "field_bottom", "field_left", "field_right")
"""Columns of table ``layers``, a list of pixels each."""


@dataclass(frozen=True, kw_only=True)
class ReceptiveField:
    """The part of a network's input that can reach a unit.

    Parameters
    ----------
    top, bottom, left, right : int
        First and last row, first and last column, in pixels of the input from 0.
    size : int
        Side of the input, which is a square.
    crop : float
        Side of the centred square of a picture that the input is made of, as a fraction of its
        shorter side.
    whole : bool
        Whether all of a picture is made that square, whatever its shape.
    """

    top: int
    bottom: int
    left: int
    right: int
    size: int
    crop: float
    whole: bool

    @property
    def is_all(self) -> bool:
        """Whether it is all of the input."""
        ends = (self.top, self.left, self.bottom, self.right)
        return ends == (0, 0, self.size - 1, self.size - 1)

    def within(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Where it lies in a picture.

        Parameters
        ----------
        width, height : int
            Of the picture, of which the network takes the centred square or, resized, all.

        Returns
        -------
        left, top, width, height : float
            In parts of the picture's width and height.
        """
        side = self.crop * min(width, height)
        across, down = (1.0, 1.0) if self.whole else (side / width, side / height)
        return (
            (1 - across) / 2 + across * self.left / self.size,
            (1 - down) / 2 + down * self.top / self.size,
            across * (self.right + 1 - self.left) / self.size,
            down * (self.bottom + 1 - self.top) / self.size,
        )


def field_of(
    layer: Layer, unit: int, layers: pd.DataFrame, models: pd.DataFrame
) -> ReceptiveField | None:
    """Receptive field of a unit (see ``Release.receptive_field``).

    Parameters
    ----------
    layer : Layer
    unit : int
    layers, models : DataFrame
        The release's tables.
    """
    (row,) = layers[(layers["model"] == layer.model) & (layers["layer"] == layer.layer)].to_dict(
        "records"
    )
    if any(row[side] is None or isinstance(row[side], float) for side in SIDES):
        return None
    down, across = (unit // place.step % place.size for place in (layer.row, layer.column))
    stated = models.set_index("model")["preprocessing"][layer.model]
    preprocessing: dict[str, Any] = json.loads(stated)
    return ReceptiveField(
        top=int(row["field_top"][down]),
        bottom=int(row["field_bottom"][down]),
        left=int(row["field_left"][across]),
        right=int(row["field_right"][across]),
        size=int(preprocessing["size"]),
        crop=float(preprocessing.get("crop", 1)),
        whole=preprocessing.get("fit") == "whole",
    )
