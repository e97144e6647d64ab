from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from tests.activations.conftest import SOURCE, make_stimuli, write_model
from unitdb.activations import Stimuli, UnitSelection, extract, load_model
from unitdb.errors import ActivationsError

ALL = UnitSelection(sample=None)


def by_hand(model, stimuli) -> dict[str, np.ndarray]:
    """Every layer by plain numpy, in float64 and C order."""
    state = {name: value.double().numpy() for name, value in model.module.state_dict().items()}
    mean, std = (np.array(v) for v in (model.spec.preprocessing.mean, model.spec.preprocessing.std))
    rows: dict[str, list[np.ndarray]] = {"conv1": [], "conv2": [], "fc": []}
    for index in range(len(stimuli)):
        x = ((stimuli.image(index) - mean) / std).transpose(2, 0, 1)
        conv1 = np.einsum("oi,ihw->ohw", state["conv1.weight"][..., 0, 0], x)
        conv1 += state["conv1.bias"][:, None, None]
        patches = np.maximum(conv1, 0).reshape(2, 2, 2, 2, 2)  # channel, row, y, column, x
        conv2 = np.einsum("oiyx,irycx->orc", state["conv2.weight"], patches)
        conv2 += state["conv2.bias"][:, None, None]
        fc = state["fc.weight"] @ conv2.ravel() + state["fc.bias"]
        for name, value in (("conv1", conv1), ("conv2", conv2), ("fc", fc)):
            rows[name].append(value.ravel())
    return {name: np.array(values) for name, values in rows.items()}


def whole(store, layer) -> np.ndarray:
    return store.block(layer, 0, store.n_units(layer))


