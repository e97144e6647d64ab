"""Real voxels of one person, with 500 of them selected for each unit."""

from __future__ import annotations

import numpy as np
import pytest

import unitdb
from tests.acceptance.conftest import derived, succeed
from tests.decoding.reference import reference_accuracy
from unitdb.activations import Activations
from unitdb.decoding import DecoderSettings, RoiDecoder
from unitdb.responses import decoding_design, open_dataset, shuffle_images
from unitdb.responses.arrays import read_arrays

N_UNITS = 40
N_SHUFFLES = 120
LAYER = "block11"


@pytest.fixture(scope="module")
def built(realdata, tmp_path_factory):
    """The release of two layers, its activations, and the responses it was decoded from."""
    folder = tmp_path_factory.mktemp("digits69")
    recipe = derived(
        "digits69",
        folder,
        models=f"[{{name: efficientnet-lite0, layers: [block7, {LAYER}]}}]",
        units=f"{{sample: {N_UNITS}, seed: 0}}",
    )
    succeed("--releases", folder, "build", recipe, "--data", realdata)
    (store,) = [Activations.open(p) for p in (folder / ".cache").iterdir() if p.is_dir()]
    dataset = open_dataset("digits69", data=realdata, cache=folder / ".cache")
    design = decoding_design(dataset.responses("sub-01"), n_folds=None, seed=0)
    return unitdb.open("digits69", releases=folder), store, design


def activations(store, design, layer):
    rows = store.rows(design.stimulus_ids.tolist())
    return store.block(layer, 0, store.n_units(layer))[rows].astype(float)


def test_the_files_are_read_as_described(built):
    release, _, design = built
    (row,) = release.table("subjects").to_dict("records")
    assert (row["n_voxels"], row["n_train"], row["n_test"]) == (3092, 90, 10)
    assert design.values.shape == (100, 3092)


def test_mean_accuracy_is_above_that_of_shuffled_images(built):
    release, store, design = built
    true = release.layer_by_roi("accuracy").loc[LAYER, "V1-V3"]
    null = []
    for seed in range(N_SHUFFLES):
        shuffled = shuffle_images(design, seed=[seed])
        decoder = RoiDecoder(design.values, design.splits, DecoderSettings())
        null.append(np.nanmean(decoder.accuracy(activations(store, shuffled, LAYER)[:, ::4])))
    p = (1 + np.sum(np.array(null) >= true)) / (1 + N_SHUFFLES)
    assert p < 0.01
    assert true > 0.4
    assert abs(np.mean(null)) < 0.1


@pytest.mark.parametrize("layer", ["block7", LAYER])
def test_accuracies_equal_the_reference_unit_by_unit(built, layer):
    release, store, design = built
    places = [0, 15, 30]
    y = activations(store, design, layer)[:, places]
    expected = reference_accuracy(design.values, y, design.splits, n_voxels=500, alpha=100)
    found = release.sql("SELECT r FROM accuracy WHERE layer = ? ORDER BY unit", [layer])
    np.testing.assert_allclose(found["r"].to_numpy()[places], expected, atol=1e-6)


def test_a_picture_is_upright(realdata, tmp_path):
    """White on black: a six has its loop below, a nine above."""
    dataset = open_dataset("digits69", data=realdata, cache=tmp_path)
    path = realdata / "digits69" / "digit69_28x28.mat"
    labels = read_arrays(path, ["labelTrn"])["labelTrn"].ravel()
    pictures = np.stack([dataset.stimuli.image(i)[..., 0] for i in range(90)]).astype(float)
    above = pictures[:, :14].sum(axis=(1, 2)) / pictures.sum(axis=(1, 2))
    assert above[labels == 1].mean() < above[labels == 2].mean() - 0.05
