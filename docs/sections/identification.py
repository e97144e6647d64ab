"""Identification, of ``pipelines/algonauts92-identification.yaml``."""

from __future__ import annotations

from sections.markdown import interval, markdown_table
from unitdb.release import Release

IDENTIFICATION = """## Identification among many candidates

{title}. Printed, not typed:

```
unitdb build pipelines/algonauts92-identification.yaml --data DATA
python docs/results.py identification releases/algonauts92-identification/1.0.0
```

{people} people, {folds} folds, {units} units of each layer of {models}. Pairwise identification is
among the 92 photographs (*own*) and among these and 1,000 others (*outside*). Patterns are
normalised by unit, or *raw* as published. Rates are means over people, with the mean ends of their
95 % intervals over images.

- *Exchange*: the same for one image's prediction and the target of another image of its fold.
- *Specific*: the rate less *exchange*.
- *10*: top-1 among ten candidates drawn at random (chance .1). *All*: top-1 among all.
- *Untrained*: top-1 among candidates that did not train. These are those of the fold and the
  outside ones, {fresh:.0f} together, the true one included.
- *Exchanged*: the same for another image of the fold. Compare *untrained* with it.
- *Category*: the rate from knowing animate from inanimate alone. The outside photographs are of
  neither.
- *People*: the rate of the mean of all people's predictions.
- A layer of * is all layers together.

Raw, the rate among outside photographs is near 1 for any prediction, as *exchange* shows. In a
cross-validation predictions are mixtures of the training photographs, which as candidates beat the
true one. So *all* of the own photographs is below its chance, 1/92 = .011. The chance of
*untrained* is not 1/{fresh:.0f}. The photographs of the fold are cut-out objects on grey, the
others are not. Knowing this alone would find one of four.
"""


def identification(release: Release) -> str:
    """Markdown of identification."""
    about = release.sql(
        "SELECT (SELECT count(DISTINCT subject) FROM subjects) AS people, "
        "(SELECT max(n_folds) FROM builds) AS folds, (SELECT max(model) FROM models) AS models, "
        "max(n_units) FILTER (layer NOT LIKE '*%') AS units, "
        "(SELECT max(n_false - n_false_trained) + 1 FROM identification) AS fresh "
        "FROM identification_summary"
    ).iloc[0]
    rows = release.sql("""
        WITH people AS (
            SELECT layer, roi, set, method, avg(rate) AS rate, avg(rate_low) AS low,
                avg(rate_high) AS high, avg(chance_fold) AS exchange, avg(specific) AS specific,
                avg(top1) AS top1, avg(exchange_top1) AS exchanged, avg(chance_category) AS category
            FROM identification_summary WHERE subject <> '*' GROUP BY ALL
        ), together AS (
            SELECT layer, roi, set, method, rate AS mean_rate FROM identification_summary
            WHERE subject = '*'
        ), curve AS (
            SELECT layer, roi, set, method, avg(rate) FILTER (n = 10) AS ten,
                avg(rate) FILTER (n IN (92, 1092)) AS whole
            FROM identification_curve WHERE subject <> '*' AND among = 'all' GROUP BY ALL
        )
        SELECT * FROM people JOIN together USING (layer, roi, set, method)
            JOIN curve USING (layer, roi, set, method) LEFT JOIN layers USING (layer)
            JOIN rois USING (roi)
        ORDER BY set DESC, method DESC, rois.place, depth NULLS LAST, layer
    """)
    table = markdown_table(
        "set | units | ROI | layer | rate | interval | exchange | specific | category | 10 | all | "
        "untrained | exchanged | people",
        (
            [
                row.set,
                "raw" if row.method == "horikawa2017" else "normalised",
                row.roi,
                row.layer.replace("*", "\\*"),
                row.rate,
                interval(row.low, row.high),
                *(row.exchange, row.specific, row.category if row.set == "own" else ""),
                *(row.ten, row.whole),
                *((row.top1, row.exchanged) if row.set == "outside" else ("", "")),
                row.mean_rate,
            ]
            for row in rows.itertuples()
        ),
    )
    head = IDENTIFICATION.format(title=release.title, **about)
    return f"{head}\n{table}"
