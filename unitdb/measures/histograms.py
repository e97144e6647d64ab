"""Tables ``accuracy_histogram``, ``unit_histogram`` and ``summary_histogram``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis import histogram, lead_over_others
from unitdb.measures.protocol import Found, Layer, Measure
from unitdb.measures.units import means
from unitdb.tables import Rows, Scope, partition_keys

__all__ = ["Histograms", "histogram_rows"]

Accuracies = Iterable[NDArray[np.float32]]


class Histograms(Measure):
    """Units of a layer by their accuracy, and by measures over subjects."""

    tables = ("accuracy_histogram", "unit_histogram", "summary_histogram")

    def of_layer(self, layer: Layer) -> Found:
        """Count the units of each bin."""
        return Found(rows=histogram_rows(layer.network.scope, layer.name, layer.results))


def histogram_rows(scope: Scope, layer: str, r: Accuracies) -> dict[str, Rows]:
    """Rows of the histograms of one layer: of accuracies, and of measures over subjects."""
    of_rois = means(r)
    of_subjects, of_means, of_measures = [], [], []
    for roi, of_roi, mean, lead in zip(
        scope.rois, r, of_rois, lead_over_others(of_rois), strict=True
    ):
        keys = partition_keys(scope, layer) | {"roi": roi}
        for subject, of_subject in zip(scope.subjects, of_roi, strict=True):
            of_subjects += _bins(keys | {"subject": subject}, of_subject)
        of_means += _bins(keys, mean)
        complete, preferred = ~np.isnan(of_roi).any(axis=0), lead > 0
        some = {
            "n_complete": complete,
            "n_preferred": preferred,
            "n_complete_preferred": complete & preferred,
        }
        for measure, values, limit in (
            ("mean_r", mean, 100),
            ("min_r", np.fmin.reduce(of_roi), 100),
            ("max_r", np.fmax.reduce(of_roi), 100),
            ("lead_r", lead, 200),
        ):
            of_measures += _bins(keys | {"measure": measure}, values, some, limit=limit)
    return {
        "accuracy_histogram": of_subjects,
        "unit_histogram": of_means,
        "summary_histogram": of_measures,
    }


def _bins(
    keys: dict[str, str],
    r: NDArray[np.float32],
    some: Mapping[str, NDArray[np.bool_]] | None = None,
    *,
    limit: int = 100,
) -> Rows:
    """Units of each bin, and how many of them are among some."""
    counted = {"n_units": _counts(r, limit)}
    counted |= {name: _counts(r[chosen], limit) for name, chosen in (some or {}).items()}
    return [
        keys | {"bin": bin_} | {name: counts.get(bin_, 0) for name, counts in counted.items()}
        for bin_ in counted["n_units"]
    ]


def _counts(r: NDArray[np.float32], limit: int) -> dict[int, int]:
    bins, counts = histogram(r, limit=limit)
    return dict(zip(bins.tolist(), counts.tolist(), strict=True))
