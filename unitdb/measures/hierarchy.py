"""Tables ``hierarchy`` and ``best_roi``: BH scores of a network, from all of its layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis import BestTally, BHMethod, Blocks, Interval, Over, tally_intervals
from unitdb.measures.protocol import Encoded, Found, Layer, Measure, Network, Taking
from unitdb.tables import Rows, Scope

__all__ = ["Hierarchy", "HierarchyTables"]

_DRAWS = {"n_layers": 5, "n_repeats": 100}
"""Layers a draw, and draws: those of Nonaka et al. 2021."""

_ENDS = ("value", "low", "high")


class Hierarchy(Measure):
    """Whether early layers are decoded best from early ROIs, and late ones from late ROIs."""

    tables = ("hierarchy", "best_roi")

    def over_layers(self, network: Network) -> Taking:
        """Count the best ROIs of each layer."""
        return _Scores(network)


class _Scores(Taking):
    def __init__(self, network: Network) -> None:
        self._encoded = network.encoded
        self._tables = HierarchyTables(
            network.scope,
            network.hierarchy,
            n_stimuli=network.n_test,
            n_controls=network.n_controls,
            seed=network.seed,
        )

    def add(self, layer: Layer) -> Found:
        self._tables.add(layer.name, layer.blocks, layer.results.accuracies)
        return Found()

    def finish(self) -> dict[str, Rows]:
        return self._tables.rows(self._encoded)


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
        self._n_controls, self._seed = n_controls, seed
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
        blocks: Blocks,
        accuracies: Callable[[int, int], NDArray[np.float32]],
    ) -> None:
        """Count the best ROIs of the next layer.

        Parameters
        ----------
        layer : str
        blocks : array of shape (n_units,)
            Block of each unit that is drawn as a whole.
        accuracies : callable
            Given the position of an ROI in the scope and the number of a control, from 1 (0 is
            none), accuracies of shape (n_subjects, n_units).
        """
        places = [self._scope.rois.index(roi) for roi in self._rois]
        if len(places) < 2:
            return
        self._layers.append(layer)
        for control, tallies in enumerate(zip(*self._tallies.values(), strict=True)):
            r = np.stack([accuracies(place, control) for place in places], axis=1)
            for tally in tallies:
                tally.add(r, blocks)

    def rows(self, encoded: Encoded | None = None) -> dict[str, Rows]:
        """Rows of both tables; none where there are fewer than two layers or ROIs.

        Parameters
        ----------
        encoded : callable, optional
            Encoding accuracies of the same layers, which give scores too, and the average of both.
        """
        found: dict[str, Rows] = {"hierarchy": [], "best_roi": []}
        if len(self._layers) < 2:
            return found
        several = len(self._scope.subjects) > 1
        intervals = tally_intervals(
            [tally for tally, *_ in self._tallies.values()],
            "both" if several else "units",
            **_DRAWS,
        )
        for (method, (tally, *controls)), interval in zip(
            self._tallies.items(), intervals, strict=True
        ):
            scores = [
                _Score(
                    kind="decoding",
                    interval=interval,
                    over="units and subjects" if several else "units",
                    n_units=tally.n_units,
                    counts=tally.counts,
                    null=tuple(control.score(**_DRAWS) for control in controls),
                )
            ]
            if encoded is not None:
                scores.append(self._encoding(method, encoded))
                scores.append(_average(*scores))
            for score in scores:
                keys = {
                    "dataset": self._scope.dataset,
                    "condition": self._scope.condition,
                    "model": self._scope.model,
                    "kind": score.kind,
                    "method": method,
                }
                shared = {"rois": self._rois, "n_stimuli": self._n_stimuli}
                found["hierarchy"].append(keys | score.columns() | shared)
                if score.kind != "average":
                    found["best_roi"] += [
                        keys | {"layer": layer, "roi": roi, "n_units": int(n)}
                        for layer, row in zip(self._layers, score.counts, strict=True)
                        for roi, n in zip(self._rois, row, strict=True)
                    ]
        return found

    def _encoding(self, method: BHMethod, encoded: Encoded) -> _Score:
        """Score of voxels: regions take the place of layers, and layers that of regions."""
        several = len(self._scope.subjects) > 1
        over: Over = "subjects" if several else "units"
        options = {"n_layers": max(2, len(self._rois)), "n_repeats": 1}  # all of them take part
        tallies, n_voxels = [], 0
        for control in range(1 + self._n_controls):
            tally = BestTally(n_stimuli=self._n_stimuli, method=method, seed=self._seed)
            for roi in self._rois:
                r = encoded(roi, control)
                n_voxels += 0 if control else sum(part.shape[1] for part in r)
                tally.add(_side_by_side(r))
            tallies.append(tally)
        true, *controls = tallies
        return _Score(
            kind="encoding",
            interval=true.interval(over, **options),
            over=over,
            n_units=n_voxels,
            counts=true.counts.T,
            null=tuple(tally.score(**options) for tally in controls),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Score:
    """A score, with what a row of the table says of it.

    Parameters
    ----------
    kind : str
    interval : Interval
    over : str
        What the interval is about.
    n_units : int
        Units or voxels.
    counts : array of shape (n_layers, n_rois)
    null : tuple of float
        Scores of the controls.
    """

    kind: str
    interval: Interval
    over: str
    n_units: int
    counts: NDArray[np.int64]
    null: tuple[float, ...]

    def columns(self) -> dict[str, Any]:
        """Columns of table ``hierarchy``."""
        null, value = [score for score in self.null if score == score], self.interval.value
        p = None
        if null and value == value:
            p = (1 + sum(score >= value for score in null)) / (1 + len(null))
        return {
            "score": value,
            "score_low": self.interval.low,
            "score_high": self.interval.high,
            "over": self.over,
            "n_units": self.n_units,
            "n_counted": int(self.counts.sum()),
            "chance_score": float(np.mean(null)) if null else None,
            "p": p,
        }


def _average(decoding: _Score, encoding: _Score) -> _Score:
    """Mean of both scores.

    So are the ends of its interval: the standard error of a mean is not larger than the mean of
    the standard errors, whatever the correlation.
    """
    ends = ((getattr(decoding.interval, e), getattr(encoding.interval, e)) for e in _ENDS)
    value, low, high = (sum(pair) / 2 for pair in ends)
    return _Score(
        kind="average",
        interval=Interval(value=value, low=low, high=high),
        over=decoding.over if decoding.over == encoding.over else "units and subjects",
        n_units=decoding.n_units + encoding.n_units,
        counts=decoding.counts + encoding.counts,
        null=tuple((d + e) / 2 for d, e in zip(decoding.null, encoding.null, strict=True)),
    )


def _side_by_side(r: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Voxels of each subject, (n_subjects, n_layers, n_voxels); NaN where one has fewer."""
    most = max(part.shape[1] for part in r)
    found = np.full((len(r), len(r[0]), most), np.nan, dtype=np.float32)
    for subject, part in enumerate(r):
        found[subject, :, : part.shape[1]] = part
    return found
