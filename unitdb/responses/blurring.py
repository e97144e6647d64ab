"""Blurred versions of pictures, made as they are read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unitdb.activations import Stimuli
from unitdb.errors import DatasetError
from unitdb.responses.stimuli_spec import MADE_FROM, Blurred
from unitdb.texts import fits

__all__ = ["blur_picture", "with_blurred"]

Picture = NDArray[np.uint8]

_GAUSSIAN_REACH = 4.0  # SDs at which the Gaussian is cut


def with_blurred(stimuli: Stimuli, spec: Blurred) -> Stimuli:
    """Stimuli, and below them the blurred versions of those that the spec names.

    Parameters
    ----------
    stimuli : Stimuli
    spec : Blurred
        Which, how, and how strongly.

    Raises
    ------
    DatasetError
        A pattern fits no stimulus whose id ends as originals do.
    StimulusMismatchError
        A version would have the id of another stimulus.
    """
    chosen = [
        place
        for place, name in enumerate(stimuli.ids)
        if name.endswith(spec.original) and any(fits(name, pattern) for pattern in spec.of)
    ]
    for pattern in spec.of:
        if not any(fits(stimuli.ids[place], pattern) for place in chosen):
            ending = f" and ends with {spec.original!r}" if spec.original else ""
            raise DatasetError(f"stimuli.blurred.of: no stimulus fits {pattern!r}{ending}")
    made = [(place, end, size) for end, size in spec.levels.items() for place in chosen]
    sources = [
        f"{stimuli.sources[place]}{MADE_FROM}{spec.kind} {size:g}" for place, _, size in made
    ]
    n = len(stimuli)
    ids = [stimuli.ids[place].removesuffix(spec.original) + end for place, end, _ in made]
    originals = {name: stimuli.ids[place] for name, (place, *_) in zip(ids, made, strict=True)}

    def read(index: int) -> Picture:
        if index < n:
            return stimuli.read(index)
        place, _, size = made[index - n]
        return blur_picture(stimuli.image(place), kind=spec.kind, size=size)

    return Stimuli(
        ids=(*stimuli.ids, *ids),
        sources=(*stimuli.sources, *sources),
        read=read,
        originals=originals,
    )


def blur_picture(picture: Picture, *, kind: str, size: float) -> Picture:
    """Blur a picture: each pixel becomes the weighted mean of those around it, colour by colour.

    Pixels beyond an edge do not count: weights are those of the pixels that there are, and sum to
    1. A picture of one colour stays as it is, and no dark or bright rim appears.

    Parameters
    ----------
    picture : array of shape (height, width, 3)
        RGB, uint8; values are taken as they are stored.
    kind : {'box', 'gaussian'}
        Weights are equal within a square whose side is the odd number of pixels nearest to
        ``size`` times the shorter side of the picture; or exp(-d²/2s²) of the distance d, up to 4 s
        along each axis, s = ``size`` times that side.
    size : float
        Above 0.

    Returns
    -------
    array of the shape of ``picture``
        uint8, rounded to the nearest, halves up.
    """
    shorter = min(picture.shape[:2])
    if kind == "box":
        return _box(picture, reach=max(round((size * shorter - 1) / 2), 0))
    sd = size * shorter
    rows, columns = (_gaussian(n, sd) for n in picture.shape[:2])
    colours = [rows @ picture[..., c].astype(np.float64) @ columns.T for c in range(3)]
    return np.floor(np.stack(colours, axis=-1) + 0.5).clip(0, 255).astype(np.uint8)


def _box(picture: Picture, *, reach: int) -> Picture:
    """Exact: sums of whole numbers."""
    height, width, _ = picture.shape
    sums = np.zeros((height + 1, width + 1, 3), dtype=np.int64)
    sums[1:, 1:] = picture.astype(np.int64).cumsum(axis=0).cumsum(axis=1)
    (top, bottom), (left, right) = (_ends(n, reach) for n in (height, width))
    total = sums[bottom][:, right] - sums[top][:, right] - sums[bottom][:, left]
    total += sums[top][:, left]
    count = np.multiply.outer(bottom - top, right - left)[..., None]
    return np.asarray((2 * total + count) // (2 * count), dtype=np.uint8)


def _ends(n: int, reach: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and last pixel, not included, of the part of each box that is in the picture."""
    places = np.arange(n)
    return np.maximum(places - reach, 0), np.minimum(places + reach + 1, n)


def _gaussian(n: int, sd: float) -> NDArray[np.float64]:
    """Weights (n, n) of the pixels of a line for each of them."""
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    weights = np.exp(-0.5 * (distance / sd) ** 2)
    weights[distance > _GAUSSIAN_REACH * sd] = 0
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
