"""What the accuracies of a layer's units say: over subjects, and over units."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LayerSummary",
    "UnitSummary",
    "best_in_groups",
    "best_units",
    "histogram",
    "lead_over_others",
    "mean_over_subjects",
    "summarise_layer",
    "summarise_units",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitSummary:
    """Accuracies of units over subjects; each an array of shape (n_units,).

    Parameters
    ----------
    n_subjects : int
        Subjects in which the unit has an accuracy.
    mean, minimum, maximum : float
        Pearson r; NaN where no subject has one.
    sd : float
        With ddof = 1; NaN for fewer than two subjects.
    rank : int
        1 for the highest mean; ties to the lower index; those without a mean come last.
    """

    n_subjects: NDArray[np.int32]
    mean: Array
    sd: Array
    minimum: Array
    maximum: Array
    rank: NDArray[np.int32]


def summarise_units(r: NDArray[np.floating]) -> UnitSummary:
    """Summarise each unit over subjects.

    Parameters
    ----------
    r : array of shape (n_subjects, n_units)
        Accuracies; NaN where a unit has none in a subject, and left out.

    Returns
    -------
    UnitSummary
        Count, mean, SD, range and rank of each unit.

    Examples
    --------
    >>> from unitdb.analysis import summarise_units
    >>> found = summarise_units(np.array([[0.25, 0.5], [0.75, np.nan]]))
    >>> found.mean, found.n_subjects
    (array([0.5, 0.5]), array([2, 1], dtype=int32))
    """
    r = np.asarray(r, dtype=np.float64)
    defined = ~np.isnan(r)
    n = defined.sum(axis=0)
    mean = mean_over_subjects(r)
    squares = (np.where(defined, r - mean, 0.0) ** 2).sum(axis=0)
    sd = np.full(r.shape[1], np.nan)
    np.divide(squares, n - 1, out=sd, where=n > 1)
    minimum = np.where(defined, r, np.inf).min(axis=0)
    maximum = np.where(defined, r, -np.inf).max(axis=0)
    return UnitSummary(
        n_subjects=n.astype(np.int32),
        mean=mean,
        sd=np.sqrt(sd),
        minimum=np.where(n > 0, minimum, np.nan),
        maximum=np.where(n > 0, maximum, np.nan),
        rank=_ranks(mean),
    )


def mean_over_subjects(r: NDArray[np.floating]) -> Array:
    """Mean accuracy of each unit over the subjects that have one; NaN where none has.

    Parameters
    ----------
    r : array of shape (n_subjects, n_units)
        Accuracies, NaN where there is none.

    Returns
    -------
    array of shape (n_units,)
        float64.

    Examples
    --------
    >>> from unitdb.analysis import mean_over_subjects
    >>> r = np.array([[0.2, np.nan], [0.4, 0.1]])  # subjects × units
    >>> mean_over_subjects(r).round(2).tolist()
    [0.3, 0.1]
    """
    defined = ~np.isnan(r)
    n = defined.sum(axis=0)
    mean = np.full(r.shape[1], np.nan)
    np.divide(np.where(defined, r, 0.0).sum(axis=0, dtype=np.float64), n, out=mean, where=n > 0)
    return mean


def best_units(r: Iterable[NDArray[np.float32]], n: int) -> NDArray[np.intp]:
    """Positions of the units with the highest mean accuracy in any ROI, ascending.

    Parameters
    ----------
    r : iterable of arrays of shape (n_subjects, n_units)
        Accuracies in each ROI; NaN where there is none.
    n : int
        How many; ties go to the lower position, and units without any accuracy are left out.

    Returns
    -------
    array of shape (n,)
        Positions; fewer where fewer have an accuracy.

    Examples
    --------
    >>> from unitdb.analysis import best_units
    >>> r = np.array([[0.1, 0.5, 0.3]], dtype=np.float32)
    >>> best_units([r], 2).tolist()
    [1, 2]
    """
    best = _highest_mean(r)
    order = np.argsort(-best, kind="stable")  # NaN last
    return np.sort(order[: min(n, int(np.isfinite(best).sum()))])


def best_in_groups(r: Iterable[NDArray[np.float32]], groups: NDArray[np.int32]) -> NDArray[np.intp]:
    """Position of the unit of each group with the highest mean accuracy in any ROI, ascending.

    Parameters
    ----------
    r : iterable of arrays of shape (n_subjects, n_units)
        Accuracies in each ROI; NaN where there is none.
    groups : array of shape (n_units,)
        Number of the group of each unit, such as its channel.

    Returns
    -------
    array of shape (n_groups,)
        Positions; ties go to the lower one, and groups without any accuracy are left out.

    Examples
    --------
    >>> from unitdb.analysis import best_in_groups
    >>> r = np.array([[0.1, 0.5, 0.3]], dtype=np.float32)
    >>> best_in_groups([r], np.array([0, 0, 1], dtype=np.int32)).tolist()
    [1, 2]
    """
    best = _highest_mean(r)
    order = np.lexsort((-best, groups))  # stable, NaN last
    first = np.r_[True, groups[order][1:] != groups[order][:-1]][: len(order)]
    found = order[first]
    return np.sort(found[np.isfinite(best[found])])


def _highest_mean(r: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Mean accuracy over subjects, as it is published, in the ROI where it is highest."""
    means = [mean_over_subjects(of_roi).astype(np.float32) for of_roi in r]
    highest: NDArray[np.float32] = np.fmax.reduce(means)
    return highest


