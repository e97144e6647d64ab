from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from unitdb.activations import Activations, UnitSelection, extract
from unitdb.errors import ActivationsError, StimulusMismatchError, UnknownLayerError


@pytest.fixture
def store(tiny, stimuli, tmp_path) -> Activations:
    return extract(tiny, stimuli, folder=tmp_path / "s", units=UnitSelection(sample=10))


def test_what_it_says(store, stimuli):
    assert store.stimulus_ids == stimuli.ids
    assert store.layers == ("conv1", "conv2", "fc")
    assert store.folder.name == store.key
    for layer, n_units in zip(store.layers, (10, 10, 5), strict=True):
        assert store.n_units(layer) == n_units
        assert store.units(layer).shape == (n_units,)
        assert store.units(layer).dtype == np.int32


def test_blocks_are_copies_that_join_to_the_whole(store):
    full = store.block("conv1", 0, 10)
    assert full.dtype == np.float32
    assert full.shape == (7, 10)
    parts = [store.block("conv1", start, stop) for start, stop in ((0, 3), (3, 3), (3, 10))]
    assert np.array_equal(np.hstack(parts), full)
    assert all(part.flags.c_contiguous and part.flags.writeable for part in parts)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (0, 11), (5, 4)])
def test_blocks_out_of_range(store, start, stop):
    with pytest.raises(ActivationsError, match=f"'conv1' has 10 selected units.*{start}:{stop}"):
        store.block("conv1", start, stop)


def test_rows_join_by_id(store):
    assert store.rows(["s6", "s0", "s6"]).tolist() == [6, 0, 6]
    assert store.rows([]).tolist() == []
    with pytest.raises(StimulusMismatchError, match=r"2 stimulus ids.*'x', 'y'"):
        store.rows(["s1", "x", "y", "x"])


@pytest.mark.parametrize("method", ["units", "n_units"])
def test_unknown_layer(store, method):
    with pytest.raises(UnknownLayerError, match="'conv' in the activations of model 'tiny'"):
        getattr(store, method)("conv")


def test_it_travels_to_another_process_without_its_values(store):
    sent = pickle.dumps(store)
    assert pickle.loads(sent) == store  # noqa: S301
    assert len(sent) < 10_000


def test_opened_again_it_is_the_same(store):
    assert Activations.open(store.folder) == store


@pytest.mark.parametrize("name", ["000-conv1.npy", "000-conv1.units.npy", "meta.json"])
@pytest.mark.parametrize("damage", ["missing", "short", "long", "empty", "garbage"])
def test_damage_is_found_and_named(store, tiny, stimuli, name, damage):
    path = store.folder / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        changed = {
            "short": content[:-1],
            "long": content + b"}",
            "empty": b"",
            "garbage": b"\x80" * len(content),
        }
        path.write_bytes(changed[damage])
    with pytest.raises(ActivationsError, match=f"{name}.*remove the folder"):
        Activations.open(store.folder)
    with pytest.raises(ActivationsError, match=name):
        extract(tiny, stimuli, folder=store.folder.parent, units=UnitSelection(sample=10))


def test_changed_values_are_found_by_verify(store):
    store.verify()
    path = store.folder / "001-conv2.npy"
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    Activations.open(store.folder)
    with pytest.raises(ActivationsError, match=r"001-conv2.npy: its bytes have changed"):
        store.verify()


def test_another_shape_of_the_same_size_is_damage(store):
    path = store.folder / "000-conv1.npy"
    np.save(path, np.load(path).reshape(10, 7))
    with pytest.raises(ActivationsError, match=r"000-conv1.npy: damaged.*\(10, 7\)"):
        Activations.open(store.folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda meta: meta.update(format=2), "format 2; this unitdb reads 1"),
        (lambda meta: meta["stimulus_ids"].pop(), "'conv1'.* does not fit 6 stimuli"),
        (lambda meta: meta["layers"][0]["units"].update(file="../x"), "layers.0.units.file"),
    ],
)
def test_a_changed_description_is_refused(store, change, message):
    path = store.folder / "meta.json"
    meta = json.loads(path.read_text())
    change(meta)
    path.write_text(json.dumps(meta))
    with pytest.raises(ActivationsError, match=message):
        Activations.open(store.folder)
