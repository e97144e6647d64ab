"""What identification comes to by chance, and how far other images would move it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import AnalysisError
from unitdb.matching._counts import Matches

__all__ = [
    "category_chance",
    "exchange_chance",
    "exchange_p",
    "fold_chance",
    "image_intervals",
    "per_target",
]

Array = NDArray[np.float64]
Ends = tuple[float, float]


def per_target(matches: Matches, values: Array) -> Array:
    """Mean over the predictions of *other* images of what they give each target.

    Parameters
    ----------
    matches : Matches
    values : array of shape (n, n_targets)
        Such as its ``rates``.

    Returns
    -------
    array of shape (n_targets,)
        NaN where there is no other image. Targets that many predictions are like are above .5.

    Examples
    --------
    >>> from unitdb.matching import match, per_target
    >>> s = np.array([[0.9, 0.5, 0.2], [0.3, 0.4, 0.8]])
    >>> found = match(s, candidates=np.array([0, 1]), targets=np.array([0, 1]))
    >>> per_target(found, np.array([[1.0, 0.0], [0.5, 0.5]]))
    array([0.5, 0. ])
    """
    others = _others(matches, values)
    return _mean(np.where(others, values, 0.0).sum(axis=0), others.sum(axis=0))


def exchange_chance(matches: Matches, values: Array) -> float:
    """Mean over i ≠ j of the rate of target j, scored with prediction i.

    What identification comes to where a prediction tells nothing of its image that it does not of
    any other. It is not .5: predictions have a pattern in common, which is like some candidates
    more than others.

    Parameters
    ----------
    matches : Matches
    values : array of shape (n, n_targets)
        Such as its ``rates``.

    Returns
    -------
    float
        NaN where all predictions are of one image.

    Examples
    --------
    >>> from unitdb.matching import exchange_chance, match
    >>> s = np.array([[0.9, 0.5, 0.2], [0.3, 0.4, 0.8]])
    >>> found = match(s, candidates=np.array([0, 1]), targets=np.array([0, 1]))
    >>> exchange_chance(found, found.rates)
    0.25
    """
    others = _others(matches, values)
    n = int(others.sum())
    return float(values[others].sum() / n) if n else np.nan


def fold_chance(matches: Matches, values: Array, *, of: NDArray[np.bool_] | None = None) -> float:
    """Exchange chance within folds:  Σ_f n_f c_f / Σ_f n_f.

    c_f is the mean over predictions i of a fold and other targets j that it holds out, n_f the
    predictions. In a cross-validation all predictions of a fold lean away from what it holds out,
    as the decoder has seen the other images alone; targets of other folds have trained, and
    predictions lean to them. Within the fold a prediction of nothing is as far from any target, so
    that this is the rate that it has. Without folds it is exchange chance.

    Parameters
    ----------
    matches : Matches
    values : array of shape (n, n_targets)
        Such as its ``rates``.
    of : array of bool of shape (n,), optional
        Predictions that count; by default all that can be compared.

    Returns
    -------
    float
        NaN where a fold holds out one target alone, or no prediction can be compared.

    Examples
    --------
    >>> from unitdb.matching import fold_chance, match
    >>> s = np.array([[0.9, 0.5, 0.2], [0.3, 0.4, 0.8]])
    >>> found = match(s, candidates=np.array([0, 1]), targets=np.array([0, 1]))
    >>> fold_chance(found, found.rates)
    0.25
    """
    pairs, known = _within_folds(matches, values)
    known = known if of is None else known & of
    chance = total = 0.0
    for rows in _folds(matches, known):
        of = pairs[rows]
        if not of.any():
            return np.nan
        chance += len(rows) * float(values[rows][of].mean())
        total += len(rows)
    return chance / total if total else np.nan


def category_chance(n_categories: float, between: float) -> float:
    """Pairwise rate of predictions that know the category alone.

    E = ½ · 1/k + (1 − 1/k) q  for k categories equally often, q the rate among candidates of other
    categories.

    Parameters
    ----------
    n_categories : float
        k; where categories are not equally often, 1 over the share of candidates of the target's.
    between : float
        q.

    References
    ----------
    Shirakawa et al. 2024, arXiv:2405.10078.

    Returns
    -------
    float
        From 0 to 1.

    Examples
    --------
    >>> from unitdb.matching import category_chance
    >>> category_chance(2, 0.9)
    0.7
    """
    if not n_categories >= 1:
        raise AnalysisError(f"{n_categories} categories; at least 1")
    return 0.5 / n_categories + (1 - 1 / n_categories) * (between if n_categories > 1 else 0.0)


def exchange_p(matches: Matches, *, n_permutations: int = 10_000, seed: int = 0) -> float:
    """One-sided p of the mean rate among exchanges of images:  (1 + #{T* ≥ T}) / (1 + n).

    All predictions of an image are given the target of another image of its fold, at random: the
    decoder has seen neither.

    Parameters
    ----------
    matches : Matches
    n_permutations : int
    seed : int
        Of numpy's PCG64.

    Returns
    -------
    float
        NaN where there are fewer than two images, or a fold holds out one alone.

    Examples
    --------
    >>> from unitdb.matching import exchange_p, match
    >>> s = np.eye(6) + 0.01 * np.arange(6)
    >>> found = match(s, candidates=np.arange(6), targets=np.arange(6))
    >>> exchange_p(found, n_permutations=99)
    0.01
    """
    rates = matches.rates
    known = ~np.isnan(rates)
    # What is moved together: the predictions of an image in a fold.
    of, unit = np.unique(np.stack([matches.folds, matches.targets]), axis=1, return_inverse=True)
    totals, counts = (np.zeros((of.shape[1], matches.n_targets)) for _ in range(2))
    unit = unit.ravel()
    np.add.at(totals, unit, np.where(known, rates, 0.0))
    np.add.at(counts, unit, known)
    used = np.flatnonzero(counts[np.arange(len(counts)), of[1]] > 0)
    folds = [np.flatnonzero(of[0, used] == fold) for fold in np.unique(of[0, used])]
    if not folds or min(map(len, folds)) < 2:
        return np.nan
    totals, counts = totals[np.ix_(used, of[1, used])], counts[np.ix_(used, of[1, used])]
    own = np.trace(totals) / np.trace(counts)
    rng = np.random.Generator(np.random.PCG64(seed))
    rows, reached = np.arange(len(used)), 0
    for start in range(0, n_permutations, 1000):
        size = min(1000, n_permutations - start)
        orders = np.empty((size, len(used)), dtype=np.intp)
        for fold in folds:
            orders[:, fold] = rng.permuted(np.tile(fold, (size, 1)), axis=1)
        sums, n = totals[rows, orders].sum(axis=1), counts[rows, orders].sum(axis=1)
        # What equals it but for rounding reaches it.
        reached += int((sums / np.maximum(n, 1) >= own - 1e-12).sum())
    return (1 + reached) / (1 + n_permutations)


def image_intervals(
    matches: Matches, *, n_bootstrap: int = 1000, seed: int = 0, confidence: float = 0.95
) -> tuple[Ends, Ends]:
    """Intervals over images of the mean rate, and of the mean rate less exchange within folds.

    Percentiles of a bootstrap over images. An image that is drawn twice counts twice with all its
    predictions and, for the others, twice as a false candidate; candidates that are no target stay
    as they are. The decoder does too. Of images all of which are candidates, as
    :func:`unitdb.analysis.pairwise_identification` gives it.

    Parameters
    ----------
    matches : Matches
    n_bootstrap, seed, confidence
        The generator is numpy's PCG64.

    Returns
    -------
    rate, specific : (low, high)
        NaN where there is none.

    Raises
    ------
    AnalysisError
        Fewer than two replicates, or a confidence outside 0 and 1.

    Examples
    --------
    >>> from unitdb.matching import image_intervals, match
    >>> s = np.random.default_rng(0).normal(size=(20, 20)) + 2 * np.eye(20)
    >>> found = match(s, candidates=np.arange(20), targets=np.arange(20))
    >>> (low, high), _ = image_intervals(found)
    >>> bool(0.5 < low < high)
    True
    """
    if n_bootstrap < 2 or not 0 < confidence < 1:
        raise AnalysisError(f"{n_bootstrap} replicates, confidence {confidence}")
    none = (np.nan, np.nan)
    if np.isnan(matches.rate).all():
        return none, none
    fixed_won = matches.all[1] + matches.all[2] / 2 - matches.won.sum(axis=1)
    fixed = matches.all[0] - matches.counted.sum(axis=1)
    values = matches.rates
    others, known = _within_folds(matches, values)
    folds = []
    for rows in _folds(matches, known):
        columns = np.flatnonzero(others[rows].any(axis=0))
        pairs = others[np.ix_(rows, columns)]
        exchanged = np.where(pairs, values[np.ix_(rows, columns)], 0.0)
        folds.append((rows, columns, exchanged, pairs.astype(np.float64)))
    own = np.where(known, np.nan_to_num(matches.rate), 0.0)
    rates, specific = [], []
    for weights in _draws(matches.n_targets, n_bootstrap, seed):
        won = fixed_won + weights @ matches.won.T
        pairs_of = fixed + weights @ matches.counted.T
        of = weights[:, matches.targets] * ((pairs_of > 0) & known)
        rates.append(_mean((of * _mean(won, pairs_of, empty=0.0)).sum(axis=1), of.sum(axis=1)))
        gained, total = np.zeros(len(of)), np.zeros(len(of))
        for rows, columns, exchanged, paired in folds:
            mine, of_others = of[:, rows], weights[:, columns]
            # Σ_ij w_i w_j r_ij over pairs of other images of the fold; without any it is left out.
            n = ((mine @ paired) * of_others).sum(axis=1)
            chance = _mean(((mine @ exchanged) * of_others).sum(axis=1), n, empty=0.0)
            drawn = np.where(n > 0, mine.sum(axis=1), 0.0)
            gained += np.where(n > 0, mine @ own[rows] - drawn * chance, 0.0)
            total += drawn
        specific.append(_mean(gained, total))
    alone = not folds or not all(paired.any() for *_, paired in folds)
    return _ends(rates, confidence), none if alone else _ends(specific, confidence)


def _within_folds(matches: Matches, values: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pairs of a prediction and another target of its fold; predictions that can be compared."""
    return matches.held_out & ~np.isnan(values), matches.all[0] > 0


def _folds(matches: Matches, known: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """Predictions of each fold."""
    of = np.where(known, matches.folds, -1)
    return [np.flatnonzero(of == fold) for fold in np.unique(of[known])]


def _others(matches: Matches, values: Array) -> NDArray[np.bool_]:
    """Pairs of a prediction and the target of another image."""
    others = ~np.isnan(values)
    others[np.arange(len(values)), matches.targets] = False
    return others


def _draws(n: int, n_bootstrap: int, seed: int) -> Iterator[Array]:
    """How often each image is drawn, some replicates at a time: (n_replicates, n)."""
    rng = np.random.Generator(np.random.PCG64(seed))
    for start in range(0, n_bootstrap, 256):
        size = min(256, n_bootstrap - start)
        drawn = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def _mean(sums: Array, n: NDArray[np.generic], *, empty: float = np.nan) -> Array:
    out = np.full_like(sums, empty)
    return np.asarray(np.divide(sums, n, out=out, where=np.asarray(n) > 0))


def _ends(replicates: list[Array], confidence: float) -> Ends:
    drawn = np.concatenate(replicates)
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return np.nan, np.nan
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
