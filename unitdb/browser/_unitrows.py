"""Rows of ``unit_summary`` of one unit, found fast in large layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from unitdb.browser import _reads
from unitdb.query import col
from unitdb.unitids import UnitId

if TYPE_CHECKING:
    from unitdb.release import Release

__all__ = ["unit_rows"]

_ROUNDING = 1e-5


def unit_rows(
    release: Release, unit: str, accuracies: pd.DataFrame, where: dict[str, str]
) -> pd.DataFrame:
    """Rows of a unit, one for each ROI that it was decoded from.

    Rows of a layer lie by ROI and mean accuracy. The unit's own mean, known from its accuracies,
    says where its row lies, so that the rest of the layer need not be read.

    Parameters
    ----------
    release : Release
    unit : str
        ``model/layer/unit``.
    accuracies : DataFrame
        From ``Release.unit``.
    where : dict
        Dataset and condition.
    """
    model, layer, _ = UnitId.parse(unit)
    found = []
    means = accuracies.mean(axis=1).rename("mean").reset_index()
    for row in means.to_dict("records"):
        if {key: row[key] for key in where} != where:
            continue
        names: dict[str, Any] = {**where, "model": model, "layer": layer, "roi": row["roi"]}
        mean = row["mean"]
        rows = release.units(**names)
        if np.isfinite(mean):
            rows = rows.where(col.mean_r >= mean - _ROUNDING, col.mean_r <= mean + _ROUNDING)
        found.append(_reads.units(release, rows.among([unit]), "to_pandas"))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()
