"""The other direction: how well each voxel is predicted from the units of a layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unitdb.decoding.roi import RoiDecoder
from unitdb.decoding.settings import DecoderSettings
from unitdb.errors import ResponsesError
from unitdb.resolution import is_constant, resolution_of

__all__ = ["encoding_accuracies"]

Rows = NDArray[np.intp]


def encoding_accuracies(
    activations: Sequence[NDArray[np.floating]],
    responses: NDArray[np.floating],
    splits: Sequence[tuple[Rows, Rows]],
    settings: DecoderSettings,
    *,
    sets: Sequence[Rows] | None = None,
    resolutions: Sequence[float] | None = None,
    n_jobs: int = 1,
) -> NDArray[np.float64]:
    """Voxel-wise encoding models of each layer: Pearson r over held-out images.

    What :class:`.RoiDecoder` does, with units and voxels exchanged: units and responses are
    normalised with training statistics, each voxel keeps the units most correlated with it
    (``settings.n_voxels`` says how many; 500 with α = 100 in the publication), and ridge regression
    predicts the held-out rows.

    Parameters
    ----------
    activations : sequence of arrays of shape (n_rows, n_units)
        Of each layer, raw; rows as in ``responses``. Where units are selected a matrix of n_units²
        is held: give a sample of a large layer. Without selection memory grows with n_units.
    responses : array of shape (n_rows, n_voxels)
        Raw; one row a sample, test presentations of an image averaged.
    splits : sequence of (train_rows, test_rows)
        Integer arrays. Held-out predictions of all pairs are pooled.
    settings : DecoderSettings
    sets : sequence of integer arrays, optional
        Held-out rows of each test set, as of :class:`.RoiDecoder`.
    resolutions : sequence of float, optional
        By which the units of each layer are constant (:func:`unitdb.resolution.resolution_of`); by
        default that of the array's type.
    n_jobs : int
        Threads.

    Returns
    -------
    array of shape (n_layers, n_voxels), or (n_layers, n_sets, n_voxels) where ``sets`` are given
        NaN for a voxel that is constant over the training or the held-out rows.

    Raises
    ------
    ResponsesError
        Rows that do not agree, or a layer none of whose units varies in training.
    IllConditionedError
        The penalty is too small for the units of a voxel; names its column.

    References
    ----------
    Nonaka, Majima, Aoki & Kamitani 2021, doi:10.1016/j.isci.2021.103013.

    Examples
    --------
    >>> from unitdb.decoding import DecoderSettings, encoding_accuracies
    >>> x = np.random.default_rng(0).normal(size=(60, 4))
    >>> splits = [(np.arange(40), np.arange(40, 60))]
    >>> settings = DecoderSettings(alpha=0.1, n_voxels=None)
    >>> r = encoding_accuracies([x], x[:, :2], splits, settings)
    >>> r.shape, bool((r > 0.9).all())
    ((1, 2), True)
    """
    found = []
    for number, layer in enumerate(activations):
        if len(layer) != len(responses):
            raise ResponsesError(
                f"layer {number} has {len(layer)} rows of activations, the responses have "
                f"{len(responses)}"
            )
        least = resolution_of(layer.dtype) if resolutions is None else resolutions[number]
        if any(is_constant(layer[train], resolution=least).all() for train, _ in splits):
            raise ResponsesError(
                f"none of the {layer.shape[1]} units of layer {number} varies in training"
            )
        decoder = RoiDecoder(layer, splits, settings, sets=sets, resolution=least)
        found.append(decoder.accuracy(responses, n_jobs=n_jobs))
    return np.stack(found)
