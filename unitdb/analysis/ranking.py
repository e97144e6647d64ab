"""Reliability of the ranking: whether the best units of one person are the best of another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from unitdb.errors import AnalysisError

__all__ = ["Overlap", "leave_one_out_overlap", "top_overlap", "top_units"]


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """How many of the best units of one ranking are among the best of another.

    Parameters
    ----------
    n_units : int
        Units ranked in both.
    k : int
        Best units looked at; ``n_units`` where there are fewer.
    shared : int
        In both.
    chance : float
        Expected for unrelated rankings: k² / n_units.
    chance_low, chance_high : int
        Central 95 % of the hypergeometric distribution of unrelated rankings.
    p : float
        Probability of so many or more, likewise.
    """

    n_units: int
    k: int
    shared: int
    chance: float
    chance_low: int
    chance_high: int
    p: float


def top_units(r: NDArray[np.floating], k: int) -> NDArray[np.int64]:
    """Indices of the k highest accuracies, ascending; ties to the lower index, NaN never.

    Parameters
    ----------
    r : array of shape (n_units,)
    k : int
        Fewer are returned where fewer are defined.
    """
    defined = np.flatnonzero(~np.isnan(r))
    if len(defined) <= k:
        return defined
    values = r[defined]
    last = np.partition(values, len(values) - k)[len(values) - k] if k else np.inf
    above = defined[values > last]
    level = defined[values == last][: k - len(above)]
    return np.sort(np.concatenate([above, level]))


def top_overlap(first: NDArray[np.floating], second: NDArray[np.floating], k: int) -> Overlap:
    """Count the units that are among the k best of both rankings.

    Chance is hypergeometric: k of n units drawn twice share k² / n. Its expectation holds in any
    case, its interval and p for independent units; as neighbouring units are alike, the
    accuracies of a control build are the better comparison for these.

    Parameters
    ----------
    first, second : arrays of shape (n_units,)
        Accuracies in two people, or of two halves; units without one in either are left out.
    k : int
        For example 1000.

    Raises
    ------
    AnalysisError
        k below 1, or shapes that differ.
    """
    if k < 1 or first.ndim != 1 or first.shape != second.shape:
        raise AnalysisError(
            f"the {k} best of accuracies of shapes {first.shape} and {second.shape}; at least 1 of "
            "the same (n_units,)"
        )
    common = ~(np.isnan(first) | np.isnan(second))
    n = int(common.sum())
    most = min(k, n)
    best, others = (top_units(ranking[common], most) for ranking in (first, second))
    shared = len(np.intersect1d(best, others, assume_unique=True))
    unrelated = scipy.stats.hypergeom(n, most, most)
    low, high = unrelated.ppf([0.025, 0.975]) if n else (0, 0)
    return Overlap(
        n_units=n,
        k=most,
        shared=shared,
        chance=most**2 / n if n else 0.0,
        chance_low=int(low),
        chance_high=int(high),
        p=float(unrelated.sf(shared - 1)) if n else 1.0,
    )


def leave_one_out_overlap(r: NDArray[np.floating], k: int) -> list[Overlap]:
    """For each subject, the overlap of its k best units with those of the mean of the others.

    Parameters
    ----------
    r : array of shape (n_subjects, n_units)
        Accuracies; the mean is over the other subjects that have one.
    k : int

    Raises
    ------
    AnalysisError
        Fewer than two subjects, or k below 1.
    """
    if r.ndim != 2 or len(r) < 2:
        raise AnalysisError(f"accuracies of shape {r.shape}; at least 2 subjects × units")
    defined = ~np.isnan(r)
    filled = np.where(defined, r, 0.0).astype(np.float64)
    n, total = defined.sum(axis=0), filled.sum(axis=0)
    found = []
    for subject in range(len(r)):
        others = n - defined[subject]
        mean = np.full(r.shape[1], np.nan)
        np.divide(total - filled[subject], others, out=mean, where=others > 0)
        found.append(top_overlap(r[subject], mean, k))
    return found
