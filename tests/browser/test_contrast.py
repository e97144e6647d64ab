"""Figures stand out from light and dark grounds (WCAG 2.1, 1.4.3 and 1.4.11)."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from unitdb.browser.charts import _theme
from unitdb.browser.charts.matrices import DARK

WHITE, BLACK, GROUND = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (24 / 255, 24 / 255, 22 / 255)
"""Of pages; the last is the ground of the dark theme."""


def light(colour) -> float:
    part = np.array(to_rgb(colour))
    linear = np.where(part <= 0.03928, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one, other) -> float:
    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def of_scale(part: float, scale=_theme.SEQUENTIAL):
    low, high = scale["extent"]
    return colormaps[scale["name"]](low + (high - low) * part)[:3]


@pytest.mark.parametrize("scale", [_theme.SEQUENTIAL, _theme._MANY])
def test_dark_ends_of_maps_are_seen_on_a_dark_ground(scale) -> None:
    assert min(contrast(of_scale(part, scale), GROUND) for part in np.linspace(0, 1, 50)) >= 3


def test_numbers_are_read_on_every_colour() -> None:
    for part in np.linspace(0, 1, 101):
        ink = BLACK if part > DARK else WHITE
        assert contrast(of_scale(part), ink) >= 4.45


def test_no_colour_is_lost_on_either_ground() -> None:
    assert len(set(_theme.CATEGORIES)) == len(_theme.CATEGORIES)
    for colour in _theme.CATEGORIES:
        assert contrast(colour, WHITE) >= 2.2  # orange and sky blue, which shape and place repeat
        assert contrast(colour, GROUND) >= 3
    assert contrast(_theme.QUIET, WHITE) >= 3
    assert contrast(_theme.QUIET, GROUND) >= 3
    assert contrast(_theme.WRITTEN, WHITE) >= 4.5
