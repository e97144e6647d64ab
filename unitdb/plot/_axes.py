"""New axes, the chosen rows of a table, and titles that say what is simulated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import pyplot as plt

from unitdb.errors import QueryError
from unitdb.printable import printable
from unitdb.schema import TABLES, VIEWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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


def check_single(
    rows: pd.DataFrame, columns: Sequence[str] = ("dataset", "condition", "model")
) -> None:
    """Refuse rows of several datasets, test sets or networks: a figure would mix them."""
    for column in columns:
        found = sorted(set(rows[column].astype(str)))
        if len(found) > 1:
            raise QueryError(f"there are several: choose {column}= one of {', '.join(found)}")


def matrix(values: pd.DataFrame, label: str, ax: Axes | None) -> Axes:
    """Numbers by layer and region, written in their cells; the first layer lowest."""
    axes = ax if ax is not None else new(2.6 + 0.5 * values.shape[1], 1.4 + 0.28 * len(values))
    numbers = values.to_numpy(dtype=float)
    image = axes.imshow(numbers, aspect="auto", cmap="cividis", vmin=0, interpolation="none")
    middle = image.get_clim()[1] / 2
    for (row, column), value in np.ndenumerate(numbers):
        if not np.isnan(value):
            colour = "black" if value > middle else "white"
            text = f"{value:.2f}"
            axes.text(column, row, text, color=colour, ha="center", va="center", fontsize=8)
    axes.set_xticks(range(values.shape[1]), shown(values.columns))
    axes.set_yticks(range(values.shape[0]), shown(values.index))
    axes.invert_yaxis()
    axes.set(xlabel="Region of interest", ylabel="Layer")
    axes.figure.colorbar(image, ax=axes, label=label)
    return axes


def shown(names: Iterable[Any]) -> list[str]:
    """Names as a figure may hold them: a character that steers is spelled out."""
    return [printable(str(name)) for name in names]


def chosen_rows(release: Release, name: str, wanted: dict[str, Any]) -> pd.DataFrame:
    """Rows of a table or view in which columns have these values; text is text."""
    held = VIEWS[name] if name in VIEWS else TABLES[name]
    unknown = sorted(set(wanted) - {column.name for column in held.columns})
    if unknown:
        raise QueryError(f"{name} has no column {unknown[0]!r}")
    chosen = " AND ".join(f'"{column}" = ?' for column in wanted) or "true"
    rows = release.sql(f"SELECT * FROM {name} WHERE {chosen}", list(wanted.values()))  # noqa: S608 - values are bound
    if rows.empty:
        raise QueryError(f"{release.label} has no {name} with {wanted}")
    texts = {"layer", "subject", "condition", "model", "control"} & set(rows)
    return rows.astype(dict.fromkeys(texts, str))
