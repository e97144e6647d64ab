"""The release of a recipe that asks for pictures."""

from __future__ import annotations

from pathlib import Path

from unitdb.cli.progress import progress_bars
from unitdb.pipeline import build as run_build
from unitdb.recipes import read_recipe

__all__ = ["asks_for_pictures", "build"]


def asks_for_pictures(recipe: Path) -> bool:
    """Whether a recipe has a key ``reconstruction``."""
    return bool(read_recipe(recipe).reconstruction)


def build(root: Path, recipe: Path, *, data: Path | None, workers: int | None) -> Path:
    """Build it, or find it built."""
    with progress_bars() as progress:
        return run_build(recipe, releases=root, data=data, workers=workers, progress=progress)
