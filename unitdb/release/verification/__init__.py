"""Check a release by reading all of it again: every file, key and number."""

from __future__ import annotations

from unitdb.release.verification._hierarchy import Voxels
from unitdb.release.verification._summaries import Decoded
from unitdb.release.verification._verify import Also, Report, verify

__all__ = ["Also", "Decoded", "Report", "Voxels", "verify"]
