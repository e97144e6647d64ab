"""The same features, stored in other orders of their axes, give the same release."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import unitdb
from tests.pipeline.small import N_TEST, N_TRAIN, lay_out, run
from unitdb import col

ORDERS = {
    "first": ("CHW", (0, 1, 2, 3)),
    "last": ("HWC", (0, 2, 3, 1)),
    "odd": ("WCH", (0, 3, 1, 2)),
}
TOKENS = {"first": ("TD", (0, 1, 2)), "last": ("DT", (0, 2, 1)), "odd": ("TD", (0, 1, 2))}
MAP, SEQUENCE = (5, 3, 4), (6, 5)  # channels × rows × columns, tokens × features

MODEL = """
  - name: {name}
    title: Features
    features: {{folders: [{name}], format: stacked}}
    layers: {{map: map, tokens: tokens, whole: whole}}
    axes: {{map: {map}, tokens: {tokens}}}
    licence: CC0-1.0
    source: a test
    citation: none
"""


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("axes")
    recipe = lay_out(folder)
    rng = np.random.default_rng(0)
    ids = [f"picture-{number:02d}" for number in range(N_TRAIN + N_TEST)]
    base = rng.normal(size=(len(ids), 3))
    features = {
        "map": (base @ rng.normal(size=(3, 60))).reshape(-1, *MAP),
        "tokens": (base @ rng.normal(size=(3, 30))).reshape(-1, *SEQUENCE),
        "whole": base,
    }
    models = ""
    for name, (axes, order) in ORDERS.items():
        of_tokens, swapped = TOKENS[name]
        (folder / name).mkdir()
        (folder / name / "stimuli.txt").write_text("\n".join(ids))
        np.save(folder / name / "map.npy", features["map"].transpose(order).astype(np.float32))
        tokens = features["tokens"].transpose(swapped)
        np.save(folder / name / "tokens.npy", tokens.astype(np.float32))
        np.save(folder / name / "whole.npy", features["whole"].astype(np.float32))
        models += MODEL.format(name=name, map=axes, tokens=of_tokens)
    text = recipe.read_text()
    start, end = text.index("own_models:"), text.index("models: [{name")
    text = text[:start] + "own_models:" + models + text[end:]
    names = ", ".join(f"{{name: {name}}}" for name in ORDERS)
    recipe.write_text(text.replace("models: [{name: mynet}]", f"models: [{names}]"))
    return unitdb.open(run(recipe))


def _layer(release, model: str, name: str):
    return next(one for one in release.layers if (one.model, one.layer) == (model, name))


def _as_first(release, frame: pd.DataFrame) -> pd.DataFrame:
    """Units by (channel, row, column) in place of their index, other columns as they are."""
    layers = {(one.model, one.layer): one for one in release.layers}
    frame = frame.assign(model=frame["model"].astype(str), layer=frame["layer"].astype(str))
    pieces = []
    for key, rows in frame.groupby(["model", "layer"]):
        layer = layers[key]
        units = rows["unit"].to_numpy()
        places = {
            name: units // place.step % place.size
            for name, place in (("c", layer.channel), ("y", layer.row), ("x", layer.column))
        }
        pieces.append(rows.drop(columns="unit").assign(**places))
    return pd.concat(pieces)


def test_the_release_says_what_the_axes_are(release):
    assert _layer(release, "first", "map").axes == "CHW"
    assert _layer(release, "last", "map").axes == "HWC"
    assert _layer(release, "last", "map").shape == (3, 4, 5)
    assert _layer(release, "odd", "map").axes == "WCH"
    assert [_layer(release, "last", name).axes for name in ("tokens", "whole")] == ["DT", "N"]
    assert release.verify().rows["layers"] == 9


@pytest.mark.robust(
    "networks",
    given="features stored (H, W, C), and tokens × features (T, D)",
    before="no key for axes: read as channels of (C, H, W), 3 channels of 20 units for 5 of 12, "
    "tokens for channels in blocks of the bootstrap, in masks and on pages",
    now="the recipe says `axes: HWC`, `axes: TD`; accuracies, intervals, channels and maps are "
    "those of the same features in another order",
)
@pytest.mark.parametrize("other", ["last", "odd"])
def test_accuracies_and_intervals_are_those_of_the_same_features(release, other):
    accuracy = _as_first(release, release.table("accuracy").drop(columns="build"))
    keys = ["layer", "roi", "subject", "c", "y", "x"]
    both = [
        accuracy[accuracy["model"] == model].sort_values(keys)["r"].to_numpy(float)
        for model in ("first", other)
    ]
    np.testing.assert_allclose(both[0], both[1], atol=1e-6)
    for table, keys, columns in (
        (
            "intersubject",
            ["layer", "roi", "subject_a", "subject_b"],
            ["n_blocks", "pearson_r", "pearson_low", "pearson_high", "spearman_low", "partial_low"],
        ),
        ("layer_reliability", ["layer", "roi"], ["reliability", "reliability_low"]),
        ("hierarchy", ["kind", "method"], ["score", "score_low", "score_high"]),
    ):
        rows = release.table(table)
        found = [
            rows[rows["model"] == model].sort_values(keys)[columns].to_numpy(float)
            for model in ("first", other)
        ]
        assert len(found[0])
        np.testing.assert_allclose(found[0], found[1], atol=2e-3)
    blocks = release.table("intersubject").groupby(["model", "layer"], observed=True)["n_blocks"]
    assert blocks.max()[other, "map"] == MAP[0]
    assert blocks.max()[other, "tokens"] == SEQUENCE[1]
    assert blocks.max()[other, "whole"] == 3


@pytest.mark.parametrize("other", ["last", "odd"])
def test_queries_follow_the_axes(release, other):
    for place in ({"channel": 2}, {"rows": 1}, {"columns": (1, 2)}, {"channel": 4, "columns": 0}):
        both = [
            _as_first(release, release.units(model=model, roi="V1").at(**place).to_pandas())
            for model in ("first", other)
        ]
        keys = ["layer", "c", "y", "x"]
        sets = [set(frame[keys].itertuples(index=False, name=None)) for frame in both]
        assert sets[0] == sets[1]
        assert sets[0]
    tokens = release.units(model=other, layer="tokens", roi="V1")
    assert tokens.at(channel=1).count() == SEQUENCE[0]
    assert tokens.at(columns=1).count() == SEQUENCE[1]
    by_channel = [
        release.units(model=model, roi="IT").by_channel().sort_values(["layer", "channel"])
        for model in ("first", other)
    ]
    assert by_channel[0]["n_units"].tolist() == by_channel[1]["n_units"].tolist()
    per = release.units(model=other, layer="map", roi="V1").top(1, per="channel").to_pandas()
    assert sorted(per["unit"] // _layer(release, other, "map").channel.step % 5) == list(range(5))


def test_channel_masks_are_the_same_channels(release):
    def ask(model: str) -> dict:
        units = release.units(model=model, roi="V1").where(col.mean_r > 0.5)
        return {name: found.tolist() for name, found in units.channels(min_share=0.3).items()}

    assert ask("first") == ask("last") == ask("odd")
    masks = {m: release.units(model=m, roi="V1").where(col.mean_r > 0.5).masks() for m in ORDERS}
    for name, (_, order) in ORDERS.items():
        back = np.argsort(np.array(order[1:]) - 1).tolist()
        assert masks[name]["map"].permute(back).tolist() == masks["first"]["map"].tolist()


def test_pages_follow_the_axes(release):
    from unitdb.browser._layerview import channel_map, layer_view

    where = {"dataset": "mine", "condition": "perception"}
    for layer in ("map", "tokens", "whole"):
        views = [layer_view(release, model, layer, "V1", **where) for model in ORDERS]
        for view in views[1:]:
            for table in ("channels", "places"):
                first = getattr(views[0], table).reset_index(drop=True)
                second = getattr(view, table).reset_index(drop=True)
                pd.testing.assert_frame_equal(first, second, atol=1e-6, check_dtype=False)
        assert views[0].places.empty == (layer == "whole")
    units = release.units(model="last", layer="map", roi="V1").at(channel=1).to_pandas()
    found = channel_map(units, _layer(release, "last", "map"))
    assert sorted(zip(found["row"], found["column"], strict=True)) == [
        (row, column) for row in range(3) for column in range(4)
    ]
