"""New axes, and titles that say what is simulated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from unitdb.errors import QueryError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from unitdb.release import Release


def new(width: float, height: float) -> Axes:
    """Axes of a new figure, in inches."""
    _, axes = plt.subplots(figsize=(width, height), layout="constrained")
    return axes


def titled(axes: Axes, release: Release, title: str) -> Axes:
    """Title that says where the responses are simulated."""
    axes.set_title(f"SIMULATED: {title}" if release.simulated else title, fontsize=10)
    return axes


def check_single(rows: pd.DataFrame) -> None:
    """Refuse rows of several datasets, test sets or networks: a figure would mix them."""
    for column in ("dataset", "condition", "model"):
        found = sorted(set(rows[column].astype(str)))
        if len(found) > 1:
            raise QueryError(f"there are several: choose {column}= one of {', '.join(found)}")
