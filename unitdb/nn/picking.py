"""Columns for the chosen units of a layer, taken from its activation."""

# No `from __future__ import annotations`: TorchScript reads annotations, but not text.
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

    def __init__(self, layer: LayerUnits, resolution: Resolution) -> None:
        super().__init__()
        self.register_buffer("index", torch.from_numpy(layer.units.copy()))
        self.layer = layer.layer
        self.shape = list(layer.shape)
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
            index = self._nearest(index, shape[1], shape[2])
        return activation.reshape(activation.shape[0], n_units).index_select(1, index)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *others: Any, **named: Any
    ) -> None:
        """Refuse the state of another selection: names of columns would no longer be true."""
        stored = state_dict.get(f"{prefix}index")
        if stored is not None and not torch.equal(stored.cpu(), self.index.cpu()):
            raise ActivationsError(f"layer {self.layer!r}: the state is that of other units")
        super()._load_from_state_dict(state_dict, prefix, *others, **named)

    def _nearest(self, index: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Flat indices into (C, height, width) of the positions that contain the units' centres."""
        rows, columns = self.shape[1], self.shape[2]
        column = index % columns
        row = index.div(columns, rounding_mode="floor") % rows
        channel = index.div(columns * rows, rounding_mode="floor")
        # A unit's centre is (row + 1/2) / rows of the map's height: exact in integers.
        row = ((2 * row + 1) * height).div(2 * rows, rounding_mode="floor")
        column = ((2 * column + 1) * width).div(2 * columns, rounding_mode="floor")
        return (channel * height + row) * width + column

    def _checked(self, activation: torch.Tensor) -> list[int]:
        """Shape of the activation of one image, if it is the layer's or may be another."""
        shape: list[int] = list(activation.shape[1:])
        if is_tracing():
            shape = self._shape_while_tracing(activation)
        if len(shape) == 0:
            shape = [1]  # one number an image is a layer of one unit
        maps = len(shape) == 3 and len(self.shape) == 3 and shape[0] == self.shape[0]
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
        if len(shape) == len(self.shape) == 3 and shape[0] == self.shape[0]:
            hint = (
                "; give images of the size that the network was decoded with, or say "
                "resolution='nearest' to take the units at the same places of the image"
            )
        raise ActivationsError(
            f"layer {self.layer!r}: the activation of one image has shape {tuple(shape)} here, and "
            f"{tuple(self.shape)} in the release: its units are others{hint}"
        )


def no_tensor(layer: str, output: object) -> ActivationsError:
    """The error for a layer whose module does not return a tensor."""
    return ActivationsError(
        f"layer {layer!r}: its module returns {type(output).__name__}, not a tensor; map the layer "
        "to a module inside it that returns the tensor"
    )
