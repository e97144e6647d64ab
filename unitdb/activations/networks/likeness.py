"""Whether the preprocessing of a network without classes is right: by likeness, and by moments.

Two cuts of one photograph must be nearer to each other than to those of other photographs. Where a
network normalises by what it saw in training (BatchNorm), it remembers mean and variance of its
channels: photographs that are prepared as in training have them, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from unitdb.activations.layers import forward
from unitdb.activations.loading import LoadedModel
from unitdb.activations.networks.changes import common_changes
from unitdb.activations.photographs import PHOTOGRAPHS, photograph
from unitdb.activations.preprocessing import Preprocessing, to_tensor
from unitdb.activations.stimuli import Image
from unitdb.errors import ModelError
from unitdb.taps import find_tap

__all__ = ["Likeness", "check_likeness"]

_CUT = 0.75  # of the shorter side; two opposite corners
_BETTER = 0.8  # of the divergence as stated
_BATCH = 6


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """How a network answers to cuts of photographs under one preprocessing.

    Parameters
    ----------
    how : str
        ``as stated``, or what was changed.
    nearer : float
        Correlation of two cuts of one photograph less that of cuts of two, mean over photographs,
        in the last layer (mean over places), less its mean.
    n_right : int
        Photographs of which the two cuts are nearer to each other than to those of all others.
    n_photographs : int
    divergence : float
        Of the channels' moments from those remembered (Kullback-Leibler, normal), mean over
        channels, geometric mean of the first and the last normalisation; NaN without any.
    better : bool
        Whether the divergence is less than 0.8 of that as stated: the stated one is wrong.
    alike : bool
        Whether there is none to compare, or it is within these 0.8: not told apart.
    """

    how: str
    nearer: float
    n_right: int
    n_photographs: int
    divergence: float
    better: bool
    alike: bool


def check_likeness(model: LoadedModel) -> tuple[Likeness, ...]:
    """Show a network cuts of the shipped photographs as stated, and with common mistakes.

    Likeness finds gross mistakes, and weights that are no network's. Moments tell values of another
    scale, another mean and SD, half and twice the size. Exchanged channels they do not tell apart.
    Of a network without BatchNorm, such as a vision transformer, nothing but gross mistakes is
    found here: its preprocessing is as good as its library's word
    (:func:`unitdb.activations.networks.beside_library`).

    Parameters
    ----------
    model : LoadedModel

    Returns
    -------
    tuple of Likeness
        The first is as stated.
    """
    stated = model.spec.preprocessing
    shown = [photograph(name) for name in sorted(PHOTOGRAPHS)]
    first = _answer(model, "as stated", stated, shown, math.nan)
    others = []
    for how, changed in common_changes(stated):
        with suppress(ModelError):  # not every network takes pictures of another size
            others.append(_answer(model, how, changed, shown, first.divergence))
    return first, *others


def _answer(
    model: LoadedModel, how: str, seen: Preprocessing, shown: Sequence[Image], stated: float
) -> Likeness:
    cuts = [cut for pixels in shown for cut in _cuts(pixels)]
    found, _ = _run(model, seen, cuts)
    _, moments = _run(model, seen, shown)
    centred = found - found.mean(0)
    unit = centred / centred.norm(dim=1, keepdim=True).clamp_min(1e-12)
    alike = (unit[::2] @ unit[1::2].T).numpy()
    own, others = np.diag(alike), alike[~np.eye(len(alike), dtype=bool)].reshape(len(alike), -1)
    divergence = _divergence(moments)
    ratio = divergence / stated if stated > 0 else math.nan
    return Likeness(
        how=how,
        nearer=float((own - others.mean(1)).mean()),
        n_right=int((own > others.max(1)).sum()),
        n_photographs=len(shown),
        divergence=divergence,
        better=ratio < _BETTER,
        alike=math.isnan(ratio) or _BETTER <= ratio <= 1 / _BETTER,
    )


def _cuts(pixels: Image) -> tuple[Image, Image]:
    height, width, _ = pixels.shape
    side = int(min(height, width) * _CUT)
    return (
        np.ascontiguousarray(pixels[:side, :side]),
        np.ascontiguousarray(pixels[height - side :, width - side :]),
    )


_Moments = list[tuple[nn.BatchNorm2d, torch.Tensor, torch.Tensor]]
"""Module, mean and variance of its channels."""


def _run(
    model: LoadedModel, seen: Preprocessing, shown: Sequence[Image]
) -> tuple[torch.Tensor, _Moments]:
    """The last layer, pictures × channels; and what the first and the last BatchNorm were given."""
    norms = [one for one in model.module.modules() if isinstance(one, nn.BatchNorm2d)]
    sums: dict[int, list[Any]] = {}

    def note(place: int) -> Callable[..., None]:
        def add(_: nn.Module, inputs: tuple[Any, ...], __: Any) -> None:
            given = inputs[0].double()
            of = sums.setdefault(place, [0.0, 0.0, 0])
            of[0] = of[0] + given.sum((0, 2, 3))
            of[1] = of[1] + given.square().sum((0, 2, 3))
            of[2] += given.numel() // given.shape[1]

        return add

    used = [norms[0], norms[-1]] if norms else []
    handles = [norm.register_forward_hook(note(place)) for place, norm in enumerate(used)]
    try:
        found = _last_layer(model, seen, shown)
    finally:
        for handle in handles:
            handle.remove()
    moments = [
        (used[place], total / n, (squares / n - (total / n).square()).clamp_min(1e-12))
        for place, (total, squares, n) in sorted(sums.items())
    ]
    return found, moments


def _last_layer(model: LoadedModel, seen: Preprocessing, shown: Sequence[Image]) -> torch.Tensor:
    where, found = f"model {model.spec.name!r}", list[torch.Tensor]()
    modules = dict(model.module.named_modules(remove_duplicate=False))
    tap = find_tap(modules, list(model.spec.layers.values())[-1], where=where)

    def receive(_: str, activation: torch.Tensor) -> None:
        places = {4: (2, 3), 3: (1,)}.get(activation.ndim)
        pooled = activation.mean(places) if places else activation
        found.append(pooled.flatten(1).to(torch.float64, copy=True))

    for start in range(0, len(shown), _BATCH):
        batch = torch.stack([to_tensor(one, seen) for one in shown[start : start + _BATCH]])
        forward(model.module, batch, {"last": tap}, receive, where=where)
    return torch.cat(found)


def _divergence(moments: _Moments) -> float:
    each = []
    for norm, mean, variance in moments:
        if norm.running_mean is None or norm.running_var is None:
            return math.nan
        of = norm.running_var.double() + norm.eps
        away = (mean - norm.running_mean.double()).square()
        each.append(float((0.5 * (torch.log(of / variance) + (variance + away) / of - 1)).mean()))
    return math.exp(float(np.log(each).mean())) if each else math.nan
