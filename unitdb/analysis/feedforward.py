"""Brains that are only fed forward: responses predicted from features, or mixed from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from unitdb.errors import AnalysisError
from unitdb.resolution import is_constant

__all__ = ["Encoded", "encode_responses", "group_halves", "mixed_responses", "resampled_noise"]

Array = NDArray[np.float64]
Floats = NDArray[np.floating]
Rows = NDArray[np.intp]

_ALPHAS: Array = 10.0 ** np.arange(-3, 5, dtype=np.float64)
"""Penalties that are tried, in parts of the mean eigenvalue of the Gram matrix."""
_FOLDS = 5
_UNITS_PER_VOXEL = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoded:
    """Responses that an encoder predicts.

    Parameters
    ----------
    predicted : array of shape (n_images, n_voxels)
        Raw, without noise.
    residuals : array of shape (n_train, n_voxels)
        What it leaves of samples that did not train it: each of the fold that it is not in.
    alpha : array of shape (n_voxels,)
        Penalty of each voxel, in parts of the mean eigenvalue.
    """

    predicted: Array
    residuals: Array
    alpha: Array


def group_halves(groups: ArrayLike, *, seed: int | Sequence[int]) -> tuple[Rows, Rows]:
    """Two halves of samples at random, those of a group in one of them.

    Parameters
    ----------
    groups : array of shape (n_samples,)
        Such as the picture that a sample is of.
    seed : int or sequence of int
        Of numpy's PCG64.

    Returns
    -------
    two arrays of positions
        Ascending; every sample is in one of them.

    Raises
    ------
    AnalysisError
        Fewer than two groups.

    Examples
    --------
    >>> from unitdb.analysis import group_halves
    >>> one, other = group_halves(["a", "a", "b", "b"], seed=0)
    >>> len(one), len(other)
    (2, 2)
    """
    names, of_sample = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        raise AnalysisError("samples of one picture cannot be halved")
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(names))
    first = np.isin(of_sample, order[: len(names) // 2])
    return np.flatnonzero(first), np.flatnonzero(~first)


def encode_responses(
    train: Sequence[Floats],
    test: Sequence[Floats],
    responses: Floats,
    *,
    groups: ArrayLike,
    seed: int | Sequence[int] = 0,
) -> Encoded:
    """Predict responses to pictures from their features, by ridge regression on all layers.

    Units are normalised with their training mean and SD, and each layer is divided by the square
    root of its number of units, so that layers count alike. The penalty of a voxel is that of 10⁻³,
    10⁻², …, 10⁴ times the mean eigenvalue of X Xᵀ with the smallest squared error over five folds
    of the training pictures.

    Parameters
    ----------
    train, test : sequences of arrays of shape (n_train, n_units) and (n_images, n_units)
        Features of each layer, raw.
    responses : array of shape (n_train, n_voxels)
        Raw.
    groups : array of shape (n_train,)
        The picture of each sample: those of one are in one fold.
    seed : int or sequence of int
        Of the folds.

    Returns
    -------
    Encoded
        Predicted responses, residuals and penalties.

    Raises
    ------
    AnalysisError
        Fewer pictures than folds, or no unit that varies.

    Examples
    --------
    >>> from unitdb.analysis import encode_responses
    >>> x = np.random.default_rng(0).normal(size=(60, 5))
    >>> found = encode_responses([x[:50]], [x[50:]], x[:50, :2], groups=np.arange(50))
    >>> bool(np.abs(found.predicted - x[50:, :2]).max() < 0.1)
    True
    """
    names, of_sample = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < _FOLDS:
        raise AnalysisError(f"{len(names)} pictures train an encoder; at least {_FOLDS}")
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(names))
    fold_of = np.empty(len(names), dtype=np.intp)
    fold_of[order] = np.arange(len(names)) % _FOLDS
    x, x_test = _joined(train, test)
    y: Array = np.asarray(responses, dtype=np.float64)
    gram = x @ x.T
    folds = [np.flatnonzero(fold_of[of_sample] == fold) for fold in range(_FOLDS)]
    found = np.empty((len(_ALPHAS), *y.shape))
    everything = np.arange(len(y))
    for held_out in folds:
        rows = np.setdiff1d(everything, held_out)
        found[:, held_out] = _ridge(
            gram[np.ix_(rows, rows)], gram[np.ix_(held_out, rows)], y[rows], _ALPHAS
        )
    best = np.square(found - y).sum(axis=1).argmin(axis=0)
    residuals = y - np.take_along_axis(found, best[None, None], axis=0)[0]
    predicted = np.empty((len(x_test), y.shape[1]))
    for place in np.unique(best):
        of = best == place
        own = _ridge(gram, x_test @ x.T, y[:, of], _ALPHAS[place : place + 1])
        predicted[:, of] = own[0]
    return Encoded(predicted=predicted, residuals=residuals, alpha=_ALPHAS[best])


def resampled_noise(residuals: Floats, n: int, *, rng: np.random.Generator) -> Array:
    """Gaussian noise with the covariance over voxels that residuals have.

    Parameters
    ----------
    residuals : array of shape (n_samples, n_voxels)
    n : int
        Rows of noise.
    rng : numpy.random.Generator

    Returns
    -------
    array of shape (n, n_voxels)

    Examples
    --------
    >>> from unitdb.analysis import resampled_noise
    >>> rng = np.random.default_rng(0)
    >>> noise = resampled_noise(rng.normal(size=(500, 2)) * [1, 3], 1000, rng=rng)
    >>> noise.std(axis=0).round(1)
    array([1. , 2.9])
    """
    centred = residuals - residuals.mean(axis=0)
    mixing = rng.standard_normal((n, len(centred))) / np.sqrt(max(len(centred) - 1, 1))
    return np.asarray(mixing @ centred)


def mixed_responses(
    features: Sequence[Floats], train: Rows, n_voxels: int, *, rng: np.random.Generator
) -> Array:
    """Responses without noise of a brain that is only fed forward: sparse mixtures of units.

    A voxel is the sum of six units of one layer, drawn with replacement, with weights of N(0, 1);
    units are normalised over the pictures that train, and so is the voxel. Layers have the same
    number of voxels, ± 1.

    Parameters
    ----------
    features : sequence of arrays of shape (n_stimuli, n_units)
        Of each layer, raw.
    train : array of int
        Rows that train.
    n_voxels : int
    rng : numpy.random.Generator

    Returns
    -------
    array of shape (n_stimuli, n_voxels)
        Mean 0 and SD 1 over the rows that train.

    Examples
    --------
    >>> from unitdb.analysis import mixed_responses
    >>> rng = np.random.default_rng(0)
    >>> brain = mixed_responses([rng.normal(size=(8, 20))], np.arange(8), 3, rng=rng)
    >>> brain.shape, brain.std(axis=0).round(2)
    ((8, 3), array([1., 1., 1.]))
    """
    blocks = []
    for place, layer in enumerate(features):
        z = _normalised(layer[train], layer)
        n = len(range(place, n_voxels, len(features)))
        weights = np.zeros((z.shape[1], n))
        if z.shape[1]:
            units = rng.integers(0, z.shape[1], (_UNITS_PER_VOXEL, n))
            np.add.at(weights, (units, np.arange(n)), rng.standard_normal(units.shape))
        mixed = z @ weights
        blocks.append(_normalised(mixed[train], mixed, keep=True))
    return np.concatenate(blocks, axis=1)


def _joined(train: Sequence[Floats], test: Sequence[Floats]) -> tuple[Array, Array]:
    """All layers side by side, normalised, each of the same weight."""
    pairs = [(_normalised(a, a), _normalised(a, b)) for a, b in zip(train, test, strict=True)]
    pairs = [(a / np.sqrt(a.shape[1]), b / np.sqrt(a.shape[1])) for a, b in pairs if a.shape[1]]
    if not pairs:
        raise AnalysisError("no unit varies over the pictures that train an encoder")
    return (
        np.concatenate([a for a, _ in pairs], axis=1),
        np.concatenate([b for _, b in pairs], axis=1),
    )


def _normalised(train: Floats, values: Floats, *, keep: bool = False) -> Array:
    """Columns less the mean of training, over its SD; without those that are constant, or 0."""
    constant = is_constant(train)
    if not keep:
        train, values, constant = train[:, ~constant], values[:, ~constant], constant[~constant]
    own = train.astype(np.float64)
    sd = np.where(constant, 1.0, own.std(axis=0))
    return np.asarray(np.where(constant, 0.0, (values - own.mean(axis=0)) / sd))


def _ridge(gram: Array, across: Array, y: Array, alphas: Array) -> Array:
    """Predictions (n_alphas, n_images, n_voxels) of kernel ridge regression, y about its mean."""
    mean = y.mean(axis=0)
    values, vectors = scipy.linalg.eigh(gram)
    of_y, of_images = vectors.T @ (y - mean), across @ vectors
    found = np.empty((len(alphas), len(across), y.shape[1]))
    for place, alpha in enumerate(alphas):
        shrunk = np.maximum(values, 0) + alpha * values.mean()
        found[place] = (of_images / shrunk) @ of_y + mean
    return found
