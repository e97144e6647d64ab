"""p from accuracies of control builds, whose images were shuffled before anything was decoded.

In a cross-validation each held-out prediction has seen the truth of the other held-out images. By
chance the pooled predictions correlate negatively with the truth, as a held-out image far above the
mean lowers the mean of those that train: the more the decoder shrinks, the more; with leave-one-out
and full shrinkage r is exactly -1. And as predictions depend on each other, chance scatters wider
than for independent images. The formulas of :mod:`.significance`, and permuting after decoding, are
therefore conservative for decoders that shrink much and liberal for those that shrink little. A
control build permutes images, then cross-validates: its null has both.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import AnalysisError
from unitdb.resolution import DOUBLE

__all__ = ["PooledNull", "StudentisedNull", "empirical_p"]

_FEWEST = 3


def empirical_p(r: NDArray[np.floating], null: NDArray[np.floating]) -> NDArray[np.float64]:
    """One-sided p of each accuracy among those of control builds of the same unit.

    p = (1 + #{null ≥ r}) / (1 + n),  n the controls in which the unit has an accuracy. Exact where
    images are exchangeable, for every design. The smallest p is 1 / (1 + n).

    Parameters
    ----------
    r : array of any shape
        Accuracies; NaN stays NaN.
    null : array of shape (n_controls, *r.shape)
        Accuracies with shuffled images, each control with another seed.

    Returns
    -------
    array of the shape of ``r``
        NaN also where no control has an accuracy.

    Raises
    ------
    AnalysisError
        Shapes that do not agree.

    References
    ----------
    Phipson & Smyth 2010, doi:10.2202/1544-6115.1585.

    Examples
    --------
    >>> from unitdb.analysis import empirical_p
    >>> empirical_p(np.array([0.5]), np.array([[0.1], [0.6], [-0.2]]))
    array([0.5])
    """
    if null.ndim != r.ndim + 1 or null.shape[1:] != r.shape:
        raise AnalysisError(f"null has shape {null.shape}; it should be (n_controls, *{r.shape})")
    n = np.zeros(r.shape, dtype=np.int64)
    above = np.zeros(r.shape, dtype=np.int64)
    for control in null:
        n += ~np.isnan(control)
        above += control >= r
    undefined = np.isnan(r) | (n == 0)
    return np.where(undefined, np.nan, (1.0 + above) / (1.0 + n))


class PooledNull:
    """p of accuracies among all accuracies of control builds of a layer and region.

    p = (1 + #{null ≥ r}) / (1 + M),  M units times controls. For one or a few controls, which could
    give no small p unit by unit. Assumes that units share one null distribution: over the layer the
    share of p < α is right, for a single unit it need not be. Units are not independent, so that M
    is not the number of independent draws.

    Parameters
    ----------
    null : array of any shape
        Accuracies with shuffled images; NaN is left out.

    Raises
    ------
    AnalysisError
        There is none.

    Examples
    --------
    >>> from unitdb.analysis import PooledNull
    >>> PooledNull(np.linspace(-0.2, 0.2, 99)).p(np.array([0.0, 0.5]))
    array([0.51, 0.01])
    """

    def __init__(self, null: NDArray[np.floating]) -> None:
        self._sorted = np.sort(null[~np.isnan(null)], axis=None)
        if not len(self._sorted):
            raise AnalysisError("no accuracy in the null: all are NaN")

    def p(self, r: NDArray[np.floating]) -> NDArray[np.float64]:
        """One-sided p of accuracies, of any shape and as many blocks as you like.

        Parameters
        ----------
        r : array of any shape
            NaN stays NaN.

        Returns
        -------
        array of the shape of r
            From 1 / (n + 1) to 1; NaN where r is NaN.
        """
        n = len(self._sorted)
        values = r.astype(self._sorted.dtype, copy=False)  # comparable, value for value
        above = n - np.searchsorted(self._sorted, values, side="left")
        return np.where(np.isnan(r), np.nan, (1.0 + above) / (1.0 + n))


class StudentisedNull:
    """p of accuracies among those of controls, on the scale of each unit's own chance.

    z = (r − m) / (s √(1 + 1/n)),  m and s mean and SD of the unit's n controls, and
    z_k the same of its control k against the n − 1 others;  p = (1 + #{z_k ≥ z}) / (1 + M),  over
    the M controls of all units. Units differ in their chance level and in how far chance scatters;
    what is pooled is only the shape of the tail, so that a few controls of many units give small p.
    The share of p < α is right over the units of a layer, or slightly below, as n − 1 controls say
    less of the scale than n.

    Parameters
    ----------
    blocks : iterable of arrays of shape (n_controls, n_units)
        Accuracies with shuffled images, some units at a time; at least 3 controls. NaN is left out.

    Raises
    ------
    AnalysisError
        Fewer controls, or no accuracy in them.

    Examples
    --------
    >>> from unitdb.analysis import StudentisedNull
    >>> null = np.random.default_rng(0).normal(size=(3, 200))
    >>> p = StudentisedNull([null]).p(np.array([50.0]), null[:, :1])
    >>> bool(p < 0.01)
    True
    """

    def __init__(self, blocks: Iterable[NDArray[np.floating]]) -> None:
        pooled = [_left_out(null).astype(np.float32) for null in blocks]
        self._pool = PooledNull(np.concatenate([np.empty(0, np.float32), *map(np.ravel, pooled)]))

    def p(self, r: NDArray[np.floating], null: NDArray[np.floating]) -> NDArray[np.float64]:
        """One-sided p of a block of units.

        Parameters
        ----------
        r : array of shape (n_units,)
            Accuracies; NaN stays NaN.
        null : array of shape (n_controls, n_units)
            Those of the same units with shuffled images.

        Returns
        -------
        array of shape (n_units,)
            NaN also where fewer than 3 controls have an accuracy, or all the same.
        """
        n, mean, _, squares = _moments(null)
        known = (n >= _FEWEST) & (squares > 0)
        z = np.full(r.shape, np.nan)
        scale = np.sqrt(squares[known] / (n[known] - 1) * (1 + 1 / n[known]))
        z[known] = (r[known] - mean[known]) / scale
        return self._pool.p(z)


def _moments(null: NDArray[np.floating]) -> tuple[NDArray[np.float64], ...]:
    """Number of controls of each unit, mean, differences to it, and the sum of their squares."""
    if null.ndim != 2 or len(null) < _FEWEST:
        raise AnalysisError(f"null has shape {null.shape}: at least {_FEWEST} controls × units")
    values = null.astype(np.float64)
    n = (~np.isnan(values)).sum(axis=0).astype(np.float64)
    mean = np.nansum(values, axis=0) / np.maximum(n, 1)
    centred = values - mean
    return n, mean, centred, np.nansum(centred**2, axis=0)


def _left_out(null: NDArray[np.floating]) -> NDArray[np.float64]:
    """Each control against the others of its unit, as z of :class:`StudentisedNull`."""
    n, _, centred, squares = _moments(null)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Without control k the mean moves by −c / (n − 1), the sum of squares by −c² n / (n − 1).
        rest = (squares - centred**2 * (n / (n - 1))) / (n - 2)
        rest[rest <= DOUBLE * squares] = np.nan  # the others are alike, but for rounding
        z = centred * (n / (n - 1)) / np.sqrt(rest * (1 + 1 / (n - 1)))
    z[:, n < _FEWEST] = np.nan
    return np.asarray(z)
