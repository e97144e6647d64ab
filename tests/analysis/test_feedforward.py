"""Brains that are only fed forward: the encoder against scikit-learn, mixtures as they are said."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from unitdb.analysis import encode_responses, group_halves, mixed_responses, resampled_noise
from unitdb.errors import AnalysisError


def data(seed=0, n_train=40, n_test=7, n_voxels=5):
    rng = np.random.default_rng(seed)
    layers = [rng.normal(2, 3, (n_train + n_test, n)) for n in (12, 30)]
    layers[0][:, 4] = 1.5  # a unit that never varies
    weights = rng.normal(size=(30, n_voxels))
    responses = layers[1][:n_train] @ weights + rng.normal(0, 5, (n_train, n_voxels)) + 10
    train = [layer[:n_train] for layer in layers]
    return train, [layer[n_train:] for layer in layers], responses


def test_the_encoder_is_ridge_regression_on_all_layers():
    train, test, responses = data()
    groups = np.arange(40) // 2  # each picture twice
    found = encode_responses(train, test, responses, groups=groups, seed=3)

    def joined(layers):
        parts = []
        for own, values in zip(train, layers, strict=True):
            varies = own.std(axis=0) > 0
            z = (values - own.mean(axis=0))[:, varies] / own.std(axis=0)[varies]
            parts.append(z / np.sqrt(varies.sum()))
        return np.concatenate(parts, axis=1)

    x, x_test = joined(train), joined(test)
    order = np.random.Generator(np.random.PCG64(3)).permutation(20)
    fold_of_picture = {picture: place % 5 for place, picture in enumerate(order)}
    fold = np.array([fold_of_picture[group] for group in groups])

    def fit(rows, alpha, y, at):
        scale = np.linalg.eigvalsh(x[rows] @ x[rows].T).mean()
        mean = y[rows].mean()
        model = Ridge(alpha=alpha * scale, fit_intercept=False).fit(x[rows], y[rows] - mean)
        return model.predict(at) + mean

    alphas = 10.0 ** np.arange(-3, 5)
    for voxel, y in enumerate(responses.T):
        held_out = np.empty((len(alphas), len(y)))
        for number in range(5):
            rows, out = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            for place, alpha in enumerate(alphas):
                held_out[place, out] = fit(rows, alpha, y, x[out])
        best = ((held_out - y) ** 2).sum(axis=1).argmin()
        assert found.alpha[voxel] == alphas[best]
        np.testing.assert_allclose(found.residuals[:, voxel], y - held_out[best], atol=1e-8)
        expected = fit(np.arange(40), alphas[best], y, x_test)
        np.testing.assert_allclose(found.predicted[:, voxel], expected, atol=1e-8)


def test_what_cannot_be_encoded_is_said():
    train, test, responses = data()
    with pytest.raises(AnalysisError, match="4 pictures train an encoder; at least 5"):
        encode_responses(train, test, responses, groups=np.arange(40) % 4)
    still = [np.ones_like(layer) for layer in train]
    with pytest.raises(AnalysisError, match="no unit varies"):
        encode_responses(still, test, responses, groups=np.arange(40))


def test_halves_share_no_picture():
    groups = np.repeat([f"p{number}" for number in range(9)], 3)
    first, second = group_halves(groups, seed=1)
    assert sorted([*first, *second]) == list(range(27))
    assert not set(groups[first]) & set(groups[second])
    assert len(first) == 12
    with pytest.raises(AnalysisError, match="one picture"):
        group_halves(["a", "a"], seed=0)


def test_noise_has_the_covariance_of_residuals():
    rng = np.random.default_rng(5)
    residuals = rng.normal(size=(300, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0], [0, 0, 2]]) + 7
    noise = resampled_noise(residuals, 50_000, rng=rng)
    np.testing.assert_allclose(np.cov(noise.T), np.cov(residuals.T), atol=0.1)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.05)


def test_voxels_are_mixtures_of_few_units_of_one_layer():
    train, test, _ = data(n_test=4)
    layers = [np.concatenate(pair) for pair in zip(train, test, strict=True)]
    rows = np.arange(40)
    found = mixed_responses(layers, rows, 9, rng=np.random.default_rng(0))
    assert found.shape == (44, 9)
    np.testing.assert_allclose(found[rows].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(found[rows].std(axis=0), 1, atol=1e-12)
    for voxel in range(9):  # five voxels of the first layer, four of the second
        layer = layers[0] if voxel < 5 else layers[1]
        z = layer[:, layer.std(axis=0) > 0]
        z = (z - z[rows].mean(axis=0)) / z[rows].std(axis=0)
        weights = np.linalg.lstsq(z[rows], found[rows, voxel], rcond=None)[0]
        np.testing.assert_allclose(z @ weights, found[:, voxel], atol=1e-8)
        if voxel < 5:
            assert (np.abs(weights) > 1e-8).sum() <= 6
