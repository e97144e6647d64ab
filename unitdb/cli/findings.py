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
        *(["SIMULATED responses: no statement about brains.", ""] if release.simulated else []),
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
        f"{release.title} ({release.name} {release.version})",
        "",
        *_identified(release),
        *_course(release),
        *_modulated(release),
        f"In Python: unitdb.open({str(release.path)!r})",
    ]
    return "\n".join(parts)


def _identified(release: Release) -> list[str]:
    """From which layer of each ROI most pictures are identified, with chance beside."""
    if "identification_summary" not in release.tables:
        return []
    rows = release.sql(
        """
        FROM (
          SELECT condition, roi, set, layer, avg(rate) AS rate, avg(chance_fold) AS exchanged,
            avg(top1) AS top1, avg(n_untrained) AS n, count_if(q <= ?) AS found,
            count(*) AS people, avg(rate_within) AS within
          FROM identification_summary
          WHERE subject <> '*' AND trials = 'means' AND method = 'normalised'
          GROUP BY ALL
        )
        QUALIFY row_number() OVER (PARTITION BY condition, roi, set ORDER BY rate DESC, layer) = 1
        ORDER BY condition, set, roi
        """,
        [_LEVEL],
    )
    parts = ["Identification: which of all candidates a prediction is of"]
    for row in rows.to_dict("records"):
        within = (
            "" if row["within"] != row["within"] else f", within a category {row['within']:.2f}"
        )
        parts.append(
            f"{row['condition']}, {row['roi']}, among {row['set']}: best from {row['layer']}: "
            f"nearer to the true one than to {row['rate']:.2f} of the others (exchanged images "
            f"{row['exchanged']:.2f}; q <= {_LEVEL} in {row['found']} of {row['people']} people)"
            f"{within}; top-1 {row['top1']:.2f} of {row['n']:.0f}"
        )
    return [*parts, ""]


def _modulated(release: Release) -> list[str]:
    """In how many layers blurred pictures are decoded beyond the bias, and where most."""
    if "modulation_summary" not in release.tables:
        return []
    rows = release.sql(
        """
        SELECT condition, roi, control, count_if(q <= ?) AS found, count(*) AS layers,
          arg_max(layer, excess) AS layer, max(excess) AS excess, arg_max(gain, excess) AS gain,
          arg_max(bias, excess) AS bias
        FROM modulation_summary WHERE level > 0 AND method = 'abdelhack2018'
        GROUP BY ALL ORDER BY condition, roi, control DESC
        """,
        [_LEVEL],
    )
    parts = ["Blurred pictures: is what is decoded nearer to the original than it must be?"]
    for row in rows.to_dict("records"):
        gain = f"gain {row['gain']:+.3f} beside a bias of {row['bias']:+.3f}"
        known = row["excess"] == row["excess"]
        most = f"most in {row['layer']}, {gain}" if known else "no bias is known"
        parts.append(
            f"{row['condition']}, {row['roi']}, control {row['control']}: yes in {row['found']} of "
            f"{row['layers']} layers (q <= {_LEVEL}); {most}"
        )
    return [*parts, ""]


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
