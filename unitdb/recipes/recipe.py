"""The recipe of a release: which datasets, networks and units, decoded how."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    model_validator,
)

from unitdb.activations import ModelChoice, OwnModel, UnitSelection
from unitdb.errors import RecipeError
from unitdb.recipes.authors import Author, Doi, Line
from unitdb.recipes.decoder import DecoderSpec
from unitdb.recipes.identification import IdentificationSpec
from unitdb.recipes.modulation import ModulationSpec
from unitdb.recipes.picturing import ReconstructionSpec, check_names
from unitdb.specs import Name, Spec, check_alike, read_spec
from unitdb.unitids import UnitId

__all__ = [
    "EncodingSpec",
    "KeepSpec",
    "PredictionsSpec",
    "Recipe",
    "ReliabilitySpec",
    "SignificanceSpec",
    "TimecourseSpec",
    "read_recipe",
    "shipped_recipe",
]


def _unit_id(text: str) -> str:
    return str(UnitId.parse(text))


def _text(value: object) -> object:
    if isinstance(value, int | float):
        raise ValueError("write MAJOR.MINOR.PATCH, as in 1.0.0")  # noqa: TRY004 - pydantic's way
    return value


class SignificanceSpec(Spec):
    """What accuracies are compared with.

    Parameters
    ----------
    controls : int
        How often everything is decoded again with the images shuffled, the same in all subjects;
        the time of a build grows as much.
    """

    controls: Annotated[int, Field(ge=10, le=1000)]


class ReliabilitySpec(Spec):
    """How reliable predictions are over presentations of the test images.

    Parameters
    ----------
    divisions : int
        Random divisions of the presentations into halves.
    """

    divisions: Annotated[int, Field(ge=1, le=1000)] = 100


def _of_units(value: object) -> object:
    """``best 50`` → 50 of the best."""
    found = re.fullmatch(r"best +([1-9]\d*)", value) if isinstance(value, str) else None
    return value if found is None else {"best": int(found[1])}


class BestUnits(Spec):
    """The best units of each layer: those with the highest mean accuracy in any ROI.

    Parameters
    ----------
    best : int
        How many.
    """

    best: Annotated[int, Field(ge=1, le=100_000)]


class PredictionsSpec(Spec):
    """Predictions that a release publishes, sample by sample (tables ``predicted``, ``samples``).

    Parameters
    ----------
    units : 'all', int, or 'best N'
        Of each layer: all that are decoded; a random sample of so many; or the N with the highest
        mean accuracy over subjects in any ROI and test set. The best are chosen by the same
        samples: what is made of their predictions alone looks better than it is.
    publish : bool
        Whether they are part of the release. With ``false`` they are stored while it is built, for
        measures that are made of them.
    """

    units: Annotated[
        Literal["all"] | Annotated[int, Field(ge=1)] | BestUnits, BeforeValidator(_of_units)
    ] = 500
    publish: bool = True


class TimecourseSpec(Spec):
    """What is decoded at each time of a test set that has `windows`, and which layers come first.

    Each time is decoded as a test set of its own, by the decoders that the others have; it has rows
    in the tables ``timecourse``, ``lag`` and ``lag_order`` alone, unless `tests` names it too.

    Parameters
    ----------
    test : str
        The test set: ``imagery`` stands for all of ``imagery@-6s``, ``imagery@-3s``, ….
    adjust_by : str, optional
        Another test set with windows, what was seen, whose lags are taken away from those of
        ``test``: differences between the voxels that layers are decoded from drop out.
    also : list of str
        Other test sets with windows that are decoded and adjusted as ``test`` is, as a control:
        imagery without the trials in which nothing could be imagined.
    """

    test: Name
    adjust_by: Name | None = None
    also: list[Name] = Field(default_factory=list)

    @property
    def tests(self) -> tuple[str, ...]:
        """Test sets whose windows are decoded."""
        by = () if self.adjust_by is None else (self.adjust_by,)
        return (self.test, *self.also, *by)

    @model_validator(mode="after")
    def _other_tests(self) -> TimecourseSpec:
        if self.adjust_by in (self.test, *self.also):
            raise ValueError("`adjust_by` is another test set than `test` and those of `also`")
        if len(set(self.tests)) < len(self.tests):
            raise ValueError("`also` names other test sets than `test`, each once")
        return self


class EncodingSpec(Spec):
    """The other direction: each voxel predicted from the units of a layer, by the same decoder.

    Parameters
    ----------
    units : int
        Units of each layer, a random sample of those decoded where there are more. The decoder
        keeps ``decoder.voxels`` of them for each voxel.
    """

    units: Annotated[int, Field(ge=1, le=10_000)] = 1000


class KeepSpec(Spec):
    """Units whose activations and predictions a release holds, image by image.

    Parameters
    ----------
    units : int
        The best of each layer: those with the highest mean accuracy over subjects in any ROI.
    channels : bool
        Whether activations of the best unit of every channel are kept too, without predictions, so
        that every channel has pictures. Each unit of a layer without a map is a channel.
    also : list of str
        More, as MODEL/LAYER/UNIT.
    """

    units: Annotated[int, Field(ge=0, le=1000)] = 10
    channels: bool = False
    also: list[Annotated[str, AfterValidator(_unit_id)]] = Field(default_factory=list)


_Rois = Annotated[list[Name], Field(min_length=1)]
_Tests = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
_Order = Annotated[list[Name], Field(min_length=2)]


class Recipe(Spec):
    """What a release is built from.

    Parameters
    ----------
    name, version, title, description, licence, citation : str
        Texts that the release shows.
    datasets : list of str
        Known datasets, or paths of dataset.yaml files relative to the recipe.
    models : list of ModelChoice
        Networks and layers.
    own_models : list of ModelSpec or FeatureModel
        Networks that unitdb does not know, or files of their activations; `models` then names them
        like any other.
    rois : list of str, mapping of str to list of str, or 'all'
        ROIs that are decoded. Where datasets have other ROIs, a list for each dataset by its name;
        of a dataset that is not in the mapping all are.
    tests : list of str, mapping of str to list of str, or 'all'
        Test sets that are decoded, of all datasets or of each by its name; ``*`` stands for
        anything: ``imagery@*`` for the times of windows. By default (`all`) those of no such time.
    units : 'all' or UnitSelection
        Units of each layer that are decoded.
    decoder : DecoderSpec
        Linear decoder and its settings.
    control : {'shuffled-images'}, optional
        Build the null instead: images are shuffled independently in each subject.
    hierarchy : list of str, mapping of str to list of str, or 'all'
        ROIs of BH scores, from early to late, of all datasets or of each by its name; by default
        all that are decoded, in the order of the dataset.
    significance : SignificanceSpec, optional
        Take p from controls. Without it, p follows from the number of test images, and there is
        none in cross-validation.
    reliability : ReliabilitySpec, optional
        Decode single presentations of test images too, and say how reliable predictions are.
    encoding : EncodingSpec, optional
        Compute encoding-based BH scores too.
    modulation : ModulationSpec, optional
        Say whether what is decoded from degraded pictures is nearer to their originals.
    keep : KeepSpec
        Units that are kept image by image.
    predictions : PredictionsSpec, optional
        Publish what is predicted of each sample.
    identification : IdentificationSpec, optional
        Identify what is predicted among many candidates.
    timecourse : TimecourseSpec, optional
        What is decoded at each time of a test set that has windows, and which layers come first.
    reconstruction : list of RidgeSpec, InversionSpec or EndToEndSpec
        Pictures made from what is decoded, each way by its name.
    seed : int
        Of folds and shuffling.
    authors : list of Author
        Who made the release; without any, its metadata say that they are not stated.
    doi : str, optional
        Of this version of the release: 10.…/…, or its address.
    funding : list of str
        Funders and grants, one each.
    changes : dict of str to str
        What changed in each version, newest first.
    """

    no_number = frozenset(
        {
            *("name", "version", "title", "description", "licence", "citation", "changes"),
            *("authors", "doi", "funding"),
            # Of these a build has its part, which is in its identity: its own dataset and network,
            # the ROIs that they give, and in the hash of the responses the test sets.
            *("datasets", "models", "own_models", "rois", "hierarchy", "tests"),
        }
    )

    name: Name
    version: Annotated[
        str,
        BeforeValidator(_text),
        StringConstraints(pattern=r"^(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}$"),
    ]
    title: str
    description: str
    licence: str
    citation: str
    datasets: Annotated[list[str], Field(min_length=1)]
    models: Annotated[list[ModelChoice], Field(min_length=1)]
    own_models: list[OwnModel] = Field(default_factory=list)
    rois: _Rois | dict[Name, _Rois] | Literal["all"] = "all"
    hierarchy: _Order | dict[Name, _Order] | Literal["all"] = "all"
    tests: _Tests | dict[Name, _Tests] | Literal["all"] = "all"
    units: UnitSelection | Literal["all"] = "all"
    decoder: DecoderSpec = DecoderSpec()
    control: Literal["shuffled-images"] | None = None
    significance: SignificanceSpec | None = None
    reliability: ReliabilitySpec | None = None
    encoding: EncodingSpec | None = None
    modulation: ModulationSpec | None = None
    keep: KeepSpec = KeepSpec()
    predictions: PredictionsSpec | None = None
    identification: IdentificationSpec | None = None
    timecourse: TimecourseSpec | None = None
    reconstruction: list[ReconstructionSpec] = Field(default_factory=list)
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    authors: list[Author] = Field(default_factory=list)
    doi: Doi | None = None
    funding: list[Line] = Field(default_factory=list)
    changes: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _nothing_stands_twice(self) -> Recipe:
        for what, names in (
            ("datasets", self.datasets),
            ("models", [model.name for model in self.models]),
            ("own_models", [model.name for model in self.own_models]),
            *_lists("rois", self.rois),
            *_lists("hierarchy", self.hierarchy),
            *_lists("tests", self.tests),
            ("keep.also", self.keep.also),
        ):
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise ValueError(f"{what}: {', '.join(repeated)} stands twice")
        check_alike([model.name for model in self.models], "models")
        return self

    @model_validator(mode="after")
    def _methods_have_names_of_their_own(self) -> Recipe:
        check_names(self.reconstruction)
        return self

    @model_validator(mode="after")
    def _reliability_needs_test_sets(self) -> Recipe:
        if self.reliability is not None and self.decoder.folds is not None:
            raise ValueError(
                "reliability: not with decoder.folds; what a fold adds to its predictions is the "
                "same in all presentations and would count as reliable"
            )
        return self

    @model_validator(mode="after")
    def _patterns_are_of_units_chosen_by_other_samples(self) -> Recipe:
        if self.identification is not None and isinstance(self.stored, BestUnits):
            raise ValueError(
                f"identification: not with `predictions: {{units: best {self.stored.best}}}`: the "
                "best are chosen by the same samples, and would be identified too well; use a "
                "number of units, or all"
            )
        return self

    @property
    def n_controls(self) -> int:
        """How often everything is decoded with shuffled images."""
        return 0 if self.significance is None else self.significance.controls

    @property
    def n_divisions(self) -> int:
        """Divisions of presentations that reliability is over; 0 for none."""
        return 0 if self.reliability is None else self.reliability.divisions

    @property
    def stored(self) -> int | Literal["all"] | BestUnits | None:
        """Units of each layer whose predictions are stored, published or not; None for none."""
        if self.predictions is not None:
            return self.predictions.units
        return None if self.identification is None else PredictionsSpec().units

    @property
    def published(self) -> int | Literal["all"] | BestUnits | None:
        """Units of each layer whose predictions are published; None for none."""
        asked = self.predictions
        return None if asked is None or not asked.publish else asked.units

    def rois_of(self, dataset: str) -> list[str] | None:
        """The ROIs of a dataset that are decoded; None for all that it has."""
        return _of(self.rois, dataset)

    def tests_of(self, dataset: str) -> list[str] | None:
        """The test sets of a dataset that are decoded; None for all that are of no window."""
        return _of(self.tests, dataset)

    def hierarchy_of(self, dataset: str) -> list[str] | None:
        """The ROIs of a dataset's BH scores, from early to late; None for all in its own order."""
        return _of(self.hierarchy, dataset)

    @property
    def selection(self) -> UnitSelection:
        """Units of each layer that are decoded."""
        return UnitSelection(sample=None) if self.units == "all" else self.units


def _lists(key: str, given: Any) -> list[tuple[str, list[str]]]:
    """Lists of names in a value that may be one list, one for each dataset, or a word."""
    if isinstance(given, dict):
        return [(f"{key}.{dataset}", names) for dataset, names in given.items()]
    return [] if given == "all" else [(key, given)]


def _of(given: list[str] | dict[str, list[str]] | Literal["all"], dataset: str) -> list[str] | None:
    if isinstance(given, dict):
        return given.get(dataset)
    return None if given == "all" else given


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises
    ------
    RecipeError
        Names the file, the key and what is wrong with it.
    """
    return read_spec(path, Recipe, RecipeError)


def shipped_recipe(name: str) -> Path | None:
    """Find a recipe that comes with unitdb: inside a wheel, or beside the package in a checkout."""
    package = Path(str(resources.files("unitdb")))
    places = (package / "_pipelines", package.parent / "pipelines")
    return next((path for folder in places if (path := folder / f"{name}.yaml").exists()), None)
