from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from unitdb.activations import PHOTOGRAPHS, photograph, photographs
from unitdb.errors import ActivationsError, MissingExtraError


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_every_photograph_is_rgb_and_large(name):
    pixels = photograph(name)
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
    assert min(pixels.shape[:2]) >= 256
    assert pixels.std() > 5


def test_a_grey_photograph_has_equal_channels():
    pixels = photograph("camera")
    assert (pixels == pixels[..., :1]).all()


def test_the_shared_pixels_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        photograph("chelsea")[0, 0] = 0


def test_unknown_name():
    with pytest.raises(ActivationsError, match="'chelsea'"):
        photograph("chelsae")


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    photographs._read.cache_clear()
    with pytest.raises(MissingExtraError, match=r"scikit-image/data/camera.png.*\[demo\]"):
        photograph("camera")


def test_the_packages_are_not_imported():
    code = (
        "import sys; from unitdb.activations import photograph; photograph('china'); "
        "photograph('camera'); sys.exit('sklearn' in sys.modules or 'skimage' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
