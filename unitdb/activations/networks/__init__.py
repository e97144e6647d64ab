"""Networks by name: ``torchvision/NAME``, ``timm/NAME``, ``bdpy/NAME``, ``transformers/ID``.

A library describes its network itself: preprocessing, class labels, licence and citation are read
from its metadata. Layers are found as pictures pass (:mod:`unitdb.activations.networks.probing`).
"""

from __future__ import annotations

from unitdb.activations.networks.likeness import Likeness, check_likeness
from unitdb.activations.networks.named import (
    SOURCES as NETWORK_SOURCES,
    beside_library,
    get_network,
    list_networks,
    named_network,
    probed_network,
    published_accuracy,
)
from unitdb.activations.networks.own import Layers, own_factory, own_module, preprocessing_of
from unitdb.activations.networks.proof import Answer, check_preprocessing
from unitdb.activations.networks.published import published_network
from unitdb.activations.networks.weights import get_weights

__all__ = [
    "NETWORK_SOURCES",
    "Answer",
    "Layers",
    "Likeness",
    "beside_library",
    "check_likeness",
    "check_preprocessing",
    "get_network",
    "get_weights",
    "list_networks",
    "named_network",
    "own_factory",
    "own_module",
    "preprocessing_of",
    "probed_network",
    "published_accuracy",
    "published_network",
]
