"""Channels ranked together: by their means, those of few decoded units drawn to that of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.query import _clauses as clauses
from unitdb.query._places import channel, units_of_channel
from unitdb.query.relation import KEY

if TYPE_CHECKING:
    from unitdb.query.relation import Relation
    from unitdb.query.source import Source

__all__ = ["best_channels", "top_channels"]

_GROUP = ", ".join(column for column in KEY if column != "unit")
_ORDER = "drawn DESC NULLS LAST, mean DESC, model, layer, channel"

# The same as `unitdb.release.channels.shrunken`, which says why and by whose formula.
_RANKED = f"""
WITH chosen AS NOT MATERIALIZED (
  SELECT *, CAST($by AS DOUBLE) AS r, $channel AS channel FROM {{}}
), each AS (
  SELECT {_GROUP}, channel, count(*) AS n, avg(r) AS m, coalesce(var_samp(r), 0) AS s2,
    greatest(1 - count(*) / ($whole), 0) / count(*) AS e
  FROM chosen GROUP BY {_GROUP}, channel
), erring AS (
  SELECT *, count(*) OVER g AS k, CASE WHEN max(e) OVER g > 0
    THEN e * sum((n - 1) * s2) OVER g / nullif(sum(n - 1) OVER g, 0) ELSE 0 END AS error
  FROM each WINDOW g AS (PARTITION BY {_GROUP})
), weighed AS (
  SELECT *, CASE WHEN max(error) OVER g > 0
    THEN 1 / greatest(error, .05 * max(error) OVER g) END AS w
  FROM erring WINDOW g AS (PARTITION BY {_GROUP})
), centred AS (
  SELECT *, sum(w) OVER g AS w1, sum(w * w) OVER g AS w2, sum(w * m) OVER g / sum(w) OVER g AS c
  FROM weighed WINDOW g AS (PARTITION BY {_GROUP})
), spread AS (
  SELECT *, greatest(0, (sum(w * (m - c) ** 2) OVER g - (k - 1)) / (w1 - w2 / w1)) AS t
  FROM centred WINDOW g AS (PARTITION BY {_GROUP})
), middle AS (
  SELECT *, sum(m / (t + 1 / w)) OVER g / sum(1 / (t + 1 / w)) OVER g AS middle
  FROM spread WINDOW g AS (PARTITION BY {_GROUP})
), drawn AS (
  SELECT *, CASE WHEN error IS NULL THEN NULL WHEN error = 0 OR k < 2 THEN m
    ELSE middle + (m - middle) * t / (t + 1 / w) END AS shrunk FROM middle
), best AS (
  SELECT model, layer, channel, CAST(sum(n) AS BIGINT) AS n_rows, sum(n * m) / sum(n) AS mean,
    sum(n * shrunk) / sum(n) FILTER (WHERE shrunk IS NOT NULL) AS drawn
  FROM drawn GROUP BY model, layer, channel
  ORDER BY {_ORDER} LIMIT $n
)
""".strip()  # noqa: S608 - names of columns and numbers

_ROWS = f"SELECT {clauses.COLUMNS} FROM chosen SEMI JOIN best USING (model, layer, channel)"  # noqa: S608


def top_channels(relation: Relation, source: Source, n: int, by: str, order: str) -> Relation:
    """Rows of the ``n`` channels of all layers with the highest drawn mean of a column.

    Means over the rows of a dataset, condition and ROI are drawn each to that of all channels of
    the layer there; a channel's is their mean, weighted by rows. Channels of layers of which no two
    units of a channel are there come last: of lone units nothing is known of channels.
    """
    return relation.joined(f"{_ranked(source, n, by)}\n{_ROWS}").sorted(order)


def best_channels(source: Source, n: int, by: str) -> str:
    """SELECT of these channels, the best first, over the rows that stand for ``{}`` in it."""
    return f"FROM ({_ranked(source, n, by)}\nFROM best) ORDER BY {_ORDER}"


def _ranked(source: Source, n: int, by: str) -> str:
    template = _RANKED
    texts = {
        "$by": by,
        "$channel": channel(source),
        "$whole": units_of_channel(source),
        "$n": str(n),
    }
    for name, text in texts.items():
        template = template.replace(name, text)
    return template
