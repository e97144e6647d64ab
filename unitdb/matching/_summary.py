"""Identification over images: one row of numbers, chance beside each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unitdb.matching._chance import (
    category_chance,
    exchange_chance,
    exchange_p,
    fold_chance,
    image_intervals,
)
from unitdb.matching._counts import Matches
from unitdb.matching._curve import hit_rate, pairwise_rate, rank, sizes, top_rate

__all__ = ["AMONG", "TOPS", "Summary", "chance_curve", "of_counts", "summarise"]

Array = NDArray[np.float64]

TOPS = (1, 5, 10, 50)

AMONG = ("all", "untrained")
"""False candidates that a curve draws from."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Identification of a set of predictions; NaN where something does not exist.

    Parameters
    ----------
    n : int
        Predictions that could be compared.
    n_candidates : int
        The true one included.
    rate, rate_low, rate_high : float
        Pairwise rate, and its interval over images.
    chance_exchange : float
        The same of exchanged images.
    chance_fold : float
        The same of images of one fold: what a prediction of nothing comes to.
    specific, specific_low, specific_high : float
        ``rate`` less ``chance_fold``.
    rate_untrained, exchange_untrained : float
        Among candidates that did not train the decoder, and the same of exchanged images.
    n_untrained : float
        Mean number of these, the true one included.
    top1, top5, top10, top50 : float
        Share of predictions whose true candidate is among the first, of those that did not train.
    chance_top1 : float
        Mean of 1 / the number of these.
    exchange_top1, exchange_top5, exchange_top10, exchange_top50 : float
        The same of exchanged images.
    median_rank : float
        Of the true candidate among all, 1 the best.
    rate_within, rate_between, exchange_within, exchange_between : float
        Among candidates of the target's category, and of others; and of exchanged images.
    chance_category : float
        Pairwise rate of predictions that know the category alone; none where any candidate is of
        no category.
    p : float
        Of ``rate`` among exchanges of images.

    Notes
    -----
    Images are exchanged within folds, but for ``chance_exchange``: :func:`.fold_chance`.
    """

    n: int
    n_candidates: int
    rate: float
    rate_low: float
    rate_high: float
    chance_exchange: float
    chance_fold: float
    specific: float
    specific_low: float
    specific_high: float
    rate_untrained: float
    exchange_untrained: float
    n_untrained: float
    top1: float
    top5: float
    top10: float
    top50: float
    chance_top1: float
    exchange_top1: float
    exchange_top5: float
    exchange_top10: float
    exchange_top50: float
    median_rank: float
    rate_within: float
    rate_between: float
    exchange_within: float
    exchange_between: float
    chance_category: float
    p: float


def summarise(
    matches: Matches,
    n_candidates: int,
    *,
    n_bootstrap: int = 1000,
    n_permutations: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Summary:
    """Put the matches of predictions together.

    Parameters
    ----------
    matches : Matches
    n_candidates : int
        The true one included.
    n_bootstrap, n_permutations, seed, confidence
        Of the intervals over images, and of p.

    Returns
    -------
    Summary
        Rates with their intervals, chance and p.

    Examples
    --------
    >>> from unitdb.matching import match, summarise
    >>> s = np.random.default_rng(0).normal(size=(20, 20)) + 2 * np.eye(20)
    >>> found = match(s, candidates=np.arange(20), targets=np.arange(20))
    >>> summary = summarise(found, 20, n_permutations=99)
    >>> summary.n, round(summary.rate, 2)
    (20, 0.91)
    """
    rate, specific = image_intervals(
        matches, n_bootstrap=n_bootstrap, seed=seed, confidence=confidence
    )
    chance = fold_chance(matches, matches.rates)
    found = of_counts(matches.all, matches.trained, matches.within, matches.between)
    return Summary(
        n=int((matches.all[0] > 0).sum()),
        n_candidates=n_candidates,
        rate_low=rate[0],
        rate_high=rate[1],
        chance_exchange=exchange_chance(matches, matches.rates),
        chance_fold=chance,
        specific=found["rate"] - chance,
        specific_low=specific[0],
        specific_high=specific[1],
        **{
            f"exchange_{kind}": fold_chance(matches, matches.exchanged_rates(kind))
            for kind in ("untrained", "within", "between")
        },
        **{f"exchange_top{k}": fold_chance(matches, matches.exchanged_tops(k)) for k in TOPS},
        p=exchange_p(matches, n_permutations=n_permutations, seed=seed),
        **found,
    )


def chance_curve(matches: Matches) -> dict[tuple[str, int], float]:
    """Exchange chance beside the curve: how often another image of the fold is found among n.

    Parameters
    ----------
    matches : Matches

    Returns
    -------
    dict of (str, int) to float
        By :data:`AMONG` and n, for the :func:`.sizes` of the candidates that the predictions have:
        :func:`.fold_chance` over predictions that have so many. NaN as there.

    Examples
    --------
    >>> from unitdb.matching import chance_curve, match
    >>> s = np.eye(6)
    >>> found = match(s, candidates=np.arange(6), targets=np.arange(6))
    >>> round(chance_curve(found)["all", 2], 2)
    0.4
    """
    pairs = matches.held_out
    found = {}
    for among, own in zip(AMONG, (matches.all[0], matches.untrained[0]), strict=True):
        big, below, equal = (counts[pairs] for counts in matches.exchanged[among])
        for n in sorted({n for most in np.unique(own) for n in sizes(int(most) + 1)}):
            values = np.full(pairs.shape, np.nan)
            values[pairs] = hit_rate(below, equal, big, n)
            found[among, n] = fold_chance(matches, values, of=own >= n - 1)
    return found


def of_counts(
    every: NDArray[np.int64],
    trained: NDArray[np.int64],
    within: NDArray[np.int64],
    between: NDArray[np.int64],
) -> dict[str, float]:
    """What follows from the counts of each prediction alone, as a release publishes them.

    Parameters
    ----------
    every, trained, within, between : arrays of int of shape (3, n)
        False candidates, those less similar and those equally: as of :class:`.Matches`.

    Returns
    -------
    dict of str to float
        Columns of the release by name.

    Examples
    --------
    >>> from unitdb.matching import of_counts
    >>> none = np.zeros((3, 2), int)
    >>> of_counts(np.array([[4, 4], [4, 3], [0, 0]]), none, none, none)["rate"]
    0.875
    """
    known = every[0] > 0
    every, trained, within, between = (x[:, known] for x in (every, trained, within, between))
    fresh = every - trained
    of_rest = mean(_rate(between))
    categorised = (within[0] + between[0] == every[0]).all()
    share = mean(_shares(within[0], every[0])) if categorised else np.nan
    return {
        "rate": mean(_rate(every)),
        "rate_untrained": mean(_rate(fresh)),
        "n_untrained": mean(1.0 + fresh[0]),
        **{f"top{k}": mean(top_rate(fresh[1], fresh[2], fresh[0], k)) for k in TOPS},
        "chance_top1": mean(1.0 / (1.0 + fresh[0])),
        "median_rank": float(np.median(rank(every[1], every[2], every[0])))
        if known.any()
        else np.nan,
        "rate_within": mean(_rate(within)),
        "rate_between": of_rest,
        "chance_category": category_chance(1 / share, of_rest) if share > 0 else np.nan,
    }


def _rate(counts: NDArray[np.int64]) -> Array:
    return pairwise_rate(counts[1], counts[2], counts[0])


def _shares(part: NDArray[np.int64], whole: NDArray[np.int64]) -> Array:
    empty = np.full(part.shape, np.nan)
    return np.asarray(np.divide(part, whole, out=empty, where=whole > 0))


def mean(values: Array) -> float:
    """Mean of what is not NaN; NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan
