"""Datasets of others: where their files are, and DataLad datasets that hold them."""

from __future__ import annotations

from unitdb.datafolder import data_folder
from unitdb.sources.annexed import FileState
from unitdb.sources.datasets import check, drop, get, install, states
from unitdb.sources.spec import DatasetFile, DatasetFiles
from unitdb.sources.tracking import track

__all__ = [
    "DatasetFile",
    "DatasetFiles",
    "FileState",
    "check",
    "data_folder",
    "drop",
    "get",
    "install",
    "states",
    "track",
]
