"""A small recipe that asks for reconstructions, and what it takes: pictures to show, a judge."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from tests.pipeline.small import edit, lay_out

JUDGE = """
  - name: judge
    title: Another small network
    factory: judge.py:make
    preprocessing: {size: 8, mean: [127, 127, 127], std: [128, 128, 128]}
    layers: {conv: "1", scores: "3"}
    licence: CC0-1.0
    source: a test
    citation: none
    check: null
models: [{name: mynet}]"""

CATEGORIES = 'categories: {a: ["picture-1*"], b: ["picture-2*"]}'
ASKED = f"""
  - {{name: ridge, kind: ridge, size: 8, controls: 2, subjects: [mean, sub-01], judge: judge,
     {CATEGORIES}}}
  - {{name: inverted, kind: inversion, layers: [conv, scores], sets: [[conv]], controls: 1,
     control_images: 4, ceiling_images: 6, subjects: [mean], judge: judge,
     prior: {{steps: 5, batch: 4}}}}
  - {{name: learned, kind: end-to-end, size: 8, controls: 1, subjects: [mean], layers: [conv],
     sizes: [7], steps: 100, batch: 7, loss: {{feature: 1, adversarial: 0}}}}
"""


def lay_out_lab(folder: Path, asked: str = ASKED) -> Path:
    """Write dataset, networks and recipe to ``folder``; returns the recipe."""
    recipe = lay_out(folder)
    network = (folder / "net.py").read_text()
    other = network.replace("manual_seed(1)", "manual_seed(7)").replace("classes=5", "classes=6")
    (folder / "judge.py").write_text(other)
    edit(recipe, "\nmodels: [{name: mynet}]", JUDGE)
    edit(folder / "mine.yaml", "ending: .png}", "ending: .png, shown: {terms: mine}}")
    with recipe.open("a") as file:
        file.write(f"reconstruction:{asked}")
    return recipe


def picture(png: bytes) -> NDArray[np.floating]:
    """Pixels of a picture, (height, width, 3) from 0 to 255."""
    return np.asarray(PIL.Image.open(io.BytesIO(png)).convert("RGB")).astype(float)
