"""Units as masks, channels and weights, beside pandas and numpy.unravel_index."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings, strategies as st

import unitdb
from tests.tiny import SHAPES, arrow
from unitdb import col
from unitdb.axes import usual_axes
from unitdb.errors import CorruptReleaseError, QueryError, UnknownColumnError
from unitdb.extras import install_hint
from unitdb.query import Source, UnitSet, connect, maskfiles, tensors
from unitdb.query.tensors import chosen_units, unit_weights


@pytest.fixture(scope="module")
def release(tiny_release):
    return unitdb.open(tiny_release)


def one(release) -> UnitSet:
    """A selection with one row a unit, all of them with an accuracy."""
    return release.units(dataset="sim-a", roi="V4").where(col.n_subjects > 0)


def test_masks_say_which_units_are_chosen(release):
    units = one(release).where(col.mean_r > 0.2)
    rows = units.to_pandas()
    masks = units.masks()
    assert list(masks) == ["conv1", "fc"]
    for layer, mask in masks.items():
        assert mask.dtype == torch.bool
        assert tuple(mask.shape) == SHAPES[layer]
        chosen = set(rows.loc[rows["layer"] == layer, "unit"])
        for unit in range(mask.numel()):
            place = np.unravel_index(unit, SHAPES[layer])  # C order
            assert bool(mask[place]) == (unit in chosen)


def test_masks_are_the_union_over_rows(release):
    both = release.units(dataset="sim-a").where(col.mean_r > 0.25).masks()
    parts = [
        release.units(dataset="sim-a", roi=roi).where(col.mean_r > 0.25).masks()
        for roi in ("V1", "V4")
    ]
    for layer, mask in both.items():
        none = torch.zeros_like(mask)
        assert torch.equal(mask, parts[0].get(layer, none) | parts[1].get(layer, none))


def test_layers_without_a_unit_are_left_out(release):
    assert list(release.units(layer="fc").masks()) == ["fc"]
    nothing = one(release).where(col.mean_r > 0.999)
    assert nothing.masks() == nothing.channels() == nothing.weights() == {}


def test_weights_are_the_column_at_the_units_and_zero_elsewhere(release):
    units = one(release).top(7)
    rows = units.to_pandas().set_index(["layer", "unit"])["mean_r"]
    for layer, weights in units.weights("mean_r").items():
        assert weights.dtype == torch.float32
        assert tuple(weights.shape) == SHAPES[layer]
        expected = np.zeros(weights.numel(), np.float32)
        for unit, value in rows[layer].items():
            expected[unit] = value
        assert np.array_equal(weights.numpy().ravel(), expected)


def test_weights_take_any_numeric_column(release):
    found = one(release).weights("n_subjects")["fc"]
    assert torch.equal(found, torch.full((10,), 3.0))
    with pytest.raises(UnknownColumnError, match="mean_r"):
        one(release).weights("mean")


@pytest.mark.parametrize("over", ["max", "mean"])
def test_several_rows_are_combined_as_asked(release, over):
    units = release.units(dataset="sim-a").where(col.n_subjects > 0)
    frame = units.to_pandas().astype({"mean_r": np.float64})
    expected = getattr(frame.groupby(["layer", "unit"])["mean_r"], over)()
    for layer, weights in units.weights(over=over).items():
        chosen = expected[layer]
        found = weights.flatten()[chosen.index.tolist()]
        np.testing.assert_allclose(found, chosen, rtol=1e-6)


def test_several_rows_are_refused_unasked(release):
    with pytest.raises(QueryError, match=r"net/conv1/0 in 2: which mean_r\? Choose over='max'"):
        release.units(dataset="sim-a").where(col.n_subjects > 0).weights()
    with pytest.raises(QueryError, match="'median' is neither"):
        one(release).weights(over="median")


def test_units_without_an_accuracy_are_refused_or_get_what_is_stated(release):
    units = release.units(dataset="sim-a", roi="V4")  # conv1/5 has none
    with pytest.raises(QueryError, match=r"1 of 28 chosen units have no mean_r: net/conv1/5; "):
        units.weights()
    stated = units.weights(missing=-1.0)["conv1"].flatten()
    assert stated[5] == -1
    assert stated.isfinite().all()
    assert units.masks()["conv1"].all()


def test_a_null_row_does_not_hide_the_others(release):
    # S1 alone saw sim-b; conv1/7 has an accuracy there and in sim-a.
    units = release.units(layer="conv1", roi="V1").where(col.n_subjects >= 0)
    found = units.weights("sd_r", over="max", missing=0.0)["conv1"].flatten()
    rows = units.to_pandas()
    expected = rows.groupby("unit")["sd_r"].max()  # sd_r of sim-b is NULL
    np.testing.assert_allclose(found, expected.fillna(0), rtol=1e-6)


def test_channels_hold_chosen_units(release):
    units = release.units(dataset="sim-a", roi="V4", layer="conv1").top(5)
    channel = units.to_pandas()["unit"] // 9
    counts = channel.value_counts().reindex([0, 1], fill_value=0)
    assert units.channels()["conv1"].tolist() == counts.index[counts > 0].tolist()
    for least in (1, 2, 3, 4, 5):
        expected = counts.index[counts >= least].tolist()
        assert units.channels(min_units=least)["conv1"].tolist() == expected
        assert units.channels(min_share=least / 9)["conv1"].tolist() == expected
    every = one(release).channels()["fc"]
    assert every.dtype == torch.int64
    assert every.tolist() == list(range(10))


@pytest.mark.robust(
    "numbers",
    given="7 of the 100 units of a channel, and `channels(min_share=.07)`",
    before="the channel was lost: .07 × 100 is 7.000000000000001",
    now="it is there, as all channels with exactly that share",
)
def test_channels_with_exactly_the_share_are_there(monkeypatch):
    channel = SimpleNamespace(step=100, size=101)
    units = np.concatenate([np.arange(n) + 100 * n for n in range(101)])
    layer = SimpleNamespace(layer="l", units=units, n_units=10_100, channel=channel)
    monkeypatch.setattr(tensors, "chosen_units", lambda _: [layer])
    for percent in range(1, 101):
        found = tensors.channels(None, min_share=float(f"{percent / 100:.2f}"))
        assert found["l"].tolist() == list(range(percent, 101))


@pytest.mark.parametrize(
    ("options", "message"), [({"min_units": 0}, "at least 1"), ({"min_share": 1.5}, "0 to 1")]
)
def test_minima_that_are_none(release, options, message):
    with pytest.raises(QueryError, match=message):
        one(release).channels(**options)


def test_units_are_ascending_and_named(release):
    for layer in chosen_units(one(release).top(9, by="min_r")):
        assert (np.diff(layer.units) > 0).all()
        assert layer.unit_ids == tuple(f"net/{layer.layer}/{unit}" for unit in layer.units)
        assert layer.n_units == np.prod(SHAPES[layer.layer])


def made_up(folder, rows: pd.DataFrame, layers: list[dict]) -> UnitSet:
    """A selection of everything in two tables."""
    paths = {}
    for table, content in (("unit_summary", arrow("unit_summary", rows)), ("layers", layers)):
        data = content if isinstance(content, pa.Table) else arrow(table, content)
        paths[table] = [str(folder / f"{table}.parquet")]
        pq.write_table(data, paths[table][0])
    connection = connect(paths)
    source = Source(
        connect=lambda: connection, label="made-up@1", citation="", simulated=True, known={}
    )
    return UnitSet(source)


def rows_of(model: str, layer: str, units) -> pd.DataFrame:
    frame = pd.DataFrame({"unit": list(units), "n_subjects": 1})
    frame = frame.assign(dataset="d", condition="perception", model=model, layer=layer, roi="V1")
    return frame.assign(**dict.fromkeys(["mean_r", "sd_r", "min_r", "max_r"], 0.5), rank=1)


def layer_row(model: str, layer: str, shape, depth: int = 0) -> dict:
    return {
        "model": model,
        "layer": layer,
        "depth": depth,
        "module": layer,
        "kind": "ReLU",
        "shape": list(shape),
        "axes": usual_axes(shape),
        "n_units": int(np.prod(shape)),
    }


def test_several_models_are_refused(tmp_path):
    rows = pd.concat([rows_of("a", "conv", [0]), rows_of("b", "conv", [0])])
    units = made_up(tmp_path, rows, [layer_row(m, "conv", (1, 2, 2)) for m in "ab"])
    for ask in (units.masks, units.channels, units.weights):
        with pytest.raises(QueryError, match=r"2 models: a, b; .* release.units\(model='a'\)"):
            ask()


def test_layers_come_in_the_order_of_depth(tmp_path):
    rows = pd.concat([rows_of("a", layer, [0]) for layer in ("alpha", "beta")])
    layers = [layer_row("a", "alpha", (3,), 1), layer_row("a", "beta", (3,), 0)]
    assert list(made_up(tmp_path, rows, layers).masks()) == ["beta", "alpha"]


def test_a_release_that_contradicts_itself(tmp_path):
    units = made_up(tmp_path, rows_of("a", "conv", [4]), [layer_row("a", "conv", (1, 2, 2))])
    with pytest.raises(CorruptReleaseError, match=r"made-up@1: unit a/conv/4 lies outside"):
        units.masks()
    units = made_up(tmp_path, rows_of("a", "conv", [0]), [layer_row("a", "fc", (4,))])
    with pytest.raises(CorruptReleaseError, match="lacks layer 'conv' of model 'a'"):
        units.masks()


def test_channels_of_another_shape_are_refused(tmp_path):
    units = made_up(tmp_path, rows_of("a", "tokens", [0]), [layer_row("a", "tokens", (4, 2))])
    assert units.masks()["tokens"].shape == (4, 2)
    with pytest.raises(QueryError, match=r"'tokens' has shape \(4, 2\)"):
        units.channels()


@settings(max_examples=25)
@given(
    shape=st.sampled_from([(7,), (1,), (3, 2, 4), (1, 1, 1), (5, 1, 3)]),
    data=st.data(),
)
def test_any_units_of_any_shape(tmp_path_factory, shape, data):
    n_units = int(np.prod(shape))
    chosen = data.draw(st.sets(st.integers(0, n_units - 1), min_size=1))
    units = made_up(
        tmp_path_factory.mktemp("made-up"),
        rows_of("a", "it", sorted(chosen)),
        [layer_row("a", "it", shape)],
    )
    mask = units.masks()["it"]
    places = {tuple(place) for place in torch.nonzero(mask).tolist()}
    assert places == {tuple(map(int, np.unravel_index(unit, shape))) for unit in chosen}
    assert units.channels()["it"].tolist() == sorted({place[0] for place in places})
    assert torch.equal(units.weights()["it"], mask * 0.5)
    assert unit_weights(units)["it"].tolist() == [0.5] * len(chosen)


def test_without_torch_the_extra_is_named(tiny_release):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import unitdb\n"
        f"units = unitdb.open({str(tiny_release)!r}).units(dataset='sim-b', roi='V1')\n"
        "assert len(units) == 28\n"
        "try:\n    units.masks()\nexcept unitdb.UnitdbError as error:\n    print(error)\n"
        "from unitdb import nn\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"not installed: {install_hint('torch')}" in done.stdout
    last = done.stderr.splitlines()[-1]
    assert last.endswith(f"MissingExtraError: unitdb.nn needs torch: {install_hint('torch')}")


@pytest.mark.parametrize(
    ("part", "missing"),
    [
        ("analysis", "scipy"),
        ("analysis", "numba"),
        ("decoding", "threadpoolctl"),
    ],
)
def test_without_its_packages_a_part_names_the_extra(part, missing):
    code = f"import sys; sys.modules[{missing!r}] = None\nimport unitdb\nimport unitdb.{part}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].endswith(
        f"MissingExtraError: unitdb.{part} needs {missing}: {install_hint('build')}"
    )


@pytest.mark.parametrize("ending", ["npz", "pt"])
def test_masks_in_a_file_say_where_they_are_from(release, tmp_path, ending) -> None:
    units = release.units(dataset="sim-a", roi="V4").where(col.mean_r > 0.25)
    path = tmp_path / f"best.{ending}"
    units.write_masks(path)
    if ending == "npz":
        with np.load(path) as file:
            found = {name: file[name] for name in file}
    else:
        found = {name: mask.numpy() for name, mask in torch.load(path, weights_only=True).items()}
    masks = units.masks()
    assert list(found) == list(masks)
    for name, mask in masks.items():
        assert np.array_equal(found[name], mask.numpy())
    with zipfile.ZipFile(path) as archive:
        origin = json.loads(archive.comment)
    assert origin["unitdb:release"] == release.label
    assert origin["unitdb:query"] == units.sql
    units.write_masks(path.with_name(f"again.{ending}"))
    if ending == "npz":
        assert path.with_name("again.npz").read_bytes() == path.read_bytes()


def test_masks_in_other_files_are_refused(release, tmp_path) -> None:
    with pytest.raises(QueryError, match=r"npz or pt: .*best\.csv is neither"):
        release.units(roi="V4").write_masks(tmp_path / "best.csv")
    assert not list(tmp_path.iterdir())


def test_a_query_that_is_longer_than_a_comment_is_left_out(
    release, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maskfiles, "_LONGEST", 100)
    release.units(roi="V4").write_masks(tmp_path / "long.npz")
    with zipfile.ZipFile(tmp_path / "long.npz") as archive:
        assert "longer than" in json.loads(archive.comment)["unitdb:query"]