def _ranks(mean: Array) -> NDArray[np.int32]:
    # What is published is float32, and the rank must follow from what is published.
    mean = mean.astype(np.float32)
    order = np.argsort(-mean, kind="stable")  # NaN last
    rank = np.empty(len(mean), dtype=np.int32)
    rank[order] = np.arange(1, len(mean) + 1)
    return rank


def lead_over_others(mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean accuracy in an ROI minus the highest in any other ROI: above 0 in the preferred one.

    lead_i = mean_i − max over j ≠ i of mean_j

    Parameters
    ----------
    mean : array of shape (n_rois, n_units)
        Mean accuracies over subjects, as they are published; NaN where there is none, which the
        maximum leaves out.

    Returns
    -------
    array of shape (n_rois, n_units)
        NaN where the ROI has none, or no other has one.

    Examples
    --------
    >>> from unitdb.analysis import lead_over_others
    >>> lead_over_others(np.array([[0.5], [0.25]], np.float32))
    array([[ 0.25],
           [-0.25]], dtype=float32)
    """
    filled = np.where(np.isnan(mean), -np.inf, mean)
    if len(mean) < 2:
        return np.full(mean.shape, np.nan, dtype=np.float32)
    second, highest = np.partition(filled, len(mean) - 2, axis=0)[-2:]
    best = filled.argmax(axis=0)
    lead = np.empty(mean.shape, dtype=np.float32)
    for row, own in enumerate(mean):
        other = np.where(best == row, second, highest)
        lead[row] = np.where(np.isneginf(other), np.nan, own - other)
    return lead


def histogram(
    r: NDArray[np.floating], *, limit: int = 100
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Count accuracies in bins of a hundredth: floor(100 r), at least -limit, below limit.

    Parameters
    ----------
    r : array of shape (n_units,)
        Accuracies; NaN are left out.
    limit : int
        Bins below 0, and from 0 on: 100 for accuracies, 200 for differences of them.

    Returns
    -------
    bins, counts : arrays of shape (n_bins,)
        The bins that hold any, rising, and how many.

    Examples
    --------
    >>> from unitdb.analysis import histogram
    >>> histogram(np.array([0.251, 0.255, -0.005]))
    (array([-1, 25], dtype=int32), array([1, 2], dtype=int32))
    """
    defined = np.asarray(r[~np.isnan(r)], dtype=np.float64)
    found = np.clip(np.floor(100 * defined), -limit, limit - 1).astype(np.int64)
    counts = np.bincount(found + limit, minlength=2 * limit)
    filled = np.flatnonzero(counts)
    return (filled - limit).astype(np.int32), counts[filled].astype(np.int32)


@dataclass(frozen=True, kw_only=True)
class LayerSummary:
    """Accuracies of one subject over the units of a layer; NaN where too few units have one.

    Parameters
    ----------
    n_units : int
        Units decoded.
    n_undefined : int
        Units without an accuracy.
    mean, sd : float
        Pearson r; the SD with ddof = 1.
    quantiles : dict of float to float
        Linear quantiles at 0.05, 0.25, 0.5, 0.75 and 0.95.
    """

    n_units: int
    n_undefined: int
    mean: float
    sd: float
    quantiles: dict[float, float]


def summarise_layer(r: NDArray[np.floating]) -> LayerSummary:
    """Summarise one subject over the units of a layer.

    Parameters
    ----------
    r : array of shape (n_units,)
        Accuracies; NaN where a unit has none, and left out.

    Returns
    -------
    LayerSummary
        Counts, mean, SD and quantiles.

    Examples
    --------
    >>> from unitdb.analysis import summarise_layer
    >>> found = summarise_layer(np.array([0.25, 0.5, np.nan]))
    >>> found.mean, found.n_units, found.n_undefined
    (0.375, 3, 1)
    """
    defined = np.asarray(r[~np.isnan(r)], dtype=np.float64)
    probabilities = (0.05, 0.25, 0.5, 0.75, 0.95)
    quantiles = np.quantile(defined, probabilities) if len(defined) else np.full(5, np.nan)
    return LayerSummary(
        n_units=len(r),
        n_undefined=len(r) - len(defined),
        mean=float(defined.mean()) if len(defined) else np.nan,
        sd=float(defined.std(ddof=1)) if len(defined) > 1 else np.nan,
        quantiles=dict(zip(probabilities, quantiles.tolist(), strict=True)),
    )
