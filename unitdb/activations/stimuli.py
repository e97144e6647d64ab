"""Pictures with identifiers: what networks and people saw."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from unitdb.errors import ActivationsError, StimulusMismatchError
from unitdb.specs import as_id, content_sha256

__all__ = ["Image", "Stimuli", "check_image", "image_sha256", "stimuli_without_pictures"]

Image: TypeAlias = npt.NDArray[np.uint8]
"""RGB picture, array of shape (height, width, 3), 0–255."""

_LISTED = 5


@dataclass(frozen=True)
class Stimuli:
    """Pictures in a fixed order, each with a unique identifier; pixels are read when asked for.

    Parameters
    ----------
    ids : tuple of str
        Unique identifiers; responses join activations by them, never by position.
    sources : tuple of str
        Photograph or file that each picture was made from.
    read : callable
        From position to picture, uint8 array of shape (height, width, 3).
    originals : mapping of str to str
        Of stimuli that were made from others, such as blurred versions, the id of that one.

    Raises
    ------
    StimulusMismatchError
        Where there are no stimuli, an id is empty or stands twice, or sources do not fit ids.
    """

    ids: tuple[str, ...]
    sources: tuple[str, ...]
    read: Callable[[int], Image]
    originals: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", tuple(map(as_id, self.ids)))
        if not self.ids:
            raise StimulusMismatchError("there are no stimuli")
        if len(self.sources) != len(self.ids):
            raise StimulusMismatchError(
                f"{len(self.ids)} stimuli have {len(self.sources)} sources; each needs one"
            )
        if "" in self.ids:
            raise StimulusMismatchError(f"stimulus {self.ids.index('')} has an empty id")
        repeated = [name for name, times in Counter(self.ids).items() if times > 1]
        if repeated:
            raise StimulusMismatchError(
                f"stimulus ids must be unique; {len(repeated)} stand more than once: "
                f"{', '.join(map(repr, repeated[:_LISTED]))}"
            )

    def __len__(self) -> int:
        return len(self.ids)

    def image(self, index: int) -> Image:
        """Read the picture at a position.

        Parameters
        ----------
        index : int
            Position, from 0.

        Returns
        -------
        array of shape (height, width, 3)
            RGB, uint8.

        Raises
        ------
        ActivationsError
            Where ``read`` returns anything else; names the stimulus.
        """
        return check_image(self.read(index), where=f"stimulus {self.ids[index]!r}")

    def taking(self, rows: Sequence[int]) -> Stimuli:
        """Some of the stimuli, by their positions."""
        return type(self)(
            ids=tuple(self.ids[row] for row in rows),
            sources=tuple(self.sources[row] for row in rows),
            read=lambda index: self.read(rows[index]),
        )

    def sha256s(self) -> tuple[str, ...]:
        """Hash of shape and pixels of each picture, in order; computed once."""
        return self._sha256s

    @cached_property
    def _sha256s(self) -> tuple[str, ...]:
        return tuple(image_sha256(self.image(index)) for index in range(len(self)))

    @property
    def key(self) -> str:
        """Hash of ids and pixels: what activations of these stimuli depend on."""
        return content_sha256([self.ids, self.sha256s()])


@dataclass(frozen=True)
class _NamesAlone(Stimuli):
    @cached_property
    def _sha256s(self) -> tuple[str, ...]:
        return tuple(content_sha256({"no picture": name}) for name in self.ids)


def stimuli_without_pictures(ids: tuple[str, ...]) -> Stimuli:
    """Stimuli of which no more than the ids are at hand; their hashes are those of the ids.

    Parameters
    ----------
    ids : tuple of str
        Unique identifiers.

    Raises
    ------
    StimulusMismatchError
        As for :class:`Stimuli`; also when a picture is asked for.
    """

    def read(index: int) -> Image:
        raise StimulusMismatchError(
            f"stimulus {ids[index]!r} is known by name alone: a network needs its picture; decode "
            "activations from files (`features`), or give the pictures in dataset.yaml"
        )

    return _NamesAlone(ids=ids, sources=("no picture",) * len(ids), read=read)


def image_sha256(image: Image) -> str:
    """SHA-256 (hex) of a picture's shape and pixels.

    Parameters
    ----------
    image : array of shape (height, width, 3)
        RGB, uint8.
    """
    height, width, _ = image.shape
    return hashlib.sha256(f"{height}x{width}x3 ".encode() + image.tobytes()).hexdigest()


def check_image(image: Image, *, where: str) -> Image:
    """Return ``image`` if it is uint8 of shape (height, width, 3), none of them 0.

    Raises
    ------
    ActivationsError
        Names the place and what was found.
    """
    if not isinstance(image, np.ndarray):
        raise ActivationsError(f"{where}: a picture must be an array, not {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ActivationsError(
            f"{where}: a picture must be uint8 of shape (height, width, 3), "
            f"not {image.dtype} of shape {image.shape}"
        )
    return image
