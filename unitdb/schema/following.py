"""How derived tables follow from others: SELECTs that verification holds them against.

Quantiles are those of float32, in which the accuracies are: within 1e-7 of what is published.
"""

from __future__ import annotations

from unitdb.schema.spec import Follows

__all__ = [
    "ACCURACY_HISTOGRAM",
    "LAYER_SUMMARY",
    "SUMMARY_HISTOGRAM",
    "UNIT_HISTOGRAM",
    "UNIT_SUMMARY",
]

UNIT_SUMMARY = (
    Follows(
        template="""
SELECT {place}, roi, unit,
  count(r) AS n_subjects, avg(r) AS mean_r, stddev_samp(r) AS sd_r,
  min(r) AS min_r, max(r) AS max_r
FROM accuracy GROUP BY ALL
""".strip()
    ),
    Follows(
        template="""
SELECT {place}, roi, unit,
  row_number() OVER (
    PARTITION BY {place}, roi ORDER BY mean_r DESC NULLS LAST, unit
  ) AS rank,
  mean_r - CASE WHEN mean_r < highest[1] THEN highest[1] ELSE highest[2] END AS lead_r
FROM unit_summary JOIN (
  SELECT {place}, unit, max(mean_r, 2) AS highest
  FROM unit_summary GROUP BY ALL
) USING ({place}, unit)
""".strip()
    ),
)

LAYER_SUMMARY = (
    Follows(
        template="""
SELECT {place}, roi, subject,
  n_units, n_units - n_defined AS n_undefined, mean_r, sd_r,
  q[1] AS q05_r, q[2] AS q25_r, q[3] AS median_r, q[4] AS q75_r, q[5] AS q95_r
FROM (
  SELECT {place}, roi, subject,
    count(*) AS n_units, count(r) AS n_defined, avg(r) AS mean_r, stddev_samp(r) AS sd_r,
    quantile_cont(r, [.05, .25, .5, .75, .95]) AS q
  FROM accuracy GROUP BY ALL
)
""".strip()
    ),
    Follows(
        template="""
SELECT {place}, roi, subject, avg(reliability) AS mean_reliability
FROM accuracy GROUP BY ALL
""".strip(),
        since="2.1",
    ),
)

ACCURACY_HISTOGRAM = (
    Follows(
        template="""
SELECT {place}, roi, subject,
  least(greatest(floor(100 * r::DOUBLE), -100), 99)::INTEGER AS bin, count(*) AS n_units
FROM accuracy WHERE r IS NOT NULL GROUP BY ALL
""".strip()
    ),
)

UNIT_HISTOGRAM = (
    Follows(
        template="""
SELECT {place}, roi,
  least(greatest(floor(100 * mean_r::DOUBLE), -100), 99)::INTEGER AS bin, count(*) AS n_units
FROM unit_summary WHERE mean_r IS NOT NULL GROUP BY ALL
""".strip()
    ),
)

SUMMARY_HISTOGRAM = (
    Follows(
        template="""
SELECT {place}, roi, measure,
  least(greatest(floor(100 * value::DOUBLE), -edge), edge - 1)::INTEGER AS bin,
  count(*) AS n_units,
  count(*) FILTER (complete) AS n_complete,
  count(*) FILTER (preferred) AS n_preferred,
  count(*) FILTER (complete AND preferred) AS n_complete_preferred
FROM (
  SELECT {place}, roi,
    unnest(['mean_r', 'min_r', 'max_r', 'lead_r']) AS measure,
    unnest([mean_r, min_r, max_r, lead_r]) AS value,
    unnest([100, 100, 100, 200]) AS edge,
    n_subjects = n_all AS complete, coalesce(lead_r > 0, false) AS preferred
  FROM unit_summary
    JOIN (SELECT dataset, count(DISTINCT subject) AS n_all FROM subjects GROUP BY ALL)
    USING (dataset)
)
WHERE value IS NOT NULL GROUP BY ALL
""".strip()
    ),
)
