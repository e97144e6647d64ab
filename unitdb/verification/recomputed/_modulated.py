"""Correlations of modulation again, where a release publishes all that they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unitdb.analysis import pattern_r
from unitdb.errors import CorruptReleaseError
from unitdb.release import Release

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["check_modulated", "not_modulated"]

_NEAR = 1e-6
_TAKES = {
    "samples": "the predictions are not published (`predictions`)",
    "candidate_features": "the features of targets are not (`identification: {features: true}`)",
}
_PLACE = ["dataset", "condition", "model", "layer"]
# What is decoded has one activation; a set of features of its own may have another of that name.
_FEATURES = """
SELECT candidate, any_value(features) AS features FROM candidate_features
JOIN candidate_sets USING (dataset, model, set) JOIN candidates
  USING (dataset, condition, model, set, candidate)
WHERE targets = 'decoded' AND role = 'target' AND dataset = ? AND model = ? AND layer = ?
GROUP BY candidate
"""


def not_modulated(tables: Mapping[str, pa.Table]) -> str | None:
    """Why no correlation can be computed again; None where some can, or there is none."""
    if "modulation" not in tables:
        return None
    return next((why for name, why in _TAKES.items() if name not in tables), None)


def check_modulated(folder: Path) -> bool:
    """Compute ``r_original`` again, and ``r_stimulus`` of pictures that are targets themselves.

    Parameters
    ----------
    folder : Path
        The release.

    Returns
    -------
    bool
        Whether the units and features that are published are those of any layer.

    Raises
    ------
    CorruptReleaseError
        Names a row that is not what the predictions give.
    """
    release = Release(folder)
    rows = release.table("modulation")
    names = rows.select_dtypes("category").columns
    rows = rows.astype(dict.fromkeys(names, str))
    found = False
    for place, of in rows.groupby(_PLACE, sort=False):
        dataset, condition, model, layer = map(str, place)
        units = release.sql(
            "SELECT subject, unit, mean, sd FROM candidate_units WHERE dataset = ? AND model = ? "
            "AND layer = ? ORDER BY subject, unit",
            [dataset, model, layer],
        ).astype({"subject": str})
        features = release.sql(_FEATURES, [dataset, model, layer]).set_index("candidate")
        for (roi, subject), own in of.groupby(["roi", "subject"], sort=False):
            scale = units[units["subject"] == subject]
            predicted = release.predicted(
                f"{model}/{layer}", str(roi), str(subject), dataset=dataset, condition=condition
            )
            if list(predicted.columns) != scale["unit"].tolist() or features.empty:
                continue  # other units than predictions are published of
            decoded = release.sql(
                "SELECT stimulus, presentation, coalesce(target, stimulus) AS target FROM samples "
                "WHERE dataset = ? AND condition = ? AND subject = ?",
                [dataset, condition, subject],
            ).set_index(["stimulus", "presentation"])["target"]
            _check(own, predicted, decoded.loc[predicted.index], features["features"], scale)
            found = True
    return found


def _check(
    rows: pd.DataFrame,
    predicted: pd.DataFrame,
    decoded: pd.Series,
    features: pd.Series,
    scale: pd.DataFrame,
) -> None:
    """Hold the rows of an ROI and subject against the predictions of their samples."""
    shown = predicted.index.get_level_values("stimulus").astype(str).to_numpy()
    mean, sd = scale["mean"].to_numpy(), scale["sd"].to_numpy()
    for column, names in (("r_original", decoded.to_numpy(str)), ("r_stimulus", shown)):
        known = np.isin(names, features.index)
        if not known.any():
            continue
        p = predicted.to_numpy()[known]
        f = np.stack(features.loc[names[known]].to_list())
        for method, divided in (("abdelhack2018", None), ("normalised", sd)):
            r = pattern_r(p, f, mean=mean, sd=divided)
            stated = rows[rows["method"] == method].set_index("stimulus")[column]
            _hold(column, rows, stated, shown[known], r)


def _hold(
    column: str,
    rows: pd.DataFrame,
    stated: pd.Series,
    shown: NDArray[np.str_],
    r: NDArray[np.float64],
) -> None:
    for stimulus in np.unique(shown):
        value, own = float(stated[stimulus]), float(r[shown == stimulus].mean())
        if not (abs(value - own) <= _NEAR or (np.isnan(value) and np.isnan(own))):
            first = rows.iloc[0]
            where = "/".join(str(first[name]) for name in (*_PLACE, "roi", "subject"))
            raise CorruptReleaseError(
                f"modulation: {where}: {stimulus}: {column} is {value}, but the predictions give "
                f"{own}"
            )
