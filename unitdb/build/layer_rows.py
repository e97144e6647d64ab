"""Rows of the small tables that one layer of a job gives, and its p."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from unitdb.activations import Activations, LayerInfo
from unitdb.analysis import channel_blocks, prediction_correlations
from unitdb.build.inputs import Job
from unitdb.build.patterns import PatternStep, load_predictions
from unitdb.build.results import LayerResults
from unitdb.build.sealed import read_text
from unitdb.build.statistics import agreement, by_controls, by_formula, covariates
from unitdb.build.tables import (
    Rows,
    intersubject_rows,
    layer_reliability_rows,
    layer_summary_rows,
    scope_of,
)

__all__ = ["layer_rows"]


def layer_rows(
    job: Job,
    layer: LayerInfo,
    activations: Activations,
    results: LayerResults,
    patterns: Sequence[PatternStep],
) -> tuple[dict[str, Rows], list[NDArray[np.float32]]]:
    """Rows of ``layer_summary`` and ``intersubject``, and p of the units in each ROI.

    Parameters
    ----------
    job : Job
        What was decoded from what.
    layer : LayerInfo
    activations : Activations
        Of the layer.
    results : LayerResults
        Its accuracies.
    patterns : sequence of PatternStep
        Of the job, done.
    """
    scope, recipe = scope_of(job), job.recipe
    units, of_units = activations.units(layer.name), covariates(activations, layer.name)
    channels = channel_blocks(layer.shape, units, axes=layer.axes)
    of_layer = {step.place: step for step in patterns if step.layer == layer.name}
    rows: dict[str, Rows] = {"layer_summary": [], "layer_reliability": [], "intersubject": []}
    p = []
    for number, (roi, r) in enumerate(zip(scope.rois, results, strict=True)):
        steps = [of_layer[number, subject] for subject in range(len(r))]
        alike = _alike(job, steps)
        if recipe.n_controls:
            tested = by_controls(results, number)
        elif recipe.decoder.folds is None:
            tested = by_formula(r, [subject.n_test for subject in job.dataset.subjects], alike)
        else:
            tested = None
        p.append(np.full(len(units), np.nan, np.float32) if tested is None else tested.p)
        rows["layer_summary"] += layer_summary_rows(
            scope,
            layer.name,
            roi,
            r,
            tested=tested,
            patterns=[json.loads(read_text(step.target)) for step in steps],
            chance=_chance(results, number),
            reliability=results.reliability(number),
        )
        found = agreement(
            r,
            blocks=channels,
            of_units=of_units,
            n_controls=results.n_controls,
            control=partial(_control, results, number),
        )
        rows["intersubject"] += intersubject_rows(scope, layer.name, roi, found, alike)
        rows["layer_reliability"] += layer_reliability_rows(
            scope, layer.name, roi, r, blocks=channels
        )
    return rows, p


def _alike(job: Job, steps: Sequence[PatternStep]) -> NDArray[np.float64]:
    """Correlations of subjects' predictions of the units of the patterns."""
    return prediction_correlations(
        [load_predictions(step)[0] for step in steps],
        [subject.test_ids for subject in job.dataset.subjects],
    )


def _control(results: LayerResults, roi: int, number: int) -> NDArray[np.float32]:
    return results.accuracies(roi, 1 + number)


def _chance(results: LayerResults, roi: int) -> list[float] | None:
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
