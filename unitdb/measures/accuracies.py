"""Measures of accuracies, whoever has computed these."""

from __future__ import annotations

from unitdb.measures.accuracy import Accuracy
from unitdb.measures.hierarchy import Hierarchy
from unitdb.measures.histograms import Histograms
from unitdb.measures.intersubject import Intersubject
from unitdb.measures.layers import LayerSummary
from unitdb.measures.protocol import Measure
from unitdb.measures.recurrence import Recurrence
from unitdb.measures.reliability import LayerReliability
from unitdb.measures.units import UnitSummary

__all__ = ["OF_ACCURACIES"]

OF_ACCURACIES: tuple[Measure, ...] = (
    Accuracy(),
    UnitSummary(),
    LayerSummary(),
    LayerReliability(),
    Intersubject(),
    Histograms(),
    Hierarchy(),
    Recurrence(),
)
