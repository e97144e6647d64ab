"""Pictures as they were seen, of the size that reconstructions have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from unitdb.activations import Preprocessing, Stimuli, seen_square
from unitdb.pictures import middle

__all__ = ["Pictures", "resized", "seen_pictures"]

Pictures = NDArray[np.uint8]
"""Of shape (n, height, width, 3)."""

_LUMINANCE = np.array([0.2125, 0.7154, 0.0721])


def seen_pictures(
    stimuli: Stimuli,
    rows: Sequence[int],
    *,
    size: int,
    channels: int,
    preprocessing: Preprocessing | None,
) -> Pictures:
    """Stimuli cut and made small as the network has them; grey where reconstructions are.

    Without a network it is the middle of each.

    Returns
    -------
    array of shape (n, side, side, 3)
        uint8, RGB; grey ones have three equal channels.
    """
    found = np.empty((len(rows), size, size, 3), dtype=np.uint8)
    for place, row in enumerate(rows):
        image = stimuli.image(row)
        pixels = (
            middle(image, size=size)
            if preprocessing is None
            else seen_square(image, preprocessing, size=size)
        )
        if channels == 1:
            pixels = np.repeat((pixels @ _LUMINANCE)[..., None], 3, axis=2).round()
        found[place] = pixels
    return found


def resized(pictures: Pictures, side: int) -> Pictures:
    """Pictures of another size, by Pillow's bicubic filter.

    Returns
    -------
    array of shape (n, side, side, 3)
        uint8, RGB; grey ones have three equal channels.
    """
    if pictures.shape[1:3] == (side, side):
        return pictures
    small = [
        np.asarray(PIL.Image.fromarray(one).resize((side, side), PIL.Image.Resampling.BICUBIC))
        for one in pictures
    ]
    return np.stack(small) if small else np.empty((0, side, side, 3), np.uint8)
