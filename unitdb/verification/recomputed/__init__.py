"""What takes the code that builds: intervals, patterns and metadata, made again and compared."""

from unitdb.verification.recomputed._computed import Computed
from unitdb.verification.recomputed._identified import check_identified, not_identified
from unitdb.verification.recomputed._measured import check_measures
from unitdb.verification.recomputed._metadata import built_here, check_metadata, recipe_of
from unitdb.verification.recomputed._modulated import check_modulated, not_modulated

__all__ = [
    "Computed",
    "built_here",
    "check_identified",
    "check_measures",
    "check_metadata",
    "check_modulated",
    "not_identified",
    "not_modulated",
    "recipe_of",
]
