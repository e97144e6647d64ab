"""What is made small where a picture is sought: how far activations are from targets."""

from __future__ import annotations

from typing import Literal

import torch

from unitdb.errors import ActivationsError, InversionError
from unitdb.nn.selected import SelectedActivations

__all__ = ["LossKind", "error_scales", "roughness"]

LossKind = Literal["normalised", "shen2019"]


def error_scales(
    selected: SelectedActivations,
    targets: torch.Tensor,
    weights: torch.Tensor,
    *,
    kind: LossKind,
    names: tuple[str, ...],
) -> torch.Tensor:
    """Scales s, so that the loss of a picture is  Σ_u (s_u (φ_u − t_u))².

    With N_l = Σ_u w_u t_u² over the units of layer l, of L layers:

    ``"normalised"``: s_u² = w_u / (L N_l), the mean over layers of the squared error in parts of
    the target's squared norm. ``"shen2019"``: s_u² = w_u N_l⁻¹ / Σ_m N_m⁻¹.

    Parameters
    ----------
    selected : SelectedActivations
        For its layers.
    targets, weights : tensors of shape (n_images, n_units)
        A unit of weight 0 may have any target.
    kind : {"normalised", "shen2019"}
    names : tuple of str
        Of the images, for messages.

    Returns
    -------
    tensor of shape (n_images, n_units), float32

    Raises
    ------
    ActivationsError
        A target with a weight is not finite.
    InversionError
        The targets of a layer are all 0 or have no weight.

    References
    ----------
    Shen, Horikawa, Majima & Kamitani (2019), doi:10.1371/journal.pcbi.1006633.
    """
    counts = weights > 0
    wrong = counts & ~targets.isfinite()
    if bool(wrong.any()):
        image, column = wrong.nonzero()[0].tolist()
        raise ActivationsError(
            f"target of unit {selected.unit_ids[column]} for image {names[image]} is "
            f"{targets[image, column].item()}; a weight of 0 leaves the unit out of the loss"
        )
    t = torch.where(counts, targets, torch.zeros_like(targets)).double()
    w = weights.double()
    inverses = []
    for layer, part in selected.split(w * t.square()).items():
        norms = part.sum(-1)
        if not bool((norms > 0).all()):
            image = int((~(norms > 0)).nonzero()[0])
            raise InversionError(
                f"targets of layer {layer!r} for image {names[image]} are 0 or have no weight: "
                "what is near to nothing cannot be told; leave the layer out"
            )
        inverses.append(norms.reciprocal())
    shares = torch.stack(inverses, -1)
    shares = shares / (len(inverses) if kind == "normalised" else shares.sum(-1, keepdim=True))
    of_layer = torch.tensor(list(selected.sizes.values()), device=shares.device)
    return (w * shares.repeat_interleave(of_layer, dim=-1)).sqrt().float()


def roughness(image: torch.Tensor) -> torch.Tensor:
    """Total variation: mean |difference| of neighbours down, and across; white − black is 1.

    Parameters
    ----------
    image : tensor of shape (1, channels, height, width)
        0–255.
    """
    total = image.new_zeros(())
    for axis in (-2, -1):
        if image.shape[axis] > 1:
            total = total + image.diff(dim=axis).abs().mean() / 255
    return total
