"""Accuracies and predictions → what follows from them: rows of a release."""

from unitdb.measures.encoding import EncodingResults, encode
from unitdb.measures.kept import check_kept, keep_units
from unitdb.measures.patterns import pattern_steps, summarise_patterns, write_truth
from unitdb.measures.tables import kept_folder, tabulate, write_tables

__all__ = [
    "EncodingResults",
    "check_kept",
    "encode",
    "keep_units",
    "kept_folder",
    "pattern_steps",
    "summarise_patterns",
    "tabulate",
    "write_tables",
    "write_truth",
]
