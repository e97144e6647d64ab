"""Agreement of predicted and true activations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unitdb.resolution import DOUBLE, resolution_of, scaled_and_constant

__all__ = ["profile_correlation"]


def profile_correlation(
    predicted: NDArray[np.floating], true: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Pearson correlation of each unit's predicted and true activations over images.

    r_u = Σᵢ (p_iu − p̄_u)(t_iu − t̄_u) / √(Σᵢ (p_iu − p̄_u)² · Σᵢ (t_iu − t̄_u)²)

    Parameters
    ----------
    predicted : array of shape (n_images, n_units)
        Decoded activations, on any scale.
    true : array of shape (n_images, n_units)
        Activations of the network.

    Returns
    -------
    array of shape (n_units,)
        NaN where either side is constant (:func:`unitdb.resolution.is_constant`).

    Examples
    --------
    >>> from unitdb.decoding import profile_correlation
    >>> true = np.array([[1.0, 1], [2, 3], [3, 2]])
    >>> profile_correlation(true[:, ::-1], true)
    array([0.5, 0.5])
    """
    resolution = resolution_of(true.dtype)
    # Predictions may vary little beside their mean.
    predicted, _, same = scaled_and_constant(predicted, resolution=DOUBLE)
    true, _, constant = scaled_and_constant(true, resolution=resolution)
    p = predicted - predicted.mean(axis=0)
    t = true - true.mean(axis=0)
    covariance = np.einsum("iu,iu->u", p, t)
    scale = np.sqrt(np.einsum("iu,iu->u", p, p)) * np.sqrt(np.einsum("iu,iu->u", t, t))
    undefined = same | constant | (scale == 0)
    r = np.full(covariance.shape, np.nan)
    np.divide(covariance, scale, out=r, where=~undefined)
    return r
