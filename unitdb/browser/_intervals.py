"""Intervals of single accuracies, from the number of test images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["with_intervals"]

_Z = 1.959963984540054
"""Quantile of the normal distribution below which 97.5 % lie."""


def with_intervals(
    rows: pd.DataFrame, subjects: pd.DataFrame, sets: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Add the 95 % interval by Fisher's z: tanh(artanh r ± 1.96 / √(n − 3)).

    It takes the n test images as independent draws, and speaks of other images, not other people.

    Parameters
    ----------
    rows : DataFrame
        ``dataset``, ``condition``, ``subject``, ``roi``, ``r``.
    subjects : DataFrame
        Table ``subjects``, whose ``n_test`` is n in releases without test sets.
    sets : DataFrame, optional
        Table ``test_sets``, whose ``n_targets`` is n: what differs between samples. Where samples
        share targets they are not independent, and there is no interval.

    Returns
    -------
    DataFrame
        With ``n_test``, ``low`` and ``high``; these are NaN for n < 4, r = ±1 and shared targets.
    """
    keys, sizes = ["dataset", "subject", "roi"], subjects
    if sets is not None:
        keys, alone = ["dataset", "condition"], sets["n_targets"] == sets["n_samples"]
        sizes = sets.assign(n_test=sets["n_samples"].where(alone)).astype(dict.fromkeys(keys, str))
    found = rows.merge(sizes[[*keys, "n_test"]], on=keys, how="left")
    r, n = found["r"].astype(float), found["n_test"].astype(float)
    inside = (r.abs() < 1) & (n > 3)
    z = np.arctanh(r.where(inside))
    half = _Z / np.sqrt((n - 3).where(inside))
    return found.assign(low=np.tanh(z - half), high=np.tanh(z + half))
