"""The key ``reconstruction`` of a recipe: the ways from responses to pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator

from unitdb.activations.models import Factory
from unitdb.specs import Name, RelativePath, Spec, check_alike

__all__ = [
    "ChosenUnits",
    "EndToEndSpec",
    "GeneratorSpec",
    "InversionSpec",
    "LossSpec",
    "PriorSpec",
    "ReconstructionSpec",
    "RidgeSpec",
    "check_names",
]

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


class GeneratorSpec(Spec):
    """A network from latents to pictures, whose latent is sought (``unitdb.nn.Generator``).

    Whatever the latent, its pictures look like those that it was trained on, of shuffled brains
    too.

    Parameters
    ----------
    file : str, optional
        Written by ``unitdb generator train``, relative to the recipe's folder. This or ``factory``.
    factory : str, optional
        As of ``own_models``: ``package.module:callable``, or ``file.py:callable``.
    factory_options : dict
        Keyword arguments of the factory.
    weights : str, optional
        File of a ``state_dict``; by default the factory loads its own.
    latent : list of int
        Shape of one latent, of a factory's network.
    output : (float, float)
        What a factory's network gives for black and for white; [-1, 1] after a tanh.
    start : float, optional
        SD of the first latent; of a file the mean that it was trained with, else 0.
    lower, upper : float, optional
        Bounds of a latent's entries; of a file those that it was trained with.
    decay : float, optional
        After each step z ← (1 − decay) z.
    crop : int, optional
        Side in pixels of the centred square of the output that is the picture.
    """

    file: RelativePath | None = None
    factory: Factory | None = None
    factory_options: dict[str, JsonValue] = Field(default_factory=dict)
    weights: RelativePath | None = None
    latent: list[Annotated[int, Field(ge=1)]] = Field(default_factory=list)
    output: tuple[float, float] = (0.0, 255.0)
    start: Annotated[float, Field(ge=0)] | None = None
    lower: float | None = None
    upper: float | None = None
    decay: Annotated[float, Field(ge=0, lt=1)] | None = None
    crop: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_network(self) -> GeneratorSpec:
        if (self.file is None) == (self.factory is None):
            raise ValueError("say one of `file` and `factory`")
        if (self.factory is None) != (not self.latent):
            raise ValueError("`latent`, the shape of one latent, goes with `factory`")
        if self.file is not None:
            of_factory = {"factory_options", "weights", "output"} & self.model_fields_set
            if of_factory:
                raise ValueError(f"`{min(of_factory)}` goes with `factory`")
        return self


class PriorSpec(Spec):
    """What a picture is made of while it is sought (``unitdb.nn.invert``).

    Parameters
    ----------
    pyramid, pixels, dip : int, optional
        The prior, and the side of the network's input; by default the pyramid, and the side that
        the network's preprocessing has.
    generator : GeneratorSpec, optional
        In place of these.
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
    batch : {1, 2, 4}
        Pictures that are sought together: quicker, with other last bits.
    """

    pyramid: Annotated[int, Field(ge=1)] | None = None
    pixels: Annotated[int, Field(ge=1)] | None = None
    dip: Annotated[int, Field(ge=1)] | None = None
    generator: GeneratorSpec | None = None
    grid: Annotated[int, Field(ge=1)] | None = None
    channels: Literal[1, 3] = 3
    steps: Annotated[int, Field(ge=1)] = 150
    lr: Annotated[float, Field(gt=0)] | None = None
    tv: Annotated[float, Field(ge=0)] = 0.01
    jitter: Annotated[int, Field(ge=0)] = 0
    loss: Literal["normalised", "shen2019"] = "normalised"
    optimiser: Literal["adam", "lbfgs", "sgd"] = "adam"
    batch: Literal[1, 2, 4] = 1

    @model_validator(mode="after")
    def _one_prior(self) -> PriorSpec:
        priors = (self.pyramid, self.pixels, self.dip, self.generator)
        if sum(one is not None for one in priors) > 1:
            raise ValueError("say one of `pyramid`, `pixels`, `dip` and `generator`")
        if self.generator is not None and self.grid is not None:
            raise ValueError("`grid` does not go with a generator, whose pictures have a size")
        alone = self.dip is not None or self.generator is not None or self.optimiser == "lbfgs"
        if self.batch > 1 and alone:
            raise ValueError("`batch` goes with pyramid or pixels, by adam or sgd")
        return self

    @property
    def name(self) -> Literal["pyramid", "pixels", "dip"]:
        """Of the prior, where it is no generator."""
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


class _WithCeilings(_Common):
    """What those have whose targets are decoded.

    Parameters
    ----------
    ceiling_images : int, optional
        Pictures that recovery and projection are over; by default all.
    """

    ceiling_images: Annotated[int, Field(ge=2)] | None = None


class RidgeSpec(_WithCeilings):
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


class InversionSpec(_WithCeilings):
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


class LossSpec(Spec):
    """Weights of what an end-to-end network makes small (``unitdb.nn.Training``).

    Parameters
    ----------
    image, feature, adversarial : float
        Of squared errors of pixels, of units of ``layers``, and of a critic's judgement; 0 leaves
        one out. Without one, that of the preset: 1, 1 and .1 of ``small``.
    """

    image: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    feature: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    adversarial: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _something(self) -> LossSpec:
        if self.image == self.feature == self.adversarial == 0:
            raise ValueError("image, feature and adversarial are all 0: nothing to learn")
        return self


_PUBLISHED_SIDES = (256, 320, 384, 448)
"""4 to 7 pixels, doubled six times."""


class EndToEndSpec(_Common):
    """One network from voxels to pictures, trained within folds (``unitdb.nn.train_generator``).

    Parameters
    ----------
    size : int
        Side of the pictures.
    channels : {3, 1}
        1 for grey pictures.
    loss : LossSpec
        Weights of the losses.
    layers : list of str
        Layers of the recipe's network whose units the feature loss compares; without any there is
        no feature loss.
    seen_at : int, optional
        Side at which that network sees pictures for the loss; by default its own.
    sizes : list of int
        Networks trained with so many of the training pictures, each a method beside that of all.
    preset : {'small', 'shen2019'}
        Sizes and settings that train on one core, or the published ones (pictures of 256 pixels).
    steps, batch : int, optional
        Of the optimiser, where they are not the preset's.
    seed : int
        Of all that is drawn.
    controls : int
        Brains whose training pictures are shuffled, each with networks of its own.
    """

    kind: Literal["end-to-end"]
    size: Annotated[int, Field(ge=1)] = 32
    channels: Literal[1, 3] = 3
    loss: LossSpec = LossSpec()
    layers: list[Name] = Field(default_factory=list)
    seen_at: Annotated[int, Field(ge=1)] | None = None
    sizes: list[Annotated[int, Field(ge=2)]] = Field(default_factory=list)
    preset: Literal["small", "shen2019"] = "small"
    steps: Annotated[int, Field(ge=1)] | None = None
    batch: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    controls: Annotated[int, Field(ge=1, le=1000)] = 2

    @model_validator(mode="after")
    def _layers_go_with_the_feature_loss(self) -> EndToEndSpec:
        for name, values in (("layers", self.layers), ("sizes", self.sizes)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: one stands twice in {', '.join(map(str, values))}")
        losses = self.loss
        if losses.feature and not self.layers:
            raise ValueError("loss: feature takes `layers`, whose units it compares")
        if self.layers and losses.feature == 0:
            raise ValueError("`layers` are of the feature loss, whose weight is 0")
        if not self.layers and losses.image == losses.adversarial == 0:
            raise ValueError("image and adversarial are 0, and no `layers` for feature")
        if self.seen_at is not None and not self.layers:
            raise ValueError("`seen_at` is of the feature loss, which takes `layers`")
        if self.preset == "shen2019" and self.size not in _PUBLISHED_SIDES:
            sides = ", ".join(map(str, _PUBLISHED_SIDES))
            raise ValueError(f"size: preset shen2019 doubles a small map six times: {sides}")
        return self

    def methods(self) -> dict[str, int | None]:
        """Pictures that train, of each method, by its name; None for all."""
        return {self.name: None} | {f"{self.name}-{n}": n for n in self.sizes}


ReconstructionSpec = Annotated[
    RidgeSpec | InversionSpec | EndToEndSpec, Field(discriminator="kind")
]
"""One way from responses to pictures."""


def check_names(asked: Sequence[ReconstructionSpec]) -> None:
    """See that no two methods have one name.

    Raises
    ------
    ValueError
        Two have.
    """
    names: list[str] = []
    for each in asked:
        names += [each.name] if isinstance(each, RidgeSpec) else each.methods()
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"reconstruction: {', '.join(repeated)} stands twice")
    check_alike(names, "reconstruction")
