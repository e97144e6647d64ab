"""The one door for files of pictures; from pixels to a network's input, and to a small picture."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL.Image
import PIL.ImageFile
import PIL.ImageOps
from numpy.typing import NDArray
from PIL import ExifTags

from unitdb.errors import UnitdbError

__all__ = ["middle", "network_input", "read_picture", "thumbnail"]

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What is opened, whatever a file's name: no EPS, which runs a program, and nothing rare."""
_MOST_PIXELS = 2**26
_MODES = {"1", "L", "LA", "P", "RGB", "RGBA"}

_ONE_AT_A_TIME = threading.Lock()
"""What Pillow allows, and which warnings count, is of the process: threads would mix it up."""

_SIDE = 96  # pixels
_QUALITY = 80

_RESAMPLING = {
    "bicubic": PIL.Image.Resampling.BICUBIC,
    "bilinear": PIL.Image.Resampling.BILINEAR,
}


def read_picture(path: Path, *, error: type[UnitdbError], turn: bool = False) -> NDArray[np.uint8]:
    """Pixels of a picture of 8 bits a channel; what a conversion would change unasked is refused.

    BMP, GIF, JPEG, PNG, PPM, TIFF and WebP. Grey ones, and those with a palette, become RGB. Damage
    is found where the decoder tells of it: PNG has checksums; of a JPEG that is damaged within, or
    cut and closed by an end marker, libjpeg makes what it can, and it is read.

    Parameters
    ----------
    path : Path
        The file.
    error : type of UnitdbError
        What is raised.
    turn : bool
        Turn it as its EXIF tag says, which is refused otherwise: nobody knows how it was shown.

    Returns
    -------
    array of shape (height, width, 3)
        RGB.

    Raises
    ------
    UnitdbError
        The file ends too early, cannot be decoded, is of another format, of more than 2²⁶ pixels,
        of 16 bits, floats or CMYK, transparent in places, or an animation: one line that names it.
    """
    try:
        with _strict_pillow(), PIL.Image.open(path, formats=_FORMATS) as image:
            problem, turned = _problem(image), False
            if not problem:
                # 0 is no orientation, and what cameras write that do not know it.
                turned = image.getexif().get(ExifTags.Base.Orientation, 1) not in (0, 1)
                image.load()
                upright = PIL.ImageOps.exif_transpose(image) if turn else image
                pixels = np.array(upright.convert("RGBA"))
    except Exception as cause:  # what decoders raise where a file is damaged depends on its bytes
        text = " ".join(str(cause).split()) or type(cause).__name__
        raise error(f"{path}: cannot be read as a picture: {text}") from cause
    if not problem and turned and not turn:
        problem = "an EXIF tag turns or mirrors it; save it as it was shown"
    if not problem and pixels[..., 3].min() < 255:
        problem = "is transparent in places; save it on its background"
    if problem:
        raise error(f"{path}: {problem}")
    return np.ascontiguousarray(pixels[..., :3])


