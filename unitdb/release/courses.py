"""Time courses as figures show them, and in words: whether higher layers come first."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

__all__ = ["COURSES", "LAG_CONTROLS", "chance_of", "course_rows", "lag_points", "order_words"]

_LEVEL = 0.05

COURSES = {
    "identification": ("identification", "identification", "chance", "Pairwise identification"),
    "accuracy": ("mean_r", "r", "shuffled_r", "Decoding accuracy (Pearson r, mean over units)"),
    "patterns": ("pattern_r", "pattern", "pattern_chance", "Pattern correlation (Pearson r)"),
}
"""Column, how its interval is named, what chance gives, and the title of the axis."""

LAG_CONTROLS = {
    "none": "as measured",
    "matched": "peaks of one height",
    "adjusted": "less what was seen",
}
"""What the controls of lags are called."""


def course_rows(course: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Mean over subjects at each time and layer, with its interval.

    Over several subjects mean ± t SE, Student's t; of one that over stimuli.

    Parameters
    ----------
    course : DataFrame
        Rows of ``timecourse`` of a network and an ROI.
    measure : str
        Of :data:`COURSES`.

    Returns
    -------
    DataFrame
        ``layer``, ``time``, ``value``, ``low``, ``high``.
    """
    import pandas as pd

    column, ends, *_ = COURSES[measure]
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
    """What chance gives: the mean over all times of the column that says so.

    Returns
    -------
    float
        On the scale of the measure.
    """
    return float(course[COURSES[measure][2]].mean())


def _t(df: int) -> float:
    """Student's t that 95 % of values lie within, with some degrees of freedom.

    Of more than ten by the expansion of Fisher & Cornish (1960): scipy is no part of a reader.
    """
    table = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
    if df <= len(table):
        return table[df - 1]
    z = NormalDist().inv_cdf(0.975)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + (z**3 + z) / (4 * df) + second / df**2 + third / df**3


def lag_points(lags: pd.DataFrame) -> pd.DataFrame:
    """Lags as measured, with peaks of one height, and less those of another test set.

    Returns
    -------
    DataFrame
        ``layer``, ``control`` (``none``, ``matched``, ``adjusted``), ``lag``, ``low``, ``high``.
    """
    import pandas as pd

    adjusted = lags.dropna(subset="adjusted_lag").assign(control="adjusted")
    renamed = {"adjusted_lag": "lag", "adjusted_low": "low", "adjusted_high": "high"}
    adjusted = adjusted.drop(columns=["lag", "low", "high"]).rename(columns=renamed)
    measured = lags[lags["control"] != "shuffled"]
    columns = ["layer", "control", "lag", "low", "high"]
    return pd.concat([measured[columns], adjusted[columns]]) if len(adjusted) else measured[columns]


def order_words(orders: pd.DataFrame) -> list[str]:
    """Say for each row of ``lag_order`` of an ROI what it tells of the order of layers."""
    rows: list[Any] = orders.to_dict("records")
    return [_sentence(row) for row in sorted(rows, key=lambda row: _ORDER.index(row["control"]))]


_ORDER = ["none", "adjusted", "matched", "shuffled"]
_WHAT = {
    "none": "As measured",
    "adjusted": "Less the lags of what was seen",
    "matched": "With noise added, all peaks of one height",
    "shuffled": "With stimuli exchanged (a control)",
}


def _sentence(row: Mapping[str, Any]) -> str:
    what = _WHAT[row["control"]]
    slope, low, high, p, over = (row[name] for name in ("slope", "low", "high", "p", "n_subjects"))
    if p != p or p is None:
        low, high, p = row["stimuli_low"], row["stimuli_high"], row["stimuli_p"]
        over = "stimuli"
    else:
        over = f"{over} subjects"
    if slope is None or slope != slope:
        return f"{what}: no lag is known."
    if p is None or p != p:
        return f"{what}: slope {slope:+.2f} s from first to last layer; of one subject no test."
    found = (
        f"slope {slope:+.2f} s from the first to the last layer (95 % interval {low:+.2f} to "
        f"{high:+.2f} s, one-sided p = {p:.3f}, over {over})"
    )
    told = "higher layers come first" if p <= _LEVEL else "no order of higher layers first is told"
    return f"{what}: {told}; {found}."
