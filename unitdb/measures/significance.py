"""Significance of the units of a layer: by the number of test images, or by controls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis import StudentisedNull, accuracy_p, combined_accuracy_p, q_values
from unitdb.tables import Results

__all__ = ["Tested", "by_controls", "by_formula"]

SIGNIFICANT = 0.05
"""q below which a unit counts as significant in ``layer_summary``."""

_AT_ONCE = 1 << 14  # units whose controls are in memory together
_POOL = 1 << 24  # accuracies of controls that a null is made of, at the most


@dataclass(frozen=True, kw_only=True, eq=False)
class Tested:
    """Significance of the units of a layer in one ROI.

    Parameters
    ----------
    p : array of shape (n_units,)
        Over subjects; NaN where there is none.
    n_significant : list of int
        Units with q < .05 in each subject, of the subject's units alone.
    """

    p: NDArray[np.float32]
    n_significant: list[int]


def by_formula(
    r: NDArray[np.float32],
    n_test: int,
    correlation: NDArray[np.float64] | None = None,
) -> Tested:
    """Test accuracies by the number of test images; Stouffer's p over subjects.

    Parameters
    ----------
    r : array of shape (n_subjects, n_units)
        Accuracies; NaN where there is none.
    n_test : int
        Test images.
    correlation : array of shape (n_subjects, n_subjects), optional
        Of their predictions; independent where it is not known.
    """
    return Tested(
        p=combined_accuracy_p(r, n_images=n_test, correlation=correlation).astype(np.float32),
        n_significant=[_count(row) for row in accuracy_p(r, n_images=n_test)],
    )


def by_controls(results: Results, roi: int) -> Tested:
    """Test accuracies among those with shuffled images; over subjects, their mean.

    Parameters
    ----------
    results : Results
        With controls.
    roi : int
        Position of the ROI.
    """
    r = results.accuracies(roi)
    p = np.full((1 + results.n_subjects, results.n_units), np.nan)
    for row in range(len(p)):  # the mean over subjects, then each subject
        of = slice(None) if row == 0 else slice(row - 1, row)
        null = StudentisedNull(_pool(results, roi, of))
        start = 0
        for controls in results.controls(roi, _AT_ONCE):
            stop = start + controls.shape[2]
            p[row, start:stop] = null.p(_mean(r[of, start:stop]), _mean(controls[:, of]))
            start = stop
    return Tested(p=p[0].astype(np.float32), n_significant=[_count(row) for row in p[1:]])


def _pool(results: Results, roi: int, of: slice) -> Iterator[NDArray[np.floating]]:
    """Controls of units that are spread over the layer, not more than memory should hold."""
    step = -(-results.n_units * results.n_controls // _POOL)
    start = 0
    for controls in results.controls(roi, _AT_ONCE):
        yield _mean(controls[:, of, -start % step :: step])
        start += controls.shape[2]


def _mean(r: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean over subjects, the last axis but one, of those that have an accuracy."""
    known = ~np.isnan(r)
    n = known.sum(axis=-2)
    total = np.where(known, r, 0.0).sum(axis=-2, dtype=np.float64)
    mean = np.full(total.shape, np.nan)
    np.divide(total, n, out=mean, where=n > 0)
    return mean


def _count(p: NDArray[np.float64]) -> int:
    return int((q_values(p) < SIGNIFICANT).sum())
