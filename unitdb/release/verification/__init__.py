"""Check a release by reading all of it again: every file, key and number."""

from __future__ import annotations

from unitdb.release.verification._verify import Report, verify

__all__ = ["Report", "verify"]
