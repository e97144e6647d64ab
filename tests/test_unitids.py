"""One grammar of ``model/layer/unit``, whatever reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

import unitdb
from unitdb.browser import _collection
from unitdb.errors import QueryError
from unitdb.recipes.recipe import KeepSpec
from unitdb.release import Release
from unitdb.schema import NAME_PATTERN
from unitdb.unitids import UnitId

NAMES = st.from_regex(NAME_PATTERN, fullmatch=True)
WRONG = [
    "net/conv1/٣",
    "net/conv1/1_0",
    "net/conv1/ 1",
    "net/conv1/+1",
    "net/conv1/-1",
    "net/conv1/1.0",
    "net/conv1/99999999999",
    "net/conv1/1\n",
    "net/conv1/",
    "net/conv1",
    "/conv1/1",
    "net/a/conv1/1",
    "net/con v1/1",
    "",
]
READERS: dict[str, Callable[[Release, str], object]] = {
    "unit": lambda release, unit: release.unit(unit),
    "among": lambda release, unit: release.units().among([unit]),
    "trace": lambda release, unit: release.trace(unit),
    "explainable": lambda release, unit: release.explainable(unit),
    "stimuli": lambda release, unit: release.stimuli(unit, dataset="sim-a"),
    "recipe": lambda _, unit: KeepSpec(also=[unit]),
}


def test_zeros_in_front_do_not_count(tiny_release: Path) -> None:
    release = unitdb.open(tiny_release)
    assert release.unit("net/conv1/013").equals(release.unit("net/conv1/13"))
    assert release.trace("net/conv1/013").unit == 13
    assert KeepSpec(also=["net/conv1/013"]).also == ["net/conv1/13"]
    assert _collection.parsed("net/conv1/013,13") == ["net/conv1/13"]


@given(NAMES, NAMES, st.integers(0, 2**31 - 1))
def test_what_is_written_is_read(model: str, layer: str, unit: int) -> None:
    one = UnitId(model, layer, unit)
    assert UnitId.parse(str(one)) == one
    assert one.place == f"{model}/{layer}"
    assert _collection.parsed(_collection.written([str(one)])) == [str(one)]


@pytest.mark.robust(
    "hostile",
    given="a unit as `net/conv/٣`, a digit of another script",
    before="`Release.unit` and `among` took it for unit 3; `trace`, URLs and recipes refused it",
    now="one grammar and one error in queries, commands, URLs and recipes",
)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("unit", WRONG)
def test_every_reader_refuses_the_same(tiny_release: Path, reader: str, unit: str) -> None:
    release = unitdb.open(tiny_release)
    with pytest.raises(ValueError, match="is not MODEL/LAYER/UNIT, such as"):
        READERS[reader](release, unit)


@pytest.mark.parametrize("unit", WRONG)
def test_of_collections_all_but_spaces_around_are_refused(unit: str) -> None:
    if unit.split() in (["net/conv1/", "1"], ["net/conv1/1"], []):
        assert _collection.parsed(unit) == (["net/conv1/1"] if unit else [])
        return
    with pytest.raises(QueryError, match="is not MODEL/LAYER/UNIT"):
        _collection.parsed(unit)
