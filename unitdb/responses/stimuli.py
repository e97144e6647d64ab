"""Stimuli of a dataset: image files of a folder, crops of shipped photographs, or names alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unitdb.activations import PHOTOGRAPHS, Stimuli, photograph, stimuli_without_pictures
from unitdb.errors import DatasetError, UnknownNameError
from unitdb.files import reached
from unitdb.pictures import read_picture
from unitdb.reads import note_read
from unitdb.responses.stimuli_spec import CropStimuli, FolderStimuli, NamedStimuli
from unitdb.texts import read_list

__all__ = ["crop_stimuli", "folder_stimuli", "named_stimuli"]

_SPLITS: tuple[Literal["train"], Literal["test"]] = ("train", "test")


def folder_stimuli(spec: FolderStimuli, data: Path) -> Stimuli:
    """Stimuli from the image files of a folder, by name.

    Raises
    ------
    DatasetError
        The folder is missing or holds no image of this ending.
    """
    folder = data / spec.folder
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder")
    files = [path for path in reached(folder) if path.name.endswith(spec.ending)]
    if not files:
        raise DatasetError(f"{folder}: there are no files *{spec.ending}")
    names = [file.relative_to(folder).as_posix() for file in files]
    return Stimuli(
        ids=tuple(name.removesuffix(spec.ending) for name in names),
        sources=tuple(names),
        read=lambda index: _read_image(files[index]),
    )


def _read_image(path: Path) -> NDArray[np.uint8]:
    note_read(path)
    return read_picture(path, error=DatasetError)


def named_stimuli(spec: NamedStimuli, data: Path) -> Stimuli:
    """Stimuli of which no more than the names are at hand, one a line of a text file.

    Raises
    ------
    DatasetError
        The file cannot be read; names the line.
    StimulusMismatchError
        It is empty, or a name stands twice.
    """
    ids = tuple(read_list(data / spec.file, error=DatasetError))
    return stimuli_without_pictures(ids)


@dataclass(frozen=True)
class _Crop:
    photograph: str
    left: int
    top: int
    side: int

    @property
    def source(self) -> str:
        place = f"{self.side}x{self.side}+{self.left}+{self.top}"
        return f"{PHOTOGRAPHS[self.photograph].source} {place}"

    def read(self, size: int) -> NDArray[np.uint8]:
        pixels = photograph(self.photograph)
        cut = pixels[self.top : self.top + self.side, self.left : self.left + self.side]
        resized = Image.fromarray(np.ascontiguousarray(cut)).resize(
            (size, size), Image.Resampling.BICUBIC
        )
        return np.asarray(resized)


def crop_stimuli(spec: CropStimuli) -> Stimuli:
    """Stimuli cut from photographs, ids ``train-001``, … and ``test-001``, ….

    Raises
    ------
    UnknownNameError
        A photograph that no package ships.
    MissingExtraError
        A package that ships one is not installed.
    """
    crops: dict[str, _Crop] = {}
    for split in _SPLITS:
        crops |= {
            f"{split}-{number:03d}": crop for number, crop in enumerate(_crops(spec, split), 1)
        }
    in_order = list(crops.values())
    return Stimuli(
        ids=tuple(crops),
        sources=tuple(crop.source for crop in in_order),
        read=lambda index: in_order[index].read(spec.size),
    )


def _crops(spec: CropStimuli, split: Literal["train", "test"]) -> Iterator[_Crop]:
    names = spec.photographs[split]
    for number in range(spec.n_crops[split]):
        name = names[number % len(names)]
        if name not in PHOTOGRAPHS:
            raise UnknownNameError(name, PHOTOGRAPHS, where="the photographs of a dataset.yaml")
        height, width, _ = photograph(name).shape
        # A stream of its own for each crop: changing one split leaves the other as it is.
        seed = [spec.seed, _SPLITS.index(split), *name.encode(), number]
        rng = np.random.Generator(np.random.PCG64(seed))
        shorter = min(height, width)
        side = int(rng.integers(round(spec.smallest * shorter), shorter, endpoint=True))
        yield _Crop(
            photograph=name,
            left=int(rng.integers(0, width - side, endpoint=True)),
            top=int(rng.integers(0, height - side, endpoint=True)),
            side=side,
        )
