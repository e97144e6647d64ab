"""From the pixels of a picture to what a network takes, and to a small picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Literal

import numpy as np
import PIL.Image
from numpy.typing import NDArray

__all__ = ["network_input", "thumbnail"]

_SIDE = 96  # pixels
_QUALITY = 80

_RESAMPLING = {
    "bicubic": PIL.Image.Resampling.BICUBIC,
    "bilinear": PIL.Image.Resampling.BILINEAR,
}


def network_input(
    image: NDArray[np.uint8],
    *,
    size: int,
    crop: float,
    interpolation: Literal["bicubic", "bilinear"],
    mean: Sequence[float],
    std: Sequence[float],
) -> NDArray[np.float32]:
    """Centred square → resize → ``(x - mean) / std``, x in 0–255.

    Parameters
    ----------
    image : array of shape (height, width, 3)
        RGB, uint8.
    size : int
        Side of the network's input, in pixels.
    crop : float
        Side of the centred square, as a fraction of the picture's shorter side.
    interpolation : {"bicubic", "bilinear"}
        Pillow's resampling filter (which averages where it makes smaller).
    mean, std : sequence of three float
        Per channel (R, G, B), in units of 0–255.

    Returns
    -------
    array of shape (3, size, size)
        float32.
    """
    height, width, _ = image.shape
    side = max(1, round(min(height, width) * crop))
    top, left = (height - side) // 2, (width - side) // 2
    square = PIL.Image.fromarray(np.ascontiguousarray(image[top : top + side, left : left + side]))
    resized = square.resize((size, size), _RESAMPLING[interpolation])
    scaled = (np.asarray(resized, np.float32) - np.array(mean, np.float32)) / np.array(
        std, np.float32
    )
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


def thumbnail(image: NDArray[np.uint8]) -> bytes:
    """Make a picture small: JPEG, its longer side 96 pixels at the most.

    Parameters
    ----------
    image : array of shape (height, width, 3)
        RGB, uint8.
    """
    small = PIL.Image.fromarray(np.ascontiguousarray(image))
    small.thumbnail((_SIDE, _SIDE), PIL.Image.Resampling.LANCZOS)
    written = io.BytesIO()
    small.save(written, "JPEG", quality=_QUALITY)
    return written.getvalue()
