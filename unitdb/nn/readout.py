"""Activations of chosen units to many images, as features for a linear probe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import nn

from unitdb.errors import ActivationsError
from unitdb.nn.modes import device_of, modes_kept
from unitdb.nn.picking import Resolution
from unitdb.nn.selected import SelectedActivations
from unitdb.nn.wiring import Units
from unitdb.steady import N_MATES, Guard, Receive, check_steady

__all__ = ["brain_readout", "in_batches"]


def brain_readout(
    model: nn.Module,
    units: Units,
    images: torch.Tensor | Iterable[torch.Tensor],
    *,
    batch_size: int = 32,
    layers: Mapping[str, str] | None = None,
    resolution: Resolution = "exact",
) -> torch.Tensor:
    """Activations of chosen units to images, in evaluation mode and without gradients.

    Parameters
    ----------
    model : torch.nn.Module
        The network. Modes of its modules are given back afterwards.
    units : UnitSet or mapping of str to bool tensor of shape (C, H, W) or (N,)
        Units of one model.
    images : tensor of shape (n_images, channels, height, width), or iterable of such
        Preprocessed as the network takes them; an iterable gives batches, one in memory at a time.
    batch_size : int
        Images that go through the network together, where ``images`` is one tensor.
    layers, resolution
        As in :class:`SelectedActivations`.

    Returns
    -------
    tensor of shape (n_images, n_units), float32
        On the CPU, not scaled; columns are ``SelectedActivations(model, units).unit_ids``.

    Raises
    ------
    ActivationsError
        There are no images, a batch is not a tensor, or an activation is not finite.
    ModelError
        An activation depends on more than its image: on the batch, on chance, on what was before.
    QueryError, UnknownLayerError, ModelError
        As :class:`SelectedActivations`.

    Examples
    --------
    >>> import torch
    >>> from unitdb import nn
    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    >>> mask = torch.tensor([True, False, True])
    >>> nn.brain_readout(network, {"1": mask}, torch.zeros(4, 3, 2, 2)).shape
    torch.Size([4, 2])
    """
    if batch_size < 1:
        raise ActivationsError(f"batch_size must be at least 1, not {batch_size}")
    batches = images.split(batch_size) if isinstance(images, torch.Tensor) else images
    with modes_kept(model):
        selected = SelectedActivations(model, units, layers=layers, resolution=resolution)
        parts = list(in_batches(selected, batches))
    if not parts or not sum(map(len, parts)):
        raise ActivationsError("there are no images")
    return torch.cat(parts)


def in_batches(
    selected: SelectedActivations, batches: Iterable[torch.Tensor]
) -> Iterator[torch.Tensor]:
    """Activations of each batch, float32 on the CPU, in evaluation mode.

    Raises
    ------
    ActivationsError
        A batch is not a tensor, or an activation is not finite: names the unit and the image.
    ModelError
        The activations of the first image depend on something else than it.
    """
    selected.eval()
    device = device_of(selected)
    before = 0
    for batch in batches:
        if not isinstance(batch, torch.Tensor):
            raise ActivationsError(
                f"a batch of images must be a tensor, not {type(batch).__name__}; of a DataLoader "
                "with labels: (images for images, _ in loader)"
            )
        with torch.inference_mode():
            found = selected(batch.to(device)).to("cpu", torch.float32)
        finite = found.isfinite()
        if not finite.all():
            image, column = (~finite).nonzero()[0].tolist()
            raise ActivationsError(
                f"the activation of unit {selected.unit_ids[column]} to image {before + image} is "
                "not finite"
            )
        if not before and len(batch):
            _check_steady(selected, batch[0].to(device))
        before += len(batch)
        yield found.clone()  # a tensor like any other, not one of inference mode


def _check_steady(selected: SelectedActivations, image: torch.Tensor) -> None:
    def run(batch: torch.Tensor, receive: Receive, guard: Guard) -> None:
        with guard():
            for layer, columns in selected.split(selected(batch)).items():
                receive(layer, columns)

    noise = torch.rand((N_MATES, *image.shape), generator=torch.Generator().manual_seed(0))
    mates = (noise if image.is_floating_point() else 255 * noise).to(image)
    check_steady(run, image, mates, network=selected.network, where="the network")
