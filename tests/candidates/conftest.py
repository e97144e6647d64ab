"""Files of candidates as people have them, small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bdpy import BData
from PIL import Image

from tests.activations.conftest import write_model
from unitdb.activations import LoadedModel, load_model
from unitdb.candidates import Places

PICTURES = {
    "cats/01": "cats",
    "cats/02": "cats",
    "cats/black/01": "cats/black",
    "dogs/01": "dogs",
    "dogs/02": "dogs",
    "dogs/03": "dogs",
}
"""Pictures of the folder, and the folder that each is in."""

LAYERS = [*(f"cnn{number}" for number in range(1, 9)), "hmax1", "hmax2", "hmax3", "gist", "sift"]
TRAINING = [1443537.022563, 1443537.000012, 1621127.019020, 1621127.000001]
TESTED = [1518878.010042, 1639765.052902, 2071294.046212]
OTHERS = [1440764, 1484850, 1491361, 1494475, 12345678]


DATASET = """
name: zoo
title: A zoo
description: made up
simulated: true
licence: none
source: made up
citation: none
subjects: [sub-01]
rois: {all: every voxel}
stimuli: {kind: folder, folder: animals, ending: .png%s}
responses:
  kind: arrays
  file: "{subject}.npz"
  cross-validation: {responses: x, stimulus_ids: ids}
  masks: {all: null}
"""


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("network")
    return load_model(write_model(folder), folder=folder)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A data folder with pictures in folders, and an empty cache."""
    rng = np.random.default_rng(0)
    for name in PICTURES:
        path = tmp_path / "data" / "animals" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).save(path)
    return Places(folder=tmp_path, cache=tmp_path / "cache", data=tmp_path / "data")


def write_god(path: Path, *, n_units: int = 7, **changes: np.ndarray) -> dict[str, np.ndarray]:
    """``ImageFeatures.h5`` with the columns of its publisher's script; gives what is in it."""
    rng = np.random.default_rng(1)
    categories = [np.floor(one) for one in TESTED]
    n_means = len(TESTED) + len(OTHERS)
    columns = {
        **{
            layer: rng.normal(size=(len(TRAINING) + len(TESTED) + n_means, n_units))
            for layer in LAYERS
        },
        "ImageID": np.array([*TRAINING, *TESTED, *([np.nan] * n_means)]),
        "CatID": np.array([*map(np.floor, TRAINING), *categories, *categories, *OTHERS]),
        "FeatureType": np.repeat(
            [1.0, 2.0, 3.0, 4.0], [len(TRAINING), len(TESTED), len(TESTED), len(OTHERS)]
        ),
    } | changes
    file = BData()
    for name, values in columns.items():
        file.add(values.reshape(len(values), -1), name)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save(str(path))
    return columns
