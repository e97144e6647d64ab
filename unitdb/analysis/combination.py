"""One p for several subjects."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import scipy.special
from numpy.typing import ArrayLike, NDArray

from unitdb.errors import AnalysisError, closest

__all__ = ["Null", "minimum_p", "stouffer_p"]

Array = NDArray[np.float64]
Null = Literal["conjunction", "global"]


def stouffer_p(p: NDArray[np.floating], *, weights: ArrayLike | None = None) -> Array:
    """Stouffer's combination of p: whether there is an effect over subjects.

    Z = Σ_s w_s Φ⁻¹(1 − p_s) / √(Σ_s w_s²),  p = P(N(0, 1) ≥ Z).

    The null is that no subject has an effect (a fixed-effects inference: it is about these
    subjects). Subjects must be independent under the null. A p of exactly 0 or 1 decides alone;
    one of each cancel to NaN.

    Parameters
    ----------
    p : array of shape (n_subjects, …)
        One-sided; subjects without one (NaN) are left out.
    weights : array of shape (n_subjects,), optional
        Positive, for example √n_images; equal by default.

    Returns
    -------
    array of shape (…)
        NaN where no subject has a p.

    Raises
    ------
    AnalysisError
        p outside [0, 1], or weights of another shape or not positive.

    References
    ----------
    Stouffer et al. 1949; Whitlock 2005, doi:10.1111/j.1420-9101.2005.00917.x (weights).

    Examples
    --------
    >>> from unitdb.analysis import stouffer_p
    >>> stouffer_p(np.array([[0.05], [0.05]])).round(4).tolist()
    [0.01]
    """
    values = _checked(p)
    w = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != values.shape[:1] or not (w > 0).all():
        raise AnalysisError(f"weights {w}: one positive number for each of {len(values)} subjects")
    w = w.reshape(-1, *[1] * (values.ndim - 1))
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):  # inf − inf
        z = (w * np.where(defined, -scipy.special.ndtri(values), 0.0)).sum(axis=0)
    squares = (w**2 * defined).sum(axis=0)
    combined = np.full(z.shape, np.nan)
    np.divide(z, np.sqrt(squares), out=combined, where=squares > 0)
    return np.asarray(scipy.special.ndtr(-combined))


def minimum_p(p: NDArray[np.floating], *, null: Null = "conjunction") -> Array:
    """One-sided p of the minimum statistic over subjects, that is of the largest p.

    ``"conjunction"``  p = max_s p_s: the null is that *at least one* subject has no effect.
    Rejecting it says that every subject has one; valid whatever the dependence, conservative.

    ``"global"``  p = (max_s p_s)^k over k independent subjects: the null is that *no* subject has
    an effect. Rejecting it says that some subject has one, not that all have.

    Parameters
    ----------
    p : array of shape (n_subjects, …)
        One-sided; subjects without one (NaN) are left out.
    null : {"conjunction", "global"}

    Returns
    -------
    array of shape (…)
        NaN where no subject has a p.

    Raises
    ------
    AnalysisError
        p outside [0, 1], or another null.

    References
    ----------
    Nichols, Brett, Andersson, Wager & Poline 2005, doi:10.1016/j.neuroimage.2004.12.005
    (conjunction null); Friston, Penny & Glaser 2005, doi:10.1016/j.neuroimage.2005.01.013 (global).

    Examples
    --------
    >>> from unitdb.analysis import minimum_p
    >>> minimum_p(np.array([[0.01], [0.2]]))
    array([0.2])
    >>> minimum_p(np.array([[0.01], [0.2]]), null="global").round(3)
    array([0.04])
    """
    if null not in get_args(Null):
        near = closest(str(null), get_args(Null)) or get_args(Null)
        raise AnalysisError(f"null {null!r} of minimum_p; valid: {', '.join(near)}")
    values = _checked(p)
    defined = ~np.isnan(values)
    n = defined.sum(axis=0)
    largest = np.where(defined, values, 0.0).max(axis=0)
    combined = largest if null == "conjunction" else largest**n
    return np.where(n > 0, combined, np.nan)


def _checked(p: NDArray[np.floating]) -> Array:
    values = np.asarray(p, dtype=np.float64)
    if not values.ndim or not len(values):
        raise AnalysisError(f"p has shape {values.shape}; its first axis should be the subjects")
    if ((values < 0) | (values > 1)).any():
        raise AnalysisError("a p is outside [0, 1]")
    return values
