"""Table ``layer_summary``: the units of a layer in an ROI of a subject, and their patterns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis import summarise_layer
from unitdb.measures.protocol import Found, Layer, Measure
from unitdb.measures.significance import Tested
from unitdb.schema import get_table
from unitdb.tables import Results, Rows, Scope, partition_keys

__all__ = ["LayerSummary", "layer_summary_rows"]

_PATTERN_COLUMNS = [
    column.name
    for column in get_table("layer_summary").columns
    if column.name.startswith(("mean_low", "mean_high", "n_pattern", "n_cand", "pattern", "ident"))
]


class LayerSummary(Measure):
    """Accuracies, significance and patterns of the units of a layer."""

    tables = ("layer_summary",)

    def of_layer(self, layer: Layer) -> Found:
        """Summarise each ROI."""
        scope, results, rows = layer.network.scope, layer.results, Rows()
        for place, (roi, r) in enumerate(zip(scope.rois, results, strict=True)):
            rows += layer_summary_rows(
                scope,
                layer.name,
                roi,
                r,
                tested=layer.tested(place),
                patterns=layer.patterns(place),
                chance=_chance(results, place),
                reliability=results.reliability(place),
            )
        return Found(rows={"layer_summary": rows})


def layer_summary_rows(
    scope: Scope,
    layer: str,
    roi: str,
    r: NDArray[np.float32],
    *,
    tested: Tested | None,
    patterns: Sequence[Mapping[str, Any]] | None = None,
    chance: Sequence[float] | None = None,
    reliability: NDArray[np.float32] | None = None,
) -> Rows:
    """Rows of ``layer_summary`` of one layer and ROI.

    Parameters
    ----------
    scope, layer, roi
        What they are of.
    r : array of shape (n_subjects, n_units)
        Accuracies.
    tested : Tested, optional
        Their significance, where it is known.
    patterns : sequence of mapping, optional
        For each subject what :class:`.Predicted` has.
    chance : sequence of float, optional
        For each subject the mean accuracy of controls.
    reliability : array of shape (n_subjects, n_units), optional
        Of predictions over presentations.
    """
    rows = []
    for at, (subject, of_subject) in enumerate(zip(scope.subjects, r, strict=True)):
        found = summarise_layer(of_subject)
        pattern: dict[str, Any] = dict.fromkeys(_PATTERN_COLUMNS)
        if patterns is not None:
            pattern |= patterns[at]
            # Of a sample of the units; how far their mean scatters over images is that of all.
            mean = pattern.pop("mean_of_patterns", None)
            for end in ("mean_low", "mean_high"):
                if pattern[end] is not None:
                    # No mean correlation lies beyond ±1, however far its interval is moved.
                    pattern[end] = min(max(pattern[end] + found.mean - mean, -1.0), 1.0)
        rows.append(
            partition_keys(scope, layer)
            | {
                "roi": roi,
                "subject": subject,
                "n_units": found.n_units,
                "n_undefined": found.n_undefined,
                "mean_r": found.mean,
                "sd_r": found.sd,
                "q05_r": found.quantiles[0.05],
                "q25_r": found.quantiles[0.25],
                "median_r": found.quantiles[0.5],
                "q75_r": found.quantiles[0.75],
                "q95_r": found.quantiles[0.95],
                "n_significant": None if tested is None else tested.n_significant[at],
                "chance_r": None if chance is None else chance[at],
                "mean_reliability": None if reliability is None else _mean(reliability[at]),
            }
            | pattern
        )
    return rows


def _chance(results: Results, roi: int) -> list[float] | None:
    """Mean accuracy of each subject over controls and units."""
    if not results.n_controls:
        return None
    total, n = np.zeros(results.n_subjects), np.zeros(results.n_subjects)
    for control in range(results.n_controls):
        r = results.accuracies(roi, 1 + control)
        total += np.nansum(r, axis=1, dtype=np.float64)
        n += (~np.isnan(r)).sum(axis=1)
    mean = np.full(len(n), np.nan)
    np.divide(total, n, out=mean, where=n > 0)
    return [float(value) for value in mean]


def _mean(values: NDArray[np.float32]) -> float:
    known = values[~np.isnan(values)].astype(np.float64)
    return float(known.mean()) if len(known) else np.nan
