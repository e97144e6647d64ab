"""Which module of a network a layer is the output of, and which of its units are meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import nn

from unitdb.axes import usual_axes
from unitdb.errors import QueryError, UnknownLayerError
from unitdb.query.tensors import LayerUnits, chosen_units
from unitdb.query.units import UnitSet
from unitdb.taps import Tap, find_tap, module_path, tapped_of

__all__ = ["Units", "WiredLayer", "units_by_layer", "wire"]

Units: TypeAlias = UnitSet | Mapping[str, torch.Tensor]
"""Units of one network: a selection from a release, or for each layer a mask of its shape."""


@dataclass(frozen=True, eq=False)
class WiredLayer:
    """Units chosen of a layer, and the module of a network whose output holds them.

    Parameters
    ----------
    chosen : LayerUnits
        The units, and the shape of their layer.
    path : str
        Name of the module in the network, or what is tapped of it
        (:func:`unitdb.taps.find_tap`).
    tap : Tap
        What that is.
    """

    chosen: LayerUnits
    path: str
    tap: Tap

    @property
    def module(self) -> nn.Module:
        """Module that is tapped."""
        return self.tap.module

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.chosen.layer


def wire(
    model: nn.Module, units: Units, layers: Mapping[str, str] | None = None
) -> tuple[WiredLayer, ...]:
    """Find the modules of a network that the chosen units are outputs of.

    Parameters
    ----------
    model : torch.nn.Module
        The network.
    units : UnitSet or mapping of str to bool tensor of shape (C, H, W) or (N,)
        Units of one model. Layers come in the order of depth, or of the mapping.
    layers : mapping of str to str, optional
        Layer → name of the module. Layers that it leaves out have the module that the release
        names (column ``module`` of ``layers``); in place of a release, that of the layer's name.
        A name may be a tap, as in a release: ``abs(PATH)``, ``input(PATH)``, ``PATH[PART]``.

    Raises
    ------
    QueryError
        No unit is chosen, the units are of several models, or a mask is not of bool.
    UnknownLayerError
        ``layers`` names a layer that there is not, or a module is not in the network.
    ModelError
        A name is none of a place in a network, or a class token is tapped where there is none.
    """
    chosen = units_by_layer(units)
    known = units.source.known["layer"] if isinstance(units, UnitSet) else list(units)
    for name in layers or {}:
        if name not in known:
            raise UnknownLayerError(name, known, where="layers=, which maps layers to modules")
    modules = dict(model.named_modules(remove_duplicate=False))
    wired = []
    for layer in chosen:
        path = (layers or {}).get(layer.layer, layer.module)
        try:
            tap = find_tap(modules, path, where=f"{type(model).__name__}: layer {layer.layer!r}")
        except UnknownLayerError:
            mapped = {layer.layer: tapped_of(path, "MODULE")}
            raise UnknownLayerError(
                module_path(path),
                [name for name in modules if name],
                where=f"the modules of {type(model).__name__}, for layer {layer.layer!r}",
                hint=f"[name for name, _ in model.named_modules()]; map them: layers={mapped}",
            ) from None
        wired.append(WiredLayer(layer, path, tap))
    return tuple(wired)


def units_by_layer(units: Units) -> tuple[LayerUnits, ...]:
    """Chosen units of each layer that holds one; arguments and QueryError as in :func:`wire`."""
    if isinstance(units, UnitSet):
        chosen = chosen_units(units)
    elif isinstance(units, Mapping):
        chosen = _of_masks(units)
    else:
        raise QueryError(
            f"units are a selection, such as release.units(), or masks by layer, not "
            f"{type(units).__name__}"
        )
    if not chosen:
        raise QueryError("the selection holds no unit")
    return chosen


def _of_masks(masks: Mapping[str, torch.Tensor]) -> tuple[LayerUnits, ...]:
    for name, mask in masks.items():
        if not isinstance(mask, torch.Tensor) or mask.dtype != torch.bool or not mask.ndim:
            found = (
                f"{mask.dtype} tensor" if isinstance(mask, torch.Tensor) else type(mask).__name__
            )
            raise QueryError(f"units of layer {name!r} are a bool tensor of its shape, not {found}")
    return tuple(
        LayerUnits(
            model="",
            layer=name,
            module=name,
            shape=tuple(mask.shape),
            axes=usual_axes(tuple(mask.shape)),
            units=np.flatnonzero(mask.cpu().numpy()),
        )
        for name, mask in masks.items()
        if mask.any()
    )
