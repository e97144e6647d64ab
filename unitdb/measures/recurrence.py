"""Table ``recurrence``: whether a network's best units are the best again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis import TopUnits, mean_of_others, n_shared, overlap
from unitdb.measures.protocol import Found, Layer, Measure, Network, Taking
from unitdb.tables import Rows, Scope

__all__ = ["Recurrence", "RecurrenceTable"]

_BEST = 1000
_SHARE = 10  # a network of fewer than 10,000 units has fewer best ones: one in ten
_AT_ONCE = 1 << 16  # units that are ranked together

Accuracies = NDArray[np.float32]


class Recurrence(Measure):
    """In another subject, in the others, and in other presentations."""

    tables = ("recurrence",)

    def over_layers(self, network: Network) -> Taking:
        """Hold the best units of all layers."""
        return _Rankings(network)


class _Rankings(Taking):
    def __init__(self, network: Network) -> None:
        self._table = RecurrenceTable(network.scope, n_controls=network.n_controls)

    def add(self, layer: Layer) -> Found:
        self._table.add(layer.results.accuracies, layer.results.halves)
        return Found()

    def finish(self) -> dict[str, Rows]:
        return {"recurrence": self._table.rows()}


class RecurrenceTable:
    """The best units of a network in each ROI, from layers that come one at a time.

    Parameters
    ----------
    scope : Scope
        What the accuracies are of.
    n_controls : int
        Controls, of which two that differ are two people who saw images shuffled independently.
    """

    def __init__(self, scope: Scope, *, n_controls: int = 0) -> None:
        self._scope = scope
        # For each ROI the true ranking and those of controls: subjects, then the means of the
        # others, then first and second halves of presentations.
        self._tops = [[TopUnits(_BEST) for _ in range(1 + n_controls)] for _ in scope.rois]
        self._has_halves = False

    def add(
        self,
        accuracies: Callable[[int, int], Accuracies],
        halves: Callable[[int], Accuracies | None] = lambda _: None,
    ) -> None:
        """Rank the units of the next layer.

        Parameters
        ----------
        accuracies : callable
            Given the position of an ROI in the scope and the number of a control, from 1 (0 is
            none), accuracies of shape (n_subjects, n_units).
        halves : callable, optional
            Given an ROI, accuracies in either half of the presentations, (2, n_subjects, n_units).
        """
        for roi, (top, *controls) in enumerate(self._tops):
            r, of_halves = accuracies(roi, 0), halves(roi)
            self._has_halves = of_halves is not None
            complete = np.asarray(~np.isnan(r).any(axis=0))
            for some in _slices(r.shape[1]):
                kept = complete[some]
                rankings = _rankings(r[:, some])
                if of_halves is not None:
                    rankings = np.concatenate([rankings, *of_halves[:, :, some]])
                top.add(_last(rankings[:, kept]))
            for number, control in enumerate(controls, 1):
                shuffled = accuracies(roi, number)
                for some in _slices(r.shape[1]):
                    control.add(_last(_rankings(shuffled[:, some])[:, complete[some]]))

    def rows(self) -> Rows:
        """Rows of the table."""
        return [row for roi in range(len(self._tops)) for row in self._of_roi(roi)]

    def _of_roi(self, roi: int) -> Iterator[dict[str, Any]]:
        top, *controls = self._tops[roi]
        subjects = self._scope.subjects
        k = min(_BEST, -(-top.n_units // _SHARE))
        for among, first, second, other_ranking in self._pairs():
            found = overlap(top.best(first, k), top.best(other_ranking, k), top.n_units)
            null = []
            if among != "halves":
                # A control of one beside the next of the other: images shuffled independently.
                null = [
                    n_shared(one.best(first, k), other.best(other_ranking, k))
                    for one, other in zip(controls, controls[1:] + controls[:1], strict=True)
                ]
            yield {
                "dataset": self._scope.dataset,
                "condition": self._scope.condition,
                "model": self._scope.model,
                "roi": self._scope.rois[roi],
                "among": among,
                "subject": subjects[first % len(subjects)],
                "other": subjects[second],
                "n_units": found.n_units,
                "k": found.k,
                "n_shared": found.shared,
                "n_expected": found.chance if found.n_units else None,
                "n_chance": float(np.mean(null)) if null else None,
                "p": (1 + sum(n >= found.shared for n in null)) / (1 + len(null)) if null else None,
            }

    def _pairs(self) -> Iterator[tuple[str, int, int, int]]:
        """What is compared: among what, the ranking, the other subject, and the other ranking."""
        n = len(self._scope.subjects)
        if n > 1:
            for a in range(n):
                yield from (("subject", a, b, b) for b in range(a + 1, n))
                yield "others", a, a, n + a
        if self._has_halves:
            first = 2 * n if n > 1 else n
            yield from (("halves", first + a, a, first + n + a) for a in range(n))


def _slices(n_units: int) -> list[slice]:
    """Units in parts; those of later parts come after equal ones of earlier, as they should."""
    return [slice(start, start + _AT_ONCE) for start in range(0, n_units, _AT_ONCE)]


def _rankings(r: Accuracies) -> NDArray[np.floating]:
    """Accuracies of each subject, and the mean of the others for each where there are others."""
    return np.concatenate([r, mean_of_others(r)]) if len(r) > 1 else r


def _last(rankings: NDArray[np.floating]) -> NDArray[np.floating]:
    """Units that a half or a control gives no accuracy come last; they keep their place."""
    return np.where(np.isnan(rankings), -np.inf, rankings)
