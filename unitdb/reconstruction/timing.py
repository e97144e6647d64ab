"""What a picture takes that is sought, by a few steps of one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import PIL.Image

from unitdb.activations import LoadedModel
from unitdb.errors import InversionError
from unitdb.recipes import PriorSource, PriorSpec
from unitdb.reconstruction.making import TILE, inverted
from unitdb.reconstruction.networks import look_of

__all__ = ["seconds_per_picture"]

_STEPS = (1, 4)


def seconds_per_picture(
    model: LoadedModel, layers: Sequence[str], prior: PriorSpec, generator: PriorSource | None
) -> float | None:
    """Processor seconds of a picture, of all units of these layers.

    Parameters
    ----------
    model : LoadedModel
    layers : sequence of str
    prior : PriorSpec
    generator : PriorSource or None
        That the prior names.

    Returns
    -------
    float or None
        None of deep image priors, which are drawn again an unknown number of times.
    """
    if prior.dip is not None:
        return None
    import torch

    from unitdb.nn import SelectedActivations

    used = tuple(layer for layer in model.layers if layer.name in layers)
    narrowed = replace(model, layers=used)
    look = look_of(model)
    noise = np.random.default_rng(0).integers(0, 256, (look.size, look.size, 3), dtype=np.uint8)
    selected = SelectedActivations(model.module, narrowed.masks()).eval()
    with torch.no_grad():
        targets = selected(look(PIL.Image.fromarray(noise))[None]).numpy()
    targets = targets.repeat(prior.batch, axis=0)

    def taken(steps: int) -> float:
        start = time.process_time()
        with suppress(InversionError):  # so few steps may get nowhere; they took their time
            inverted(narrowed, layers, targets, prior, generator, steps=steps)
        return time.process_time() - start

    taken(1)  # what is done once, such as imports
    few, more = map(taken, _STEPS)
    a_step = max(0.0, (more - few) / (_STEPS[1] - _STEPS[0]))
    return max(0.0, few - a_step) / TILE + a_step * prior.steps / prior.batch
