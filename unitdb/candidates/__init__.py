"""Candidate sets: the pictures and categories among which predictions are identified."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.candidates.features import layer_sha256
from unitdb.candidates.sets import CandidateSet
from unitdb.candidates.spec import (
    CandidatesFile,
    CandidatesSpec,
    DatasetCandidates,
    FeatureCandidates,
    GodCandidates,
    OwnCandidates,
    PictureCandidates,
)
from unitdb.candidates.store import StoredSet, find_candidates, open_candidates, stored_sets
from unitdb.lazily import lazily

if TYPE_CHECKING:
    from unitdb.candidates.making import Places, make_candidates, make_file

__all__ = [
    "CandidateSet",
    "CandidatesFile",
    "CandidatesSpec",
    "DatasetCandidates",
    "FeatureCandidates",
    "GodCandidates",
    "OwnCandidates",
    "PictureCandidates",
    "Places",
    "StoredSet",
    "find_candidates",
    "layer_sha256",
    "make_candidates",
    "make_file",
    "open_candidates",
    "stored_sets",
]

# Who reads a stored set waits for no network.
__getattr__ = lazily(
    __name__, {"Places": "making", "make_candidates": "making", "make_file": "making"}
)
