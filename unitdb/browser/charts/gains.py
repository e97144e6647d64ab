"""What is decoded from degraded pictures: by level, and gains beside the bias."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from unitdb.browser.charts._theme import CATEGORIES, categorical, dashes, finished, if_any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["by_level", "gains"]

_GAIN = "Gain (difference of Pearson r)"


def by_level(rows: pd.DataFrame) -> Any:
    """Draw correlations with the features of what was shown, and of the original, by level.

    Parameters
    ----------
    rows : DataFrame
        ``level``, ``r``, ``side`` (with what) and ``of`` (decoded, or a control).
    """
    sides = [name for name in ("what was shown", "its original") if name in set(rows["side"])]
    base = alt.Chart(rows).encode(
        x=alt.X("level:Q", title="Level, as the dataset gives it"),
        y=alt.Y("r:Q", title="Pattern correlation (Pearson r)", scale=alt.Scale(zero=False)),
        color=alt.Color(
            "side:N",
            scale=categorical(sides),
            legend=alt.Legend(title="With features of", orient="bottom"),
        ),
        tooltip=[
            alt.Tooltip("of:N", title="of"),
            alt.Tooltip("side:N", title="with features of"),
            alt.Tooltip("level:Q", title="level"),
            alt.Tooltip("r:Q", title="r", format=".3f"),
        ],
    )
    kinds = ["decoded", "noise", "encode-decode"]
    lines = base.mark_line().encode(
        strokeDash=alt.StrokeDash("of:N", sort=kinds, legend=dashes("Of"))
    )
    chart = alt.layer(lines, base.mark_point(filled=True, size=45, opacity=1))
    described = "Pattern correlation with what was shown and with its original, by level"
    return finished(chart.properties(height=340), description=described)


def gains(rows: pd.DataFrame, layers: list[str]) -> Any:
    """Draw gains of layers with their intervals, and beside each the bias of simulated brains.

    Parameters
    ----------
    rows : DataFrame
        ``layer``, ``control``, ``gain``, ``gain_low``, ``gain_high``, ``bias``, ``excess``, ``q``.
    layers : list of str
        From early to late.
    """
    base = alt.Chart(rows).encode(
        x=alt.X("layer:N", title="Layer", sort=layers, axis=alt.Axis(labelAngle=-40)),
        xOffset=alt.XOffset("control:N"),
        color=alt.Color(
            "control:N",
            scale=categorical(["noise", "encode-decode"]),
            legend=alt.Legend(title="Against the control", orient="bottom"),
        ),
        tooltip=[
            alt.Tooltip("layer:N", title="layer"),
            alt.Tooltip("control:N", title="control"),
            alt.Tooltip("gain:Q", title="gain", format=".3f"),
            alt.Tooltip("gain_low:Q", title="95 % from", format=".3f"),
            alt.Tooltip("gain_high:Q", title="to", format=".3f"),
            alt.Tooltip("bias:Q", title="bias (simulated)", format=".3f"),
            alt.Tooltip("excess:Q", title="gain - bias", format=".3f"),
            alt.Tooltip("q:Q", title="q", format=".3f"),
        ],
    )
    spans = base.mark_rule(strokeWidth=1.5).encode(
        y=alt.Y("gain_low:Q", title=_GAIN), y2="gain_high:Q"
    )
    points = base.mark_point(filled=True, size=60, opacity=1).encode(y=alt.Y("gain:Q", title=_GAIN))
    stated = base.mark_point(shape="stroke", size=220, strokeWidth=3, filled=False).encode(
        y=alt.Y("bias:Q", title=_GAIN), color=alt.value(CATEGORIES[5])
    )
    shown = [*if_any(rows, "gain_low", spans), points, *if_any(rows, "bias", stated)]
    chart = alt.layer(*shown).properties(height=360)
    return finished(chart, description=f"{_GAIN} by layer, beside the bias of simulated brains")
