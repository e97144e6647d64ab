"""Small releases with every optional table: p by a formula, and p by controls."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.small import edit, lay_out, run

OPTIONS = {
    "by a formula": "reliability: {divisions: 10}\nencoding: {units: 20}\n",
    "by controls": "significance: {controls: 10}\nencoding: {units: 20}\n",
}


def build_release(folder: Path, options: str) -> Path:
    """Build a release in a folder of its own."""
    recipe = lay_out(folder)
    decoder = "decoder: {voxels: 10, alpha: 10}\n"
    edit(recipe, decoder, decoder + options)
    edit(folder / "mine.yaml", "ending: .png}", "ending: .png, shown: {terms: CC0}}")
    return run(recipe)


def build_releases(folder: Path) -> dict[str, Path]:
    """Build both."""
    return {
        name: build_release(folder / name.replace(" ", "-"), options)
        for name, options in OPTIONS.items()
    }
