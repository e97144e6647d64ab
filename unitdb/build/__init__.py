"""Recipe → steps → release."""

from unitdb.build.recipe import Recipe, read_recipe
from unitdb.build.run import build

__all__ = ["Recipe", "build", "read_recipe"]
