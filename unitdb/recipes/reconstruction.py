"""The key ``reconstruction`` of a recipe: pictures made from what is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from unitdb.activations import LoadedFeatures
from unitdb.errors import RecipeError, UnknownLayerError, UnknownRoiError, UnknownSubjectError
from unitdb.specs import Name, Spec, check_alike
from unitdb.texts import fits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unitdb.activations import LoadedModel
    from unitdb.recipes.dataset import DatasetInput

__all__ = [
    "CROSS_VALIDATED",
    "MEAN",
    "ChosenUnits",
    "EndToEndSpec",
    "InversionSpec",
    "PriorSpec",
    "ReconstructionSpec",
    "RidgeSpec",
    "category_codes",
    "check_names",
    "check_reconstruction",
    "reconstructed_sets",
]

MEAN = "mean"
"""Name of the mean of people."""

CROSS_VALIDATED = "cross-validation"
"""Condition of pictures that are all held out fold by fold, whatever set they are of."""

_Names = Annotated[list[Name], Field(min_length=1)]
_Patterns = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


class ChosenUnits(Spec):
    """Units of each layer that pictures are made from, where not all are.

    Parameters
    ----------
    top, bottom, random : int, optional
        How many: those that are decoded best, worst, or any. One of them.
    by : str, optional
        Of ``top`` and ``bottom``: ``training``, decoding accuracy within the samples that train
        (5 folds over their images); or a release, the name or the folder of one whose test images
        are others.
    seed : int
        Of ``random``.
    """

    top: Annotated[int, Field(ge=1)] | None = None
    bottom: Annotated[int, Field(ge=1)] | None = None
    random: Annotated[int, Field(ge=1)] | None = None
    by: Annotated[str, Field(min_length=1)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _one_way(self) -> ChosenUnits:
        if sum(n is not None for n in (self.top, self.bottom, self.random)) != 1:
            raise ValueError("say one of `top`, `bottom` and `random`: how many units of a layer")
        if (self.by is None) != (self.random is not None):
            raise ValueError("`by` goes with `top` and `bottom`: `training`, or a release")
        return self

    @property
    def n(self) -> int:
        """How many units of a layer."""
        return next(n for n in (self.top, self.bottom, self.random) if n is not None)


class PriorSpec(Spec):
    """What a picture is made of while it is sought (``unitdb.nn.invert``).

    Parameters
    ----------
    pyramid, pixels, dip : int, optional
        The prior, and the side of the network's input; by default the pyramid, and the side that
        the network's preprocessing has.
    grid : int, optional
        Side of the picture, where that is less: low-resolution stimuli.
    channels : {3, 1}
        1 for grey pictures.
    steps : int
        Of the optimiser.
    lr : float, optional
        First rate; by default that of the prior.
    tv : float
        Weight of total variation.
    jitter : int
        Each step the network sees the picture moved by up to so many pixels.
    loss : {'normalised', 'shen2019'}
        As of ``unitdb.nn.invert``.
    optimiser : {'adam', 'lbfgs', 'sgd'}
        As of ``unitdb.nn.invert``.
    """

    pyramid: Annotated[int, Field(ge=1)] | None = None
    pixels: Annotated[int, Field(ge=1)] | None = None
    dip: Annotated[int, Field(ge=1)] | None = None
    grid: Annotated[int, Field(ge=1)] | None = None
    channels: Literal[1, 3] = 3
    steps: Annotated[int, Field(ge=1)] = 150
    lr: Annotated[float, Field(gt=0)] | None = None
    tv: Annotated[float, Field(ge=0)] = 0.01
    jitter: Annotated[int, Field(ge=0)] = 0
    loss: Literal["normalised", "shen2019"] = "normalised"
    optimiser: Literal["adam", "lbfgs", "sgd"] = "adam"

    @model_validator(mode="after")
    def _one_prior(self) -> PriorSpec:
        if sum(n is not None for n in (self.pyramid, self.pixels, self.dip)) > 1:
            raise ValueError("say one of `pyramid`, `pixels` and `dip`")
        return self

    @property
    def name(self) -> Literal["pyramid", "pixels", "dip"]:
        """Of the prior."""
        if self.pixels is not None:
            return "pixels"
        return "pyramid" if self.dip is None else "dip"

    @property
    def size(self) -> int | None:
        """Side of the network's input, if it is said."""
        return next((n for n in (self.pyramid, self.pixels, self.dip) if n is not None), None)


