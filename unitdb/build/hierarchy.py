"""Rows of the tables ``hierarchy`` and ``best_roi`` from the accuracies of all layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis import BestTally, BHMethod, channel_blocks
from unitdb.build.tables import Rows, Scope

__all__ = ["HierarchyTables"]

_DRAWS = {"n_layers": 5, "n_repeats": 100}
"""Layers a draw, and draws: those of Nonaka et al. 2021."""


class HierarchyTables:
    """BH scores of a network, from layers that come one at a time.

    Parameters
    ----------
    scope : Scope
        What the accuracies are of.
    rois : sequence of str
        ROIs from early to late.
    n_stimuli : int
        Test images.
    n_controls : int
        Controls, whose scores are the null.
    seed : int
        Of ties, draws of layers and the bootstrap.
    """

    def __init__(
        self,
        scope: Scope,
        rois: Sequence[str],
        *,
        n_stimuli: int,
        n_controls: int = 0,
        seed: int = 0,
    ) -> None:
        self._scope, self._rois, self._n_stimuli = scope, list(rois), n_stimuli
        self._layers: list[str] = []
        self._tallies = {
            method: [
                BestTally(n_stimuli=n_stimuli, method=method, seed=seed)
                for _ in range(1 + n_controls)
            ]
            for method in get_args(BHMethod)
        }

    def add(
        self,
        layer: str,
        shape: Sequence[int],
        units: NDArray[np.int32],
        accuracies: Callable[[int, int], NDArray[np.float32]],
    ) -> None:
        """Count the best ROIs of the next layer.

        Parameters
        ----------
        layer : str
        shape : sequence of int
            Of the activation of one image.
        units : array of shape (n_units,)
            Flat C-order indices.
        accuracies : callable
            Given the position of an ROI in the scope and the number of a control, from 1 (0 is
            none), accuracies of shape (n_subjects, n_units).
        """
        places = [self._scope.rois.index(roi) for roi in self._rois]
        if len(places) < 2:
            return
        self._layers.append(layer)
        blocks = channel_blocks(shape, units)
        for control, tallies in enumerate(zip(*self._tallies.values(), strict=True)):
            r = np.stack([accuracies(place, control) for place in places], axis=1)
            for tally in tallies:
                tally.add(r, blocks)

    def rows(self) -> dict[str, Rows]:
        """Rows of both tables; none where there are fewer than two layers or ROIs."""
        found: dict[str, Rows] = {"hierarchy": [], "best_roi": []}
        if len(self._layers) < 2:
            return found
        for method, (tally, *controls) in self._tallies.items():
            keys = {
                "dataset": self._scope.dataset,
                "condition": self._scope.condition,
                "model": self._scope.model,
                "kind": "decoding",
                "method": method,
            }
            scores = [control.score(**_DRAWS) for control in controls]
            found["hierarchy"].append(keys | self._score(tally, scores))
            found["best_roi"] += [
                keys | {"layer": layer, "roi": roi, "n_units": int(n)}
                for layer, row in zip(self._layers, tally.counts, strict=True)
                for roi, n in zip(self._rois, row, strict=True)
            ]
        return found

    def _score(self, tally: BestTally, controls: Sequence[float]) -> dict[str, Any]:
        several = len(self._scope.subjects) > 1
        interval = tally.interval("both" if several else "units", **_DRAWS)
        null = [score for score in controls if score == score]
        p = None
        if null and interval.value == interval.value:
            p = (1 + sum(score >= interval.value for score in null)) / (1 + len(null))
        return {
            "score": interval.value,
            "score_low": interval.low,
            "score_high": interval.high,
            "over": "units and subjects" if several else "units",
            "n_units": tally.n_units,
            "n_counted": int(tally.counts.sum()),
            "chance_score": float(np.mean(null)) if null else None,
            "p": p,
            "rois": self._rois,
            "n_stimuli": self._n_stimuli,
        }
