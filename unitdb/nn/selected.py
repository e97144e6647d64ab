"""Activations of chosen units, and of no others, in one pass."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import fx, nn

from unitdb.errors import ActivationsError, ModelError, UnitdbError
from unitdb.nn.modes import device_of
from unitdb.nn.passes import HookedPass, trace_pass
from unitdb.nn.picking import Pick, Resolution
from unitdb.nn.wiring import Units, WiredLayer, wire

__all__ = ["SelectedActivations"]

_log = logging.getLogger(__name__)


class SelectedActivations(nn.Module):
    """Images → activations of chosen units of a network, which runs no further than they need.

    Columns are ordered by layer (in the order of depth, or of the mapping), then by unit,
    ascending; ``unit_ids`` names them. Values are those of the layer's module, not scaled, with
    gradients. The network's modules are shared, not copied: to train, prune or move either is to
    train, prune or move both. As any module it has a mode of its own: call ``train()`` and
    ``eval()`` on it.

    The network is traced (torch.fx) and cut off after the last chosen layer, which
    ``torch.export``, ``torch.compile`` and TorchScript take. What its ``forward`` computes without
    its input is then computed once, while tracing. A network whose ``forward`` cannot be traced,
    since it depends on values of its input, runs with hooks, and an exception stops it early; that
    is not for export.

    Parameters
    ----------
    model : torch.nn.Module
        The network. It takes one tensor, the images.
    units : UnitSet or mapping of str to bool tensor of shape (C, H, W) or (N,)
        Units of one model, or a mask of the layer's shape for each layer.
    layers : mapping of str to str, optional
        Layer → name of the network's module, where it differs from the release's.
    resolution : {"exact", "nearest"}
        Images of another size than the release's give maps of another height and width, whose units
        are others. ``"exact"`` refuses them. ``"nearest"`` takes for the unit in row y of H the
        row of H′ in which its centre lies, ⌊(y + ½) H′ / H⌋, and so for columns: the same place in
        the image, seen through the same weights; its accuracy was not measured, and maps that are
        smaller give one position to several units.
    method : {"auto", "fx", "hooks"}
        ``"auto"`` traces where it can be done; ``"fx"`` refuses where it cannot.

    Attributes
    ----------
    unit_ids : tuple of str
        ``model/layer/unit`` of each column; ``layer/unit`` where units are given as masks.
    method : {"fx", "hooks"}
        How the network runs.
    why_hooks : str or None
        What kept the network from being traced.

    Raises
    ------
    QueryError
        No unit is chosen, or the units are of several models.
    UnknownLayerError
        A module is not in the network; names the layer and the nearest modules.
    ModelError
        A module does not run exactly once a pass, or ``method="fx"`` and it cannot be traced.
    ActivationsError
        While running: an activation has another shape than the release's, or is no tensor.

    Examples
    --------
    >>> import torch
    >>> from unitdb import nn
    >>> network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU())
    >>> mask = torch.zeros(2, 2, 2, dtype=torch.bool)
    >>> mask[1, 0] = True
    >>> selected = nn.SelectedActivations(network, {"1": mask}).eval()
    >>> selected(torch.zeros(4, 3, 4, 4)).shape
    torch.Size([4, 2])
    >>> selected.unit_ids
    ('1/4', '1/5')
    >>> list(selected.split(torch.zeros(4, 2)))
    ['1']
    """

    __jit_unused_properties__ = ("unit_ids",)

    def __init__(
        self,
        model: nn.Module,
        units: Units,
        *,
        layers: Mapping[str, str] | None = None,
        resolution: Resolution = "exact",
        method: Literal["auto", "fx", "hooks"] = "auto",
    ) -> None:
        super().__init__()
        if resolution not in ("exact", "nearest"):
            raise ActivationsError(f"resolution={resolution!r} is neither 'exact' nor 'nearest'")
        if method not in ("auto", "fx", "hooks"):
            raise ModelError(f"method={method!r} is none of 'auto', 'fx', 'hooks'")
        wired = wire(model, units, layers)
        self.chosen = tuple(layer.chosen for layer in wired)
        self.sizes = {layer.layer: len(layer.units) for layer in self.chosen}
        self.why_hooks: str | None = None
        picks = [Pick(layer, resolution) for layer in self.chosen]
        for pick in picks:
            pick.to(device_of(model))
        self.network, self._graphs = self._make_pass(model, wired, picks, method)
        self.method: Literal["fx", "hooks"] = "fx" if self._graphs else "hooks"
        self.training = model.training

    def _make_pass(
        self, model: nn.Module, layers: Sequence[WiredLayer], picks: Sequence[Pick], method: str
    ) -> tuple[nn.Module, dict[bool, fx.Graph]]:
        if method != "hooks":
            try:
                return trace_pass(model, layers, picks)
            except UnitdbError:
                raise
            except Exception as cause:  # what a forward does with a proxy may raise anything
                self.why_hooks = f"{type(cause).__name__}: {cause}"
                if method == "fx":
                    raise ModelError(
                        f"{type(model).__name__} cannot be traced: {self.why_hooks}"
                    ) from cause
                _log.info("%s runs with hooks: %s", type(model).__name__, self.why_hooks)
        return HookedPass(model, layers, picks), {}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Run the network.

        Parameters
        ----------
        images : tensor of shape (n_images, channels, height, width)
            Preprocessed as the network takes them.

        Returns
        -------
        tensor of shape (n_images, n_units)
            Columns as in ``unit_ids``.
        """
        activations: torch.Tensor = self.network(images)
        return activations

    def split(self, activations: torch.Tensor) -> dict[str, torch.Tensor]:
        """Cut columns, as :meth:`forward` gives them, into layers.

        Parameters
        ----------
        activations : tensor of shape (n_images, n_units)
            Or any tensor whose last axis is that of the units.

        Returns
        -------
        dict of str to tensor of shape (n_images, n_units of the layer)
            Views.
        """
        parts = torch.split(activations, list(self.sizes.values()), dim=-1)
        return dict(zip(self.sizes, parts, strict=True))

    @property
    def unit_ids(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(name for layer in self.chosen for name in layer.unit_ids)

    def train(self, mode: bool = True) -> SelectedActivations:
        """Set the mode, of the modules shared with the network too.

        Returns
        -------
        SelectedActivations
            Itself.
        """
        super().train(mode)
        if isinstance(self.network, fx.GraphModule) and self.network.graph != self._graphs[mode]:
            self.network.graph = self._graphs[mode]
        return self
