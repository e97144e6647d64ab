"""Activations of chosen units, and of no others, in one pass."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import fx, nn
from torch.jit import is_scripting, is_tracing  # type: ignore[attr-defined]

from unitdb.errors import ActivationsError, ModelError, UnitdbError
from unitdb.nn.modes import device_of
from unitdb.nn.passes import HookedPass, share_state, trace_pass
from unitdb.nn.picking import Pick, Resolution
from unitdb.nn.trying import can_be_tried, circumstances, difference, give_shapes
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
    its input is then computed once, while tracing. Tracing leaves the network as it was.

    A trace is tried, not trusted: the first images are held to the network itself, layer by layer,
    and with gradients where they are on (:meth:`try_trace`). So run it once before you export it. A
    network whose trace would give anything else runs with hooks, and an exception stops it early;
    that is not for export. Among these are networks that depend on values of their input, whose
    layers are tapped (``abs(…)``, ``input(…)``, ``PATH[PART]``, ``PATH#USE``), that switch
    gradients off, and those in which a chosen layer lies within a module with hooks, or in
    another mode, as a ``train()`` of its own may leave it. Hooks that are set on a container
    afterwards are not seen by a trace, and tensors of it that are neither parameters nor buffers
    stay those that they were.

    Parameters
    ----------
    model : torch.nn.Module
        The network. It takes one tensor, the images.
    units : UnitSet or mapping of str to bool tensor of shape (C, H, W) or (N,)
        Units of one model, or a mask of the layer's shape for each layer.
    layers : mapping of str to str, optional
        Layer → name of the network's module, or what is tapped of it, where it differs from the
        release's.
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
        How the network runs; ``"fx"`` may become ``"hooks"`` with the first images.
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
    >>> selected.try_trace(torch.zeros(4, 3, 4, 4))  # as the first pass does by itself
    >>> selected.method, selected.tried_copy().unit_ids
    ('fx', ('1/4', '1/5'))
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
        self._may_hook = method != "fx"
        # Beside the traced pass, and in no state of it: the network that it is held to.
        self._plain: tuple[HookedPass, ...] = ()
        self._tried: set[tuple[bool, ...]] = set()
        self.network, self._graphs = self._make_pass(model, wired, picks, method)
        self.method: Literal["fx", "hooks"] = "fx" if self._graphs else "hooks"
        self.training = model.training

    def _make_pass(
        self, model: nn.Module, layers: Sequence[WiredLayer], picks: Sequence[Pick], method: str
    ) -> tuple[nn.Module, dict[bool, fx.Graph]]:
        plain = HookedPass(model, layers, picks)
        if method != "hooks":
            try:
                traced = trace_pass(model, layers, picks)
            except UnitdbError:
                raise
            except Exception as cause:  # what a forward does with a proxy may raise anything
                self._say_why(model, f"{type(cause).__name__}: {cause}", cause)
            else:
                self._plain = (plain,)
                return traced
        return plain, {}

    def _say_why(self, model: nn.Module, why: str, cause: Exception | None = None) -> None:
        if not self._may_hook:
            raise ModelError(f"{type(model).__name__} cannot be traced: {why}") from cause
        self.why_hooks = why
        _log.info("%s runs with hooks: %s", type(model).__name__, why)

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
        if is_scripting() or is_tracing() or torch.compiler.is_compiling():
            activations: torch.Tensor = self.network(images)
            return activations
        return self._checked(images)

    @torch.jit.unused
    def _checked(self, images: torch.Tensor) -> torch.Tensor:
        self.try_trace(images)
        activations: torch.Tensor = self.network(images)
        if len(activations) != len(images):
            raise ActivationsError(
                f"{len(images)} images give {len(activations)} rows: the first axis of an "
                "activation must be the image"
            )
        return activations

    @torch.jit.unused
    def try_trace(self, images: torch.Tensor) -> None:
        """Hold the traced pass to the network, and run with hooks where it gives anything else.

        Once for each mode, with gradients and without, before it runs. It takes two passes of at
        most two images, with gradients where they are on.

        Parameters
        ----------
        images : tensor of shape (n_images, channels, height, width)

        Raises
        ------
        ModelError
            The trace gives anything else, and ``method="fx"``.
        """
        if not self._plain or not can_be_tried(images):
            return
        plain = self._plain[0]
        case = (self.training, plain.network.training, *circumstances(images))
        if case in self._tried:
            return
        give_shapes(plain.network, plain, images)
        if why := difference(self.network, plain, plain.network, images, self.split):
            self._say_why(plain.network, why)
            self.network, self._graphs, self._plain, self.method = plain, {}, (), "hooks"
        self._tried.add(case)

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
        for plain in self._plain:
            plain.network.train(mode)
        if isinstance(self.network, fx.GraphModule) and self.network.graph != self._graphs[mode]:
            self.network.graph = self._graphs[mode]
        return self

    def tried_copy(self) -> SelectedActivations:
        """A copy that is not tried again, and so has nothing of the network that it does not run.

        Returns
        -------
        SelectedActivations
        """
        plain, self._plain = self._plain, ()
        try:
            return copy.deepcopy(self)
        finally:
            self._plain = plain

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        for plain in self._plain:
            if isinstance(self.network, fx.GraphModule):
                share_state(self.network, plain.network)
