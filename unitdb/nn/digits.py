"""A small network that knows digits: what a feature loss sees of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from unitdb.extras import need
from unitdb.nn.networks import draw_weights
from unitdb.nn.painting import resized
from unitdb.nn.seeking import one_thread
from unitdb.nn.selected import SelectedActivations

__all__ = ["DIGITS_SIZE", "digit_features", "digit_input"]

DIGITS_SIZE = 28
"""Side of the pictures that :func:`digit_features` takes."""

_STEPS, _BATCH, _RATE = 200, 48, 5e-3


def digit_input(pictures: torch.Tensor) -> torch.Tensor:
    """Grey values from 0 to 1 (n, 1, 28, 28) of pictures (n, 3, height, width), 0–255."""
    return resized(pictures.mean(dim=1, keepdim=True) / 255, DIGITS_SIZE)


def digit_features(*, seed: int = 0) -> SelectedActivations:
    """Train three convolutions to tell scikit-learn's 1,797 handwritten digits apart.

    For the feature loss of :func:`train_generator` where pictures are digits; together with
    ``transform=digit_input``. It takes a few seconds, and gives the same bytes each time.

    Parameters
    ----------
    seed : int
        Of weights and batches.

    Returns
    -------
    SelectedActivations
        All units of the three convolutions after their ReLU.

    Raises
    ------
    MissingExtraError
        scikit-learn is missing.
    """
    need("sklearn", by="unitdb.nn.digit_features", extra="build")
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = torch.from_numpy(digits.images.astype(np.float32) / 16)[:, None]
    images, classes = resized(small, DIGITS_SIZE), torch.from_numpy(digits.target)
    rng = torch.Generator().manual_seed(seed)
    network = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU()),
        nn.MaxPool2d(2),
        nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()),
        nn.MaxPool2d(2),
        nn.Sequential(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    draw_weights(network, rng)
    engine = torch.optim.Adam(network.parameters(), lr=_RATE)
    with one_thread(), torch.enable_grad():
        for _ in range(_STEPS):
            rows = torch.randint(len(images), (_BATCH,), generator=rng)
            engine.zero_grad()
            functional.cross_entropy(network(images[rows]), classes[rows]).backward()
            engine.step()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    shapes = {"0": (16, 28, 28), "2": (32, 14, 14), "4": (64, 7, 7)}
    units = {layer: torch.ones(shape, dtype=torch.bool) for layer, shape in shapes.items()}
    return SelectedActivations(network.eval(), units)
