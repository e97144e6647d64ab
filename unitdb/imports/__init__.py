"""Published accuracies into ordinary releases."""

from unitdb.imports.layouts import LAYOUTS, Layout, Source, find_sources
from unitdb.imports.matfile import read_accuracy
from unitdb.imports.run import Imported, import_accuracies

__all__ = [
    "LAYOUTS",
    "Imported",
    "Layout",
    "Source",
    "find_sources",
    "import_accuracies",
    "read_accuracy",
]
