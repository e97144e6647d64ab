"""Receptive fields of a release: which part of a picture they are, and where pages draw it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from tests.tiny import make_older
from unitdb.activations import Preprocessing, to_tensor
from unitdb.release import ReceptiveField, open_release


def test_the_field_of_a_unit_is_that_of_its_place(tiny_release: Path) -> None:
    release = open_release(tiny_release)
    found = release.receptive_field("net/conv1/14")  # channel 1, row 1, column 2
    assert found is not None
    assert (found.top, found.bottom, found.left, found.right) == (2, 5, 4, 7)
    assert not found.is_all
    assert release.receptive_field("net/fc/3") is None


def test_an_older_release_knows_no_fields(tiny_copy: Path) -> None:
    make_older(tiny_copy, "2.5")
    release = open_release(tiny_copy)
    assert release.receptive_field("net/conv1/14") is None
    assert release.class_name("net/fc/3") is None
    release.verify()


@pytest.mark.parametrize(
    ("crop", "whole", "expected"),
    [
        (1.0, False, (0.25 + 0.5 * 0.5, 0.25, 0.5 * 0.5, 0.5)),  # the square amid 16 × 8
        (0.5, False, (0.375 + 0.25 * 0.5, 0.25 + 0.5 * 0.25, 0.25 * 0.5, 0.25)),
        (1.0, True, (0.5, 0.25, 0.5, 0.5)),  # all of it, made a square
    ],
)
def test_where_a_field_lies_in_a_wide_picture(
    crop: float, whole: bool, expected: tuple[float, ...]
) -> None:
    field = ReceptiveField(top=2, bottom=5, left=4, right=7, size=8, crop=crop, whole=whole)
    assert field.within(160, 80) == pytest.approx(expected)


@pytest.mark.parametrize(("crop", "fit"), [(1.0, "centre"), (0.5, "centre"), (1.0, "whole")])
def test_the_box_is_where_the_network_sees_it(crop: float, fit: Literal["centre", "whole"]) -> None:
    field = ReceptiveField(
        top=2, bottom=5, left=4, right=7, size=8, crop=crop, whole=fit == "whole"
    )
    left, top, across, down = field.within(320, 160)
    picture = np.zeros((160, 320, 3), np.uint8)
    rows = slice(round(160 * top), round(160 * (top + down)))
    picture[rows, round(320 * left) : round(320 * (left + across))] = 255
    seen = to_tensor(
        picture,
        Preprocessing(
            size=8,
            crop=crop,
            fit=fit,
            mean=(0, 0, 0),
            std=(255, 255, 255),
            interpolation="bilinear",
        ),
    )
    inside = np.zeros((8, 8), bool)
    inside[2:6, 4:8] = True
    assert (seen[0].numpy()[inside] > 0.5).all()
    assert (seen[0].numpy()[~inside] < 0.5).all()


def test_a_field_of_all_the_input_is_all() -> None:
    ends = {"top": 0, "bottom": 7, "left": 0}
    assert ReceptiveField(**ends, right=7, size=8, crop=1, whole=False).is_all
    assert not ReceptiveField(**ends, right=6, size=8, crop=1, whole=False).is_all
