"""A small dataset, network and recipe of one's own, as a user would lay them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unitdb.pipeline import build

N_TRAIN, N_TEST, N_VOXELS = 14, 8, 30
SUBJECTS = ["sub-01", "sub-02", "sub-03"]

NETWORK = """
import torch
from torch import nn


def make(n_classes=5):
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(36, n_classes)
    )
    with torch.no_grad():
        network[3].weight[0] = 0  # a unit that answers the same to every picture
    return network
"""

DATASET = """
name: mine
title: Responses of my own
description: Three people, twenty-two pictures.
licence: CC0-1.0
source: a test
citation: none
subjects: [sub-01, sub-02, sub-03]
rois: {V1: early, IT: late}
stimuli: {kind: folder, folder: pictures, ending: .png}
responses:
  kind: arrays
  file: "{subject}.npz"
  train: {responses: x_train, stimulus_ids: ids_train}
  tests:
    perception: {responses: x_test, stimulus_ids: ids_test}
  masks: {V1: is_v1, IT: is_it}
"""

RECIPE = """
name: small
version: 1.0.0
title: A small release
description: My network decoded from my responses.
licence: CC0-1.0
citation: none
datasets: [mine.yaml]
own_models:
  - name: mynet
    title: A small network
    factory: net.py:make
    factory_options: {n_classes: 6}
    preprocessing: {size: 8, mean: [127, 127, 127], std: [128, 128, 128]}
    layers: {conv: "1", scores: "3"}
    licence: CC0-1.0
    source: a test
    citation: none
    check: null
models: [{name: mynet}]
decoder: {voxels: 10, alpha: 10}
"""


def lay_out(folder: Path) -> Path:
    """Write dataset, network and recipe to ``folder``; returns the recipe."""
    rng = np.random.default_rng(0)
    ids = [f"picture-{number:02d}" for number in range(N_TRAIN + N_TEST)]
    # Two kinds of light and some noise: what few people's few voxels can tell apart.
    lights = rng.normal(size=(len(ids), 2)) @ rng.normal(size=(2, 192))
    pictures = 127 + 30 * lights.reshape(-1, 8, 8, 3) + rng.normal(0, 5, (len(ids), 8, 8, 3))
    pictures = pictures.clip(0, 255).astype(np.uint8)
    (folder / "pictures").mkdir(parents=True)
    for name, picture in zip(ids, pictures, strict=True):
        Image.fromarray(picture).save(folder / "pictures" / f"{name}.png")
    shown = np.repeat(np.arange(N_TRAIN, N_TRAIN + N_TEST), 2)
    pixels = (pictures.reshape(len(ids), -1) - 127.0) / 128
    mixture = rng.normal(size=(pixels.shape[1], N_VOXELS))
    for subject in SUBJECTS:
        signal = pixels @ mixture
        train = signal[:N_TRAIN] + rng.normal(0, 3, (N_TRAIN, N_VOXELS))
        test = signal[shown] + rng.normal(0, 3, (len(shown), N_VOXELS))
        np.savez(
            folder / f"{subject}.npz",
            x_train=train,
            ids_train=ids[:N_TRAIN],
            x_test=test,
            ids_test=[ids[i] for i in shown],
            is_v1=np.arange(N_VOXELS) < 20,
            is_it=np.arange(N_VOXELS) >= 12,
        )
    (folder / "net.py").write_text(NETWORK)
    (folder / "mine.yaml").write_text(DATASET)
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder / "recipe.yaml"


def edit(path: Path, old: str, new: str) -> None:
    """Replace text that must be there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of every file below ``folder``."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(recipe: Path, **options: Any) -> Path:
    """Build beside the recipe; returns the release."""
    folder = str(recipe.parent)
    return build(str(recipe), data=folder, releases=f"{folder}/releases", **options)
