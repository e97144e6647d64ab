"""Recipe → steps → release."""

from unitdb.build.planning import JobPlan, plan
from unitdb.build.recipe import Recipe, read_recipe
from unitdb.build.run import build

__all__ = ["JobPlan", "Recipe", "build", "plan", "read_recipe"]
