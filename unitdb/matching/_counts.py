"""How many candidates a prediction is less like than the true one, and how many more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import AnalysisError
from unitdb.matching._curve import pairwise_rate, top_rate

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
    folds : array of int of shape (n,)
        Predictions of one number were held out together: what is exchanged within folds.
    exchanged : mapping of str to array of int of shape (3, n, n_targets)
        The counts ``all``, ``untrained``, ``within`` and ``between`` of each target, scored with
        each prediction: what exchange chance is of. Untrained is of targets that did not train.
    won : array of shape (n, n_targets)
        What each target adds to the candidates below a prediction's own: 1, ½ or 0; 0 for its own.
    counted : array of bool of shape (n, n_targets)
        Targets that are false candidates of a prediction.

    Examples
    --------
    >>> from unitdb.matching import Matches, match
    >>> s = np.array([[0.9, 0.5, 0.2], [0.3, 0.4, 0.8]])
    >>> found = match(s, candidates=np.array([0, 1]), targets=np.array([0, 1]))
    >>> found.exchanged_rates("all")
    array([[1. , 0.5],
           [0. , 0.5]])
    >>> found.exchanged_tops(1)
    array([[1., 0.],
           [0., 0.]])
    >>> Matches.concatenate([found, found]).targets
    array([0, 1, 0, 1])
    """

    targets: NDArray[np.intp]
    target_r: Array
    all: Counts
    trained: Counts
    within: Counts
    between: Counts
    best: NDArray[np.intp]
    best_r: Array
    folds: NDArray[np.intp]
    exchanged: Mapping[str, NDArray[np.int32]]
    won: Array
    counted: NDArray[np.bool_]

    @property
    def n_targets(self) -> int:
        """Count the different targets."""
        return int(self.won.shape[1])

    @property
    def untrained(self) -> Counts:
        """False candidates that did not train, those less similar, those equally: (3, n)."""
        return self.all - self.trained

    @property
    def rate(self) -> Array:
        """Pairwise rate of each prediction, (n,)."""
        return pairwise_rate(self.all[1], self.all[2], self.all[0])

    @property
    def rates(self) -> Array:
        """Pairwise rate of each target with each prediction, (n, n_targets)."""
        return self.exchanged_rates("all")

    def exchanged_rates(self, kind: str) -> Array:
        """The same among a kind of candidates.

        Returns
        -------
        array of shape (n_predictions,)
            NaN where there is no such candidate.
        """
        n, below, equal = self.exchanged[kind]
        return pairwise_rate(below, equal, n)

    def exchanged_tops(self, k: int) -> Array:
        """Probability that each target is among the first k that did not train, likewise.

        Returns
        -------
        array of shape (n_predictions,)
            From 0 to 1.
        """
        n, below, equal = self.exchanged["untrained"]
        found = top_rate(below, equal, n, k)
        return np.asarray(np.where(n > 0, found, np.nan))

    @property
    def held_out(self) -> NDArray[np.bool_]:
        """Other targets that were held out with each prediction, (n, n_targets)."""
        folds, of_fold = np.unique(self.folds, return_inverse=True)
        members = np.zeros((len(folds), self.n_targets), dtype=bool)
        members[of_fold, self.targets] = True
        found = members[of_fold]
        found[np.arange(len(found)), self.targets] = False
        return found

    @staticmethod
    def concatenate(parts: list[Matches]) -> Matches:
        """Matches of predictions, one part after the other.

        Returns
        -------
        Matches
            Of all predictions.
        """
        if len(parts) == 1:
            return parts[0]
        first = {name: [getattr(part, name) for part in parts] for name in _FIRST}
        last = {name: [getattr(part, name) for part in parts] for name in _LAST}
        exchanged = {
            kind: np.concatenate([part.exchanged[kind] for part in parts], axis=1)
            for kind in parts[0].exchanged
        }
        return Matches(
            exchanged=exchanged,
            **{name: np.concatenate(found) for name, found in first.items()},
            **{name: np.concatenate(found, axis=1) for name, found in last.items()},
        )


_FIRST = ("targets", "target_r", "best", "best_r", "folds", "won", "counted")
_LAST = ("all", "trained", "within", "between")