class _Common(Spec):
    """What all kinds have.

    Parameters
    ----------
    name : str
        Of the method.
    rois : list of str, optional
        ROIs whose voxels stand side by side; by default all that are decoded.
    subjects : list of str, optional
        People, and ``mean``: all side by side, so that their kernels are averaged. By default each,
        and of several the mean.
    folds : int, optional
        Hold out all pictures in so many folds, those of the test set and those that train alike; by
        default as everything is decoded.
    images : int, optional
        How many pictures of a test set, evenly spaced by their ids; by default all.
    controls : int
        Brains whose training pictures are shuffled.
    control_images : int, optional
        Pictures that these are over; by default all.
    scored_at : int
        Side of the pictures whose pixels are compared.
    judge : str, optional
        A network that tells pictures apart, other than the one whose units are used.
    categories : dict of str to list of str
        Category → patterns of stimuli, ``*`` for anything.
    """

    name: Name
    rois: _Names | None = None
    subjects: _Names | None = None
    folds: Annotated[int, Field(ge=2)] | None = None
    images: Annotated[int, Field(ge=2)] | None = None
    controls: Annotated[int, Field(ge=1, le=1000)] = 10
    control_images: Annotated[int, Field(ge=2)] | None = None
    scored_at: Annotated[int, Field(ge=11)] = 32
    judge: Name | None = None
    categories: dict[str, _Patterns] = Field(default_factory=dict)


class RidgeSpec(_Common):
    """The baseline: pixels decoded as units are.

    Parameters
    ----------
    size : int
        Side of the pictures.
    channels : {3, 1}
        1 for grey pictures.
    """

    kind: Literal["ridge"]
    size: Annotated[int, Field(ge=1)] = 32
    channels: Literal[1, 3] = 3


class InversionSpec(_Common):
    """Units are decoded, and pictures sought that drive the network so.

    Parameters
    ----------
    layers : list of str
        Layers of the network whose units are decoded: all of them, whatever `units` of the recipe.
    sets : list of list of str
        Some of the layers, each list a method beside that of all of them.
    units : 'all' or ChosenUnits
        Units of these.
    scaling : {'mean-centred', 'shen2019', 'none'}
        Amplitude of what is decoded.
    prior : PriorSpec
        Of the pictures.
    seed : int
        Of what is drawn.
    """

    kind: Literal["inversion"]
    layers: _Names
    sets: list[_Names] = Field(default_factory=list)
    units: Literal["all"] | ChosenUnits = "all"
    scaling: Literal["mean-centred", "shen2019", "none"] = "mean-centred"
    prior: PriorSpec = PriorSpec()
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _sets_are_of_the_layers(self) -> InversionSpec:
        for layers in (self.layers, *self.sets):
            if len(set(layers)) < len(layers):
                raise ValueError(f"a layer stands twice in {', '.join(layers)}")
        for layers in self.sets:
            for layer in layers:
                if layer not in self.layers:
                    raise ValueError(f"sets: {layer!r} is none of `layers`")
        return self

    def methods(self) -> dict[str, tuple[str, ...]]:
        """Layers of each method, by its name."""
        of = {self.name: tuple(self.layers)}
        for layers in self.sets:
            chosen = tuple(layer for layer in self.layers if layer in layers)
            if len(chosen) < len(self.layers):
                of["-".join((self.name, *chosen))] = chosen
        return of


class EndToEndSpec(Spec):
    """A network from voxels to pictures: not built yet."""

    kind: Literal["end-to-end"]

    @model_validator(mode="before")
    @classmethod
    def _not_yet(cls, _: object) -> object:
        raise ValueError("kind end-to-end is not built yet: there are ridge and inversion")


ReconstructionSpec = Annotated[
    RidgeSpec | InversionSpec | EndToEndSpec, Field(discriminator="kind")
]
"""One way from responses to pictures."""


def check_names(asked: Sequence[RidgeSpec | InversionSpec | EndToEndSpec]) -> None:
    """See that no two methods have one name.

    Raises
    ------
    ValueError
        Two have.
    """
    names: list[str] = []
    for each in asked:
        if isinstance(each, InversionSpec):
            names += each.methods()
        elif isinstance(each, RidgeSpec):
            names.append(each.name)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"reconstruction: {', '.join(repeated)} stands twice")
    check_alike(names, "reconstruction")


