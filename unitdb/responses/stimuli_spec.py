"""The part of dataset.yaml on stimuli: which pictures were shown, and whether they may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from unitdb.errors import DatasetError, closest
from unitdb.responses.naming import StimulusNaming, check_named
from unitdb.specs import Name, RelativePath, Spec
from unitdb.texts import fits

__all__ = [
    "MADE_FROM",
    "ArrayStimuli",
    "Blurred",
    "CategoryRule",
    "CropStimuli",
    "FolderStimuli",
    "ImagePart",
    "NamedStimuli",
    "ShownPictures",
    "Split",
]

_LISTED = 5

MADE_FROM = " | blurred: "
"""In the source of a blurred version, after that of its original."""

Split = Literal["train", "test", "cross-validation"]


class ShownPictures(Spec):
    """That pictures may be shown to everybody: releases then hold them, made small.

    Parameters
    ----------
    terms : str
        Under which terms, and whose they are; shown beside the pictures.
    except_sources : list of str
        Patterns of the sources (column ``stimuli.source``) of pictures that may not: ``*`` for
        anything. Each must fit a picture.
    """

    terms: Annotated[str, Field(min_length=1)]
    except_sources: list[str] = Field(default_factory=list)

    def allows(self, source: str) -> bool:
        """Whether a picture of this source may be shown; a version, only if its original may."""
        named = (source, source.partition(MADE_FROM)[0])
        return not any(fits(name, pattern) for name in named for pattern in self.except_sources)

    def check(self, sources: Sequence[str]) -> None:
        """See that each exception is one: with a misspelt pattern its pictures would be shown.

        Raises
        ------
        DatasetError
            A pattern fits no source; names the nearest.
        """
        for pattern in self.except_sources:
            if not any(fits(source, pattern) for source in sources):
                near = closest(pattern, sources) or sorted(sources)[:_LISTED]
                raise DatasetError(
                    f"except_sources: {pattern!r} fits none of the {len(sources)} pictures; there "
                    f"are: {', '.join(near)}"
                )


class CategoryRule(Spec):
    """How stimuli tell their category, which test sets of ``targets: categories`` decode.

    Parameters
    ----------
    table : str, optional
        CSV file below the data folder with the columns stimulus and category.
    before : str, optional
        The category is what stands in an id before the last of this: ``n01443537`` of
        ``n01443537_22563`` with ``_``, and with ``/`` the folder. Ids without it have none.
    """

    table: RelativePath | None = None
    before: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> CategoryRule:
        if (self.table is None) == (self.before is None):
            raise ValueError("give `table` or `before`, one of them")
        return self


class Blurred(Spec):
    """Blurred versions of the pictures, which are stimuli like these.

    Parameters
    ----------
    kind : {'box', 'gaussian'}
        Mean over a square around each pixel, or weighted by the distance from it. Pixels beyond an
        edge of the picture do not count.
    levels : mapping of str to float
        How ids of the versions end, and the side of the square or the SD of the Gaussian, as a
        fraction of the picture's shorter side: ``{._3: 0.25, ._2: 0.12, ._1: 0.06}``.
    of : list of str
        Ids of the pictures that have such versions, ``*`` for anything.
    original : str
        How ids of originals end, in place of which a version has its own ending: ``._0``. By
        default that comes after the whole id.
    """

    kind: Literal["box", "gaussian"]
    levels: Annotated[
        dict[Annotated[str, Field(min_length=1)], Annotated[float, Field(gt=0, le=1)]],
        Field(min_length=1),
    ]
    of: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] = Field(
        default_factory=lambda: ["*"]
    )
    original: str = ""

    @model_validator(mode="after")
    def _endings_differ(self) -> Blurred:
        if self.original in self.levels:
            raise ValueError(f"{self.original!r} is how originals end; levels need others")
        return self


class FolderStimuli(Spec):
    """Image files of a folder; the id of a stimulus is its file name without the ending.

    Within folders of the folder the id has their names: ``faces/01`` is not ``houses/01``.

    Parameters
    ----------
    folder : str
        Below the data folder.
    ending : str
        Ending of the files, with the dot.
    categories : CategoryRule, optional
        How stimuli tell their category.
    shown : ShownPictures, optional
        That the pictures may be shown.
    blurred : Blurred, optional
        Blurred versions of the pictures.
    """

    no_number = frozenset({"shown"})

    kind: Literal["folder"]
    folder: RelativePath
    ending: Annotated[str, Field(pattern=r"^\.[A-Za-z0-9]+$")] = ".jpg"
    categories: CategoryRule | None = None
    shown: ShownPictures | None = None
    blurred: Blurred | None = None


class ImagePart(StimulusNaming):
    """Images in an array, and the ids of the stimuli.

    Parameters
    ----------
    images : str
        Key of an array (n_images, height · width) or (n_images, height, width[, 3]), uint8.
    stimulus_ids : str, optional
        Key of the ids, text or whole numbers; without it they are ``<split>-001``, … in the order
        of the rows.
    """

    images: str
    stimulus_ids: str | None = None

    @model_validator(mode="after")
    def _names_are_of_ids(self) -> ImagePart:
        check_named(self, stimulus_ids=self.stimulus_ids)
        return self


class ArrayStimuli(Spec):
    """Grey or RGB images held in arrays of one file.

    Parameters
    ----------
    file : str
        ``.npz``, ``.mat``, ``.h5`` or ``.parquet``, or a folder of ``.npy`` and ``.parquet`` files,
        below the data folder.
    parts : mapping
        The arrays of each split.
    shape : tuple of int, optional
        Height and width, where images are flattened.
    order : {'C', 'F'}, optional
        How they were flattened: C is row by row, F column by column, as MATLAB does.
    categories : CategoryRule, optional
        How stimuli tell their category.
    shown : ShownPictures, optional
        That the pictures may be shown.
    blurred : Blurred, optional
        Blurred versions of the pictures.
    """

    no_number = frozenset({"shown"})

    kind: Literal["arrays"]
    file: RelativePath
    parts: dict[Split, ImagePart]
    shape: tuple[int, int] | None = None
    order: Literal["C", "F"] | None = None
    categories: CategoryRule | None = None
    shown: ShownPictures | None = None
    blurred: Blurred | None = None


class NamedStimuli(Spec):
    """Stimuli known by their names alone, where the pictures may not be had.

    Networks cannot be run on them; activations come from files then.

    Parameters
    ----------
    file : str
        Text file below the data folder, one id a line.
    categories : CategoryRule, optional
        How stimuli tell their category.
    """

    kind: Literal["names"]
    file: RelativePath
    categories: CategoryRule | None = None


class CropStimuli(Spec):
    """Square crops, at random places and sizes, of photographs that pip-installed packages ship.

    Parameters
    ----------
    photographs : mapping
        Photographs of each split; none may be in both.
    n_crops : mapping
        Stimuli of each split, the same number from each photograph (±1).
    size : int
        Width and height of a stimulus in pixels.
    smallest : float
        Side of the smallest crop as a share of the photograph's shorter side.
    seed : int
        Of the places and sizes.
    categories : CategoryRule, optional
        How stimuli tell their category.
    shown : ShownPictures, optional
        That the pictures may be shown.
    blurred : Blurred, optional
        Blurred versions of the pictures.
    """

    no_number = frozenset({"shown"})

    kind: Literal["photograph-crops"]
    photographs: dict[Literal["train", "test"], list[Name]]
    n_crops: dict[Literal["train", "test"], Annotated[int, Field(ge=1, le=1_000_000)]]
    size: Annotated[int, Field(ge=8, le=10_000)] = 224
    smallest: Annotated[float, Field(gt=0, le=1)] = 0.3
    seed: Annotated[int, Field(ge=0)] = 0
    categories: CategoryRule | None = None
    shown: ShownPictures | None = None
    blurred: Blurred | None = None

    @model_validator(mode="after")
    def _photographs_are_of_one_split(self) -> CropStimuli:
        both = set(self.photographs.get("train", [])) & set(self.photographs.get("test", []))
        if both:
            raise ValueError(f"photographs in both splits: {', '.join(sorted(both))}")
        if set(self.photographs) != {"train", "test"} or set(self.n_crops) != {"train", "test"}:
            raise ValueError("`photographs` and `n_crops` need both train and test")
        return self
