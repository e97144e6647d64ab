"""Views: what follows from the tables alone, and so is no file of a release."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa

from unitdb.schema.columns import correlation, text
from unitdb.schema.identification import AMONG, CURVE_N
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
    reads : str
        The table without which a release is without the view.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    sql: str
    since: str
    reads: str


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
    reads="accuracy",
)

_SUMMARY = TABLES["identification_summary"]
_OF_CURVE = ("dataset", "condition", "model", "layer", "roi", "subject", "set", "method", "trials")

_CURVE = View(
    name="identification_curve",
    row="how often the true candidate is the most similar of n, n - 1 false ones drawn at random",
    columns=(
        *(_SUMMARY[name] for name in _OF_CURVE),
        AMONG,
        CURVE_N,
        Column(
            name="rate",
            type=pa.float64(),
            description="Mean over predictions that have so many candidates, exact; 2 gives the "
            "pairwise rate, all top-1. In cross-validation among all candidates it may be below "
            "chance, as those that trained are nearer than what is held out",
            unit="share",
        ),
        Column(name="chance", type=pa.float64(), description="Of one among n: 1 / n", unit="share"),
        Column(
            name="chance_exchange",
            type=pa.float64(),
            description="The same of exchanged images of a fold (identification_exchange.chance): "
            "what predictions come to that say nothing of their image",
            unit="share",
            null="NULL where identification_exchange has none",
        ),
        Column(
            name="n_predictions",
            type=pa.int64(),
            description="Predictions that it is over",
            unit="predictions",
        ),
    ),
    # Σ_k C(t, k) C(w, n - 1 - k) / C(N, n - 1) / (k + 1), by logarithms of factorials.
    sql="""
SELECT {keys}, rate, 1 / n AS chance, chance_exchange, n_predictions
FROM (
SELECT {keys},
  avg(list_sum([
    exp(
      lgamma(t + 1) - lgamma(k + 1) - lgamma(t - k + 1)
      + lgamma(w + 1) - lgamma(n - k) - lgamma(w - n + k + 2)
      - lgamma(big + 1) + lgamma(n) + lgamma(big - n + 2)
    ) / (k + 1)
    FOR k IN range(greatest(0, n - 1 - w), least(t, n - 1) + 1)
  ] || [0.0])) AS rate,
  count(*) AS n_predictions
FROM (
  SELECT *, unnest(list_filter(
    [2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000],
    lambda size: size <= big
  ) || [big + 1]) AS n
  FROM (
    SELECT dataset, condition, model, layer, roi, subject, set, method,
      CASE WHEN trial = 0 THEN 'means' ELSE 'single' END AS trials,
      unnest(['all', 'untrained']) AS among,
      unnest([n_below, n_below - n_below_trained])::BIGINT AS w,
      unnest([n_equal, n_equal - n_equal_trained])::BIGINT AS t,
      unnest([n_false, n_false - n_false_trained])::BIGINT AS big
    FROM identification
  )
  WHERE big > 0
)
GROUP BY ALL
) LEFT JOIN (SELECT {keys}, chance AS chance_exchange FROM identification_exchange) USING ({keys})
""".strip().replace("{keys}", ", ".join((*_OF_CURVE, "among", "n"))),
    since="2.5",
    reads="identification",
)

_LAYERS = TABLES["layers"]
_CLASSES = View(
    name="classes",
    row="a unit that scores a class",
    columns=(
        _LAYERS["model"],
        _LAYERS["layer"],
        TABLES["accuracy"]["unit"],
        text("class", "Name of the class"),
    ),
    sql="""
SELECT model, layer, unnest(range(len(classes)))::INTEGER AS unit, unnest(classes) AS class
FROM layers
""".strip(),
    since="2.6",
    reads="layers",
)

VIEWS: dict[str, View] = {view.name: view for view in (_EXPLAINABLE, _CURVE, _CLASSES)}
"""All views by name."""


def views_of(version: str, tables: Collection[str]) -> dict[str, str]:
    """SQL of the views that a release has, by name.

    Parameters
    ----------
    version : str
        Schema of the release, MAJOR.MINOR.
    tables : collection of str
        Its tables.
    """
    known = (view for view in VIEWS.values() if numbers(view.since) <= numbers(version))
    return {view.name: view.sql for view in known if view.reads in tables}
