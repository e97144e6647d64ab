"""Columns for the chosen units of a layer, taken from its activation."""

# No `from __future__ import annotations`: TorchScript reads annotations, but not text.
import math
import warnings
from typing import Any, Literal, TypeAlias

import torch
from torch import nn
from torch.jit import TracerWarning, is_tracing  # type: ignore[attr-defined]

from unitdb.errors import ActivationsError
from unitdb.query.tensors import LayerUnits

__all__ = ["Pick", "Resolution", "no_tensor"]

Resolution: TypeAlias = Literal["exact", "nearest"]


class Pick(nn.Module):
    """Activation of a layer, (n_images, *shape) → its chosen units, (n_images, n_chosen).

    Parameters
    ----------
    layer : LayerUnits
        The units.
    resolution : {"exact", "nearest"}
        What to do with maps of another height and width than the layer's: see
        :class:`unitdb.nn.SelectedActivations`.
    """

    index: torch.Tensor
    chw: list[int]

    def __init__(self, layer: LayerUnits, resolution: Resolution) -> None:
        super().__init__()
        self.register_buffer("index", torch.from_numpy(layer.units.copy()))
        self.layer = layer.layer
        self.shape = list(layer.shape)
        self.takes_all = len(layer.units) == math.prod(layer.shape)  # they are ascending
        # Axes of the map and of channels; none where the layer has no map.
        self.chw = [axes.index(letter) for letter in "CHW"] if (axes := _map_axes(layer)) else []
        self.nearest = resolution == "nearest"

    def forward(self, activation: torch.Tensor) -> torch.Tensor:
        """Give the columns, in the order of ``index``."""
        if not isinstance(activation, torch.Tensor):
            self._refuse_type(activation)
        index = self.index
        shape = self._checked(activation)
        n_units = 1
        for length in shape:
            n_units *= length
        if shape != self.shape:
            index = self._nearest(index, shape)
        elif self.takes_all:
            # A copy, since the network may go on in place; cheaper than to pick.
            return activation.reshape(activation.shape[0], n_units).clone()
        return activation.reshape(activation.shape[0], n_units).index_select(1, index)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *others: Any, **named: Any
    ) -> None:
        """Refuse the state of another selection: names of columns would no longer be true."""
        stored = state_dict.get(f"{prefix}index")
        if stored is not None and not torch.equal(stored.cpu(), self.index.cpu()):
            raise ActivationsError(f"layer {self.layer!r}: the state is that of other units")
        super()._load_from_state_dict(state_dict, prefix, *others, **named)

    def _nearest(self, index: torch.Tensor, shape: list[int]) -> torch.Tensor:
        """Flat indices into another shape of the positions that contain the units' centres."""
        found = torch.zeros_like(index)
        for axis in range(3):
            step, other = 1, 1
            for after in range(axis + 1, 3):
                step *= self.shape[after]
                other *= shape[after]
            place = index.div(step, rounding_mode="floor") % self.shape[axis]
            # A unit's centre is (row + 1/2) / rows of the map's height: exact in integers. Of
            # channels there are as many as before, and each stays.
            size = 2 * self.shape[axis]
            place = ((2 * place + 1) * shape[axis]).div(size, rounding_mode="floor")
            found = found + place * other
        return found

    def _checked(self, activation: torch.Tensor) -> list[int]:
        """Shape of the activation of one image, if it is the layer's or may be another."""
        shape: list[int] = list(activation.shape[1:])
        if is_tracing():
            shape = self._shape_while_tracing(activation)
        if len(shape) == 0:
            shape = [1]  # one number an image is a layer of one unit
        maps = len(shape) == 3 and len(self.chw) == 3
        maps = maps and shape[self.chw[0]] == self.shape[self.chw[0]]
        if shape != self.shape and not (self.nearest and maps):
            self._refuse(shape)
        return shape

    @torch.jit.unused
    def _shape_while_tracing(self, activation: torch.Tensor) -> list[int]:
        with warnings.catch_warnings():  # sizes are tensors then, which are meant to become numbers
            warnings.simplefilter("ignore", TracerWarning)
            return [int(length) for length in activation.shape[1:]]

    @torch.jit.unused
    def _refuse_type(self, activation: torch.Tensor) -> None:
        raise no_tensor(self.layer, activation)

    @torch.jit.unused
    def _refuse(self, shape: list[int]) -> None:
        hint = ""
        maps = len(shape) == 3 and len(self.chw) == 3
        if maps and shape[self.chw[0]] == self.shape[self.chw[0]]:
            hint = (
                "; give images of the size that the network was decoded with, or say "
                "resolution='nearest' to take the units at the same places of the image"
            )
        raise ActivationsError(
            f"layer {self.layer!r}: the activation of one image has shape {tuple(shape)} here, and "
            f"{tuple(self.shape)} in the release: its units are others{hint}"
        )


def _map_axes(layer: LayerUnits) -> str | None:
    return layer.axes if layer.axes is not None and set(layer.axes) == set("CHW") else None


def no_tensor(layer: str, output: object) -> ActivationsError:
    """The error for a layer whose module does not return a tensor."""
    return ActivationsError(
        f"layer {layer!r}: its module returns {type(output).__name__}, not a tensor; map the layer "
        "to a part of it, such as 'PATH[0]', or to a module inside it that returns the tensor"
    )
