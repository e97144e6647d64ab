"""Time courses in words: whether higher layers come first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

__all__ = ["order_words"]

_LEVEL = 0.05


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
