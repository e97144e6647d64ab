"""Time series of a run, before samples are taken of them: trend and confounds, and their scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import DatasetError
from unitdb.extras import need
from unitdb.resolution import SINGLE, is_constant

__all__ = ["clean", "normalised"]

Floats = NDArray[np.float64]


def clean(run: Floats, confounds: Floats, *, trend: int) -> Floats:
    """Regress trend and confounds out of time series, whose means stay.

    Parameters
    ----------
    run : array of shape (n_volumes, n_voxels)
    confounds : array of shape (n_volumes, n_confounds)
    trend : int
        Degree of the polynomial of time that is taken away; 0 leaves the trend.

    Returns
    -------
    array of shape (n_volumes, n_voxels)
        y − X β̂, as the module says. A voxel of which that leaves rounding alone, beside what it
        was, is constant.
    """
    time = np.linspace(-1, 1, len(run))
    design = np.column_stack([*(time**power for power in range(1, trend + 1)), confounds])
    if not design.shape[1]:
        return run
    need("nilearn", by="regressing out trend and confounds", extra="build")
    from nilearn.signal import clean as without

    # Confounds are standardised there, so that the means of the series stay.
    residuals = without(run, confounds=design, detrend=False, standardize=None, filter=False)
    found = np.asarray(residuals, dtype=np.float64)
    explained = np.ptp(found, axis=0) <= SINGLE * np.abs(run).max(axis=0)
    return np.where(explained, found.mean(axis=0), found)


def normalised(run: Floats, way: str | None) -> Floats:
    """Normalise the time series of a run; a voxel that is constant becomes 0.

    Parameters
    ----------
    run : array of shape (n_volumes, n_voxels)
    way : {'percent', 'zscore'} or None
        100 (y − ȳ) / ȳ, or (y − ȳ) / SD with ddof = 1, or nothing.

    Raises
    ------
    DatasetError
        A voxel that varies has no mean to be a percentage of, or most have one below their SD, as
        no BOLD signal has: it is taken away already, of the run or of a part of it.
    """
    if way is None:
        return run
    mean = run.mean(axis=0)
    centred = run - mean
    scale = mean / 100 if way == "percent" else run.std(axis=0, ddof=1)
    still = is_constant(run)
    if way == "percent":
        about_zero = ~still & (np.abs(mean) <= SINGLE * np.abs(run).max(axis=0))
        if about_zero.any():
            raise DatasetError(
                f"{int(about_zero.sum())} of {len(mean)} voxels vary about 0, of which nothing is "
                "a percentage; `normalise: zscore`, or leave it out"
            )
        # Noise alone in magnitude images has a mean of 1.9 SD; a series that is centred over all
        # volumes but k of n has at the most √(k / (n − k)).
        low = ~still & (mean < run.std(axis=0))
        if 2 * low.sum() > (~still).sum():
            raise DatasetError(
                f"{int(low.sum())} of {len(mean)} voxels have a mean below their SD, as no BOLD "
                "signal has: it is taken away already, and nothing to be a percentage of; "
                "`normalise: zscore`, or leave it out"
            )
    return np.where(still, 0.0, centred / np.where(still, 1.0, scale))
