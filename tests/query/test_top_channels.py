"""The best channels of a selection, held to the same formula in pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.query.summary import write
from unitdb import UnitSet
from unitdb.errors import QueryError, UnknownLayerError
from unitdb.query import Layer, Source, connect
from unitdb.release.channels import shrunken
from unitdb.schema import TABLES

PLACE = ("sim", "perception", "net")
SHAPES = {"conv": (210, 7, 7), "lone": (50, 7, 7), "whole": (5, 3, 3), "fc": (4,)}
WHOLE = {name: int(np.prod(shape[1:])) for name, shape in SHAPES.items()}
N = {"conv": [1] * 200 + [40] * 10, "lone": [1] * 50, "whole": [9] * 5, "fc": [1] * 4}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Channel 205 of `conv` is better than all others; of 200 a single unit is decoded."""
    rng = np.random.default_rng(0)
    found = []
    for layer, counts in N.items():
        for roi in ("V1", "V4"):
            for channel, n in enumerate(counts):
                mean = 0.25 if (layer, channel) == ("conv", 205) else 0.1
                units = channel * WHOLE[layer] + rng.permutation(WHOLE[layer])[:n]
                r = rng.normal(mean, 0.1, n).astype(np.float32)
                found += [
                    {"layer": layer, "roi": roi, "channel": channel, "unit": int(u), "mean_r": x}
                    for u, x in zip(units, r, strict=True)
                ]
    return pd.DataFrame(found)


@pytest.fixture(scope="module")
def units(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> UnitSet:
    columns = TABLES["unit_summary"].column_names
    frame = rows.assign(dataset="sim", condition="perception", model="net", n_subjects=1, rank=1)
    frame = frame.reindex(columns=list(columns)).astype({"unit": int})
    connection = connect(write(tmp_path_factory.mktemp("release"), frame))
    layers = [
        Layer(
            model="net",
            layer=name,
            depth=depth,
            kind="Conv2d",
            shape=shape,
            axes="CHW" if len(shape) > 1 else "N",
        )
        for depth, (name, shape) in enumerate(SHAPES.items())
    ]
    source = Source(
        connect=lambda: connection,
        label="made@1.0.0",
        citation="",
        simulated=True,
        known={"layer": list(SHAPES), "roi": ["V1", "V4"]},
        partitions=[(*PLACE, name) for name in SHAPES],
        layers=lambda: layers,
    )
    return UnitSet(source=source)


def ranked(rows: pd.DataFrame) -> list[tuple[str, int]]:
    """Layers and channels of rows, the best first."""
    each = rows.groupby(["layer", "roi", "channel"])["mean_r"].agg(["size", "mean", "std"])
    each.columns = ["n_units", "mean_r", "sd_over_units"]
    each = each.reset_index()
    each["shrunk_r"] = shrunken(each, WHOLE)["shrunk_r"]
    found = []
    for (layer, channel), of in each.groupby(["layer", "channel"]):
        known = of.dropna(subset="shrunk_r")
        drawn = np.average(known["shrunk_r"], weights=known["n_units"]) if len(known) else -9
        found.append((-drawn, -np.average(of["mean_r"], weights=of["n_units"]), layer, channel))
    return [(layer, channel) for *_, layer, channel in sorted(found)]


def chosen(units: UnitSet) -> set[tuple[str, int]]:
    found = units.to_pandas()
    step = found["layer"].astype(str).map(WHOLE)
    return set(zip(found["layer"].astype(str), found["unit"] // step, strict=True))


@pytest.mark.robust(
    "numbers",
    given="the best channels, of some of which a single unit is decoded",
    before="the 200 best of `unitdb units --top-channels` were those of one lucky unit",
    now="their means are drawn to that of all channels, as in `unitdb score`",
)
@pytest.mark.parametrize("roi", [None, "V4"])
def test_channels_of_lone_units_do_not_lead(units: UnitSet, rows: pd.DataFrame, roi) -> None:
    every = units if roi is None else UnitSet(source=units.source, filters={"roi": roi})
    order = ranked(rows if roi is None else rows[rows["roi"] == roi])
    for n in (1, 2, 10, 215, 230, len(order)):
        assert chosen(every.top_channels(n)) == set(order[:n])
        best = every.best_channels(n)
        assert list(zip(best["layer"].astype(str), best["channel"], strict=True)) == order[:n]
        named: dict[str, list[int]] = {}
        for layer, channel in order[:n]:
            named.setdefault(f"net/{layer}", []).append(channel)
        assert chosen(every.at(channel=named)) == set(order[:n])
    assert ("conv", 205) in order[:3]
    raw = rows[rows["layer"] == "conv"].groupby("channel")["mean_r"].mean()
    assert raw.idxmax() < 200
    lone = [place for place in order if place[0] == "lone"]
    assert order[-len(lone) :] == lone  # nothing is known of these channels


def test_the_best_channels_have_their_numbers(units: UnitSet, rows: pd.DataFrame) -> None:
    best = units.best_channels(1000).set_index(["layer", "channel"])
    each = rows.groupby(["layer", "channel"])["mean_r"]
    assert best["n_rows"].to_dict() == each.size().to_dict()
    expected = each.apply(lambda r: r.astype(float).mean())
    pd.testing.assert_series_equal(
        best["mean"].sort_index(), expected, check_names=False, check_index_type=False
    )
    assert best["drawn"].isna().to_numpy().tolist() == [False] * 219 + [True] * 50  # of `lone`
    assert best["drawn"].dropna().is_monotonic_decreasing
    with pytest.raises(QueryError, match="positive number of channels, not 0"):
        units.best_channels(0)


def test_channels_of_named_layers(units: UnitSet) -> None:
    found = units.at(channel={"net/whole": 2, "net/fc": [0, 3]})
    assert chosen(found) == {("whole", 2), ("fc", 0), ("fc", 3)}
    assert found.code().endswith(".at(channel={'net/whole': [2], 'net/fc': [0, 3]})\n")
    with pytest.raises(UnknownLayerError, match="net/whole"):
        units.at(channel={"net/whol": 2})
    for none in ({}, {"net/fc": []}, []):
        with pytest.raises(QueryError, match="at least one channel"):
            units.at(channel=none)
    for pair in ([(0, 3)], {"net/fc": [[0, 3]]}):
        with pytest.raises(QueryError, match="is not a number from 0"):
            units.at(channel=pair)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="channel='3'"):
        units.at(channel={"net/whole": ["3"]})
