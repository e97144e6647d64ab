"""Accuracies in, tables of a release out: the same rows for whoever makes a release."""

from unitdb.extras import need

need("numba", "pydantic", "scipy", by="unitdb.tables", extra="build")

from unitdb.tables.accuracies import DatasetInfo, LayerAccuracies, NetworkInfo
from unitdb.tables.files import Use, code_commit, describe_files, merge_uses
from unitdb.tables.hierarchy import HierarchyTables
from unitdb.tables.network import DecodedLayer, NetworkTables, Predicted
from unitdb.tables.origins import Origin, code_columns, input_rows, significance
from unitdb.tables.provenance import code_sha256, own_commit, package_versions
from unitdb.tables.publishing import publish_accuracies, stage_accuracies, working_folder
from unitdb.tables.recurrence import RecurrenceTable
from unitdb.tables.results import AtHand, Results
from unitdb.tables.rows import (
    Rows,
    Scope,
    accuracy_rows,
    intersubject_rows,
    layer_reliability_rows,
    layer_summary_rows,
    partition_keys,
    set_row,
    table_of,
)
from unitdb.tables.statistics import agreement, by_formula

__all__ = [
    "AtHand",
    "DatasetInfo",
    "DecodedLayer",
    "HierarchyTables",
    "LayerAccuracies",
    "NetworkInfo",
    "NetworkTables",
    "Origin",
    "Predicted",
    "RecurrenceTable",
    "Results",
    "Rows",
    "Scope",
    "Use",
    "accuracy_rows",
    "agreement",
    "by_formula",
    "code_columns",
    "code_commit",
    "code_sha256",
    "describe_files",
    "input_rows",
    "intersubject_rows",
    "layer_reliability_rows",
    "layer_summary_rows",
    "merge_uses",
    "own_commit",
    "package_versions",
    "partition_keys",
    "publish_accuracies",
    "set_row",
    "significance",
    "stage_accuracies",
    "table_of",
    "working_folder",
]
