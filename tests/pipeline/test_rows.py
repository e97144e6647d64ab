"""Rows of tables made of what a build has found."""

from __future__ import annotations

import numpy as np
import pytest

from unitdb.measures.layers import layer_summary_rows
from unitdb.tables import Scope


@pytest.mark.parametrize(("mean", "expected"), [(0.5, (0.4, 0.65)), (0.95, (0.85, 1.0))])
def test_an_interval_that_is_moved_to_all_units_stays_among_correlations(mean, expected):
    """Of a sample of units it is moved by the difference of the means, at the most to 1."""
    scope = Scope(
        build="a" * 12,
        dataset="some",
        condition="perception",
        model="net",
        rois=("V1",),
        subjects=("S1",),
    )
    r = np.full((1, 4), mean, dtype=np.float32)
    pattern = {"mean_low": 0.2, "mean_high": 0.45, "mean_of_patterns": 0.3}
    (row,) = layer_summary_rows(scope, "conv", "V1", r, tested=None, patterns=[pattern])
    assert (row["mean_low"], row["mean_high"]) == pytest.approx(expected)
