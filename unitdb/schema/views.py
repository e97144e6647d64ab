"""Views: what follows from the tables alone, and so is no file of a release."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from unitdb.schema.columns import correlation
from unitdb.schema.spec import Column, numbers
from unitdb.schema.tables import TABLES

__all__ = ["VIEWS", "View", "views_of"]


@dataclass(frozen=True, kw_only=True)
class View:
    """A question that has a name in SQL.

    Parameters
    ----------
    name : str
        Name in SQL.
    row : str
        What a row is.
    columns : tuple of Column
        As the query gives them.
    sql : str
        The query.
    since : str
        Schema version whose tables have what it reads.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    sql: str
    since: str


_ACCURACY = TABLES["accuracy"]
_KEYS = ("dataset", "condition", "model", "layer", "roi", "unit", "subject")
_NOT_POSITIVE = "NULL where reliability is not above 0"

_EXPLAINABLE = View(
    name="explainable",
    row="a unit decoded from an ROI of a subject, whose reliability over presentations is known",
    columns=(
        *(_ACCURACY[name] for name in (*_KEYS, "r", "reliability")),
        correlation(
            "ceiling",
            "Accuracy that the noise of the measurements leaves room for: sqrt(reliability)",
            null=_NOT_POSITIVE,
        ),
        Column(
            name="explainable_r",
            type=pa.float64(),
            description="Accuracy in parts of its ceiling, r / ceiling: never clamped, so that it "
            "may be above 1",
            unit="r / ceiling",
            null=f"{_NOT_POSITIVE}, or r is NULL",
        ),
        Column(
            name="above_ceiling",
            type=pa.bool_(),
            description="Whether |r| is above the ceiling: by chance, or as presentations share "
            "errors",
            null=f"{_NOT_POSITIVE}, or r is NULL",
        ),
    ),
    sql="""
SELECT dataset, condition, model, layer, roi, unit, subject, r, reliability,
  sqrt(CASE WHEN reliability > 0 THEN CAST(reliability AS DOUBLE) END) AS ceiling,
  r / ceiling AS explainable_r,
  abs(r) > ceiling AS above_ceiling
FROM accuracy WHERE reliability IS NOT NULL
""".strip(),
    since="2.1",
)

VIEWS: dict[str, View] = {view.name: view for view in (_EXPLAINABLE,)}
"""All views by name."""


def views_of(version: str) -> dict[str, str]:
    """SQL of the views that releases of a schema version have, by name.

    Parameters
    ----------
    version : str
        MAJOR.MINOR.
    """
    known = (view for view in VIEWS.values() if numbers(view.since) <= numbers(version))
    return {view.name: view.sql for view in known}
