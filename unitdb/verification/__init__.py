"""Verify a release: read all of it again, and compute again what this installation can.

``reading`` needs the core packages alone: every file, key and number. ``recomputed`` is imported
where the extra ``build`` is there: it reads the recipe, writes metadata anew, computes the name of
each build, and intervals, patterns and BH scores with their known seeds.
"""

from __future__ import annotations

from unitdb.verification._explained import Fate, explain
from unitdb.verification._verify import verify
from unitdb.verification.reading import Report

__all__ = ["Fate", "Report", "explain", "verify"]
