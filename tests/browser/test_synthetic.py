"""The synthetic picture of a unit: asked for, kept, or said why not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from PIL.PngImagePlugin import PngInfo

from tests.browser.conftest import texts
from unitdb.browser import _synthetic
from unitdb.release import Release

UNIT = "net/conv1/13"
ASK = "Make a picture that drives this unit"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setattr(_synthetic.platformdirs, "user_cache_path", lambda _: tmp_path / "cache")
    return tmp_path / "cache"


def asked(app) -> list[str]:
    return [one.label for one in app.button if one.label == ASK]


def test_a_picture_that_is_there_is_shown_with_its_activation(shown: Release, visit) -> None:
    place = _synthetic.place_of(shown, UNIT)
    assert asked(visit("unit", unit=UNIT, dataset="sim-a")) == [ASK]
    assert not place.exists()  # nothing is made before it is asked for
    info = PngInfo()
    info.add_text("unitdb", json.dumps({"activation": 12.345}))
    place.parent.mkdir(parents=True)
    PIL.Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(place, pnginfo=info)
    app = visit("unit", unit=UNIT, dataset="sim-a")
    assert asked(app) == []
    best = shown.stimuli(UNIT, 3, dataset="sim-a")["activation"].head(3)
    real = ", ".join(f"{value:.3g}" for value in best)
    assert f"Its activation: 12.3; to the pictures of the dataset that drive it most: {real}." in (
        texts(app)
    )
    assert "**Synthetic**" in texts(app)
    assert any(
        f'alt="Synthetic picture that drives unit {UNIT}"' in h.proto.body for h in html(app)
    )
    assert asked(visit("unit", unit="net/conv1/4", dataset="sim-a")) == [ASK]  # another picture


def html(app) -> list:
    return list(app.get("html"))


@pytest.mark.slow
def test_what_goes_wrong_is_one_sentence(shown: Release, visit) -> None:
    app = visit("unit", unit=UNIT, dataset="sim-a")
    (button,) = (one for one in app.button if one.label == ASK)
    app = button.click().run(timeout=300)
    assert not app.exception
    assert "It cannot be made here:" in texts(app)
    assert "recipe.yaml" in texts(app)  # the tiny release has no network
    assert not _synthetic.place_of(shown, UNIT).exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"_NEEDED": ("no_such_package",)}, "it takes no_such_package: "),
        ({"_weights": lambda *_: ["far/net.pth"]}, "the weights far/net.pth are not in "),
    ],
)
def test_what_is_missing_is_said_and_nothing_offered(
    change: dict, said: str, shown: Release, visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in change.items():
        monkeypatch.setattr(_synthetic, name, value)
    app = visit("unit", unit=UNIT, dataset="sim-a")
    assert asked(app) == []
    assert f"It cannot be made here: `{said}" in texts(app)


def test_the_file_is_named_by_all_that_the_picture_depends_on(
    shown: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {_synthetic.place_of(shown, unit) for unit in (UNIT, "net/conv1/4", "net/fc/4")}
    monkeypatch.setattr(_synthetic, "_STEPS", 7)
    places.add(_synthetic.place_of(shown, UNIT))
    monkeypatch.setattr(_synthetic, "_version", lambda _: "other")
    places.add(_synthetic.place_of(shown, UNIT))
    assert len(places) == 5
