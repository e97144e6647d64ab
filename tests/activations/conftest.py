"""A network small enough to compute by hand, made by a factory in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unitdb.activations import LoadedModel, ModelSpec, Preprocessing, Stimuli, load_model

SOURCE = """
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass
class Sizes:
    channels: int = 2


class Tiny(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, 1)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, 3, 2, stride=2)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(3 * 2 * 2, 5)

    def forward(self, x):
        x = self.conv2(self.relu(self.conv1(x)))
        return self.fc(self.drop(torch.flatten(x, 1)))


def make(channels=Sizes().channels):
    return Tiny(channels)
"""

LAYERS = {"conv1": "conv1", "conv2": "conv2", "fc": "fc"}


def write_model(folder: Path, source: str = SOURCE, **changes) -> ModelSpec:
    (folder / "tiny.py").write_text(source)
    content = {
        "name": "tiny",
        "title": "Tiny",
        "factory": "tiny.py:make",
        "preprocessing": Preprocessing(size=4, mean=(120, 130, 140), std=(50, 60, 70)),
        "layers": LAYERS,
        "licence": "none",
        "source": "a test",
        "citation": "none",
        "check": None,
    }
    return ModelSpec.model_validate({**content, **changes})


def make_stimuli(n: int = 7, size: int = 4, seed: int = 0) -> Stimuli:
    images = np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), np.uint8)
    ids = tuple(f"s{index}" for index in range(n))
    return Stimuli(ids, ids, images.__getitem__)


@pytest.fixture
def tiny(tmp_path) -> LoadedModel:
    return load_model(write_model(tmp_path), folder=tmp_path)


@pytest.fixture
def stimuli() -> Stimuli:
    return make_stimuli()
