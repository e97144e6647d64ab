"""Accuracies that others have, in arrays or in published files, into ordinary releases."""

from unitdb.imports.accuracies import DatasetInfo, LayerAccuracies, NetworkInfo
from unitdb.imports.layouts import LAYOUTS, Layout, Source, find_sources
from unitdb.imports.matfile import read_accuracy
from unitdb.imports.publishing import publish_accuracies, stage_accuracies
from unitdb.imports.run import Imported, import_accuracies

__all__ = [
    "LAYOUTS",
    "DatasetInfo",
    "Imported",
    "LayerAccuracies",
    "Layout",
    "NetworkInfo",
    "Source",
    "find_sources",
    "import_accuracies",
    "publish_accuracies",
    "read_accuracy",
    "stage_accuracies",
]