def match(
    similarity: Array,
    *,
    candidates: NDArray[np.integer],
    targets: NDArray[np.integer],
    trained: NDArray[np.bool_] | None = None,
    categories: NDArray[np.integer] | None = None,
    folds: NDArray[np.integer] | None = None,
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
    folds : array of int of shape (n,), optional
        Fold of a cross-validation that held each prediction out; by default all were together.

    Returns
    -------
    Matches
        Counts of each prediction.

    Raises
    ------
    AnalysisError
        Fewer than two candidates, targets that are no different columns, or other shapes.

    Examples
    --------
    >>> from unitdb.matching import match
    >>> s = np.array([[0.9, 0.5, 0.2], [0.3, 0.4, 0.8]])
    >>> found = match(s, candidates=np.array([0, 1]), targets=np.array([0, 1]))
    >>> found.all
    array([[2, 2],
           [2, 1],
           [0, 0]])
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
    # Of the targets alone: what is drawn twice in a bootstrap.
    others, known = s[:, own], ~np.isnan(true)[:, None]
    counted = ~np.isnan(others) & known
    counted[rows, of] = False
    won = np.where(others < (true - TIE)[:, None], 1.0, 0.5) * counted
    won[others > (true + TIE)[:, None]] = 0.0
    trains = (
        np.zeros(s.shape[1], dtype=bool) if trained is None else np.asarray(trained, dtype=bool)
    )
    codes = None if categories is None else np.asarray(categories)
    exchanged = _exchanged(s, own, trains, codes)
    trained_counts, within, between = _kinds(s, true, column, trains, codes)
    best, best_r = _best(s)
    return Matches(
        targets=of,
        target_r=true,
        all=exchanged["all"][:, rows, of].astype(np.int64),
        trained=trained_counts,
        within=within,
        between=between,
        best=best,
        best_r=best_r,
        folds=np.zeros(len(s), np.intp) if folds is None else np.asarray(folds, np.intp),
        exchanged=exchanged,
        won=won,
        counted=counted,
    )


def _kinds(
    s: Array,
    true: Array,
    column: NDArray[np.intp],
    trains: NDArray[np.bool_],
    categories: NDArray[np.integer] | None,
) -> tuple[Counts, Counts, Counts]:
    """False candidates that trained, of the target's category, and of others, as of Matches."""
    none = np.zeros((3, len(s)), dtype=np.int64)
    if categories is None and not trains.any():
        return none, none, none
    false = ~np.isnan(s) & ~np.isnan(true)[:, None]
    false[np.arange(len(s)), column] = False
    below = false & (s < (true - TIE)[:, None])
    equal = false & ~below & (s <= (true + TIE)[:, None])

    def counts(allowed: NDArray[np.bool_]) -> Counts:
        return np.stack([(mask & allowed).sum(axis=1) for mask in (false, below, equal)])

    of_trained = counts(trains) if trains.any() else none
    if categories is None:
        return of_trained, none, none
    of_target = categories[column][:, None]
    within = (categories == of_target) & (of_target >= 0)
    between = (categories != of_target) & (categories >= 0) & (of_target >= 0)
    return of_trained, counts(within), counts(between)


def _exchanged(
    s: Array,
    own: NDArray[np.intp],
    trains: NDArray[np.bool_],
    categories: NDArray[np.integer] | None,
) -> dict[str, NDArray[np.int32]]:
    """Counts of each target with each prediction, by kind of candidates."""
    every = _scored(s, own)
    found = {"all": every, "untrained": _scored(s, own, ~trains) if trains.any() else every}
    within, between = (np.zeros_like(every) for _ in range(2))
    if categories is not None:
        known = categories >= 0
        between = every.copy() if known.all() else _scored(s, own, known)
        for category in np.unique(categories[own]):
            alike = np.flatnonzero(categories[own] == category)
            if category >= 0:
                within[:, :, alike] = _scored(s, own[alike], categories == category)
            else:
                between[:, :, alike] = 0
        between -= within
    return found | {"within": within, "between": between}


def _scored(
    s: Array, own: NDArray[np.intp], allowed: NDArray[np.bool_] | None = None
) -> NDArray[np.int32]:
    """False candidates of each target with each prediction, those below, and those equal.

    0 of targets that are not allowed themselves, or have no similarity.
    """
    found = np.zeros((3, len(s), len(own)), dtype=np.int32)
    for row, values in enumerate(s):
        kept = ~np.isnan(values)
        if allowed is not None:
            kept &= allowed if allowed.ndim == 1 else allowed[row]
        known = np.sort(values[kept])
        if len(known) < 2:
            continue
        targets = values[own]
        low = np.searchsorted(known, targets - TIE, side="left")
        high = np.searchsorted(known, targets + TIE, side="right")
        counts = np.stack([np.full(len(own), len(known) - 1), low, high - low - 1])
        found[:, row] = counts * kept[own]
    return found


def _best(s: Array) -> tuple[NDArray[np.intp], Array]:
    filled = np.where(np.isnan(s), -np.inf, s)
    highest = filled.max(axis=1)
    best = np.argmax(filled >= (highest - TIE)[:, None], axis=1)  # the first of equal ones
    known = np.isfinite(highest)
    return np.where(known, best, -1), np.where(known, s[np.arange(len(s)), best], np.nan)


def _within(columns: NDArray[np.integer], n: int) -> bool:
    return bool(((columns >= 0) & (columns < n)).all())
