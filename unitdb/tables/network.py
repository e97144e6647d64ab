"""Tables of a network decoded from a dataset: its layers come one at a time, and then once more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis import Blocks, channel_blocks
from unitdb.publish import write_partition
from unitdb.tables.discovery import read_p_and_q, save_p, write_q
from unitdb.tables.hierarchy import Encoded, HierarchyTables
from unitdb.tables.recurrence import RecurrenceTable
from unitdb.tables.results import Results
from unitdb.tables.rows import (
    Rows,
    Scope,
    accuracy_rows,
    histogram_rows,
    intersubject_rows,
    layer_reliability_rows,
    layer_summary_rows,
    partition_keys,
    unit_summary_rows,
)
from unitdb.tables.statistics import Tested, agreement, by_controls, by_formula

__all__ = ["DecodedLayer", "NetworkTables", "Predicted"]


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedLayer:
    """A layer, and which of its units were decoded.

    Parameters
    ----------
    name : str
    shape : sequence of int
        Of the activation of one image.
    axes : str, optional
        What its axes are (:mod:`unitdb.axes`).
    units : array of shape (n_units,)
        Flat C-order indices, ascending.
    """

    name: str
    shape: Sequence[int]
    axes: str | None
    units: NDArray[np.int32]

    @property
    def blocks(self) -> Blocks:
        """Channel of each unit: what intervals draw as a whole."""
        return channel_blocks(self.shape, self.units, axes=self.axes)


@dataclass(frozen=True, kw_only=True, eq=False)
class Predicted:
    """What the predictions of a layer's units in an ROI give besides accuracies.

    Parameters
    ----------
    patterns : sequence of mapping
        For each subject columns of ``layer_summary``, and ``mean_of_patterns``.
    alike : array of shape (n_subjects, n_subjects), optional
        Correlations of the subjects' predictions.
    """

    patterns: Sequence[Mapping[str, Any]]
    alike: NDArray[np.float64] | None


class NetworkTables:
    """All tables that follow from the accuracies of a network.

    :meth:`add` takes the layers in their order, :meth:`finish` once more: the false discovery rate
    of a unit takes the p of all of them. A layer is in memory at a time. What is in files of the
    folders is found again, so that :meth:`finish` needs no :meth:`add` in the same process.

    Parameters
    ----------
    scope : Scope
        What the accuracies are of.
    staged : Path
        Folder of the tables of the release.
    scratch : Path
        Folder for p and q until all are known; this network's own.
    hierarchy : sequence of str
        ROIs from early to late, for BH scores.
    n_test : int
        Independent test images that an accuracy is over: different targets.
    formula : bool
        Whether p follows from the number of test images: not so in cross-validation.
    n_controls : int
        Controls of each layer.
    seed : int
        Of BH scores.
    """

    def __init__(
        self,
        scope: Scope,
        *,
        staged: Path,
        scratch: Path,
        hierarchy: Sequence[str],
        n_test: int,
        formula: bool = True,
        n_controls: int = 0,
        seed: int = 0,
    ) -> None:
        self._scope, self._staged, self._scratch = scope, staged, scratch
        self._n_test, self._formula = n_test, formula
        self._hierarchy = partial(
            HierarchyTables,
            scope,
            hierarchy,
            n_stimuli=n_test,
            n_controls=n_controls,
            seed=seed,
        )
        self._recurrence = partial(RecurrenceTable, scope, n_controls=n_controls)

    def add(
        self,
        layer: DecodedLayer,
        results: Results,
        *,
        covariates: NDArray[np.float64] | None = None,
        predicted: Callable[[int], Predicted | None] = lambda _: None,
    ) -> tuple[dict[str, Rows], list[Path]]:
        """Write the accuracies of a layer; give its rows of small tables, and the files written.

        Parameters
        ----------
        layer : DecodedLayer
        results : Results
            Its accuracies.
        covariates : array of shape (n_covariates, n_units), optional
            What partial correlations of subjects hold constant.
        predicted : callable, optional
            Given the position of an ROI in the scope, what its predictions give.
        """
        keys = partition_keys(self._scope, layer.name)
        pieces = accuracy_rows(
            self._scope, layer.name, layer.units, results, results.reliabilities()
        )
        written = write_partition(self._staged, "accuracy", keys, pieces)
        rows: dict[str, Rows] = {"layer_summary": [], "layer_reliability": [], "intersubject": []}
        p, blocks = [], layer.blocks
        for place, (roi, r) in enumerate(zip(self._scope.rois, results, strict=True)):
            of_roi = predicted(place)
            alike = None if of_roi is None else of_roi.alike
            tested = self._tested(results, place, r, alike)
            p.append(np.full(r.shape[1], np.nan, np.float32) if tested is None else tested.p)
            rows["layer_summary"] += layer_summary_rows(
                self._scope,
                layer.name,
                roi,
                r,
                tested=tested,
                patterns=None if of_roi is None else of_roi.patterns,
                chance=_chance(results, place),
                reliability=results.reliability(place),
            )
            found = agreement(
                r,
                blocks=blocks,
                of_units=covariates,
                n_controls=results.n_controls,
                control=partial(_control, results, place),
            )
            rows["intersubject"] += intersubject_rows(self._scope, layer.name, roi, found, alike)
            rows["layer_reliability"] += layer_reliability_rows(
                self._scope, layer.name, roi, r, blocks=blocks
            )
        rows |= histogram_rows(self._scope, layer.name, results)
        return rows, [written, *save_p(self._scratch, layer.name, p)]

    def _tested(
        self,
        results: Results,
        place: int,
        r: NDArray[np.float32],
        alike: NDArray[np.float64] | None,
    ) -> Tested | None:
        if results.n_controls:
            return by_controls(results, place)
        return by_formula(r, self._n_test, alike) if self._formula else None

    def finish(
        self,
        layers: Iterable[tuple[DecodedLayer, Results]],
        *,
        names: Sequence[str],
        encoded: Encoded | None = None,
    ) -> tuple[dict[str, Rows], list[Path]]:
        """Write the summaries of units; give the network's rows, and the files written.

        Parameters
        ----------
        layers : iterable of (DecodedLayer, Results)
            All that were added, in the same order.
        names : sequence of str
            Their names.
        encoded : callable, optional
            Encoding accuracies of the same layers.
        """
        written, n_rois = list[Path](), len(self._scope.rois)
        write_q(self._scratch, names, n_rois=n_rois)
        hierarchy, recurrence = self._hierarchy(), self._recurrence()
        for layer, results in layers:
            keys = partition_keys(self._scope, layer.name)
            p_and_q = read_p_and_q(self._scratch, layer.name, n_rois=n_rois)
            pieces = unit_summary_rows(self._scope, layer.name, layer.units, results, p_and_q)
            written.append(write_partition(self._staged, "unit_summary", keys, pieces))
            hierarchy.add(layer.name, layer.blocks, results.accuracies)
            recurrence.add(results.accuracies, results.halves)
        return hierarchy.rows(encoded) | {"recurrence": recurrence.rows()}, written


def _control(results: Results, roi: int, number: int) -> NDArray[np.float32]:
    return results.accuracies(roi, 1 + number)


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