def files(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_values_are_those_by_hand(tiny, stimuli, tmp_path, batch_size):
    store = extract(tiny, stimuli, folder=tmp_path / "store", units=ALL, batch_size=batch_size)
    expected = by_hand(tiny, stimuli)
    assert (expected["conv1"] < 0).any()  # else the ReLU in place, right after, goes unnoticed
    for layer in ("conv1", "conv2", "fc"):
        np.testing.assert_allclose(whole(store, layer), expected[layer], rtol=1e-5, atol=1e-5)


def test_an_activation_is_of_its_picture_alone(tiny, tmp_path):
    """Whatever is beside it, also where rows of a batch round otherwise by their place."""
    tiny.module.fc.register_forward_hook(
        lambda _module, _images, output: output * (1 + torch.arange(len(output))[:, None] * 2e-7)
    )
    some = make_stimuli()
    ids = (*some.ids, *(f"again-{name}" for name in some.ids))
    twice = Stimuli(ids, ids, lambda index: some.image(index % len(some)))
    found = whole(extract(tiny, twice, folder=tmp_path / "store", units=ALL), "fc")
    np.testing.assert_array_equal(found[: len(some)], found[len(some) :])


def test_a_sample_is_columns_of_all(tiny, stimuli, tmp_path):
    full = extract(tiny, stimuli, folder=tmp_path / "s", units=ALL)
    some = extract(tiny, stimuli, folder=tmp_path / "s", units=UnitSelection(sample=9, seed=3))
    assert some.key != full.key
    assert [some.n_units(layer) for layer in some.layers] == [9, 9, 5]
    for layer in some.layers:
        assert np.array_equal(whole(some, layer), whole(full, layer)[:, some.units(layer)])


def test_memory_layout_does_not_change_the_order_of_units(tiny, stimuli, tmp_path):
    plain = extract(tiny, stimuli, folder=tmp_path / "plain", units=ALL)
    tiny.module.to(memory_format=torch.channels_last)
    other = extract(tiny, stimuli, folder=tmp_path / "channels_last", units=ALL)
    for layer in plain.layers:
        np.testing.assert_allclose(whole(other, layer), whole(plain, layer), rtol=1e-5, atol=1e-6)


def test_a_subset_of_layers(tiny, stimuli, tmp_path):
    fc = load_model(tiny.spec, folder=tmp_path, layers=["fc"])
    store = extract(fc, stimuli, folder=tmp_path / "store", units=ALL)
    assert store.layers == ("fc",)
    full = extract(tiny, stimuli, folder=tmp_path / "store", units=ALL)
    assert store.key != full.key
    assert np.array_equal(whole(store, "fc"), whole(full, "fc"))


def test_the_same_call_twice_gives_the_same_bytes(tiny, stimuli, tmp_path):
    first = extract(tiny, stimuli, folder=tmp_path / "one", units=ALL)
    second = extract(tiny, make_stimuli(), folder=tmp_path / "two", units=ALL)
    assert first.key == second.key
    assert files(first.folder) == files(second.folder)
    first.verify()


def test_what_exists_is_opened_not_computed(tiny, stimuli, tmp_path):
    first = extract(tiny, stimuli, folder=tmp_path / "store", units=ALL)
    tiny.module.forward = None
    again = extract(tiny, stimuli, folder=tmp_path / "store", units=ALL)
    assert again == first


def test_the_key_depends_on_stimuli_and_model(tiny, stimuli, tmp_path):
    other = load_model(tiny.spec, folder=tmp_path, seed=1)
    stores = [
        extract(model, pictures, folder=tmp_path / "store", units=ALL)
        for model in (tiny, other)
        for pictures in (stimuli, make_stimuli(seed=1))
    ]
    assert len({store.key for store in stores}) == 4
    assert {path.name for path in (tmp_path / "store").iterdir()} == {s.key for s in stores}


def test_progress(tiny, stimuli, tmp_path):
    calls = []
    extract(
        tiny,
        stimuli,
        folder=tmp_path / "store",
        units=ALL,
        batch_size=3,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(3, 7), (6, 7), (7, 7)]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_not_finite_names_layer_and_stimulus(tmp_path, value):
    # Only the sixth picture is black.
    source = SOURCE.replace(
        "self.drop(torch.flatten(x, 1))",
        f"torch.flatten(x, 1).masked_fill(black[:, None], float('{value}'))",
    ).replace("x = self.conv2", "black = (x < -1.9).flatten(1).all(1); x = self.conv2")
    images = np.full((7, 4, 4, 3), 128, np.uint8)
    images[5] = 0
    ids = tuple("stuvwxy")
    model = load_model(write_model(tmp_path, source), folder=tmp_path)
    with pytest.raises(ActivationsError, match=r"layer 'fc'.*stimulus 'x' is not finite"):
        extract(
            model,
            Stimuli(ids, ids, images.__getitem__),
            folder=tmp_path / "store",
            units=ALL,
            batch_size=4,
        )
    assert list((tmp_path / "store").iterdir()) == []


def test_float64_that_overflows_is_not_finite(tmp_path, stimuli):
    source = SOURCE.replace("return self.fc(", "return self.drop(x.double() * 1e300); (")
    spec = write_model(tmp_path, source, layers={"drop": "drop"})
    with pytest.raises(ActivationsError, match="not finite"):
        extract(load_model(spec, folder=tmp_path), stimuli, folder=tmp_path / "s", units=ALL)


def test_a_changing_shape_is_refused(tiny, stimuli, tmp_path):
    tiny.module.relu.register_forward_hook(lambda _module, _input, output: output[:, :, :2])
    with pytest.raises(ActivationsError, match=r"layer 'conv2' has shape \(3, 1, 2\) here, but"):
        extract(tiny, stimuli, folder=tmp_path / "store", units=ALL)


def test_bad_batch_size(tiny, stimuli, tmp_path):
    with pytest.raises(ActivationsError, match="not 0"):
        extract(tiny, stimuli, folder=tmp_path / "store", units=ALL, batch_size=0)


def test_two_at_once_do_not_disturb_each_other(tiny, tmp_path):
    images = make_stimuli()
    barrier = threading.Barrier(2, timeout=30)

    results, calls = [], []

    # Loaded one after the other: the seed of torch is the process's.
    models = [load_model(tiny.spec, folder=tmp_path) for _ in range(2)]

    def run(model) -> None:
        pictures = Stimuli(images.ids, images.sources, images.read)
        results.append(
            extract(
                model,
                pictures,
                folder=tmp_path / "store",
                units=ALL,
                batch_size=6,
                progress=lambda done, _: calls.append(done) if done == 7 else barrier.wait(),
            )
        )

    threads = [threading.Thread(target=run, args=[model]) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [7, 7]
    assert results[0] == results[1]
    results[0].verify()
    assert [path.name for path in (tmp_path / "store").iterdir()] == [results[0].key]


KILLED = """
import sys, time
from pathlib import Path
from tests.activations.conftest import make_stimuli, write_model
from unitdb.activations import UnitSelection, extract, load_model

folder = Path(sys.argv[1])

def stall(done, total):
    (folder / "half").touch()
    time.sleep(60)

model = load_model(write_model(folder), folder=folder)
extract(model, make_stimuli(), folder=folder / "store", units=UnitSelection(sample=None),
        batch_size=4, progress=stall)
"""


def test_a_killed_extraction_is_cleared_and_done_again(tiny, stimuli, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)])
    deadline = time.monotonic() + 60
    while not (tmp_path / "half").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    # Alive: left alone by others, who finish the same work meanwhile in another place.
    store = tmp_path / "store"
    left = sorted(path.name for path in store.iterdir())
    extract(load_model(tiny.spec, folder=tmp_path, seed=1), stimuli, folder=store, units=ALL)
    assert set(left) < {path.name for path in store.iterdir()}

    process.kill()
    process.wait()
    assert all(name.startswith(".unfinished-") for name in left)
    done = extract(tiny, stimuli, folder=store, units=ALL)
    assert not any(path.name.startswith(".") for path in store.iterdir())
    np.testing.assert_allclose(whole(done, "fc"), by_hand(tiny, stimuli)["fc"], rtol=1e-5)
