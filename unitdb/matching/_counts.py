"""How many candidates a prediction is less like than the true one, and how many more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import AnalysisError
from unitdb.matching._curve import pairwise_rate

__all__ = ["TIE", "Matches", "match"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

TIE = 2.0**-40
"""Similarities that differ by less are equal: rounding, which depends on the processor, does not
decide. Equal candidates come out so, wherever they stand."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Matches:
    """What the similarities of predictions with candidates come to.

    Parameters
    ----------
    targets : array of int of shape (n,)
        Which target each prediction is of, from 0.
    target_r : array of shape (n,)
        Similarity with the true candidate; NaN where it or the prediction does not vary.
    all : array of int of shape (3, n)
        False candidates, those less similar, and those equally; 0 where there is no similarity.
    trained : array of int of shape (3, n)
        The same of candidates that trained the decoder.
    within : array of int of shape (3, n)
        The same of candidates of the target's category.
    between : array of int of shape (3, n)
        The same of candidates of other categories; those of none are in neither.
    best : array of int of shape (n,)
        The most similar candidate, the first of equal ones; -1 where there is none.
    best_r : array of shape (n,)
        Its similarity.
    rates : array of shape (n, n_targets)
        Pairwise rate of each target, scored with each prediction: what exchange chance is of.
    tops : array of shape (n, n_targets)
        Probability that it is the first of all, likewise.
    won : array of shape (n, n_targets)
        What each target adds to the candidates below a prediction's own: 1, ½ or 0; 0 for its own.
    counted : array of bool of shape (n, n_targets)
        Targets that are false candidates of a prediction.
    """

    targets: NDArray[np.intp]
    target_r: Array
    all: Counts
    trained: Counts
    within: Counts
    between: Counts
    best: NDArray[np.intp]
    best_r: Array
    rates: Array
    tops: Array
    won: Array
    counted: NDArray[np.bool_]

    @property
    def n_targets(self) -> int:
        """Count the different targets."""
        return int(self.rates.shape[1])

    @property
    def untrained(self) -> Counts:
        """False candidates that did not train, those less similar, those equally: (3, n)."""
        return self.all - self.trained

    @property
    def rate(self) -> Array:
        """Pairwise rate of each prediction, (n,)."""
        return pairwise_rate(self.all[1], self.all[2], self.all[0])

    @staticmethod
    def concatenate(parts: list[Matches]) -> Matches:
        """Matches of predictions, one part after the other."""
        if len(parts) == 1:
            return parts[0]
        first = {name: [getattr(part, name) for part in parts] for name in _FIRST}
        last = {name: [getattr(part, name) for part in parts] for name in _LAST}
        return Matches(
            **{name: np.concatenate(found) for name, found in first.items()},
            **{name: np.concatenate(found, axis=1) for name, found in last.items()},
        )


_FIRST = ("targets", "target_r", "best", "best_r", "rates", "tops", "won", "counted")
_LAST = ("all", "trained", "within", "between")


