"""Keeping or dropping the channels of a network that hold chosen units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import prune as torch_prune

from unitdb.errors import ModelError, QueryError
from unitdb.nn.cost import count_flops, count_parameters
from unitdb.nn.producers import Producer, find_producers
from unitdb.nn.wiring import Units, WiredLayer, wire
from unitdb.query.tensors import unit_weights
from unitdb.query.units import UnitSet

__all__ = ["PruneReport", "PrunedLayer", "prune"]


@dataclass(frozen=True, kw_only=True)
class PrunedLayer:
    """A layer that was pruned.

    Parameters
    ----------
    layer : str
        Name of the layer.
    producer : str
        Module whose output channels were pruned.
    n_channels, n_kept : int
        Channels that there are, and that are left.
    """

    layer: str
    producer: str
    n_channels: int
    n_kept: int


@dataclass(frozen=True, kw_only=True)
class PruneReport:
    """What pruning did; prints as a table.

    Parameters
    ----------
    layers : tuple of PrunedLayer
        In the order of depth.
    parameters_before, parameters_after : int
        Parameters of the whole network that are not 0.
    flops_before, flops_after : int
        Operations for one image (:func:`unitdb.nn.count_flops` says which).
    """

    layers: tuple[PrunedLayer, ...]
    parameters_before: int
    parameters_after: int
    flops_before: int
    flops_after: int

    def __str__(self) -> str:
        rows = [("layer", "module", "channels", "kept")]
        rows += [(p.layer, p.producer, f"{p.n_channels:,}", f"{p.n_kept:,}") for p in self.layers]
        rows += [("", "", "before", "after")]
        rows += [("parameters", "", f"{self.parameters_before:,}", f"{self.parameters_after:,}")]
        rows += [("FLOPs", "an image", f"{self.flops_before:,}", f"{self.flops_after:,}")]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        return "\n".join(
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}"
            for a, b, c, d in rows
        )


def prune(
    model: nn.Module,
    units: Units,
    *,
    images: torch.Tensor,
    keep: bool = True,
    quota: float | None = None,
    by: str = "mean_r",
    over: Literal["max", "mean"] | None = None,
    layers: Mapping[str, str] | None = None,
) -> PruneReport:
    """Set channels of the layers that hold chosen units to 0, in place.

    Without a quota, channels that hold a chosen unit are kept and the others pruned, or the other
    way round. With one, that share of each layer's channels (rounded, at least one) is kept, or
    pruned: those of the highest score. The score of a channel is the mean of ``by`` over its chosen
    units, or where units are given as masks the number of them; channels without a chosen unit come
    last, then those of a higher number. Layers without a chosen unit are left as they are.

    Channels are pruned where they are made: rows of weights, and bias, of the convolution or linear
    map behind the layer, and scale and shift of normalisations in between, so that the channel is 0
    in the layer's output (:func:`unitdb.nn.producers.find_producers`). Masks are those of
    ``torch.nn.utils.prune``: the network can be trained on, and ``prune.remove`` makes them
    permanent. Shapes stay, so torch takes as long as before.

    Parameters
    ----------
    model : torch.nn.Module
        The network; not changed where an error is raised.
    units : UnitSet or mapping of str to bool tensor of shape (C, H, W) or (N,)
        Units of one model.
    images : tensor of shape (n_images, channels, height, width)
        What the network takes, to count operations with; one image is enough.
    keep : bool
        Keep the channels of the chosen units; False prunes them.
    quota : float, optional
        Share of the channels of each layer, above 0 and at most 1.
    by : str
        Column that scores.
    over : {"max", "mean"}, optional
        How several rows of a unit are combined, as in :meth:`unitdb.UnitSet.weights`.
    layers : mapping of str to str, optional
        Layer → name of the network's module, where it differs from the release's.

    Returns
    -------
    PruneReport

    Raises
    ------
    QueryError
        The quota is no share, all channels of a layer would be pruned, no unit is chosen, or as
        :meth:`unitdb.UnitSet.weights`.
    UnknownLayerError
        A module is not in the network.
    ModelError
        What makes a layer's channels is not clear, for example a sum with a shortcut; their weights
        are computed from others (weight_norm, for example); a lazy module has not run yet.

    References
    ----------
    Li, Kadav, Durdanovic, Samet & Graf (2017), Pruning filters for efficient ConvNets, ICLR
    (structured pruning of output channels).

    Examples
    --------
    >>> import torch
    >>> from unitdb import nn
    >>> network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU())
    >>> mask = torch.zeros(2, 2, 2, dtype=torch.bool)
    >>> mask[1] = True
    >>> report = nn.prune(network, {"1": mask}, images=torch.rand(2, 3, 4, 4))
    >>> report.layers[0].n_channels, report.layers[0].n_kept
    (2, 1)
    """
    if quota is not None and not 0 < quota <= 1:
        raise QueryError(f"quota is a share of channels, above 0 and at most 1, not {quota!r}")
    wired = wire(model, units, layers)
    producers = find_producers(model, wired)
    values = (
        unit_weights(units, by, over=over)
        if quota is not None and isinstance(units, UnitSet)
        else None
    )
    kept = {
        layer.name: _kept(layer, None if values is None else values[layer.name], quota, keep)
        for layer in wired
    }
    _check_apart(producers)
    for producer in producers:
        _check_weights(producer)
    before = count_parameters(model), count_flops(model, images)
    for producer in producers:
        _set_to_zero(producer, torch.from_numpy(~kept[producer.layer.name]))
    return PruneReport(
        layers=tuple(
            PrunedLayer(
                layer=producer.layer.name,
                producer=producer.path,
                n_channels=producer.layer.chosen.channel.size,
                n_kept=int(kept[producer.layer.name].sum()),
            )
            for producer in producers
        ),
        parameters_before=before[0],
        flops_before=before[1],
        parameters_after=count_parameters(model),
        flops_after=count_flops(model, images),
    )


def _kept(
    layer: WiredLayer, values: NDArray[np.float32] | None, quota: float | None, keep: bool
) -> NDArray[np.bool_]:
    """Which channels of a layer are kept."""
    step, n_channels = layer.chosen.channel.step, layer.chosen.channel.size
    channel = layer.chosen.units // step % n_channels
    counts = np.bincount(channel, minlength=n_channels)
    if quota is None:
        best = counts > 0
    else:
        scores = counts.astype(np.float64)
        if values is not None:
            scores = np.bincount(channel, values, minlength=n_channels) / np.maximum(counts, 1)
        scores = np.where(counts > 0, scores, -np.inf)
        best = np.zeros(n_channels, np.bool_)
        best[np.argsort(-scores, kind="stable")[: max(1, round(quota * n_channels))]] = True
        if not keep:
            best &= counts > 0
    kept = best if keep else ~best
    if not kept.any():
        raise QueryError(
            f"layer {layer.name!r}: all of its {n_channels} channels would be pruned; choose fewer "
            "units, or give a quota below 1"
        )
    return kept


def _check_apart(producers: list[Producer]) -> None:
    seen: dict[nn.Module, str] = {}
    for producer in producers:
        if producer.module in seen:
            raise QueryError(
                f"layers {seen[producer.module]!r} and {producer.layer.name!r} have the same "
                f"channels, those of {producer.path}: prune by one of them"
            )
        seen[producer.module] = producer.layer.name


def _check_weights(producer: Producer) -> None:
    """See that the weights are parameters, which a mask can be laid over (again, too)."""
    for module in (producer.module, *producer.norms):
        for name in ("weight", "bias"):
            has_mask = f"{name}_mask" in module._buffers
            if name not in module._parameters and not has_mask and hasattr(module, name):
                raise ModelError(
                    f"layer {producer.layer.name!r}: the {name} of {producer.path} or of its "
                    "normalisation is computed from others (weight_norm, spectral_norm or another "
                    "parametrisation); remove that first, for example with "
                    "torch.nn.utils.parametrize.remove_parametrizations or "
                    "torch.nn.utils.remove_weight_norm"
                )


def _set_to_zero(producer: Producer, pruned: torch.Tensor) -> None:
    for module in (producer.module, *producer.norms):
        for name in ("weight", "bias"):
            value = getattr(module, name, None)
            if value is not None:
                mask = torch.ones_like(value)
                mask[pruned.to(mask.device)] = 0
                torch_prune.custom_from_mask(module, name, mask)
