"""What a picture takes that is sought, by a few steps of one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import PIL.Image

from unitdb.activations import LoadedModel
from unitdb.recipes import PriorSource, PriorSpec
from unitdb.reconstruction.making import TILE, inverted
from unitdb.reconstruction.networks import look_of

__all__ = ["seconds_per_picture"]

_STEPS = (1, 4)
_RATE = 1e-3  # so small that the loss falls


def seconds_per_picture(
    model: LoadedModel, layers: Sequence[str], prior: PriorSpec, generator: PriorSource | None
) -> float:
    """Processor seconds of a picture, of all units of these layers.

    Parameters
    ----------
    model : LoadedModel
    layers : sequence of str
    prior : PriorSpec
    generator : PriorSource or None
        That the prior names.
    """
    import torch

    from unitdb.nn import SelectedActivations

    used = tuple(layer for layer in model.layers if layer.name in layers)
    narrowed = replace(model, layers=used)
    look = look_of(model)
    noise = np.random.default_rng(0).integers(0, 256, (look.size, look.size, 3), dtype=np.uint8)
    selected = SelectedActivations(model.module, narrowed.masks()).eval()
    with torch.no_grad():
        targets = selected(look(PIL.Image.fromarray(noise))[None]).numpy()
    of_steps = []
    for steps in _STEPS:
        start = time.process_time()
        inverted(
            narrowed,
            layers,
            targets.repeat(prior.batch, axis=0),
            prior,
            generator,
            steps=steps,
            lr=_RATE,
        )
        of_steps.append(time.process_time() - start)
    a_step = (of_steps[1] - of_steps[0]) / (_STEPS[1] - _STEPS[0])
    return (of_steps[0] - a_step) / TILE + a_step * prior.steps / prior.batch
