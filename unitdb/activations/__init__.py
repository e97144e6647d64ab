"""Stimuli → unit activations: networks, preprocessing, hooks and the store on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.activations.axes import StatedAxes, check_layers
from unitdb.activations.choice import ModelChoice, OwnModel, load_choice
from unitdb.activations.digits import Digits
from unitdb.activations.features import (
    FeatureFiles,
    FeatureModel,
    LoadedFeatures,
    load_features,
)
from unitdb.activations.layers import LayerInfo
from unitdb.activations.models import (
    MODELS,
    ClassificationCheck,
    ModelSpec,
    NamedNetwork,
    get_model,
)
from unitdb.activations.photographs import PHOTOGRAPHS, photograph
from unitdb.activations.preprocessing import Preprocessing, seen_square, to_tensor
from unitdb.activations.stimuli import Stimuli, stimuli_without_pictures
from unitdb.activations.store import Activations
from unitdb.activations.units import UnitSelection, select_units
from unitdb.activations.workspace import clear_abandoned, new_folder
from unitdb.lazily import lazily

if TYPE_CHECKING:
    from unitdb.activations.extraction import extract
    from unitdb.activations.fields import Fields, receptive_fields
    from unitdb.activations.loading import LoadedModel, load_model
    from unitdb.activations.networks import (
        NETWORK_SOURCES,
        beside_library,
        check_likeness,
        check_preprocessing,
        get_network,
        get_weights,
        list_networks,
        own_factory,
        own_module,
        probed_network,
        published_accuracy,
        published_network,
    )

__all__ = [
    "MODELS",
    "NETWORK_SOURCES",
    "PHOTOGRAPHS",
    "Activations",
    "ClassificationCheck",
    "Digits",
    "FeatureFiles",
    "FeatureModel",
    "Fields",
    "LayerInfo",
    "LoadedFeatures",
    "LoadedModel",
    "ModelChoice",
    "ModelSpec",
    "NamedNetwork",
    "OwnModel",
    "Preprocessing",
    "StatedAxes",
    "Stimuli",
    "UnitSelection",
    "beside_library",
    "check_layers",
    "check_likeness",
    "check_preprocessing",
    "clear_abandoned",
    "extract",
    "get_model",
    "get_network",
    "get_weights",
    "list_networks",
    "load_choice",
    "load_features",
    "load_model",
    "new_folder",
    "own_factory",
    "own_module",
    "photograph",
    "probed_network",
    "published_accuracy",
    "published_network",
    "receptive_fields",
    "seen_square",
    "select_units",
    "stimuli_without_pictures",
    "to_tensor",
]

# torch, which takes seconds to import, is for those who run networks.
__getattr__ = lazily(
    __name__,
    {
        "extract": "extraction",
        "Fields": "fields",
        "receptive_fields": "fields",
        "LoadedModel": "loading",
        "load_model": "loading",
        **dict.fromkeys(
            (
                *("NETWORK_SOURCES", "check_preprocessing", "get_weights", "list_networks"),
                *(
                    "beside_library",
                    "check_likeness",
                    "get_network",
                    "own_factory",
                    "own_module",
                    "probed_network",
                    "published_accuracy",
                    "published_network",
                ),
            ),
            "networks",
        ),
    },
)
