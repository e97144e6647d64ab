"""Layer × ROI matrices: the hierarchy at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.errors import QueryError
from unitdb.release.layerwise import only

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from unitdb.query import Source

__all__ = ["layer_by_roi"]

_MEASURES = {"accuracy": ("layer_summary", "mean_r"), "agreement": ("intersubject", "pearson_r")}


def layer_by_roi(
    table: Callable[[str], pd.DataFrame], measure: str, source: Source, **chosen: str | None
) -> pd.DataFrame:
    """Average a measure over subjects or pairs, layers down, ROIs across (see ``Release``).

    Parameters
    ----------
    table : callable
        Reads a table by name.
    measure : str
        A key of ``_MEASURES``.
    source : Source
        The names that occur in the release.
    **chosen : str or None
        Dataset, condition and model; None takes the only one.
    """
    if measure not in _MEASURES:
        raise QueryError(f"no measure {measure!r}; there is: {', '.join(_MEASURES)}")
    name, column = _MEASURES[measure]
    where = {key: only(source, key, value) for key, value in chosen.items()}
    values = _matching(table(name), where)
    means = values.groupby(["layer", "roi"], observed=True)[column].mean().unstack()
    layers = _matching(table("layers"), {"model": where["model"]}).sort_values("depth")
    rois = _matching(table("rois"), {"dataset": where["dataset"]}).sort_values("place")
    matrix: pd.DataFrame = means.reindex(
        index=layers["layer"].astype(str), columns=rois["roi"].astype(str)
    )
    matrix.attrs.update(
        release=source.label, simulated=source.simulated, measure=measure, citation=source.citation
    )
    return matrix


def _matching(table: pd.DataFrame, where: dict[str, str]) -> pd.DataFrame:
    for column, name in where.items():
        table = table[table[column] == name]
    return table
