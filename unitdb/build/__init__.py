"""Recipe → steps → release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.build.recipe import Recipe, read_recipe
from unitdb.lazily import lazily

if TYPE_CHECKING:
    from unitdb.build.datalad_run import build_in_datalad
    from unitdb.build.planning import JobPlan, plan
    from unitdb.build.run import build

__all__ = ["JobPlan", "Recipe", "build", "build_in_datalad", "plan", "read_recipe"]

# Who reads a recipe alone waits for neither torch nor the decoders.
__getattr__ = lazily(
    __name__,
    {
        "JobPlan": "planning",
        "build": "run",
        "build_in_datalad": "datalad_run",
        "plan": "planning",
    },
)
