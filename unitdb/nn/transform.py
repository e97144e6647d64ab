"""The preprocessing that a release states for its network, applied to pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import torch

from unitdb.errors import ModelError
from unitdb.pictures import network_input
from unitdb.query.sandbox import run_sql
from unitdb.query.units import UnitSet

if TYPE_CHECKING:
    import PIL.Image

__all__ = ["Look", "Transform", "looked", "published_transform"]


@dataclass(frozen=True, kw_only=True)
class Transform:
    """Centred square → resize → ``(x - mean) / std``, x in 0–255: what accuracies were made with.

    Parameters
    ----------
    size : int
        Side of the network's input, in pixels.
    crop : float
        Side of the centred square, as a fraction of the picture's shorter side.
    interpolation : {"bicubic", "bilinear"}
        Pillow's resampling filter.
    mean, std : tuple of three float
        Per channel (R, G, B), in units of 0–255.
    resize : int, optional
        Where it is given, the shorter side of the whole picture becomes so many pixels, and the
        centred square of ``size`` is cut from that; ``crop`` is not used.
    channels : {"RGB", "BGR"}
        Order in which the network takes them.
    fit : {"centre", "centre-down", "whole"}
        How a picture that is no square becomes one (:func:`unitdb.pictures.network_input`).
    """

    size: int
    crop: float
    interpolation: Literal["bicubic", "bilinear"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: int | None = None
    channels: Literal["RGB", "BGR"] = "RGB"
    fit: Literal["centre", "centre-down", "whole"] = "centre"

    def __call__(self, image: PIL.Image.Image) -> torch.Tensor:
        """Prepare a picture; gives a float32 tensor of shape (3, size, size)."""
        pixels = np.asarray(image.convert("RGB"))
        return torch.from_numpy(
            network_input(
                pixels,
                size=self.size,
                crop=self.crop,
                interpolation=self.interpolation,
                mean=self.mean,
                std=self.std,
                resize=self.resize,
                channels=self.channels,
                fit=self.fit,
            )
        )


Look: TypeAlias = Transform | Callable[[torch.Tensor], torch.Tensor]
"""From pictures (n, 3, height, width), 0–255, to what a network takes."""


def looked(look: Look, seen: torch.Tensor) -> torch.Tensor:
    """Give pictures (n, 3, height, width), 0–255, of the right size as the network takes them."""
    if not isinstance(look, Transform):
        return look(seen)
    mean, std = (
        torch.tensor(values, dtype=torch.float32, device=seen.device).view(1, -1, 1, 1)
        for values in (look.mean, look.std)
    )
    scaled = (seen - mean) / std
    return scaled if look.channels == "RGB" else scaled.flip(1)


def published_transform(units: UnitSet) -> Transform:
    """Read the preprocessing of the model that units are of.

    Parameters
    ----------
    units : UnitSet
        Units of one model.

    Returns
    -------
    Transform
        From a picture to the tensor that the network takes.

    Raises
    ------
    ModelError
        The units are of several models or none, or the release does not state the preprocessing
        (of imported accuracies it is not known).
    """
    rows = run_sql(
        units.source.connect(),
        "SELECT model, preprocessing FROM models WHERE model IN "  # noqa: S608
        f"(SELECT DISTINCT model FROM ({units.sql})) ORDER BY model",
    ).to_pylist()
    if len(rows) != 1:
        names = ", ".join(row["model"] for row in rows) or "none"
        raise ModelError(f"preprocessing is of one model; the units are of {names}")
    stated = json.loads(rows[0]["preprocessing"])
    try:
        return Transform(
            size=int(stated["size"]),
            crop=float(stated["crop"]),
            interpolation=stated["interpolation"],
            mean=tuple(stated["mean"]),
            std=tuple(stated["std"]),
            resize=stated.get("resize"),
            channels=stated.get("channels", "RGB"),
            fit=stated.get("fit", "centre"),
        )
    except KeyError as cause:
        raise ModelError(
            f"release {units.source.label} does not state the preprocessing of model "
            f"{rows[0]['model']!r} (no {cause.args[0]!r} in {rows[0]['preprocessing']}): give "
            "transform="
        ) from None