def match(
    similarity: Array,
    *,
    candidates: NDArray[np.integer],
    targets: NDArray[np.integer],
    trained: NDArray[np.bool_] | None = None,
    categories: NDArray[np.integer] | None = None,
) -> Matches:
    """Count the false candidates that each prediction is less like than the true one.

    Two similarities are equal where they differ by less than 2⁻⁴⁰. Pairs without a similarity are
    left out.

    Parameters
    ----------
    similarity : array of shape (n, n_candidates)
        NaN where a pattern does not vary.
    candidates : array of int of shape (n_targets,)
        Column of each target, each another.
    targets : array of int of shape (n,)
        Which of these each prediction is of; several may be of one.
    trained : array of bool of shape (n_candidates,) or (n, n_candidates), optional
        Candidates that trained the decoder; of each prediction, in a cross-validation.
    categories : array of int of shape (n_candidates,), optional
        Category of each candidate; below 0 where none is known.

    Raises
    ------
    AnalysisError
        Fewer than two candidates, targets that are no different columns, or other shapes.
    """
    s = np.asarray(similarity, dtype=np.float64)
    own, of = np.asarray(candidates, dtype=np.intp), np.asarray(targets, dtype=np.intp)
    if s.ndim != 2 or s.shape[1] < 2:
        raise AnalysisError(f"similarity of shape {s.shape}; needs predictions × ≥ 2 candidates")
    if len(np.unique(own)) < len(own) or not _within(own, s.shape[1]):
        raise AnalysisError(f"{len(own)} targets: different columns from 0 to {s.shape[1] - 1}")
    if of.shape != (len(s),) or not _within(of, len(own)):
        raise AnalysisError(f"targets of {of.shape} predictions, of {len(own)} targets: {s.shape}")
    rows = np.arange(len(s))
    column = own[of]
    true = s[rows, column]
    false = ~np.isnan(s) & ~np.isnan(true)[:, None]
    false[rows, column] = False
    above_low, above_high = s >= (true - TIE)[:, None], s > (true + TIE)[:, None]
    below, equal = false & ~above_low, false & above_low & ~above_high
    counted = false[:, own]
    won = (below[:, own] + 0.5 * equal[:, own]) * counted
    none = np.zeros(s.shape[1], dtype=bool)
    trains = none if trained is None else np.asarray(trained, dtype=bool)
    within = between = none
    if categories is not None:
        known = np.asarray(categories)
        of_target = known[column][:, None]
        within = (known == of_target) & (of_target >= 0)
        between = (known != of_target) & (known >= 0) & (of_target >= 0)
    rates, tops = _exchanged(s, own)
    best, best_r = _best(s)
    return Matches(
        targets=of,
        target_r=true,
        all=_counts(false, below, equal),
        trained=_counts(false, below, equal, trains),
        within=_counts(false, below, equal, within),
        between=_counts(false, below, equal, between),
        best=best,
        best_r=best_r,
        rates=rates,
        tops=tops,
        won=won,
        counted=counted,
    )


def _counts(*masks: NDArray[np.bool_]) -> Counts:
    """Of three masks how many are set, or how many of those that a fourth allows."""
    (false, below, equal), allowed = masks[:3], masks[3:]
    if allowed and not allowed[0].any():
        return np.zeros((3, len(false)), dtype=np.int64)
    kept = [mask & allowed[0] if allowed else mask for mask in (false, below, equal)]
    return np.stack([mask.sum(axis=1) for mask in kept])


def _exchanged(s: Array, own: NDArray[np.intp]) -> tuple[Array, Array]:
    """Pairwise rate of each target with each prediction, and how probably it is the first."""
    in_order = np.sort(s, axis=1)  # NaN last
    n_valid = (~np.isnan(s)).sum(axis=1)
    rates, tops = (np.full((len(s), len(own)), np.nan) for _ in range(2))
    for row, (known, of_row, n) in enumerate(zip(in_order, s[:, own], n_valid, strict=True)):
        if n < 2:
            continue
        low = np.searchsorted(known[:n], of_row - TIE, side="left")
        high = np.searchsorted(known[:n], of_row + TIE, side="right")
        equal = high - low - 1  # without itself
        rates[row] = (low + equal / 2) / (n - 1)
        tops[row] = np.where(high == n, 1.0 / np.maximum(equal + 1, 1), 0.0)
        undefined = np.isnan(of_row)
        rates[row, undefined] = tops[row, undefined] = np.nan
    return rates, tops


def _best(s: Array) -> tuple[NDArray[np.intp], Array]:
    filled = np.where(np.isnan(s), -np.inf, s)
    highest = filled.max(axis=1)
    best = np.argmax(filled >= (highest - TIE)[:, None], axis=1)  # the first of equal ones
    known = np.isfinite(highest)
    return np.where(known, best, -1), np.where(known, s[np.arange(len(s)), best], np.nan)


def _within(columns: NDArray[np.integer], n: int) -> bool:
    return bool(((columns >= 0) & (columns < n)).all())
