"""Candidate sets: the pictures and categories among which predictions are identified."""

from unitdb.candidates.sets import CandidateSet
from unitdb.candidates.spec import (
    CandidatesSpec,
    DatasetCandidates,
    FeatureCandidates,
    GodCandidates,
    OwnCandidates,
    PictureCandidates,
)

__all__ = [
    "CandidateSet",
    "CandidatesSpec",
    "DatasetCandidates",
    "FeatureCandidates",
    "GodCandidates",
    "OwnCandidates",
    "PictureCandidates",
]
