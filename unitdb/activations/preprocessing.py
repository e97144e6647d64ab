"""From a picture to the tensor that a network takes."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import PIL.Image
import torch
from pydantic import Field

from unitdb.activations.stimuli import Image, check_image
from unitdb.specs import Spec

__all__ = ["Preprocessing", "to_tensor"]

_RESAMPLING = {
    "bicubic": PIL.Image.Resampling.BICUBIC,
    "bilinear": PIL.Image.Resampling.BILINEAR,
}

_Positive = Annotated[float, Field(gt=0)]


class Preprocessing(Spec):
    """Centred square → resize → ``(x - mean) / std``, x in 0–255.

    Parameters
    ----------
    size : int
        Side of the network's input, in pixels.
    crop : float
        Side of the centred square, as a fraction of the picture's shorter side.
    interpolation : {"bicubic", "bilinear"}
        Pillow's resampling filter (which averages where it makes smaller).
    mean, std : tuple of three float
        Per channel (R, G, B), in units of 0–255.
    """

    size: Annotated[int, Field(gt=0)]
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    mean: tuple[float, float, float]
    std: tuple[_Positive, _Positive, _Positive]


def to_tensor(image: Image, preprocessing: Preprocessing) -> torch.Tensor:
    """Prepare one picture for a network.

    Parameters
    ----------
    image : array of shape (height, width, 3)
        RGB, uint8.
    preprocessing : Preprocessing
        What the network was trained with.

    Returns
    -------
    tensor of shape (3, size, size)
        float32.

    Raises
    ------
    ActivationsError
        Where ``image`` is not an RGB picture in uint8.
    """
    height, width, _ = check_image(image, where="to_tensor").shape
    side = max(1, round(min(height, width) * preprocessing.crop))
    top, left = (height - side) // 2, (width - side) // 2
    square = PIL.Image.fromarray(np.ascontiguousarray(image[top : top + side, left : left + side]))
    resized = square.resize(
        (preprocessing.size, preprocessing.size), _RESAMPLING[preprocessing.interpolation]
    )
    mean, std = (np.array(values, np.float32) for values in (preprocessing.mean, preprocessing.std))
    scaled = (np.asarray(resized, np.float32) - mean) / std
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))
