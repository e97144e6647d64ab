"""Pictures as they were seen, of the size that reconstructions have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from unitdb.activations import Stimuli
from unitdb.pictures import network_input

__all__ = ["Pictures", "Window", "resized", "seen_pictures"]

Pictures = NDArray[np.uint8]
"""Of shape (n, height, width, 3)."""

_LUMINANCE = np.array([0.2125, 0.7154, 0.0721])


class Window:
    """The part of a picture that a network sees.

    Parameters
    ----------
    crop : float
        Side of the centred square, as a fraction of the picture's shorter side.
    interpolation : {"bicubic", "bilinear"}
    """

    def __init__(
        self, crop: float = 1.0, interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    ) -> None:
        self.crop, self.interpolation = crop, interpolation


def seen_pictures(
    stimuli: Stimuli, rows: Sequence[int], *, size: int, channels: int, window: Window
) -> Pictures:
    """Stimuli cut and made small as the network has them; grey where reconstructions are."""
    found = np.empty((len(rows), size, size, 3), dtype=np.uint8)
    for place, row in enumerate(rows):
        pixels = network_input(
            stimuli.image(row),
            size=size,
            crop=window.crop,
            interpolation=window.interpolation,
            mean=(0, 0, 0),
            std=(1, 1, 1),
        ).transpose(1, 2, 0)
        if channels == 1:
            pixels = np.repeat((pixels @ _LUMINANCE)[..., None], 3, axis=2)
        found[place] = pixels.round().clip(0, 255)
    return found


def resized(pictures: Pictures, side: int) -> Pictures:
    """Pictures of another size, by Pillow's bicubic filter."""
    if pictures.shape[1:3] == (side, side):
        return pictures
    small = [
        np.asarray(PIL.Image.fromarray(one).resize((side, side), PIL.Image.Resampling.BICUBIC))
        for one in pictures
    ]
    return np.stack(small) if small else np.empty((0, side, side, 3), np.uint8)
