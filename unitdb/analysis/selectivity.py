"""Properties of units' activations that agreement between people may come down to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unitdb.resolution import is_constant, scaled

__all__ = ["activation_covariates"]


def activation_covariates(
    y: NDArray[np.floating], *, resolution: float | None = None
) -> NDArray[np.float64]:
    """Log variance and sparseness of each unit's activations over images.

    sparseness = (1 − (Σ|y|/n)² / (Σy²/n)) / (1 − 1/n):  0 where all images drive the unit alike, 1
    where one image alone does.

    Parameters
    ----------
    y : array of shape (n_images, n_units)
        Activations, raw.
    resolution : float, optional
        Of :func:`unitdb.resolution.is_constant`; by default that of the array's type.

    Returns
    -------
    array of shape (2, n_units)
        NaN for a unit that answers the same to all images (:func:`unitdb.resolution.is_constant`).

    References
    ----------
    Vinje & Gallant 2000, doi:10.1126/science.287.5456.1273.

    Examples
    --------
    >>> from unitdb.analysis import activation_covariates
    >>> variance, sparseness = activation_covariates(np.array([[1.0, 0], [1, 0], [1.5, 4]]))
    >>> sparseness.round(2)
    array([0.06, 1.  ])
    """
    values, exponent = scaled(np.asarray(y, dtype=np.float64))
    n = len(values)
    varies = ~is_constant(np.asarray(y), resolution=resolution)
    found = np.full((2, values.shape[1]), np.nan)
    kept = values[:, varies]
    found[0, varies] = np.log(kept.var(axis=0)) + 2 * np.log(2.0) * exponent[varies]
    mean, square = np.abs(kept).mean(axis=0), (kept**2).mean(axis=0)
    found[1, varies] = (1 - mean**2 / square) / (1 - 1 / n)
    return found
