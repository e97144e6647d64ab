"""Which network is run: one that comes with unitdb, or one that a recipe registers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Discriminator, Field, Tag

from unitdb.activations.features import FeatureModel, LoadedFeatures, load_features
from unitdb.activations.models import MODELS, ModelSpec, get_model
from unitdb.errors import RecipeError, UnknownModelError
from unitdb.specs import Name, Spec

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


class ModelChoice(Spec):
    """A network and the layers of it that are decoded.

    Parameters
    ----------
    name : str
        A registered network, or one that the recipe registers.
    layers : list of str or 'all'
        Layer names.
    """

    name: Name
    layers: Annotated[list[Name], Field(min_length=1)] | Literal["all"] = "all"


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
    layers = None if choice.layers == "all" else choice.layers
    if choice.name in features:
        return load_features(features[choice.name], folder=data, layers=layers)
    if choice.name not in {**MODELS, **networks}:
        raise UnknownModelError(choice.name, {**MODELS, **networks, **features})
    # torch, which takes seconds to import, is for those who run networks.
    from unitdb.activations.loading import load_model

    return load_model(get_model(choice.name, networks), folder=folder, seed=seed, layers=layers)
