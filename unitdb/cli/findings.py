"""What a release found, as text: its most brain-like units, and its layer × ROI matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.cli.terminal import aligned, cells
from unitdb.release import order_words

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.release import Release

__all__ = ["findings", "topdown_findings"]

_UNITS = 10
_LEVEL = 0.05
_IDENTIFIED = ["seen", "roi", "candidates", "best_layer", "rate", "interval", "exchanged"]
_IDENTIFIED += ["people", "within", "top1", "chance"]
_MODULATED = ["seen", "roi", "control", "layers", "most_in", "gain", "interval", "bias"]


def findings(release: Release) -> str:
    """Print-ready findings of a release.

    Parameters
    ----------
    release : Release
        With one dataset, one network and one test set.

    Returns
    -------
    str
        Several lines.

    Raises
    ------
    QueryError
        It has several of one of them; names these.
    """
    top = release.units().top(_UNITS, by="mean_r").to_arrow()
    columns = ["unit_id", "roi", "mean_r", "sd_r", "min_r", "n_subjects"]
    parts = [
        *_simulated(release),
        f"{release.title} ({release.name} {release.version})",
        "",
        f"The {_UNITS} most brain-like units (decoding accuracy, Pearson r, over subjects)",
        aligned(columns, cells(top.select(columns))),
        "",
        "Mean decoding accuracy (Pearson r, over units, then subjects)",
        _matrix(release.layer_by_roi("accuracy")),
        "",
        "Inter-subject correlation of unit accuracies (Pearson r, mean over pairs of subjects)",
        _matrix(release.layer_by_roi("agreement")),
        "",
        *_course(release),
        f"In Python: unitdb.open({str(release.path)!r})",
    ]
    return "\n".join(parts)


def topdown_findings(release: Release) -> str:
    """Print-ready findings on what is identified, imagined in time and made of blurred pictures.

    Parameters
    ----------
    release : Release
        Of what it has no tables of, nothing is said.
    """
    parts = [
        *_simulated(release),
        f"{release.title} ({release.name} {release.version})",
        "",
        *_identified(release),
        *_course(release),
        *_modulated(release),
        f"In Python: unitdb.open({str(release.path)!r})",
    ]
    return "\n".join(parts)


def _simulated(release: Release) -> list[str]:
    return ["SIMULATED responses: no statement about brains.", ""] if release.simulated else []


def _identified(release: Release) -> list[str]:
    """From which layer of each ROI pictures are identified best, with chance beside."""
    if "identification_summary" not in release.tables:
        return []
    rows = release.sql(
        """
        FROM (
          SELECT condition, roi, set, layer, any_value(n_candidates) AS n,
            any_value(rate) FILTER (subject = '*') AS rate,
            any_value(rate_low) FILTER (subject = '*') AS low,
            any_value(rate_high) FILTER (subject = '*') AS high,
            any_value(chance_fold) FILTER (subject = '*') AS exchanged,
            any_value(rate_within) FILTER (subject = '*') AS within,
            any_value(top1) FILTER (subject = '*') AS top1,
            any_value(chance_top1) FILTER (subject = '*') AS one,
            count_if(q <= ? AND subject <> '*') AS found, count_if(subject <> '*') AS people
          FROM identification_summary
          WHERE trials = 'means' AND method = 'normalised' AND NOT starts_with(layer, '*')
          GROUP BY ALL
        )
        QUALIFY row_number() OVER (PARTITION BY condition, roi, set ORDER BY rate DESC, layer) = 1
        ORDER BY condition, n, set, roi
        """,
        [_LEVEL],
    )
    cells = [
        [
            f"{row['condition']}",
            f"{row['roi']}",
            f"{row['set']} ({row['n']:,})",
            f"{row['layer']}",
            f"{row['rate']:.2f}",
            f"{row['low']:.2f}-{row['high']:.2f}",
            f"{row['exchanged']:.2f}",
            f"{row['found']} of {row['people']}",
            "" if row["within"] != row["within"] else f"{row['within']:.2f}",
            f"{row['top1']:.2f}",
            f"{row['one']:.3f}",
        ]
        for row in rows.to_dict("records")
    ]
    return [
        "Identification (rate: other candidates that a prediction is less like than the true one;",
        f"that of exchanged images; people with q <= {_LEVEL}; rate within the category; how often",
        "the true one is first of those that did not train, with chance)",
        aligned(_IDENTIFIED, cells),
        "",
    ]


def _modulated(release: Release) -> list[str]:
    """In how many layers blurred pictures are decoded beyond the bias, and where most."""
    if "modulation_summary" not in release.tables:
        return []
    rows = release.sql(
        """
        FROM (
          SELECT *, count_if(q <= $1) OVER of_roi AS found, count(*) OVER of_roi AS layers,
            row_number() OVER (
              of_roi ORDER BY coalesce(q <= $1, FALSE) DESC, excess DESC NULLS LAST, layer
            ) AS place
          FROM modulation_summary WHERE level > 0 AND method = 'abdelhack2018'
          WINDOW of_roi AS (PARTITION BY condition, roi, control)
        )
        WHERE place = 1 ORDER BY condition, roi, control DESC
        """,
        [_LEVEL],
    )
    cells = [
        [
            f"{row['condition']}",
            f"{row['roi']}",
            f"{row['control']}",
            f"{row['found']} of {row['layers']}",
            *([f"{row['layer']}"] if row["excess"] == row["excess"] else ["no bias known"]),
            f"{row['gain']:+.3f}",
            f"{row['gain_low']:+.3f} to {row['gain_high']:+.3f}",
            f"{row['bias']:+.3f}",
        ]
        for row in rows.to_dict("records")
    ]
    return [
        "Blurred pictures (is what is decoded nearer to the original than brains that only feed",
        f"forward make it? layers with q <= {_LEVEL}; gain in r where it exceeds its bias most)",
        aligned(_MODULATED, cells),
        "",
    ]


def _course(release: Release) -> list[str]:
    """What the time course tells of the order of layers, where there is one."""
    if "lag_order" not in release.tables:
        return []
    orders = release.table("lag_order").astype({"control": str, "roi": str, "condition": str})
    places = release.table("rois").astype({"roi": str}).sort_values("place")["roi"].tolist()
    parts = ["Time course: which layers come first"]
    for condition, of in orders.groupby("condition"):
        for roi in [roi for roi in places if roi in set(of["roi"])]:
            measured = of[(of["roi"] == roi) & (of["control"] == "none")]
            parts += [f"{condition}, {roi}: {one}" for one in order_words(measured)]
    return [*parts, ""]


def _matrix(values: pd.DataFrame) -> str:
    rows = [
        [str(layer), *(f"{value:.2f}" for value in row)]
        for layer, row in zip(values.index, values.to_numpy(), strict=True)
    ]
    return aligned(["layer", *map(str, values.columns)], rows)
