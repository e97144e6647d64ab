"""Responses and activations → decoding accuracies. Works on arrays alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.decoding.settings import TILE, DecoderSettings, units_at_once
from unitdb.errors import MissingExtraError
from unitdb.extras import install_hint, need
from unitdb.lazily import lazily

if TYPE_CHECKING:
    from unitdb.decoding._metrics import profile_correlation
    from unitdb.decoding.encoding import encoding_accuracies
    from unitdb.decoding.estimators import SparseLinearDecoder, VoxelSelectionRidge
    from unitdb.decoding.roi import RoiDecoder

__all__ = [
    "TILE",
    "DecoderSettings",
    "RoiDecoder",
    "SparseLinearDecoder",
    "VoxelSelectionRidge",
    "encoding_accuracies",
    "profile_correlation",
    "units_at_once",
]

need("numba", "scipy", "threadpoolctl", by="unitdb.decoding", extra="build")

_ESTIMATORS = ("SparseLinearDecoder", "VoxelSelectionRidge")
_found = lazily(
    __name__,
    {
        **dict.fromkeys(_ESTIMATORS, "estimators"),
        "RoiDecoder": "roi",
        "encoding_accuracies": "encoding",
        "profile_correlation": "_metrics",
    },
)


def __getattr__(name: str) -> object:
    """Import what decodes when it is asked for; nothing but estimators needs scikit-learn."""
    try:
        return _found(name)
    except ModuleNotFoundError as cause:
        if cause.name not in ("joblib", "sklearn"):  # scikit-learn brings joblib
            raise
        raise MissingExtraError(f"{name} needs scikit-learn: {install_hint('build')}") from None
