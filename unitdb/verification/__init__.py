"""All that is known of a release, held against each other: what a reader's check cannot import.

``unitdb.release.verification`` reads a release again with the core packages alone. This room adds
what takes the code that builds: the recipe is read, metadata are written anew and compared, the
identity of each build is computed, and so are intervals, p and BH scores, with their known seeds.
"""

from __future__ import annotations

from unitdb.verification._explained import Fate, explain
from unitdb.verification._verify import verify

__all__ = ["Fate", "explain", "verify"]
