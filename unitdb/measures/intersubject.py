"""Table ``intersubject``: whether the accuracies of two people agree over units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis import Blocks, PairInterval, agreement_intervals, cross_correlations
from unitdb.measures.protocol import Found, Layer, Measure
from unitdb.tables import Results, Rows, Scope, partition_keys

__all__ = ["Agreement", "Intersubject", "agreement", "intersubject_rows"]


class Intersubject(Measure):
    """Agreement of each pair of subjects, in each ROI."""

    tables = ("intersubject",)

    def of_layer(self, layer: Layer) -> Found:
        """Correlate the subjects' accuracies."""
        scope, results, rows = layer.network.scope, layer.results, Rows()
        for place, (roi, r) in enumerate(zip(scope.rois, results, strict=True)):
            found = agreement(
                r,
                blocks=layer.blocks,
                of_units=layer.covariates,
                n_controls=results.n_controls,
                control=partial(_control, results, place),
            )
            rows += intersubject_rows(scope, layer.name, roi, found, layer.alike(place))
        return Found(rows={"intersubject": rows})


def _control(results: Results, roi: int, number: int) -> NDArray[np.float32]:
    return results.accuracies(roi, 1 + number)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Agreement of two subjects in an ROI.

    Parameters
    ----------
    pair : PairInterval
        Correlations over units, with intervals.
    null : tuple of float
        Pearson correlation in each control.
    """

    pair: PairInterval
    null: tuple[float, ...]

    @property
    def chance(self) -> float:
        """Mean over controls; NaN without any."""
        known = [r for r in self.null if r == r]
        return float(np.mean(known)) if known else np.nan

    @property
    def p(self) -> float:
        """(1 + #{null ≥ r}) / (1 + n); NaN without controls or correlation."""
        known, r = [r for r in self.null if r == r], self.pair.pearson.value
        if not known or r != r:
            return np.nan
        return (1 + sum(other >= r for other in known)) / (1 + len(known))


def agreement(
    r: NDArray[np.float32],
    *,
    blocks: Blocks,
    of_units: NDArray[np.float64] | None = None,
    n_controls: int = 0,
    control: Callable[[int], NDArray[np.float32]] | None = None,
) -> list[Agreement]:
    """Agreement of all pairs of subjects, with intervals over channels.

    A control shuffles the images alike in all subjects. Two different controls, one for each
    subject of a pair, shuffle them independently: the null of no common images.

    Parameters
    ----------
    r : array of shape (n_subjects, n_units)
        Accuracies in an ROI.
    blocks : array of shape (n_units,)
        Block of each unit that is drawn as a whole.
    of_units : array of shape (n_covariates, n_units), optional
        What partial correlations hold constant.
    n_controls : int
        How many there are.
    control : callable, optional
        Gives the accuracies of a control, counted from 0.
    """
    pairs = agreement_intervals(r, blocks, covariates=of_units)
    null = [
        cross_correlations(control(number), control((number + 1) % n_controls))
        for number in range(n_controls)
        if control is not None and pairs
    ]
    return [
        Agreement(pair=pair, null=tuple(float(r[pair.first, pair.second]) for r in null))
        for pair in pairs
    ]


def intersubject_rows(
    scope: Scope,
    layer: str,
    roi: str,
    found: Sequence[Agreement],
    predictions: NDArray[np.float64] | None = None,
) -> Rows:
    """Rows of ``intersubject`` of one layer and ROI.

    Parameters
    ----------
    scope, layer, roi
        What they are of.
    found : sequence of Agreement
        Of every pair.
    predictions : array of shape (n_subjects, n_subjects), optional
        Correlations of their predictions.
    """
    rows = []
    for one in found:
        pair = one.pair
        row = {
            "roi": roi,
            "subject_a": scope.subjects[pair.first],
            "subject_b": scope.subjects[pair.second],
            "n_units": pair.n_units,
            "n_blocks": pair.n_blocks,
            "prediction_r": None
            if predictions is None
            else float(predictions[pair.first, pair.second]),
            "chance_r": one.chance,
            "p": one.p,
        }
        for name in ("pearson", "spearman", "partial"):
            interval = getattr(pair, name)
            for end, column in (("value", "r"), ("low", "low"), ("high", "high")):
                row[f"{name}_{column}"] = None if interval is None else getattr(interval, end)
        rows.append(partition_keys(scope, layer) | row)
    return rows
