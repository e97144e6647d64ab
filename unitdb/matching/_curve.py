"""How often the true candidate is found among n, in closed form: no candidate sets are drawn."""

from __future__ import annotations

from math import lgamma

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unitdb.errors import AnalysisError

__all__ = ["hit_rate", "pairwise_rate", "rank", "sizes", "top_rate"]

Array = NDArray[np.float64]

_log_factorials: Array = np.zeros(1)


def hit_rate(n_below: ArrayLike, n_equal: ArrayLike, n_false: ArrayLike, n: int) -> Array:
    """Probability that the true candidate is the most similar of n, n − 1 false ones drawn.

    P(n) = Σ_k C(t, k) C(w, n − 1 − k) / C(N, n − 1) / (k + 1)

    for N false candidates, of which w are less similar and t equally: of equal ones, each is as
    likely to be taken. n = 2 gives the pairwise rate, n = N + 1 top-1 among all. By logarithms of
    factorials, exact to 1e-9.

    Parameters
    ----------
    n_below, n_equal, n_false : arrays of int of shape (n_predictions,)
        w, t and N.
    n : int
        Candidates to choose from, the true one included: 1 ≤ n.

    Returns
    -------
    array of shape (n_predictions,)
        NaN where there are fewer than n candidates.

    Raises
    ------
    AnalysisError
        n below 1, or counts that cannot be.

    Examples
    --------
    >>> from unitdb.matching import hit_rate
    >>> hit_rate([8], [0], [10], 2)
    array([0.8])
    >>> hit_rate([10], [0], [10], 11)
    array([1.])
    """
    w, t, big = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.int64) for x in (n_below, n_equal, n_false))
    )
    if n < 1 or (w < 0).any() or (t < 0).any() or (w + t > big).any():
        raise AnalysisError(f"n = {n}, or more candidates below and equal than there are")
    factorials = _logs(int(big.max(initial=0)))
    found = np.zeros(w.shape)
    m = n - 1
    possible = big >= m
    for k in range(min(int(t.max(initial=0)), m) + 1):
        some = possible & (t >= k) & (w >= m - k)
        if not some.any():
            continue
        logs = (
            _choose(factorials, t[some], k)
            + _choose(factorials, w[some], m - k)
            - _choose(factorials, big[some], m)
        )
        found[some] += np.exp(logs) / (k + 1)
    return np.asarray(np.where(possible, found, np.nan))


def _choose(factorials: Array, n: NDArray[np.int64], k: int) -> Array:
    """Log C(n, k)."""
    return np.asarray(factorials[n] - factorials[k] - factorials[n - k])


def _logs(most: int) -> Array:
    """Log k! of 0 to most."""
    global _log_factorials
    if len(_log_factorials) <= most:
        more = np.array([lgamma(k + 1.0) for k in range(len(_log_factorials), most + 1)])
        _log_factorials = np.concatenate([_log_factorials, more])
    return _log_factorials


def pairwise_rate(n_below: ArrayLike, n_equal: ArrayLike, n_false: ArrayLike) -> Array:
    """Share of false candidates that are less similar:  (w + t / 2) / N;  NaN without any.

    Parameters
    ----------
    n_below, n_equal, n_false : arrays of shape (n_predictions,)

    Returns
    -------
    array
        From 0 to 1, of the arguments' shape.

    Examples
    --------
    >>> from unitdb.matching import pairwise_rate
    >>> pairwise_rate([8, 5], [0, 2], [9, 9]).round(2).tolist()
    [0.89, 0.67]
    """
    w, t, big = (np.asarray(x, dtype=np.float64) for x in (n_below, n_equal, n_false))
    won = w + t / 2
    empty = np.full(np.broadcast(won, big).shape, np.nan)
    return np.asarray(np.divide(won, big, out=empty, where=big > 0))


def rank(n_below: ArrayLike, n_equal: ArrayLike, n_false: ArrayLike) -> Array:
    """Place of the true candidate, 1 the best:  1 + (N − w − t) + t / 2.

    Parameters
    ----------
    n_below, n_equal, n_false : arrays of shape (n_predictions,)

    Returns
    -------
    array
        From 1, of the arguments' shape.

    Examples
    --------
    >>> from unitdb.matching import rank
    >>> rank([8, 5], [0, 2], [9, 9]).tolist()
    [2.0, 4.0]
    """
    w, t, big = (np.asarray(x, dtype=np.float64) for x in (n_below, n_equal, n_false))
    return np.asarray(1 + big - w - t / 2)


def top_rate(n_below: ArrayLike, n_equal: ArrayLike, n_false: ArrayLike, k: int) -> Array:
    """Probability that the true candidate is among the first k of all, equal ones in any order.

    min(1, max(0, (k − a) / (t + 1)))  for a = N − w − t above it.

    Parameters
    ----------
    n_below, n_equal, n_false : arrays of shape (n_predictions,)
    k : int
        NaN where there are no more candidates than k.

    Returns
    -------
    array
        From 0 to 1, of the arguments' shape.

    Examples
    --------
    >>> from unitdb.matching import top_rate
    >>> top_rate([8, 5], [0, 2], [9, 9], 2).round(2).tolist()
    [1.0, 0.0]
    """
    w, t, big = (np.asarray(x, dtype=np.float64) for x in (n_below, n_equal, n_false))
    found = np.clip((k - (big - w - t)) / (t + 1), 0, 1)
    return np.asarray(np.where(big >= k, found, np.nan))


def sizes(n_candidates: int) -> list[int]:
    """Sizes of set at which a curve is drawn: 2, 5, 10, 20, … and all candidates.

    Returns
    -------
    list of int
        Ascending.

    Examples
    --------
    >>> from unitdb.matching import sizes
    >>> sizes(100)
    [2, 5, 10, 20, 50, 100]
    """
    steps = (digit * 10**power for power in range(7) for digit in (1, 2, 5))
    return [n for n in steps if 2 <= n < n_candidates] + [n_candidates] * (n_candidates >= 2)
