from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from pydantic import ValidationError

from unitdb.activations import Preprocessing, seen_square, to_tensor
from unitdb.errors import ActivationsError

MEAN, STD = (10.0, 20.0, 30.0), (2.0, 4.0, 8.0)


def test_without_resizing_it_is_the_centred_square_scaled():
    image = np.random.default_rng(0).integers(0, 256, (4, 9, 3), np.uint8)
    tensor = to_tensor(image, Preprocessing(size=4, mean=MEAN, std=STD))
    assert tensor.dtype == torch.float32
    for channel in range(3):
        expected = (image[:, 2:6, channel].astype(float) - MEAN[channel]) / STD[channel]
        np.testing.assert_allclose(tensor[channel], expected, rtol=1e-6)


def test_crop_is_a_fraction_of_the_square():
    image = np.zeros((8, 8, 3), np.uint8)
    image[2:6, 2:6] = 255
    cropped = Preprocessing(size=16, crop=0.5, mean=(0, 0, 0), std=(255, 255, 255))
    assert torch.equal(to_tensor(image, cropped), torch.ones(3, 16, 16))


def test_interpolations_differ():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    both = [
        to_tensor(image, Preprocessing(size=5, interpolation=name, mean=MEAN, std=STD))
        for name in ("bicubic", "bilinear")
    ]
    assert not torch.equal(*both)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.floats(0.01, 1))
def test_any_shape_of_one_colour_stays_that_colour(height, width, size, crop):
    image = np.full((height, width, 3), 200, np.uint8)
    tensor = to_tensor(image, Preprocessing(size=size, crop=crop, mean=MEAN, std=STD))
    expected = torch.tensor([(200 - m) / s for m, s in zip(MEAN, STD, strict=True)])
    assert torch.equal(tensor, expected[:, None, None].expand(3, size, size))


@pytest.mark.parametrize(
    "change", [{"size": 0}, {"crop": 0}, {"crop": 1.1}, {"std": (1, 0, 1)}, {"mean": (1, 2)}]
)
def test_bad_settings(change):
    with pytest.raises(ValidationError):
        Preprocessing(**{"size": 4, "mean": MEAN, "std": STD, **change})


def test_scaled_floats_are_refused():
    with pytest.raises(ActivationsError, match="float64"):
        to_tensor(np.zeros((4, 4, 3)), Preprocessing(size=4, mean=MEAN, std=STD))


@pytest.mark.robust(
    "pictures",
    given="reconstruction through a network that takes whole pictures, of pictures that are wide",
    before="scored against the middle of each picture",
    now="scored against what the network sees",
)
@pytest.mark.parametrize("fit", [{}, {"fit": "whole"}, {"crop": 0.5}, {"resize": 8, "crop": 0.5}])
def test_the_square_that_is_seen_is_what_the_network_takes(fit):
    # A wide picture that is smooth, so that another resizing makes no difference.
    across = np.linspace(20, 220, 64)
    image = np.repeat(np.tile(across, (32, 1))[..., None], 3, axis=2).astype(np.uint8)
    how = Preprocessing(size=4, mean=(0, 0, 0), std=(1, 1, 1), **fit)
    seen = seen_square(image, how, size=4).transpose(2, 0, 1)
    np.testing.assert_allclose(seen, to_tensor(image, how), atol=12)
    assert seen_square(image, how, size=8).shape == (8, 8, 3)
