"""Tables into releases: Parquet, checksums, metadata and the catalogue."""

from __future__ import annotations

from unitdb.publish.info import ReleaseInfo
from unitdb.publish.release import finish, publish_release, retract
from unitdb.publish.tables import write_partition, write_table

__all__ = ["ReleaseInfo", "finish", "publish_release", "retract", "write_partition", "write_table"]
