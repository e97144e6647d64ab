"""Responses → targets → pictures → scores: what a recipe's ``reconstruction`` is built by."""

from __future__ import annotations

from unitdb.extras import need

need("numba", "scipy", "torch", "PIL", "skimage", by="unitdb.reconstruction", extra="build")

from unitdb.reconstruction.learned import GatherStep, TrainStep
from unitdb.reconstruction.making import TILE, PictureStep, read_pictures
from unitdb.reconstruction.networks import NetworkSource, look_of
from unitdb.reconstruction.people import Person, people_of, write_person
from unitdb.reconstruction.scoring import METRICS, ScoreStep
from unitdb.reconstruction.seen import resized, seen_pictures
from unitdb.reconstruction.targets import FeatureLayer, TargetStep, Wanted
from unitdb.reconstruction.timing import seconds_per_picture

__all__ = [
    "METRICS",
    "TILE",
    "FeatureLayer",
    "GatherStep",
    "NetworkSource",
    "Person",
    "PictureStep",
    "ScoreStep",
    "TargetStep",
    "TrainStep",
    "Wanted",
    "look_of",
    "people_of",
    "read_pictures",
    "resized",
    "seconds_per_picture",
    "seen_pictures",
    "write_person",
]
