"""Keys by which a recipe, or a file of its own, says what candidates there are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from unitdb.activations import (
    FeatureFiles,
    ModelChoice,
    OwnModel,
    StatedAxes,
    UnitSelection,
    check_layers,
)
from unitdb.responses import CategoryRule
from unitdb.specs import Name, RelativePath, Spec, check_alike

__all__ = [
    "CandidatesFile",
    "CandidatesSpec",
    "DatasetCandidates",
    "FeatureCandidates",
    "GodCandidates",
    "OwnCandidates",
    "PictureCandidates",
]


class _Described(Spec):
    """What every kind may say.

    Parameters
    ----------
    description : str
        What the candidates are.
    labels : str, optional
        CSV file below the data folder with the columns candidate and label: words for people.
    """

    no_number = frozenset({"description", "labels"})

    description: Annotated[str, Field(max_length=2000)] = ""
    labels: RelativePath | None = None


class PictureCandidates(_Described):
    """Image files of a folder, through the network whose predictions are identified.

    The id of a picture is its file name without the ending, and in folders of the folder their
    names before it: ``faces/01``.

    Parameters
    ----------
    folder : str
        Below the data folder.
    ending : str
        Ending of the files, with the dot.
    categories : CategoryRule, optional
        Categories are the candidates then, with the mean over their pictures; every picture needs
        one. By folder: ``categories: {before: /}``.
    """

    kind: Literal["pictures"]
    folder: RelativePath
    ending: Annotated[str, Field(pattern=r"^\.[A-Za-z0-9]+$")] = ".jpg"
    categories: CategoryRule | None = None


class FeatureCandidates(_Described):
    """Files of features, of pictures or of categories.

    Parameters
    ----------
    features : FeatureFiles
        Where they lie, and in which form.
    layers : dict of str to str
        Layer name, as the network has it, → name of its folder or file.
    axes : str or dict of str to str, optional
        As of a network's files of activations: for layers of more than one axis.
    hold : {'pictures', 'categories'}
        What features are of: of one picture each, or means over pictures of which the number is not
        known.
    categories : CategoryRule, optional
        Categories are the candidates then, with the mean over their pictures; every picture needs
        one.
    """

    kind: Literal["features"]
    features: FeatureFiles
    layers: Annotated[dict[Name, RelativePath], Field(min_length=1)]
    axes: StatedAxes = None
    hold: Literal["pictures", "categories"] = "pictures"
    categories: CategoryRule | None = None

    @model_validator(mode="after")
    def _means_once(self) -> FeatureCandidates:
        if self.hold == "categories" and self.categories is not None:
            raise ValueError("categories: the files hold means of them (`hold: categories`)")
        check_layers(self.axes, self.layers)
        check_alike(self.layers, "layers")
        return self


class GodCandidates(_Described):
    """``ImageFeatures.h5`` of generic object decoding, whose rows are of four types.

    1 are training images, 2 test images, 3 the mean of each test category, 4 of each other
    category. How many pictures a mean is over the file does not say.

    Parameters
    ----------
    file : str
        Below the data folder; a BData file.
    types : list of int
        Types of the rows that are candidates. Ids are those of column ImageID for images
        (``n01443537_22563``), and of CatID for categories (``n01443537``).
    layers : dict of str to str, optional
        Layer name → key of the file's metadata; by default ``cnn1`` to ``cnn8``, by these names.
    """

    kind: Literal["god"]
    file: RelativePath
    types: Annotated[list[Annotated[int, Field(ge=1, le=4)]], Field(min_length=1)] = Field(
        default_factory=lambda: [3, 4]
    )
    layers: Annotated[dict[Name, str], Field(min_length=1, max_length=100)] = Field(
        default_factory=lambda: {f"cnn{number}": f"cnn{number}" for number in range(1, 9)}
    )


class DatasetCandidates(_Described):
    """The stimuli of a dataset, through the network whose predictions are identified.

    Parameters
    ----------
    dataset : str
        A known dataset, or the path of a dataset.yaml relative to the file that names it.
    stimuli : list of str, optional
        Patterns of the ids that are taken, ``*`` for anything; by default all.
    categories : bool
        The dataset's categories are the candidates, with the mean over their stimuli; stimuli
        without one are left out.
    """

    kind: Literal["dataset"]
    dataset: str
    stimuli: Annotated[list[str], Field(min_length=1)] | None = None
    categories: bool = False


class OwnCandidates(_Described):
    """The targets of the test set itself: each is identified among all of them."""

    kind: Literal["own"]


CandidatesSpec = Annotated[
    PictureCandidates | FeatureCandidates | GodCandidates | DatasetCandidates | OwnCandidates,
    Field(discriminator="kind"),
]
"""One set of candidates."""


class CandidatesFile(Spec):
    """A file of candidate sets by themselves, for ``unitdb candidates make``.

    Parameters
    ----------
    candidates : mapping of str to a kind
        Sets by their names; `own` is for recipes.
    model : ModelChoice, optional
        The network that pictures and stimuli go through, and its layers.
    own_models : list of ModelSpec or FeatureModel
        As in a recipe; `model` then names one of them.
    units : 'all' or UnitSelection
        Units of each layer: those whose predictions are identified.
    seed : int
        Of networks without weights.
    """

    candidates: Annotated[dict[Name, CandidatesSpec], Field(min_length=1)]
    model: ModelChoice | None = None
    own_models: list[OwnModel] = Field(default_factory=list)
    units: UnitSelection | Literal["all"] = "all"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @model_validator(mode="after")
    def _names_differ(self) -> CandidatesFile:
        check_alike(self.candidates, "candidates")
        return self

    @property
    def selection(self) -> UnitSelection:
        """Units of each layer."""
        return UnitSelection(sample=None) if self.units == "all" else self.units
