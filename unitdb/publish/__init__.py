"""Tables into releases: Parquet, checksums, metadata and the catalogue."""

from __future__ import annotations

from unitdb.publish.info import ReleaseInfo
from unitdb.publish.release import (
    add_erratum,
    metadata_texts,
    publish_release,
    retract,
)
from unitdb.publish.remote import publish
from unitdb.publish.store import init_store, save_catalogue_of_store
from unitdb.publish.tables import write_partition, write_table
from unitdb.release.placing import finish

__all__ = [
    "ReleaseInfo",
    "add_erratum",
    "finish",
    "init_store",
    "metadata_texts",
    "publish",
    "publish_release",
    "retract",
    "save_catalogue_of_store",
    "write_partition",
    "write_table",
]
