"""From a picture to the tensor that a network takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from unitdb.activations.stimuli import Image, check_image
from unitdb.pictures import network_input
from unitdb.specs import Spec

if TYPE_CHECKING:
    import torch

__all__ = ["Preprocessing", "seen_square", "to_tensor"]

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
    resize : int, optional
        The whole picture is resized so that its shorter side has so many pixels, and the centred
        square of ``size`` is cut from that, as torchvision and timm do. ``crop`` then is the same
        square, ``size / resize``.
    channels : {"RGB", "BGR"}
        Order in which the network takes them, whatever the order of ``mean`` and ``std``.
    fit : {"centre", "centre-down", "whole"}
        How a picture that is no square becomes one. ``whole``: all of it is resized to the square.
        ``centre-down``: as ``centre``, but after ``resize`` half a pixel of margin is rounded down,
        as transformers does.
    """

    size: Annotated[int, Field(gt=0)]
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    mean: tuple[float, float, float]
    std: tuple[_Positive, _Positive, _Positive]
    resize: Annotated[int, Field(gt=0)] | None = None
    channels: Literal["RGB", "BGR"] = "RGB"
    fit: Literal["centre", "centre-down", "whole"] = "centre"

    @model_validator(mode="after")
    def _square_is_cut_from_what_is_resized(self) -> Preprocessing:
        if self.fit == "whole" and (self.resize is not None or self.crop != 1):
            raise ValueError("fit: whole pictures are not cropped; leave out crop and resize")
        if self.fit == "centre-down" and self.resize is None:
            raise ValueError("fit: centre-down is of pictures that are resized first; give resize")
        if self.resize is None:
            return self
        if self.resize < self.size:
            raise ValueError(f"resize: {self.resize} is less than size, {self.size}")
        if not math.isclose(self.crop, self.size / self.resize, rel_tol=1e-3):
            raise ValueError(
                f"crop: with resize it is size / resize, {self.size / self.resize:.6g}, "
                f"not {self.crop:g}"
            )
        return self

    def identity(self, *, words: bool = False) -> Any:
        """As of any spec; by what is left out networks stay those that they were before it."""
        usual = {"resize": None, "channels": "RGB", "fit": "centre"}
        pairs = super().identity(words=words)
        return [pair for pair in pairs if pair[0] not in usual or pair[1] != usual[pair[0]]]


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
    import torch

    return torch.from_numpy(
        network_input(
            check_image(image, where="to_tensor"),
            size=preprocessing.size,
            crop=preprocessing.crop,
            interpolation=preprocessing.interpolation,
            mean=preprocessing.mean,
            std=preprocessing.std,
            resize=preprocessing.resize,
            channels=preprocessing.channels,
            fit=preprocessing.fit,
        )
    )


def seen_square(image: Image, preprocessing: Preprocessing, *, size: int) -> Image:
    """Part of a picture that a network takes, as a picture of another size.

    Parameters
    ----------
    image : array of shape (height, width, 3)
        RGB, uint8.
    preprocessing : Preprocessing
        What the network was trained with.
    size : int
        Side of the square, in pixels.

    Returns
    -------
    array of shape (size, size, 3)
        RGB, uint8.
    """
    pixels = network_input(
        image,
        size=size,
        crop=preprocessing.crop,  # with resize it is the same square; so is centre-down, but for
        interpolation=preprocessing.interpolation,  # half a pixel of a size that is not asked for
        mean=(0, 0, 0),
        std=(1, 1, 1),
        fit="whole" if preprocessing.fit == "whole" else "centre",
    )
    return pixels.transpose(1, 2, 0).astype(np.uint8)
