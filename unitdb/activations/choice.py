"""Which network is run: one that comes with unitdb, or one that a recipe registers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from unitdb.activations.features import FeatureModel, LoadedFeatures, load_features
from unitdb.activations.models import MODELS, ModelSpec, NamedNetwork, get_model
from unitdb.errors import RecipeError, UnknownModelError
from unitdb.specs import Name, RelativePath, Spec

if TYPE_CHECKING:
    from unitdb.activations.loading import LoadedModel

__all__ = ["ModelChoice", "OwnModel", "load_choice"]


def _source(model: object) -> str:
    given = model.get("features") if isinstance(model, dict) else getattr(model, "features", None)
    return "network" if given is None else "features"


OwnModel = Annotated[
    Annotated[ModelSpec, Tag("network")] | Annotated[FeatureModel, Tag("features")],
    Discriminator(_source),
]
"""A network, or where it has the key `features`, files of its activations."""


NetworkName = Annotated[
    str,
    StringConstraints(
        pattern=r"^((torchvision|timm|bdpy)/|transformers/([A-Za-z0-9][A-Za-z0-9._-]*/)?)"
        r"[A-Za-z0-9][A-Za-z0-9._+-]*(:[A-Za-z0-9_]+)?$",
        max_length=150,
    ),
]
"""``torchvision/NAME[:WEIGHTS]``, ``timm/NAME[.TAG]``, ``bdpy/NAME`` or ``transformers/ID``."""

_Layers = (
    Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    | Literal["all", "auto", "bhscore"]
)


class ModelChoice(Spec):
    """A network and the layers of it that are decoded.

    Parameters
    ----------
    name : str
        A registered network, one that the recipe registers, or one of a library:
        ``torchvision/NAME[:WEIGHTS]``, ``timm/NAME[.TAG]``, ``bdpy/NAME``, ``transformers/ID``;
        ``:random`` for random weights.
    layers : list of str or 'all', 'auto', 'bhscore'
        Layer names. Of a library's network, paths of modules, in which ``*`` stands for anything
        (``input(PATH)`` is what goes into a module, ``abs(PATH)`` absolute values); ``auto`` its
        stages, blocks and class scores, which ``all`` is too; ``bhscore`` those of published BH
        scores.
    weights : str, optional
        File of a ``state_dict``, relative to the recipe's folder, in place of the library's.
    """

    name: Name | NetworkName
    layers: _Layers = "all"
    weights: RelativePath | None = None

    @model_validator(mode="after")
    def _what_libraries_have(self) -> ModelChoice:
        if "/" in self.name:
            return self
        if self.weights is not None:
            raise ValueError("weights: of a library's network alone; others are in own_models")
        if self.layers in ("auto", "bhscore"):
            raise ValueError(f"layers: {self.layers} is of a library's network alone; use all")
        return self

    def identity(self, *, words: bool = False) -> Any:
        """As of any spec; without ``weights`` choices stay those that they were before them."""
        pairs = super().identity(words=words)
        return pairs if self.weights is not None else [p for p in pairs if p[0] != "weights"]


def load_choice(
    choice: ModelChoice, own: Sequence[OwnModel], *, folder: Path, data: Path, seed: int
) -> LoadedModel | LoadedFeatures:
    """Make and check a network, or find the files of its activations.

    Parameters
    ----------
    choice : ModelChoice
        The network, and its layers.
    own : sequence of ModelSpec or FeatureModel
        Those known beside the ones that come with unitdb.
    folder : Path
        Which the paths of own networks are relative to.
    data : Path
        Data folder, which files of activations are in.
    seed : int
        Of networks without weights.

    Raises
    ------
    UnknownModelError, UnknownLayerError, ModelError
        A network or layer that is not there, or does not work.
    ActivationsError
        Files of activations that are not there or not as described.
    RecipeError
        An own network has the name of one that comes with unitdb.
    """
    networks = {m.name: m for m in own if not isinstance(m, FeatureModel)}
    features = {m.name: m for m in own if isinstance(m, FeatureModel)}
    for taken in MODELS.keys() & features.keys():
        raise RecipeError(
            f"{taken!r} is the name of a network that comes with unitdb; choose another"
        )
    if "/" in choice.name:
        return _load_named(choice, folder=folder, data=data, seed=seed)
    layers = choice.layers if isinstance(choice.layers, list) else None
    if choice.name in features:
        return load_features(features[choice.name], folder=data, layers=layers)
    if choice.name not in {**MODELS, **networks}:
        raise UnknownModelError(choice.name, {**MODELS, **networks, **features})
    # torch, which takes seconds to import, is for those who run networks.
    from unitdb.activations.loading import load_model

    return load_model(get_model(choice.name, networks), folder=folder, seed=seed, layers=layers)


def _load_named(choice: ModelChoice, *, folder: Path, data: Path, seed: int) -> LoadedModel:
    from unitdb.activations.loading import load_model

    layers = "auto" if choice.layers == "all" else choice.layers
    spec = get_model(choice.name, layers=layers, weights=choice.weights, data=data)
    # Class scores that photographs are checked on are decoded where they are asked for.
    added = isinstance(spec, NamedNetwork) and spec.added
    asked = list(spec.layers)[: -1 if added else None]
    return load_model(spec, folder=folder, seed=seed, layers=asked, data=data)