@contextmanager
def _strict_pillow() -> Iterator[None]:
    """Without what a program may have allowed Pillow, such as to read files that are cut."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of metadata; what counts is refused
        warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
        before = PIL.ImageFile.LOAD_TRUNCATED_IMAGES
        PIL.ImageFile.LOAD_TRUNCATED_IMAGES = False
        try:
            yield
        finally:
            PIL.ImageFile.LOAD_TRUNCATED_IMAGES = before


def _problem(image: PIL.ImageFile.ImageFile) -> str:
    """What is wrong with a picture that is not decoded yet; empty where nothing is."""
    width, height = image.size
    if width * height > _MOST_PIXELS:
        return f"has {width} × {height} pixels; at the most {_MOST_PIXELS:,} are read"
    if image.mode not in _MODES:
        return f"has pixels of kind {image.mode}; save it as 8-bit grey or RGB"
    if _is_deep(image):
        return "has 16 bits a channel, of which half would be lost; save it with 8"
    # Of a JPEG with previews (MPO) the first picture is the picture.
    if image.format != "MPO" and _has_another_frame(image):
        return "holds several pictures (an animation, or pages); save the one that was shown"
    return ""


def _is_deep(image: PIL.ImageFile.ImageFile) -> bool:
    """Whether Pillow would keep the upper 8 bits of more: of colours it does so without a word."""
    tags: Any = getattr(image, "tag_v2", None)
    if tags is not None:
        return bool(np.max(tags.get(258, 1)) > 8)  # bits per sample
    how = image.tile[0][3] if image.tile else None
    if image.format == "PPM":
        return isinstance(how, tuple) and isinstance(how[-1], int) and how[-1] > 255
    return image.format == "PNG" and ";16" in str(how)


def _has_another_frame(image: PIL.ImageFile.ImageFile) -> bool:
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def network_input(
    image: NDArray[np.uint8],
    *,
    size: int,
    crop: float,
    interpolation: Literal["bicubic", "bilinear"],
    mean: Sequence[float],
    std: Sequence[float],
    resize: int | None = None,
    channels: Literal["RGB", "BGR"] = "RGB",
    fit: Literal["centre", "centre-down", "whole"] = "centre",
) -> NDArray[np.float32]:
    """Centred square → resize → ``(x - mean) / std``, x in 0–255; or first resize, then the square.

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
    resize : int, optional
        The whole picture's shorter side is resized to so many pixels, and the centred square of
        ``size`` cut from that, as torchvision and timm do; ``crop`` is not used then.
    channels : {"RGB", "BGR"}
        Order of the channels that are given.
    fit : {"centre", "centre-down", "whole"}
        How a picture that is no square becomes one: its middle; with ``resize``, the margin of half
        a pixel rounded down; or all of it, resized to the square.

    Returns
    -------
    array of shape (3, size, size)
        float32.
    """
    if fit == "whole":
        resized = PIL.Image.fromarray(np.ascontiguousarray(image)).resize(
            (size, size), _RESAMPLING[interpolation]
        )
    elif resize is None:
        resized = _square(image, size, crop, _RESAMPLING[interpolation])
    else:
        resized = _resized(
            image, size, resize, _RESAMPLING[interpolation], down=fit == "centre-down"
        )
    scaled = (np.asarray(resized, np.float32) - np.array(mean, np.float32)) / np.array(
        std, np.float32
    )
    ordered = scaled if channels == "RGB" else scaled[:, :, ::-1]
    return np.ascontiguousarray(ordered.transpose(2, 0, 1))


def middle(image: NDArray[np.uint8], *, size: int, crop: float = 1.0) -> NDArray[np.uint8]:
    """Centred square of a picture, resized (bicubic).

    Parameters
    ----------
    image : array of shape (height, width, 3)
        uint8, RGB.
    size : int
        Side in pixels.
    crop : float
        Side of the square, as a fraction of the picture's shorter side.

    Returns
    -------
    array of shape (size, size, 3)
        uint8, RGB.
    """
    return np.asarray(_square(image, size, crop, PIL.Image.Resampling.BICUBIC))


def _square(
    image: NDArray[np.uint8], size: int, crop: float, how: PIL.Image.Resampling
) -> PIL.Image.Image:
    height, width, _ = image.shape
    side = max(1, round(min(height, width) * crop))
    top, left = (height - side) // 2, (width - side) // 2
    square = PIL.Image.fromarray(np.ascontiguousarray(image[top : top + side, left : left + side]))
    return square.resize((size, size), how)


def _resized(
    image: NDArray[np.uint8], size: int, resize: int, how: PIL.Image.Resampling, *, down: bool
) -> PIL.Image.Image:
    height, width, _ = image.shape
    shorter = min(height, width)
    # The longer side is cut off to whole pixels, and the margin rounded, as torchvision does.
    to = (int(resize * width / shorter), int(resize * height / shorter))
    whole = PIL.Image.fromarray(np.ascontiguousarray(image)).resize(to, how)
    left, top = ((side - size) // 2 if down else round((side - size) / 2) for side in to)
    return whole.crop((left, top, left + size, top + size))


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
