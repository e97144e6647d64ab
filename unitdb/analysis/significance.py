"""Significance of an accuracy: whether the unit is decoded better than chance."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import scipy.special
from numpy.typing import ArrayLike, NDArray

from unitdb.errors import AnalysisError, closest

__all__ = ["Test", "accuracy_p", "combined_accuracy_p"]

Test = Literal["t", "fisher"]

_FEWEST = {"t": 3, "fisher": 4}
_SMALLEST = 1e-300  # p of one subject that counts as no smaller, so that none decides alone
_ROUNDING = 1e-6  # by which a correlation in float32 may leave [-1, 1]


def accuracy_p(
    r: NDArray[np.floating], *, n_images: ArrayLike, method: Test = "t"
) -> NDArray[np.float64]:
    """One-sided p of accuracies: as high by chance, where the true correlation is 0 (H₁: ρ > 0).

    ``"t"``       t = r √((n − 2) / (1 − r²)),  p = P(T_{n−2} ≥ t):
    exact where one side of the correlation is normal and independent of the other.

    ``"fisher"``  z = artanh(r) √(n − 3),       p = P(N(0, 1) ≥ z):
    Fisher's approximation of the same: for n = 50 within 1 % of it at p = .05, and a quarter too
    small at p = 10⁻⁴.

    Valid for a train/test design, whose test images are independent of what trained the decoder.
    In a cross-validation p is too large or too small: see :mod:`.null`.

    Parameters
    ----------
    r : array of any shape
        Accuracies: Pearson r; NaN stays NaN.
    n_images : int or array that broadcasts to ``r``
        Test images that each correlation is over.
    method : {"t", "fisher"}

    Returns
    -------
    array of the shape of ``r``

    Raises
    ------
    AnalysisError
        Too few images, accuracies outside [-1, 1], or another method.

    References
    ----------
    Fisher 1915, doi:10.2307/2331838 (exact); Fisher 1921, Metron 1 (z).

    Examples
    --------
    >>> from unitdb.analysis import accuracy_p
    >>> accuracy_p(np.array([0.0, 0.4]), n_images=50).round(4)
    array([0.5  , 0.002])
    """
    if method not in get_args(Test):
        near = closest(str(method), get_args(Test)) or get_args(Test)
        raise AnalysisError(f"method {method!r} of accuracy_p; valid: {', '.join(near)}")
    n = np.asarray(n_images, dtype=np.float64)
    if (n < _FEWEST[method]).any():
        raise AnalysisError(
            f"{n.min():g} test images; method {method!r} needs at least {_FEWEST[method]}"
        )
    values = np.asarray(r, dtype=np.float64)
    if (np.abs(values) > 1 + _ROUNDING).any():
        worst = values.flat[np.nanargmax(np.abs(values))]
        raise AnalysisError(f"accuracy {worst:g} is no correlation: outside [-1, 1]")
    values = np.clip(values, -1.0, 1.0)
    with np.errstate(divide="ignore"):  # r = ±1: t and z are infinite, p is 0 or 1
        if method == "fisher":
            return np.asarray(scipy.special.ndtr(-np.arctanh(values) * np.sqrt(n - 3)))
        t = values * np.sqrt((n - 2) / ((1 - values) * (1 + values)))
    return np.asarray(scipy.special.stdtr(n - 2, -t))


def combined_accuracy_p(
    r: NDArray[np.floating],
    *,
    n_images: ArrayLike,
    correlation: NDArray[np.floating] | None = None,
) -> NDArray[np.float64]:
    """One-sided p over subjects: Stouffer's combination of the p of each accuracy.

    Z = Σ_s z_s / √(Σ_st ρ_st),  z_s = Φ⁻¹(1 − p_s)  of the ``"t"`` of :func:`accuracy_p`;
    p = P(N ≥ Z). Without ``correlation`` subjects are independent and the root is √k: as
    :func:`.stouffer_p` of these p, but that a p near 1 loses no digits, as z is that of |r| with
    the sign of r. A subject with r = ±1 counts as one with p = 10⁻³⁰⁰ or 1 − 10⁻³⁰⁰.

    People who see the same images are alike: what chance gives one, it gives others too.
    :func:`.prediction_correlations` says how much.

    Parameters
    ----------
    r : array of shape (n_subjects, …)
        Accuracies; subjects without one (NaN) are left out.
    n_images : int or array that broadcasts to ``r``
        Test images.
    correlation : array of shape (n_subjects, n_subjects), optional
        Of the z of subjects by chance. NaN counts as 1, and what is below 0 as 0: p is rather too
        large.

    Returns
    -------
    array of shape (…)
        NaN where no subject has an accuracy.

    Raises
    ------
    AnalysisError
        As of :func:`accuracy_p`, or a correlation of another shape.

    References
    ----------
    Stouffer et al. 1949; Strube 1985, doi:10.1037/0033-2909.97.2.334 (dependent tests).

    Examples
    --------
    >>> from unitdb.analysis import combined_accuracy_p
    >>> r = np.array([[0.2], [0.2]])
    >>> combined_accuracy_p(r, n_images=50).round(3)
    array([0.024])
    >>> combined_accuracy_p(r, n_images=50, correlation=np.ones((2, 2))).round(3)
    array([0.082])
    """
    p = np.maximum(accuracy_p(np.abs(r), n_images=n_images), _SMALLEST)
    z = np.copysign(-scipy.special.ndtri(p), r)
    known = (~np.isnan(z)).astype(np.float64)
    if correlation is None:
        variance = known.sum(axis=0)
    else:
        if correlation.shape != (len(z), len(z)):
            raise AnalysisError(
                f"correlation of shape {correlation.shape} of {len(z)} subjects; it should be "
                f"({len(z)}, {len(z)})"
            )
        chance = np.maximum(np.where(np.isnan(correlation), 1.0, correlation), 0.0)
        np.fill_diagonal(chance, 1.0)
        variance = np.einsum("s...,st,t...->...", known, chance, known)
    scale = np.sqrt(np.where(variance > 0, variance, np.nan))
    return np.asarray(scipy.special.ndtr(-np.nansum(z, axis=0) / scale))