def reconstructed_sets(dataset: DatasetInput) -> tuple[str, ...]:
    """Test sets whose pictures can be made: those that decode pictures, at no time of a window."""
    return tuple(
        each.name
        for each in dataset.sets
        if each.test.targets != "categories" and each.test.time is None
    )


def check_reconstruction(
    asked: Sequence[RidgeSpec | InversionSpec | EndToEndSpec],
    datasets: Sequence[DatasetInput],
    models: Sequence[LoadedModel | LoadedFeatures],
    judges: Mapping[str, LoadedModel],
) -> None:
    """See that everything that is asked for can be made.

    Raises
    ------
    RecipeError
        No set shows pictures; a judge is the network that is inverted; the network is files of
        activations, or takes pictures of another size.
    UnknownLayerError, UnknownRoiError, UnknownSubjectError
        Not there.
    """
    for spec in asked:
        if isinstance(spec, EndToEndSpec):
            continue
        where = f"reconstruction {spec.name!r}"
        for dataset in datasets:
            _check_dataset(spec, dataset, where)
        for model in models:
            if spec.judge is not None:
                judge = judges[spec.judge]
                if judge.weights_sha256 == model.weights_sha256:
                    raise RecipeError(
                        f"{where}: judge {spec.judge!r} is the network whose units are used, "
                        f"{model.spec.name!r}, which its pictures are made to please; name another"
                    )
            if isinstance(spec, InversionSpec):
                _check_network(spec, model, where)


def _check_dataset(spec: RidgeSpec | InversionSpec, dataset: DatasetInput, where: str) -> None:
    people = [subject.subject for subject in dataset.subjects]
    if MEAN in people:
        raise RecipeError(f"{where}: a subject of {dataset.spec.name!r} has the name {MEAN!r}")
    for name in spec.subjects or ():
        if name not in (MEAN, *people):
            raise UnknownSubjectError(name, [MEAN, *people], where=where)
    for roi in spec.rois or ():
        if roi not in dataset.rois:
            raise UnknownRoiError(roi, dataset.rois, where=where)
    category_codes(spec, dataset.stimuli.ids)
    sets = reconstructed_sets(dataset)
    if not sets:
        raise RecipeError(f"{where}: no test set of {dataset.spec.name!r} decodes pictures")
    if spec.folds is not None and len(sets) > 1:
        raise RecipeError(
            f"{where}: folds pool what trains and one test set; {dataset.spec.name!r} has "
            f"{', '.join(sets)}: name one in `tests` of the recipe"
        )


def _check_network(spec: InversionSpec, model: LoadedModel | LoadedFeatures, where: str) -> None:
    if isinstance(model, LoadedFeatures):
        raise RecipeError(
            f"{where}: {model.spec.name!r} is files of activations; pictures take the network"
        )
    names = [layer.name for layer in model.layers]
    for layer in spec.layers:
        if layer not in names:
            raise UnknownLayerError(layer, names, where=f"{where}: the layers that are decoded")
    own = model.spec.preprocessing.size
    if spec.prior.size not in (None, own):
        raise RecipeError(
            f"{where}: prior {spec.prior.name}: {spec.prior.size}, and the network takes pictures "
            f"of {own} pixels; register it with another size in own_models"
        )
    if spec.prior.grid is not None and spec.prior.grid > own:
        raise RecipeError(f"{where}: grid {spec.prior.grid} is more than the network's {own}")


def category_codes(spec: RidgeSpec | InversionSpec, stimuli: Sequence[str]) -> tuple[int, ...]:
    """Number of the category of each stimulus; -1 where it has none.

    Raises
    ------
    RecipeError
        A stimulus has two, or a pattern fits none.
    """
    codes = dict.fromkeys(stimuli, -1)
    where = f"reconstruction {spec.name!r}: categories"
    for number, (category, patterns) in enumerate(spec.categories.items()):
        for pattern in patterns:
            found = [name for name in stimuli if fits(name, pattern)]
            if not found:
                raise RecipeError(f"{where}: {category}: {pattern!r} fits no stimulus")
            for name in found:
                if codes[name] not in (-1, number):
                    raise RecipeError(f"{where}: {name!r} is in two of them")
                codes[name] = number
    return tuple(codes.values())
