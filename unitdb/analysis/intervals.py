"""An estimate with its interval, and the interval of a correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special

__all__ = ["Interval", "fisher_interval"]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate and the interval that covers the truth with the confidence asked for.

    Parameters
    ----------
    value, low, high : float
        NaN where there is none.
    """

    value: float
    low: float
    high: float


def fisher_interval(value: float, se: float, *, df: float, confidence: float) -> Interval:
    """Interval of a correlation:  tanh(artanh(value) ± t · se),  t Student's with df degrees.

    Parameters
    ----------
    value : float
        The correlation.
    se : float
        Standard error of its artanh.
    df : float
        Degrees of freedom of the standard error.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    Interval
        Low and high are NaN without a standard error, and for a correlation of 1.
    """
    half = scipy.special.stdtrit(df, 0.5 + confidence / 2) * se
    if not np.isfinite(half) or abs(value) >= 1:
        return Interval(value=value, low=np.nan, high=np.nan)
    centre = np.arctanh(value)
    return Interval(
        value=value, low=float(np.tanh(centre - half)), high=float(np.tanh(centre + half))
    )
