"""Responses and activations → decoding accuracies. Works on arrays alone."""

from unitdb.decoding.roi import RoiDecoder
from unitdb.decoding.settings import DecoderSettings

__all__ = ["DecoderSettings", "RoiDecoder"]
