"""Check a release by reading all of it again: every file, key and number."""

from __future__ import annotations

from unitdb.verification.reading._hierarchy import Voxels
from unitdb.verification.reading._summaries import Decoded
from unitdb.verification.reading._verify import Also, Report, verify

__all__ = ["Also", "Decoded", "Report", "Voxels", "verify"]
