"""What a time course shows, for the page and the report: rows of figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MEASURES", "chance_of", "course_rows", "lag_points"]

MEASURES = {
    "identification": ("identification", "identification", "chance", "Pairwise identification"),
    "accuracy": ("mean_r", "r", "shuffled_r", "Decoding accuracy (Pearson r, mean over units)"),
    "patterns": ("pattern_r", "pattern", "pattern_chance", "Pattern correlation (Pearson r)"),
}
"""Column, how its interval is named, what chance gives, and the title of the axis."""


def course_rows(course: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Mean over subjects at each time and layer, with its interval.

    Over several subjects mean ± t SE, Student's t; of one that over stimuli.

    Parameters
    ----------
    course : DataFrame
        Rows of ``timecourse`` of a network and an ROI.
    measure : str
        Of :data:`MEASURES`.
    """
    import pandas as pd

    column, ends, *_ = MEASURES[measure]
    known = course.dropna(subset=column)
    several = known["subject"].nunique() > 1
    rows = []
    for (layer, time), of in known.groupby(["layer", "time"], sort=False):
        value, n = float(of[column].mean()), len(of)
        low, high = float(of[f"{ends}_low"].iloc[0]), float(of[f"{ends}_high"].iloc[0])
        if several:
            half = _t(n - 1) * float(of[column].std()) / n**0.5 if n > 1 else float("nan")
            low, high = value - half, value + half
        rows.append({"layer": layer, "time": time, "value": value, "low": low, "high": high})
    return pd.DataFrame(rows, columns=["layer", "time", "value", "low", "high"])


def chance_of(course: pd.DataFrame, measure: str) -> float:
    """What chance gives: the mean over all times of the column that says so."""
    return float(course[MEASURES[measure][2]].mean())


def _t(df: int) -> float:
    """Student's t that 95 % of values lie within, with some degrees of freedom."""
    table = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
    return table[df - 1] if df <= len(table) else 1.96 + 2.4 / df


def lag_points(lags: pd.DataFrame) -> pd.DataFrame:
    """Lags as measured, with peaks of one height, and less those of another test set."""
    import pandas as pd

    adjusted = lags.dropna(subset="adjusted_lag").assign(control="adjusted")
    renamed = {"adjusted_lag": "lag", "adjusted_low": "low", "adjusted_high": "high"}
    adjusted = adjusted.drop(columns=["lag", "low", "high"]).rename(columns=renamed)
    measured = lags[lags["control"] != "shuffled"]
    columns = ["layer", "control", "lag", "low", "high"]
    return pd.concat([measured[columns], adjusted[columns]]) if len(adjusted) else measured[columns]
