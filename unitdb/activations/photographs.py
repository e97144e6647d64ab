"""Photographs that ship inside scikit-image and scikit-learn, read without importing either."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from unitdb.activations.stimuli import Image
from unitdb.errors import ActivationsError, MissingExtraError, closest
from unitdb.extras import install_hint
from unitdb.pictures import read_picture

__all__ = ["PHOTOGRAPHS", "Photograph", "photograph"]

_DISTRIBUTIONS = {"skimage": "scikit-image", "sklearn": "scikit-learn"}


@dataclass(frozen=True)
class Photograph:
    """Where a photograph is: a top-level package and the path of the file inside it."""

    package: str
    path: str

    @property
    def source(self) -> str:
        """Distribution and file, for example ``scikit-image/data/chelsea.png``."""
        return f"{_DISTRIBUTIONS[self.package]}/{self.path}"


# Left out: drawings and renderings (chessboards, color, horse, logo, phantom), the right half of
# the stereo pair (it would leak the left one across folds), and files of under 256 pixels.
_FILES = {
    "skimage": (
        "data/astronaut.png",
        "data/brick.png",
        "data/camera.png",
        "data/cell.png",
        "data/chelsea.png",
        "data/clock_motion.png",
        "data/coffee.png",
        "data/coins.png",
        "data/grass.png",
        "data/gravel.png",
        "data/hubble_deep_field.jpg",
        "data/ihc.png",
        "data/moon.png",
        "data/motorcycle_left.png",
        "data/retina.jpg",
        "data/rocket.jpg",
    ),
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
}

PHOTOGRAPHS: dict[str, Photograph] = {
    Path(path).stem: Photograph(package, path)
    for package, paths in _FILES.items()
    for path in paths
}
"""Photographs by name: people, animals, things, places, textures, the sky and the microscope."""


def photograph(name: str) -> Image:
    """Read a shipped photograph; grey ones get three equal channels.

    Parameters
    ----------
    name : str
        A key of :data:`PHOTOGRAPHS`.

    Returns
    -------
    array of shape (height, width, 3)
        RGB, uint8, not writable.

    Raises
    ------
    ActivationsError
        No photograph of that name; names the nearest.
    MissingExtraError
        The package that ships it is not installed.
    """
    if name not in PHOTOGRAPHS:
        near = " or ".join(map(repr, closest(name, PHOTOGRAPHS) or sorted(PHOTOGRAPHS)))
        raise ActivationsError(f"unknown photograph {name!r}; there is {near}")
    return _read(PHOTOGRAPHS[name])


@cache
def _read(where: Photograph) -> Image:
    spec = importlib.util.find_spec(where.package)
    folders = (spec.submodule_search_locations if spec else None) or ()
    for folder in folders:
        path = Path(folder, where.path)
        if path.is_file():
            pixels = read_picture(path, error=ActivationsError)
            pixels.setflags(write=False)
            return pixels
    raise MissingExtraError(
        f"the photograph {where.source} is not installed: {install_hint('demo')}"
    )
