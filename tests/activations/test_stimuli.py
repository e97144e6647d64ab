from __future__ import annotations

import hashlib

import numpy as np
import pytest

from tests.activations.conftest import make_stimuli
from unitdb.activations import Stimuli
from unitdb.errors import ActivationsError, StimulusMismatchError

IMAGE = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


def one(image) -> Stimuli:
    return Stimuli(("a",), ("photo",), lambda _: image)


def test_hash_is_of_shape_and_pixels():
    assert one(IMAGE).sha256s() == (hashlib.sha256(b"2x4x3 " + bytes(range(24))).hexdigest(),)
    assert one(IMAGE).sha256s() != one(IMAGE.reshape(4, 2, 3)).sha256s()


def test_hashes_read_each_image_once():
    reads = []
    stimuli = Stimuli(("a", "b"), ("", ""), lambda index: reads.append(index) or IMAGE)
    assert stimuli.sha256s() == stimuli.sha256s()
    assert stimuli.key == stimuli.key
    assert reads == [0, 1]


def test_key_depends_on_ids_and_pixels_and_order():
    a, b = IMAGE, IMAGE + 1
    keys = {
        Stimuli(ids, ("", ""), images.__getitem__).key
        for ids, images in [
            (("a", "b"), [a, b]),
            (("b", "a"), [a, b]),
            (("a", "b"), [b, a]),
            (("a", "c"), [a, b]),
        ]
    }
    assert len(keys) == 4


def test_key_does_not_depend_on_sources():
    assert one(IMAGE).key == Stimuli(("a",), ("another",), lambda _: IMAGE).key


@pytest.mark.parametrize(
    ("ids", "sources", "message"),
    [
        ((), (), "no stimuli"),
        (("a", ""), ("", ""), "stimulus 1 has an empty id"),
        (("a", "b", "a"), ("", "", ""), "'a'"),
        (("a", "b"), ("",), "2 stimuli have 1 sources"),
    ],
)
def test_bad_ids(ids, sources, message):
    with pytest.raises(StimulusMismatchError, match=message):
        Stimuli(ids, sources, lambda _: IMAGE)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (IMAGE.astype(np.float32), "float32"),
        (IMAGE[..., 0], r"shape \(2, 4\)"),
        (np.zeros((2, 2, 4), np.uint8), r"shape \(2, 2, 4\)"),
        (np.zeros((0, 2, 3), np.uint8), r"shape \(0, 2, 3\)"),
        ([[1]], "not list"),
    ],
)
def test_bad_images_are_named(image, message):
    with pytest.raises(ActivationsError, match=f"stimulus 'a'.*{message}"):
        one(image).image(0)


def test_length_and_image():
    stimuli = make_stimuli(3)
    assert len(stimuli) == 3
    assert stimuli.image(2).shape == (4, 4, 3)
