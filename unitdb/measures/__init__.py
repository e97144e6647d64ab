"""Accuracies and predictions → what follows from them: one file a measure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.extras import need
from unitdb.lazily import lazily

need("numba", "scipy", by="unitdb.measures", extra="build")

from unitdb.measures.accuracies import OF_ACCURACIES
from unitdb.measures.accuracy import accuracy_rows
from unitdb.measures.hierarchy import HierarchyTables
from unitdb.measures.intersubject import Agreement, agreement, intersubject_rows
from unitdb.measures.network import add_layer, finish_network
from unitdb.measures.protocol import (
    DecodedLayer,
    Encoded,
    Found,
    Layer,
    Measure,
    Network,
    Predicted,
    Release,
    Step,
    Taking,
)
from unitdb.measures.recurrence import RecurrenceTable
from unitdb.measures.reliability import layer_reliability_rows
from unitdb.measures.significance import by_formula

if TYPE_CHECKING:
    from unitdb.measures.asked import Asked, pictures_asked
    from unitdb.measures.decoded import Decoded
    from unitdb.measures.every import MEASURES
    from unitdb.measures.kept import check_kept, count_kept
    from unitdb.measures.patterns import load_predictions
    from unitdb.measures.tables import tabulate, take, write_tables

__all__ = [
    "MEASURES",
    "OF_ACCURACIES",
    "Agreement",
    "Asked",
    "Decoded",
    "DecodedLayer",
    "Encoded",
    "Found",
    "HierarchyTables",
    "Layer",
    "Measure",
    "Network",
    "Predicted",
    "RecurrenceTable",
    "Release",
    "Step",
    "Taking",
    "accuracy_rows",
    "add_layer",
    "agreement",
    "by_formula",
    "check_kept",
    "count_kept",
    "finish_network",
    "intersubject_rows",
    "layer_reliability_rows",
    "load_predictions",
    "pictures_asked",
    "tabulate",
    "take",
    "write_tables",
]

# Who has accuracies waits for no decoders.
__getattr__ = lazily(
    __name__,
    {
        "MEASURES": "every",
        "Decoded": "decoded",
        "check_kept": "kept",
        "Asked": "asked",
        "pictures_asked": "asked",
        "count_kept": "kept",
        "load_predictions": "patterns",
        "tabulate": "tables",
        "take": "tables",
        "write_tables": "tables",
    },
)
