"""All measures, in the order that they are taken in."""

from __future__ import annotations

from unitdb.measures.accuracies import OF_ACCURACIES
from unitdb.measures.encoding import Encoding
from unitdb.measures.identification import IdentificationMeasure
from unitdb.measures.kept import Kept
from unitdb.measures.modulation import Modulation
from unitdb.measures.patterns import Patterns
from unitdb.measures.predicted import Published
from unitdb.measures.protocol import Measure
from unitdb.measures.reconstruction import (
    ReconstructionNetworks,
    ReconstructionPictures,
    ReconstructionScores,
    ReconstructionTargets,
)
from unitdb.measures.timecourse import Timecourse

__all__ = ["MEASURES"]

MEASURES: list[Measure] = [
    Encoding(),
    Patterns(),
    Kept(),
    Published(),
    IdentificationMeasure(),
    Timecourse(),
    Modulation(),
    ReconstructionNetworks(),
    ReconstructionTargets(),
    ReconstructionPictures(),
    ReconstructionScores(),
    *OF_ACCURACIES,
]
