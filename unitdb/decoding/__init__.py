"""Responses and activations → decoding accuracies. Works on arrays alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.errors import MissingExtraError
from unitdb.extras import install_hint, need

need("numba", "scipy", "threadpoolctl", by="unitdb.decoding", extra="build")

from unitdb.decoding._metrics import profile_correlation
from unitdb.decoding.encoding import encoding_accuracies
from unitdb.decoding.roi import RoiDecoder
from unitdb.decoding.settings import DecoderSettings

if TYPE_CHECKING:
    from unitdb.decoding.estimators import SparseLinearDecoder, VoxelSelectionRidge

__all__ = [
    "DecoderSettings",
    "RoiDecoder",
    "SparseLinearDecoder",
    "VoxelSelectionRidge",
    "encoding_accuracies",
    "profile_correlation",
]

_ESTIMATORS = ("SparseLinearDecoder", "VoxelSelectionRidge")


def __getattr__(name: str) -> object:
    """Import the estimators when they are asked for: nothing else here needs scikit-learn."""
    if name not in _ESTIMATORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from unitdb.decoding import estimators
    except ModuleNotFoundError as cause:
        if cause.name not in ("joblib", "sklearn"):  # scikit-learn brings joblib
            raise
        raise MissingExtraError(f"{name} needs scikit-learn: {install_hint('build')}") from None
    found: object = getattr(estimators, name)
    return found
