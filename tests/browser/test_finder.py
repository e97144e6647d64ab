from __future__ import annotations

import pytest

from tests.browser.conftest import texts
from unitdb.browser._finder import places
from unitdb.release import Release

CHANNEL = ("Channel 1 of net/conv1", "units", {"model": "net", "layer": "conv1", "channel": "1"})


def suggested(typed: str, release: Release) -> list:
    return places(
        typed,
        release.layers,
        release.values("roi"),
        kept=lambda *_: [],
        decoded=lambda _, units: [unit for unit in units if unit != 1],
    )


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("net/conv1/13", ("Unit net/conv1/13", "unit", {"unit": "net/conv1/13"})),
        ("  CONV1   13 ", ("Unit net/conv1/13", "unit", {"unit": "net/conv1/13"})),
        ("con 13", ("Unit net/conv1/13", "unit", {"unit": "net/conv1/13"})),
        ("convv1/13", ("Unit net/conv1/13", "unit", {"unit": "net/conv1/13"})),
        ("fc unit 3", ("Unit net/fc/3", "unit", {"unit": "net/fc/3"})),
        ("Conv1 channel 1", CHANNEL),
        ("conv1 ch. 1", CHANNEL),
        ("fc", ("Layer net/fc", "layer", {"model": "net", "layer": "fc"})),
        ("v4", ("Units decoded from V4", "units", {"roi": "V4"})),
        ("ZEBRA", ("zebra: net/fc/3", "unit", {"unit": "net/fc/3"})),
        ("ra", ("crane: net/fc/8", "unit", {"unit": "net/fc/8"})),
        ("well", (r"well\*: net/fc/9", "unit", {"unit": "net/fc/9"})),
    ],
)
def test_what_is_typed_is_understood(tiny_release, typed: str, first: tuple) -> None:
    release = Release(tiny_release)
    assert suggested(typed, release)[0] == first


@pytest.mark.parametrize("typed", ["conv1/18", "fc channel 10", "", "  ", "#!", "9" * 200, "zzz"])
def test_nothing_is_suggested_that_is_not_there(tiny_release, typed: str) -> None:
    release = Release(tiny_release)
    found = suggested(typed, release)
    assert not [label for label, *_ in found if label.startswith(("Unit ", "Channel"))]


def test_a_channel_has_the_pictures_of_its_units(shown: Release, visit) -> None:
    app = visit("methods")
    app.text_input(key="unitdb typed").set_value("conv1 channel 1").run()
    labels = [one.proto.label for one in app.get("page_link")]
    at = labels.index("Channel 1 of net/conv1")
    assert labels[at + 1] == "Its pictures: net/conv1/13"
    labels = [
        one.proto.label
        for one in visit("layer", dataset="sim-a", layer="conv1", roi="V4").get("page_link")
    ]
    assert {"Pictures of conv1/7", "Pictures of conv1/13"} & set(labels)


def test_a_class_is_found_where_its_unit_is_decoded(shown: Release, visit) -> None:
    assert not [label for label, *_ in suggested("tiger", shown) if "tiger" in label]
    app = visit("methods")
    app.text_input(key="unitdb typed").set_value("tiger").run()
    links = {one.proto.label: one.proto.query_string for one in app.get("page_link")}
    assert links["tiger cat: net/fc/1"] == "unit=net%2Ffc%2F1"
    app = visit("unit", unit="net/fc/9", dataset="sim-a")
    assert r"### `net/fc/9` · well\*" in texts(app)
    rows = visit("units", layer=["fc"]).dataframe[0].value
    assert rows["class"].tolist() == [shown.class_name(unit) for unit in rows["unit_id"]]


def test_the_box_is_on_every_page(shown: Release, visit) -> None:
    app = visit("methods")
    app.text_input(key="unitdb typed").set_value("conv1 13").run()
    assert not app.exception
    links = {one.proto.label: one.proto.query_string for one in app.get("page_link")}
    assert links["Unit net/conv1/13"] == "unit=net%2Fconv1%2F13"
    app.text_input(key="unitdb typed").set_value("<script>").run()
    assert "Nothing of that name" in texts(app)
