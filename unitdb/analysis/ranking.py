"""Reliability of the ranking: whether the best units of one person are the best of another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import AnalysisError

__all__ = [
    "Overlap",
    "TopUnits",
    "leave_one_out_overlap",
    "mean_of_others",
    "n_shared",
    "overlap",
    "top_overlap",
    "top_units",
]


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

    Returns
    -------
    array of shape (k,)
        Fewer where fewer have an accuracy.

    Examples
    --------
    >>> from unitdb.analysis import top_units
    >>> top_units(np.array([0.1, 0.5, np.nan, 0.3]), 2).tolist()
    [1, 3]
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

    Returns
    -------
    Overlap
        Units shared, the number expected by chance, its interval and p.

    Raises
    ------
    AnalysisError
        k below 1, or shapes that differ.

    Examples
    --------
    >>> from unitdb.analysis import top_overlap
    >>> r = np.linspace(0, 0.5, 10)
    >>> top_overlap(r, r, 3).shared
    3
    """
    if k < 1 or first.ndim != 1 or first.shape != second.shape:
        raise AnalysisError(
            f"the {k} best of accuracies of shapes {first.shape} and {second.shape}; at least 1 of "
            "the same (n_units,)"
        )
    common = ~(np.isnan(first) | np.isnan(second))
    best, others = (top_units(ranking[common], k) for ranking in (first, second))
    return overlap(best, others, int(common.sum()))


class TopUnits:
    """The k best units of several rankings, of layers that come one at a time.

    Parameters
    ----------
    k : int
        Of each ranking. Ties go to the earlier layer, and in it to the lower index.

    Attributes
    ----------
    n_units : int
        Units ranked so far.

    Examples
    --------
    >>> from unitdb.analysis import TopUnits
    >>> top = TopUnits(2)
    >>> top.add(np.array([[0.1, 0.5]]))
    >>> top.add(np.array([[0.3, 0.2]]))
    >>> top.best(0, 2)
    array([1, 2])
    """

    def __init__(self, k: int) -> None:
        self._k = k
        self.n_units = 0
        self._r: list[NDArray[np.floating]] = []
        self._units: list[NDArray[np.int64]] = []

    def add(self, r: NDArray[np.floating]) -> None:
        """Rank the units of the next layer.

        Parameters
        ----------
        r : array of shape (n_rankings, n_units)
            Accuracies, none of them NaN; the same rankings in all layers.

        Raises
        ------
        AnalysisError
            Another number of rankings, or a NaN.
        """
        if r.ndim != 2 or (self._r and len(r) != len(self._r)) or np.isnan(r).any():
            raise AnalysisError(
                f"accuracies of shape {r.shape}; they should be ({len(self._r) or 'n'} rankings, "
                "n_units), and none NaN"
            )
        if not self._r:
            self._r = [r[row, :0] for row in range(len(r))]
            self._units = [np.empty(0, dtype=np.int64)] * len(r)
        for row, values in enumerate(r):
            best = top_units(values, self._k)
            # In the order of layers and units, so that ties go to the first here too.
            together = np.concatenate([self._r[row], values[best]])
            units = np.concatenate([self._units[row], self.n_units + best])
            kept = top_units(together, self._k)
            self._r[row], self._units[row] = together[kept], units[kept]
        self.n_units += r.shape[1]

    def best(self, ranking: int, k: int) -> NDArray[np.int64]:
        """Return the k best of a ranking, counted over all layers, ascending; at most all kept.

        Returns
        -------
        array of shape (k,)
            Positions over all layers.
        """
        return self._units[ranking][top_units(self._r[ranking], k)]


def n_shared(first: NDArray[np.int64], second: NDArray[np.int64]) -> int:
    """Count the units that stand in both of two lists, each of distinct units.

    Returns
    -------
    int
        From 0 to the length of the shorter list.

    Examples
    --------
    >>> from unitdb.analysis import n_shared
    >>> n_shared(np.array([1, 2, 3]), np.array([2, 3, 4]))
    2
    """
    return len(np.intersect1d(first, second, assume_unique=True))


def overlap(first: NDArray[np.int64], second: NDArray[np.int64], n_units: int) -> Overlap:
    """Count the units that stand in both of two lists of the best, as :func:`top_overlap`.

    Parameters
    ----------
    first, second : arrays of shape (k,)
        The k best of two rankings of the same units.
    n_units : int
        Units ranked.

    Returns
    -------
    Overlap
        Units shared, the number expected by chance, its interval and p.

    Examples
    --------
    >>> from unitdb.analysis import overlap
    >>> found = overlap(np.array([0, 1, 2]), np.array([2, 1, 7]), 30)
    >>> found.shared, found.chance
    (2, 0.3)
    """
    import scipy.stats  # takes a second to import

    k, shared = len(first), n_shared(first, second)
    unrelated = scipy.stats.hypergeom(n_units, k, k)
    low, high = unrelated.ppf([0.025, 0.975]) if n_units else (0, 0)
    return Overlap(
        n_units=n_units,
        k=k,
        shared=shared,
        chance=k**2 / n_units if n_units else 0.0,
        chance_low=int(low),
        chance_high=int(high),
        p=float(unrelated.sf(shared - 1)) if n_units else 1.0,
    )


def leave_one_out_overlap(r: NDArray[np.floating], k: int) -> list[Overlap]:
    """For each subject, the overlap of its k best units with those of the mean of the others.

    Parameters
    ----------
    r : array of shape (n_subjects, n_units)
        Accuracies; the mean is over the other subjects that have one.
    k : int

    Returns
    -------
    list of Overlap
        One for each subject.

    Raises
    ------
    AnalysisError
        Fewer than two subjects, or k below 1.

    Examples
    --------
    >>> from unitdb.analysis import leave_one_out_overlap
    >>> r = np.array([[0.1, 0.5, 0.4], [0.2, 0.6, 0.3]])
    >>> [found.shared for found in leave_one_out_overlap(r, 2)]
    [2, 2]
    """
    pairs = zip(r, mean_of_others(r), strict=True)
    return [top_overlap(of_subject, others, k) for of_subject, others in pairs]


def mean_of_others(r: NDArray[np.floating]) -> NDArray[np.float64]:
    """For each subject, the mean accuracy over the others that have one.

    Parameters
    ----------
    r : array of shape (n_subjects, n_units)
        Accuracies.

    Returns
    -------
    array of shape (n_subjects, n_units)
        NaN where no other subject has an accuracy.

    Raises
    ------
    AnalysisError
        Fewer than two subjects.

    Examples
    --------
    >>> from unitdb.analysis import mean_of_others
    >>> mean_of_others(np.array([[0.25], [0.5], [0.75]]))
    array([[0.625],
           [0.5  ],
           [0.375]])
    """
    if r.ndim != 2 or len(r) < 2:
        raise AnalysisError(f"accuracies of shape {r.shape}; at least 2 subjects × units")
    defined = ~np.isnan(r)
    filled = np.where(defined, r, 0.0).astype(np.float64)
    others = defined.sum(axis=0) - defined
    mean = np.full(r.shape, np.nan)
    np.divide(filled.sum(axis=0) - filled, others, out=mean, where=others > 0)
    return mean
