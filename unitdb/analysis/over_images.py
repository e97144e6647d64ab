"""Means over images, with intervals: of scores that each image has one of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis.identification import _draws, _interval
from unitdb.analysis.intervals import Interval

__all__ = ["mean_over_images"]


def mean_over_images(
    values: NDArray[np.floating], *, n_bootstrap: int = 1000, seed: int = 0
) -> Interval:
    """Mean of what images have one of each, with the percentile interval of a bootstrap over them.

    Of differences between two methods on the same images it is the paired interval. Candidates of
    identification stay as they are.

    Parameters
    ----------
    values : array of shape (n_images,)
        NaN where there is none; these do not count.
    n_bootstrap, seed
        Of the 95 % interval; the generator is numpy's PCG64.

    Returns
    -------
    Interval
        NaN where no image has a value; low and high are NaN of a single one.

    Examples
    --------
    >>> from unitdb.analysis import mean_over_images
    >>> found = mean_over_images(np.array([0.2, 0.4, np.nan]))
    >>> round(found.value, 2)
    0.3
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    if len(known) < 2:
        value = float(known[0]) if len(known) else np.nan
        return Interval(value=value, low=np.nan, high=np.nan)
    means = [draws @ known / len(known) for draws in _draws(len(known), n_bootstrap, seed)]
    return _interval(means, known, 0.95)
