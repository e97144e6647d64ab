"""Voxels predicted from units: equal to scikit-learn, voxel by voxel and layer by layer."""

import numpy as np
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from tests.decoding.reference import reference_accuracy
from unitdb.decoding import DecoderSettings, encoding_accuracies
from unitdb.errors import ResponsesError
from unitdb.responses.design import image_folds


@given(
    seed=st.integers(0, 99),
    kept=st.none() | st.integers(1, 20),
    n_folds=st.integers(2, 4),
    zscore=st.booleans(),
)
@hypothesis_settings(max_examples=25)
def test_equals_the_reference_in_each_layer(seed, kept, n_folds, zscore):
    rng = np.random.default_rng(seed)
    layers = [rng.normal(3, 2, (24, n_units)) for n_units in (7, 15)]
    layers[0][:, 2] = 5.0  # a dead unit
    voxels = np.hstack(layers) @ rng.normal(size=(22, 6)) + 3 * rng.normal(size=(24, 6))
    splits = image_folds(24, n_folds, seed=seed)
    chosen = {"n_voxels": kept, "alpha": 3.0, "zscore": zscore}
    settings = DecoderSettings(precision="double", **chosen)
    found = encoding_accuracies(layers, voxels, splits, settings, n_jobs=2)
    for row, layer in zip(found, layers, strict=True):
        expected = reference_accuracy(layer, voxels, splits, **chosen)
        np.testing.assert_allclose(row, expected, rtol=0, atol=1e-9)


def test_the_layer_that_made_a_voxel_predicts_it_best_and_constant_voxels_have_no_accuracy():
    rng = np.random.default_rng(0)
    layers = [rng.normal(size=(80, 30)) for _ in range(3)]
    made = rng.integers(0, 3, 20)
    voxels = np.stack([layers[layer] @ rng.normal(size=30) for layer in made], axis=1)
    voxels += 2 * rng.normal(size=voxels.shape)
    voxels[:, 4] = 1.0
    splits = [(np.arange(60), np.arange(60, 80))]
    found = encoding_accuracies(layers, voxels, splits, DecoderSettings(n_voxels=None, alpha=10.0))
    assert np.isnan(found[:, 4]).all()
    rest = np.arange(20) != 4
    np.testing.assert_array_equal(found[:, rest].argmax(axis=0), made[rest])


def test_layers_that_cannot_predict_are_refused_by_number():
    splits, settings = [(np.arange(6), np.arange(6, 9))], DecoderSettings()
    voxels = np.random.default_rng(0).normal(size=(9, 2))
    with pytest.raises(ResponsesError, match="none of the 3 units of layer 1 varies"):
        encoding_accuracies([voxels, np.ones((9, 3))], voxels, splits, settings)
    with pytest.raises(ResponsesError, match="layer 0 has 8 rows"):
        encoding_accuracies([voxels[:8]], voxels, splits, settings)
