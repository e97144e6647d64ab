from __future__ import annotations

import json

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest
import torch

import unitdb
from tests.tiny import arrow, small_tables
from unitdb import nn
from unitdb.activations import Preprocessing, to_tensor
from unitdb.errors import ModelError

STATED = {"size": 6, "mean": [1, 2, 3], "std": [4, 5, 6], "crop": 0.8, "interpolation": "bilinear"}


def stating(release, **changes):
    """The tiny release as it is open now, with other preprocessing."""
    rows = small_tables()["models"]
    rows[0]["preprocessing"] = json.dumps(changes)
    pq.write_table(arrow("models", rows), release / "models.parquet")
    return unitdb.open(release)


def test_it_prepares_as_the_build_does(tiny_copy):
    transform = nn.published_transform(stating(tiny_copy, **STATED).units(layer="fc"))
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    expected = to_tensor(pixels, Preprocessing.model_validate(STATED))
    assert torch.equal(transform(PIL.Image.fromarray(pixels)), expected)


def test_grey_pictures_become_rgb():
    transform = nn.Transform(size=2, crop=1, interpolation="bicubic", mean=(0,) * 3, std=(1,) * 3)
    found = transform(PIL.Image.new("L", (4, 4), 7))
    assert torch.equal(found, torch.full((3, 2, 2), 7.0))


def test_what_is_not_stated_is_asked_for(tiny_copy):
    units = stating(tiny_copy, note="not stated by the publication").units()
    with pytest.raises(ModelError, match=r"tiny@1.0.0 .* model 'net' \(no 'size' in"):
        nn.published_transform(units)


def test_units_must_be_of_one_model(tiny_copy):
    units = unitdb.open(tiny_copy).units().where(unitdb.col.mean_r > 1)
    with pytest.raises(ModelError, match="the units are of none"):
        nn.published_transform(units)
