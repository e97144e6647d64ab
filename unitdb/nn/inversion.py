"""Pictures whose activations are given ones: deep image reconstruction, of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unitdb.errors import ActivationsError, ModelError
from unitdb.nn.descent import Optimiser
from unitdb.nn.generator import Generator
from unitdb.nn.modes import device_of, modes_kept
from unitdb.nn.objective import LossKind, error_scales
from unitdb.nn.picking import Resolution
from unitdb.nn.seeking import RATES, How, Maker, Prior, Sought, one_thread, shared
from unitdb.nn.selected import SelectedActivations
from unitdb.nn.transform import Look, Transform, published_transform
from unitdb.nn.wiring import Units
from unitdb.query.units import UnitSet

__all__ = ["Inversion", "invert", "settings_of", "stated"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Inversion:
    """Pictures found, and what the network makes of them.

    Parameters
    ----------
    images : array of shape (n_images, height, width, 3)
        uint8, RGB; clamped to 0–255 and rounded, never stretched.
    loss : array of shape (n_images, steps + 1)
        float32; before each step and after the last, ``tv`` included. It compares pictures of the
        same targets alone: it is lowest for deep layers, whose pictures are worst.
    activations : array of shape (n_images, n_units)
        float32; of these very bytes, each picture by itself.
    unit_ids : tuple of str
        Columns of ``activations``.
    settings : dict
        All that the pictures depend on besides network and targets.
    """

    images: NDArray[np.uint8]
    loss: NDArray[np.float32]
    activations: NDArray[np.float32]
    unit_ids: tuple[str, ...]
    settings: dict[str, Any]


def invert(
    model: nn.Module,
    units: Units,
    targets: torch.Tensor | NDArray[np.floating],
    *,
    prior: Prior = "pyramid",
    weights: torch.Tensor | NDArray[np.floating] | None = None,
    loss: LossKind | None = None,
    optimiser: Optimiser | None = None,
    steps: int = 200,
    lr: float | None = None,
    tv: float | None = None,
    jitter: int = 0,
    seed: int = 0,
    image_ids: Sequence[str] | None = None,
    size: int | None = None,
    grid: int | None = None,
    channels: Literal[1, 3] = 3,
    transform: Look | None = None,
    known: tuple[NDArray[np.uint8], torch.Tensor | NDArray[np.floating]] | None = None,
    preset: Literal["shen2019"] | None = None,
    layers: Mapping[str, str] | None = None,
    resolution: Resolution = "exact",
    batch: int = 1,
    workers: int = 1,
    progress: bool = False,
) -> Inversion:
    """Find for each row of targets a picture whose activations of chosen units are near to it.

    With φ_u(x) the activation of unit u to picture x, t its target and L layers, what is made
    small is

        (1/L) Σ_l Σ_u w_u (φ_u(x) − t_u)² / Σ_u w_u t_u²  +  tv · TV(x),

    sums over the chosen units of layer l; TV is the mean size of the difference of neighbours,
    white − black being 1. Pictures are found one by one (but for ``batch``), each with one thread
    and chance of its own: a picture depends on its targets, its id and the settings, not on the
    others, the workers or the threads. On a GPU, where sums may have any order, bytes may differ
    from run to run.

    Parameters
    ----------
    model : torch.nn.Module
        The network, on the device that computes. It is used in evaluation mode; modes are given
        back, and its gradients are not touched.
    units : UnitSet or mapping of str to bool tensor of shape (C, H, W) or (N,)
        Units of one model.
    targets : array of shape (n_images, n_units)
        Columns as ``SelectedActivations(model, units).unit_ids``, scaled as activations are.
    prior : {"pyramid", "pixels", "dip"} or Generator
        What a picture is made of. ``"pyramid"``: 255 · sigmoid of the sum of grids of 7, 14, 28, …
        pixels. ``"pixels"``: of the finest alone. ``"dip"``: a U-Net's weights (deep image prior);
        drawn again, up to three times, where the loss stays above .9. A :class:`Generator`: its
        latent.
    weights : array of shape (n_units,) or (n_images, n_units), optional
        w, not negative; 1 by default. A unit of weight 0 may have any target, NaN too.
    loss : {"normalised", "shen2019"}, optional
        ``"shen2019"``: Σ_l λ_l Σ_u w_u (φ_u − t_u)², λ_l ∝ 1 / Σ_u w_u t_u², with sum 1: the same
        but for a factor.
    optimiser : {"adam", "lbfgs", "sgd"}, optional
        Adam by default, rates falling as a cosine to 5 %; L-BFGS with strong Wolfe conditions; SGD
        with momentum .9 and gradients divided by their mean size, rates falling linearly to 0.
    steps : int
        Of the optimiser.
    lr : float, optional
        First rate: .05 for pyramids and generators, .1 for pixels, .003 for "dip"; 1 for L-BFGS,
        2 for SGD.
    tv : float, optional
        Weight of TV, .01 by default.
    jitter : int
        Each step the network sees the picture moved by up to so many pixels, wrapping around.
    seed : int
        Of all that is drawn, together with the image's id.
    image_ids : sequence of str, optional
        Names of the images, by which each has chance of its own; 0, 1, 2, … by default.
    size : int, optional
        Side of the network's input; by default the transform's.
    grid : int, optional
        Side of the picture, where it is less than ``size``: low-resolution stimuli. The network
        sees it enlarged bilinearly.
    channels : {3, 1}
        1 for grey pictures.
    transform : Transform or callable, optional
        Of a :class:`Transform` its mean and std; a callable takes pictures (1, 3, size, size), RGB
        from 0 to 255, differentiably, and gives what the network takes. By default what the
        release states: :func:`published_transform`.
    known : (array of shape (n_known, height, width, 3), array of shape (n_known, n_units))
        Pictures (uint8) and their true activations, where targets are from: tells whether the
        network is that which they were made with.
    preset : {"shen2019"}, optional
        Other defaults, as published: loss "shen2019" and no TV; with a generator SGD with lr 2
        (give it ``decay=0.01``, ``lower=0`` and ``upper=``); with ``prior="pixels"`` L-BFGS on
        pixels without sigmoid, from ImageNet's mean colour. Theirs is scipy's L-BFGS-B.
    layers, resolution
        As in :class:`SelectedActivations`.
    batch : int
        Pictures of a pyramid or of pixels that are sought together, by Adam or SGD, counted from
        the first; the network's batch normalisation is then folded into its convolutions. That
        is quicker, and the last bits are others, which many steps make more of: a picture then
        depends on how many are sought with it too.
    workers : int
        Threads that share the images; each takes a copy of the network.
    progress : bool
        A bar on standard error.

    Returns
    -------
    Inversion
        Pictures, the activations that they give, losses and settings.

    Raises
    ------
    ActivationsError
        Targets or weights of other shapes, or targets that are not finite; images of another
        resolution than the units.
    InversionError
        An image cannot be found: its targets are all 0 in a layer, or its loss is not finite or
        does not fall.
    ModelError
        The network is another than that of ``known``; activations depend on more than the picture;
        a gradient that is 0 at the start; a generator gives no picture; no preprocessing is stated.
    QueryError, UnknownLayerError
        As :class:`SelectedActivations`.

    References
    ----------
    Mahendran & Vedaldi (2015), CVPR. Shen, Horikawa, Majima & Kamitani (2019),
    doi:10.1371/journal.pcbi.1006633 (decoded targets; the preset). Ulyanov, Vedaldi & Lempitsky
    (2018), CVPR ("dip"). Otsuka et al. (2025), arXiv:2509.15832 (its restarts).

    Examples
    --------
    >>> import torch
    >>> from unitdb import nn
    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 4))
    >>> units = {"1": torch.ones(4, dtype=torch.bool)}
    >>> scale = {"mean": (127.0,) * 3, "std": (128.0,) * 3}
    >>> look = nn.Transform(size=8, crop=1.0, interpolation="bilinear", **scale)
    >>> found = nn.invert(network, units, np.ones((1, 4)), transform=look, steps=5)
    >>> found.images.shape
    (1, 8, 8, 3)
    """
    if transform is None:
        if not isinstance(units, UnitSet):
            raise ActivationsError("units given as masks have no stated preprocessing: transform=")
        transform = published_transform(units)
    how = settings_of(
        prior=prior,
        loss=loss,
        optimiser=optimiser,
        steps=steps,
        lr=lr,
        tv=tv,
        jitter=jitter,
        seed=seed,
        size=size,
        grid=grid,
        channels=channels,
        transform=transform,
        preset=preset,
    )
    if workers < 1 or batch < 1:
        raise ActivationsError(f"workers={workers}, batch={batch}; at least 1")
    if batch > 1 and (how.optimiser == "lbfgs" or how.prior not in ("pyramid", "pixels")):
        raise ActivationsError(
            f"batch={batch} goes with prior='pyramid' or 'pixels' and Adam or SGD; others seek "
            "pictures one by one"
        )
    networks = [model, prior.module] if isinstance(prior, Generator) else [model]
    with modes_kept(nn.ModuleList(networks)), one_thread(), torch.enable_grad():
        for network in networks:
            network.eval()
        selected = SelectedActivations(model, units, layers=layers, resolution=resolution).eval()
        maker = Maker(selected, how, transform, together=batch)
        t, names = _targets(targets, selected, image_ids)
        w = _weights(weights, t)
        scales = error_scales(selected, t, w, kind=how.loss, names=names)
        t = torch.where(w > 0, t, torch.zeros_like(t))
        maker.check(known)
        jobs = [
            Sought(name=name, loss=partial(_distance, target=t[row], scale=scales[row]))
            for row, name in enumerate(names)
        ]
        found = list(shared(maker, jobs, workers, progress))
    sides = {image.shape for image, _, _ in found}
    if len(sides) > 1:
        raise ModelError(f"the generator gives pictures of several shapes: {sorted(sides)}")
    return Inversion(
        images=np.stack([image for image, _, _ in found]),
        loss=np.array([losses for _, losses, _ in found], dtype=np.float32),
        activations=np.stack([activations for _, _, activations in found]),
        unit_ids=selected.unit_ids,
        settings=stated(how, transform, selected) | ({"batch": batch} if batch > 1 else {}),
    )


def _distance(found: torch.Tensor, *, target: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return ((found - target) * scale).square().sum()


def settings_of(
    *,
    prior: Prior,
    loss: LossKind | None,
    optimiser: Optimiser | None,
    steps: int,
    lr: float | None,
    tv: float | None,
    jitter: int,
    seed: int,
    size: int | None,
    grid: int | None,
    channels: int,
    transform: Look,
    preset: str | None,
) -> How:
    """Settings, complete; raises ActivationsError of those that cannot be."""
    name = prior if isinstance(prior, str) else "generator"
    published = preset == "shen2019"
    generated = isinstance(prior, Generator)
    if loss is None:
        loss = "shen2019" if published else "normalised"
    if optimiser is None:
        optimiser = "adam" if not published else "sgd" if generated else "lbfgs"
    for key, value, allowed in (
        ("prior", name, RATES),
        ("loss", loss, ("normalised", "shen2019")),
        ("optimiser", optimiser, ("adam", "lbfgs", "sgd")),
        ("preset", preset, (None, "shen2019")),
        ("channels", channels, (1, 3)),
    ):
        if value not in allowed or (key == "prior" and name == "generator" and not generated):
            raise ActivationsError(f"{key}={value!r} is none of {', '.join(map(repr, allowed))}")
    if published and name not in ("pixels", "generator"):
        raise ActivationsError("preset='shen2019' goes with prior='pixels' or a Generator")
    if size is None:
        if not isinstance(transform, Transform):
            raise ActivationsError("a transform of one's own does not state its size: size=")
        size = transform.size
    how = How(
        prior=prior,
        loss=loss,
        optimiser=optimiser,
        steps=steps,
        lr=lr if lr is not None else {"lbfgs": 1.0, "sgd": 2.0}.get(optimiser, RATES[name]),
        tv=tv if tv is not None else 0.0 if published else 0.01,
        jitter=jitter,
        seed=seed,
        size=size,
        grid=size if grid is None else grid,
        channels=channels,
        bounded=not published,
    )
    if how.steps < 1 or not how.lr > 0 or not how.tv >= 0 or not 0 <= how.jitter < how.size:
        raise ActivationsError(
            f"steps={how.steps}, lr={how.lr}, tv={how.tv} and jitter={how.jitter}: at least 1, "
            "above 0, at least 0, and from 0 to below the size"
        )
    if not 1 <= how.grid <= how.size:
        raise ActivationsError(f"grid={how.grid}; from 1 to size={how.size}")
    return how


def _targets(
    given: torch.Tensor | NDArray[np.floating],
    selected: SelectedActivations,
    image_ids: Sequence[str] | None,
) -> tuple[torch.Tensor, tuple[str, ...]]:
    targets = torch.as_tensor(given).detach().to(device_of(selected), torch.float32)
    n_units = len(selected.unit_ids)
    if targets.ndim != 2 or not len(targets) or targets.shape[1] != n_units:
        raise ActivationsError(
            f"targets have shape {tuple(targets.shape)}; it must be (n_images, {n_units}), a "
            "column for each chosen unit"
        )
    names = tuple(map(str, range(len(targets)) if image_ids is None else image_ids))
    if len(names) != len(targets) or len(set(names)) < len(names):
        raise ActivationsError(
            f"{len(targets)} rows of targets and {len(set(names))} different image_ids"
        )
    return targets, names


def _weights(
    given: torch.Tensor | NDArray[np.floating] | None, targets: torch.Tensor
) -> torch.Tensor:
    if given is None:
        return torch.ones_like(targets)
    weights = torch.as_tensor(given).detach().to(targets)
    if weights.shape not in (targets.shape, targets.shape[1:]):
        raise ActivationsError(
            f"weights have shape {tuple(weights.shape)}; it must be {tuple(targets.shape[1:])} or "
            f"{tuple(targets.shape)}"
        )
    if not bool((weights >= 0).all() and weights.isfinite().all()):
        raise ActivationsError("weights are finite numbers, at least 0")
    return weights.expand_as(targets)


def stated(how: How, transform: Look, selected: SelectedActivations) -> dict[str, Any]:
    """All that pictures depend on besides network and aims, as plain values."""
    found = {key: getattr(how, key) for key in How.__dataclass_fields__ if key != "bounded"}
    found["prior"] = how.prior_name
    if isinstance(how.prior, Generator):
        found["generator"] = how.prior.stated()
    else:
        found["bounded"] = how.bounded
    if isinstance(transform, Transform):
        found["mean"], found["std"] = list(transform.mean), list(transform.std)
        found["input_channels"] = transform.channels
    return found | {
        "units_of_layer": dict(selected.sizes),
        "torch": torch.__version__.split("+")[0],
    }
